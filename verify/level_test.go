package verify

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
)

// TestLevelByVerdicts is the whole table: which verdicts make which level.
func TestLevelByVerdicts(t *testing.T) {
	const (
		p = Pass
		f = Fail
		u = Unknown
		n = NotApplicable
	)
	tests := []struct {
		readOnly, unwritable, verified, anchored, attested Verdict
		want                                               int
		name                                               string
	}{
		{f, n, n, n, n, 0, "mutable"},
		{u, u, u, u, n, 0, "unknown"},
		{u, p, p, p, p, 0, "unknown"}, // nothing stands on what is not proven
		{f, p, p, p, p, 0, "mutable"},
		{p, n, n, n, n, 1, "read-only"},
		{p, f, p, p, n, 1, "read-only"},
		{p, u, p, p, n, 1, "read-only"},
		{p, p, n, f, n, 2, "image"},
		{p, p, u, u, n, 2, "image"},
		{p, p, f, f, n, 2, "image"},
		{p, p, p, f, n, 3, "verified"},
		{p, p, p, n, n, 3, "verified"},
		{p, p, p, u, n, 3, "verified"},
		{p, p, n, p, n, 4, "anchored"}, // Talos: in memory, inside the signed UKI
		{p, p, p, p, n, 4, "anchored"},
		{p, p, p, p, p, 5, "attested"},
		{p, p, p, f, p, 3, "verified"}, // a quote of a chain that fixes nothing
	}
	for _, tt := range tests {
		var findings []Finding
		for i, v := range []Verdict{tt.readOnly, tt.unwritable, tt.verified, tt.anchored, tt.attested} {
			findings = append(findings, Finding{Check: levelSteps[i].check, Verdict: v, Reason: levelSteps[i].check})
		}
		got := LevelOf(findings, node.Facts{})
		if got.Number != tt.want || got.Name != tt.name {
			t.Errorf("%v %v %v %v %v: got %d %s, want %d %s", tt.readOnly, tt.unwritable, tt.verified, tt.anchored, tt.attested, got.Number, got.Name, tt.want, tt.name)
		}
	}
}

func TestLevelSaysWhyNotMore(t *testing.T) {
	tests := []struct {
		name string
		node imageNode
		want []string // each reason, in part
	}{
		{"an ordinary host is mutable for one reason", debian(), []string{"/ is mounted writable (ext4)"}},
		{"a snapshot can be written by root", microos(), []string{"/ is btrfs, which root can write"}},
		{"Talos without Secure Boot", talos(), []string{"/ is an image in memory", "Secure Boot is off"}},
		{"at 4 only the quote is missing", talosSecureBoot(), []string{"no TPM quote"}},
		{"an unknown says what would settle it", flatcar().edit(func(n *imageNode) { withoutTables(&n.verity) }),
			[]string{"takes root (CAP_SYS_ADMIN and /dev/mapper/control)", "Secure Boot is off"}},
		{"one reason for two steps is said once", cos().edit(func(n *imageNode) { n.system.PIDNamespace = "other" }), []string{"process 1 is that of a container"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, level, _ := tt.node.judge(t)
			if len(level.Reasons) != len(tt.want) {
				t.Fatalf("got reasons %q, want %d", level.Reasons, len(tt.want))
			}
			for i, want := range tt.want {
				if !strings.Contains(level.Reasons[i], want) {
					t.Errorf("reason %d is %q, want it to say %q", i, level.Reasons[i], want)
				}
			}
		})
	}
}

func TestLevelWithoutFindings(t *testing.T) {
	got := LevelOf(nil, nil)
	if got.Number != 0 || got.Name != "unknown" || len(got.Reasons) == 0 {
		t.Errorf("got %+v, want an unknown level 0 that says why", got)
	}
}

func TestLevelListsWhatIsNotProtected(t *testing.T) {
	tests := []struct {
		name string
		node imageNode
		want []string
	}{{
		"Flatcar: the root, /etc, and what extensions add",
		flatcar(),
		[]string{
			"/ ext4, writable, exec",
			"/dev devtmpfs, writable, exec",
			"/etc overlay, writable, exec",
			"/oem btrfs, writable, exec",
			"/tmp tmpfs, writable, exec",
			"/usr overlay, read-only, exec",
			"extension containerd-flatcar (sysext) /etc/extensions/containerd-flatcar.raw → /usr/share/flatcar/sysext/containerd-flatcar.raw",
		},
	}, {
		"an ordinary host: /etc is no mount, and can be written all the same",
		debian(),
		[]string{
			"/ ext4, writable, exec",
			"/dev devtmpfs, writable, exec",
			"/tmp tmpfs, writable, exec",
			"/etc on / ext4, writable",
		},
	}, {
		"what another mount hides cannot be reached",
		debian().edit(func(n *imageNode) {
			n.mount("11 10 0:41 / /tmp rw,nosuid,nodev,noexec - tmpfs tmpfs rw")
		}),
		[]string{
			"/ ext4, writable, exec",
			"/dev devtmpfs, writable, exec",
			"/etc on / ext4, writable",
		},
	}, {
		"COS: what is bound again with exec",
		cos(),
		[]string{
			"/etc overlay, writable, exec",
			"/home/kubernetes/bin ext4, writable, exec",
			"/run tmpfs, writable, exec",
			"/var/lib/containerd ext4, writable, exec",
		},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, level, _ := tt.node.judge(t)
			if diff := cmp.Diff(tt.want, level.Unprotected); diff != "" {
				t.Errorf("unprotected (-want +got):\n%s", diff)
			}
		})
	}
}

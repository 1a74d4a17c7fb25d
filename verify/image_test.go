package verify

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
)

// sound are nodes as they are shipped.
var sound = map[string]func() imageNode{
	"talos":             talos,
	"talos-secure-boot": talosSecureBoot,
	"talos-extended":    talosExtended,
	"flatcar":           flatcar,
	"bottlerocket":      bottlerocket,
	"cos":               cos,
	"coreos":            coreos,
	"coreos-before":     coreosBefore,
	"microos":           microos,
	"debian":            debian,
}

// asShipped are the verdicts on each of them.
var asShipped = map[string]map[string]string{
	"talos": {
		"image-read-only":             "pass read-only",
		"image-unwritable":            "pass unwritable",
		"image-verified":              "not-applicable image-in-memory",
		"image-anchored":              "fail secure-boot-off",
		"image-attested":              "not-applicable no-quote",
		"no-shadowed-paths":           "pass declared-only",
		"mount-namespaces-agree":      "pass agree",
		"cmdline-matches-mapping":     "not-applicable image-in-memory",
		"image-unmodified":            "pass unmodified",
		"no-undeclared-writable-exec": "pass declared-only",
	},
	"talos-secure-boot": {
		"image-read-only":             "pass read-only",
		"image-unwritable":            "pass unwritable",
		"image-verified":              "not-applicable image-in-memory",
		"image-anchored":              "pass anchored",
		"image-attested":              "not-applicable no-quote",
		"no-shadowed-paths":           "pass declared-only",
		"mount-namespaces-agree":      "pass agree",
		"cmdline-matches-mapping":     "not-applicable image-in-memory",
		"image-unmodified":            "pass unmodified",
		"no-undeclared-writable-exec": "pass declared-only",
	},
	"talos-extended": {
		"image-read-only":             "pass read-only",
		"image-unwritable":            "pass unwritable",
		"image-verified":              "not-applicable not-offered",
		"image-anchored":              "pass anchored",
		"image-attested":              "not-applicable no-quote",
		"no-shadowed-paths":           "pass declared-only",
		"mount-namespaces-agree":      "pass agree",
		"cmdline-matches-mapping":     "not-applicable no-hash",
		"image-unmodified":            "pass unmodified",
		"no-undeclared-writable-exec": "pass declared-only",
	},
	"flatcar": {
		"image-read-only":             "pass read-only",
		"image-unwritable":            "pass unwritable",
		"image-verified":              "pass verified",
		"image-anchored":              "fail secure-boot-off",
		"image-attested":              "not-applicable no-quote",
		"no-shadowed-paths":           "pass declared-only",
		"mount-namespaces-agree":      "pass agree",
		"cmdline-matches-mapping":     "pass matches",
		"image-unmodified":            "pass unmodified",
		"no-undeclared-writable-exec": "pass declared-only",
	},
	"bottlerocket": {
		"image-read-only":             "pass read-only",
		"image-unwritable":            "pass unwritable",
		"image-verified":              "pass verified",
		"image-anchored":              "pass anchored",
		"image-attested":              "not-applicable no-quote",
		"no-shadowed-paths":           "pass declared-only",
		"mount-namespaces-agree":      "pass agree",
		"cmdline-matches-mapping":     "pass matches",
		"image-unmodified":            "pass unmodified",
		"no-undeclared-writable-exec": "pass declared-only",
	},
	"cos": {
		"image-read-only":             "pass read-only",
		"image-unwritable":            "pass unwritable",
		"image-verified":              "pass verified",
		"image-anchored":              "not-applicable not-offered",
		"image-attested":              "not-applicable no-quote",
		"no-shadowed-paths":           "pass declared-only",
		"mount-namespaces-agree":      "pass agree",
		"cmdline-matches-mapping":     "pass matches",
		"image-unmodified":            "pass unmodified",
		"no-undeclared-writable-exec": "pass declared-only",
	},
	"coreos": {
		"image-read-only":             "pass read-only",
		"image-unwritable":            "pass unwritable",
		"image-verified":              "not-applicable not-offered",
		"image-anchored":              "not-applicable not-offered",
		"image-attested":              "not-applicable no-quote",
		"no-shadowed-paths":           "pass nothing",
		"mount-namespaces-agree":      "pass agree",
		"cmdline-matches-mapping":     "not-applicable no-hash",
		"image-unmodified":            "pass unmodified",
		"no-undeclared-writable-exec": "pass declared-only",
	},
	"coreos-before": {
		"image-read-only":             "pass read-only",
		"image-unwritable":            "not-applicable not-offered",
		"image-verified":              "not-applicable not-offered",
		"image-anchored":              "not-applicable not-offered",
		"image-attested":              "not-applicable no-quote",
		"no-shadowed-paths":           "pass nothing",
		"mount-namespaces-agree":      "pass agree",
		"cmdline-matches-mapping":     "not-applicable no-hash",
		"image-unmodified":            "pass unmodified",
		"no-undeclared-writable-exec": "pass declared-only",
	},
	"microos": {
		"image-read-only":             "pass read-only",
		"image-unwritable":            "not-applicable not-offered",
		"image-verified":              "not-applicable not-offered",
		"image-anchored":              "not-applicable not-offered",
		"image-attested":              "not-applicable no-quote",
		"no-shadowed-paths":           "pass nothing",
		"mount-namespaces-agree":      "pass agree",
		"cmdline-matches-mapping":     "not-applicable no-hash",
		"image-unmodified":            "pass unmodified",
		"no-undeclared-writable-exec": "pass declared-only",
	},
	"debian": {
		"image-read-only":             "fail writable-mount",
		"image-unwritable":            "not-applicable not-offered",
		"image-verified":              "not-applicable not-offered",
		"image-anchored":              "not-applicable not-offered",
		"image-attested":              "not-applicable no-quote",
		"no-shadowed-paths":           "pass nothing",
		"mount-namespaces-agree":      "not-applicable no-image",
		"cmdline-matches-mapping":     "not-applicable no-hash",
		"image-unmodified":            "not-applicable no-image",
		"no-undeclared-writable-exec": "not-applicable no-expectation",
	},
}

var shippedLevels = map[string]int{
	"talos": 2, "talos-secure-boot": 4, "talos-extended": 4, "flatcar": 3, "bottlerocket": 4,
	"cos": 3, "coreos": 2, "coreos-before": 1, "microos": 1, "debian": 0,
}

func TestImagesAsShipped(t *testing.T) {
	for name, n := range sound {
		t.Run(name, func(t *testing.T) {
			verdicts, level, _ := n().judge(t)
			if diff := cmp.Diff(asShipped[name], verdicts); diff != "" {
				t.Errorf("verdicts (-want +got):\n%s", diff)
			}
			want := shippedLevels[name]
			if level.Number != want || level.Claimed != want || level.Name != levelNames[want] {
				t.Errorf("got level %d %s, claimed %d; want %d", level.Number, level.Name, level.Claimed, want)
			}
		})
	}
}

// remount replaces text in the mount table; it must be there.
func (n *imageNode) remount(t *testing.T, old, with string) {
	t.Helper()
	if !strings.Contains(n.mounts, old) {
		t.Fatalf("the mount table has no %q", old)
	}
	n.mounts = strings.Replace(n.mounts, old, with, 1)
}

func (n *imageNode) mount(line string) { n.mounts += line + "\n" }

// oneEdit is one change of a sound node, and what may follow.
type oneEdit struct {
	name    string
	node    string
	edit    func(*testing.T, *imageNode)
	change  map[string]string
	level   int
	claimed int // where it is not the level
}

// TestOneEdit changes one thing about a sound node. Only the verdicts that are
// named may change.
func TestOneEdit(t *testing.T) {
	for _, tt := range slices.Concat(verityEdits, mountEdits, talosEdits, ostreeEdits, btrfsEdits, namespaceEdits, unreadEdits) {
		t.Run(tt.node+": "+tt.name, func(t *testing.T) {
			n := sound[tt.node]().edit(func(*imageNode) {})
			tt.edit(t, &n)
			got, level, _ := n.judge(t)
			want := maps.Clone(asShipped[tt.node])
			for check, verdict := range tt.change {
				if want[check] == verdict {
					t.Errorf("%s: %q is no change", check, verdict)
				}
				want[check] = verdict
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("verdicts (-want +got):\n%s", diff)
			}
			claimed := max(tt.claimed, tt.level)
			if level.Number != tt.level || level.Claimed != claimed {
				t.Errorf("got level %d, claimed %d; want %d, claimed %d", level.Number, level.Claimed, tt.level, claimed)
			}
		})
	}
}

func TestFindingsNameWhatIsAtFault(t *testing.T) {
	n := flatcar()
	n.mount("15 14 0:43 / /usr/bin rw,relatime - tmpfs tmpfs rw")
	_, _, findings := n.judge(t)
	for check, want := range map[string][]string{
		"image-read-only":             {"/usr/bin tmpfs"},
		"no-shadowed-paths":           {"/usr/bin tmpfs"},
		"no-undeclared-writable-exec": {"/usr/bin tmpfs"},
	} {
		i := slices.IndexFunc(findings, func(f Finding) bool { return f.Check == check })
		if diff := cmp.Diff(want, findings[i].Items); diff != "" {
			t.Errorf("%s: items (-want +got):\n%s", check, diff)
		}
	}
}

func TestCheckAtMostOnceIsSaid(t *testing.T) {
	n := cos()
	n.verity.Devices[0].Verity.Args = []string{"check_at_most_once"}
	_, _, findings := n.judge(t)
	i := slices.IndexFunc(findings, func(f Finding) bool { return f.Check == imageVerified.ID })
	if f := findings[i]; f.Verdict != Pass || !strings.Contains(f.Reason, "check_at_most_once") {
		t.Errorf("got %s %q, want a pass that says check_at_most_once", f.Verdict, f.Reason)
	}
}

// Root is promised to settle what only a lack of rights left unread.
func TestRootIsPromisedOnlyWhereItSettles(t *testing.T) {
	for code, promised := range map[node.Code]bool{node.Denied: true, node.Failed: false, node.NoKernel: false} {
		n := cos()
		withoutTables(&n.verity)
		n.verity.NoTables.Code = code
		_, _, findings := n.judge(t)
		for _, check := range []string{imageVerified.ID, cmdlineMatchesMapping.ID} {
			i := slices.IndexFunc(findings, func(f Finding) bool { return f.Check == check })
			f := findings[i]
			if f.Verdict != Unknown || strings.Contains(f.Reason, "takes root") != promised || !strings.HasSuffix(f.Reason, n.verity.NoTables.Reason) {
				t.Errorf("%s, tables %s: got %s %q, want it to speak of root: %t", check, code, f.Verdict, f.Reason, promised)
			}
		}
	}
}

// A mount's own flag holds no further than the mount, also where sysfs does not
// say which disk the file system is on.
func TestWritableElsewhere(t *testing.T) {
	mount := func(path, flag, anon string) node.Mount {
		return node.Mount{
			Path: path, Visible: true, Root: "/", Type: "ext4", Device: node.Device{Kind: "unknown"}, Anon: anon,
			Options: []string{flag}, Super: []string{"rw"},
		}
	}
	facts := func(elsewhere node.Mount) node.Facts {
		return withFact(withFact(onHost(), node.Mounts, []node.Mount{mount("/", "ro", "/"), elsewhere}), node.Verity, node.VerityState{})
	}
	for _, row := range []judgedRow{
		{name: "the same file system", facts: facts(mount("/mnt", "rw", "/")), want: "fail writable-elsewhere"},
		{name: "the same, read-only too", facts: facts(mount("/mnt", "ro", "/")), want: "pass read-only"},
		{name: "another one", facts: facts(mount("/mnt", "rw", "/mnt")), want: "pass read-only"},
	} {
		f := judge(imageReadOnly, row.facts, Given{})
		if got := f.Verdict.String() + " " + f.Code; got != row.want {
			t.Errorf("%s: got %s (%s), want %s", row.name, got, f.Reason, row.want)
		}
	}
}

package verify

import (
	"testing"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// Where it could not be told which system a node runs, that its generic profile
// expects nothing proves nothing.
func TestUnsettledSystemHasNothingThatDoesNotApply(t *testing.T) {
	all, _, err := profiles.Load()
	if err != nil {
		t.Fatal(err)
	}
	denied := func() node.Fact {
		return node.Fact{Missing: &node.Missing{Code: node.Denied, Reason: "permission denied"}}
	}
	flatcar := node.System{Release: map[string]string{"ID": "flatcar"}, Markers: []string{}, Init: "systemd", PIDNamespace: "initial"}
	markersUnread := node.Gap{What: "paths that tell systems apart", Part: "markers", Code: node.Denied, Reason: "permission denied"}
	mounts := node.Fact{Value: []node.Mount{{Path: "/", Visible: true, Root: "/", Type: "ext4", Device: node.Device{Kind: "disk", Name: "ROOT"}, Options: []string{"rw"}, Super: []string{"rw"}}}}
	boot := node.Fact{Value: node.BootState{Cmdline: []node.Word{{Key: "quiet"}}, Firmware: "uefi", SecureBoot: "off", SetupMode: "off", Lockdown: "none", SELinux: "absent", AppArmor: "absent"}}
	kernel := node.Fact{Value: node.KernelState{Release: "6.1.0-31-amd64", Taints: []node.Taint{}, Modules: []node.Module{}, SigEnforce: "off"}}
	verity := node.Fact{Value: node.VerityState{}}
	for _, tt := range []struct {
		name    string
		facts   node.Facts
		settled bool
	}{
		{"os-release could not be read", node.Facts{"os": denied(), "mounts": mounts, "boot": boot, "kernel": kernel, "verity": verity}, false},
		{"os-release says Flatcar, and its kernel and paths could not be read", node.Facts{"os": {Value: flatcar, Gaps: []node.Gap{markersUnread}}, "mounts": mounts, "boot": boot, "kernel": denied(), "verity": verity}, false},
		{"os-release says Flatcar, and device-mapper could not be read", node.Facts{"os": {Value: flatcar}, "mounts": mounts, "boot": boot, "kernel": kernel, "verity": denied()}, false},
		{"os-release says Flatcar, and all that was read says otherwise", node.Facts{"os": {Value: flatcar}, "mounts": mounts, "boot": boot, "kernel": kernel, "verity": verity}, true},
		{"Debian, where nothing depends on what could not be read", node.Facts{"os": {Value: node.System{Release: map[string]string{"ID": "debian"}, PIDNamespace: "initial"}}, "mounts": mounts, "boot": boot, "kernel": kernel, "verity": denied()}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, _ := Detect(tt.facts, all)
			if p.Name != profiles.Generic {
				t.Fatalf("got profile %s, want generic", p.Name)
			}
			r := NewReport("test", Checks(), tt.facts, p, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
			n, unsettled := 0, 0
			for _, f := range r.Findings {
				switch {
				case f.Verdict == NotApplicable:
					n++
				case f.Code == "system-unsettled" && f.Verdict == Unknown:
					unsettled++
				}
			}
			if tt.settled && (n == 0 || unsettled > 0) {
				t.Errorf("got %d not-applicable and %d of an unsettled system, want some and none", n, unsettled)
			}
			if !tt.settled && (n > 0 || unsettled == 0) {
				t.Errorf("got %d not-applicable and %d of an unsettled system, want none and some", n, unsettled)
			}
		})
	}
}

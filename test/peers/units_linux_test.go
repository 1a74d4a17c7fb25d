package peers

import (
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
	"github.com/seaworthy/seaworthy/node/hostfs"
)

// TestUnitFoldersAsSystemdAnalyze holds the folders that our source of units asks
// for to those in which the systemd of this machine looks, the vendor's apart.
// systemd-analyze says them without a systemd that runs.
func TestUnitFoldersAsSystemdAnalyze(t *testing.T) {
	h, err := hostfs.Machine("/")
	if err != nil {
		t.Fatal(err)
	}
	recorder, tape := capture.Record(h)
	if _, _, missing := node.Units.Of(node.Gather(t.Context(), recorder, time.Now())); missing != nil {
		t.Fatal(missing.Reason)
	}
	asked := map[string]bool{}
	for _, e := range tape.Exchanges() {
		if e.Op == "list" {
			asked[e.What] = true
		}
	}
	vendor := []string{"/usr/lib/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/user", "/lib/systemd/user"}
	for _, manager := range []string{"--system", "--global"} {
		dirs := strings.Fields(theirs(t, "systemd-analyze", "unit-paths", manager))
		if len(dirs) < 3 {
			t.Fatalf("systemd-analyze unit-paths %s: %q", manager, dirs)
		}
		for _, dir := range dirs {
			// Data of all users that the distribution's packages install.
			packaged := strings.HasPrefix(dir, "/usr/share/")
			if !path.IsAbs(dir) || packaged || slices.Contains(vendor, dir) {
				continue
			}
			if !asked[dir] {
				t.Errorf("systemd-analyze unit-paths %s: systemd looks for units in %s, and we do not", manager, dir)
			}
		}
	}
}

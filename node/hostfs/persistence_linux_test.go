package hostfs

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
)

// What starts programs after a boot of this machine is read, and is the same a
// moment later. Nothing is asked of its systemd.
func TestPersistenceOfThisMachine(t *testing.T) {
	gather := func() node.Facts {
		h, err := Machine("/")
		if err != nil {
			t.Skipf("SKIPPED: %v", err)
		}
		return node.Gather(t.Context(), h, time.Time{})
	}
	first, second := gather(), gather()
	for _, name := range []string{node.Units.Name, node.Startup.Name, node.LoadedUnits.Name, node.BPF.Name} {
		f := first[name]
		if f.Missing != nil {
			if name != node.BPF.Name || !slices.Contains([]node.Code{node.Denied, node.Unsupported}, f.Missing.Code) {
				t.Errorf("%s: %+v", name, f.Missing)
			}
			t.Logf("%s: %s", name, f.Missing.Reason)
			continue
		}
		if d := cmp.Diff(f.Value, second[name].Value); d != "" && name != node.BPF.Name {
			t.Errorf("%s: another fact a moment later:\n%s", name, d)
		}
		for _, g := range f.Gaps {
			t.Logf("%s: %v", name, g)
		}
	}
	if v, _, missing := node.LoadedUnits.Of(first); missing != nil || v.Asked != "no" {
		t.Errorf("got %+v, %v: nobody asks unless told", v, missing)
	}
	if v, _, missing := node.Startup.Of(first); missing == nil {
		t.Logf("%d of cron, %d at boot, %d at logins, %d handlers", len(v.Cron), len(v.Boot), len(v.Login), len(v.Handlers))
	}
}

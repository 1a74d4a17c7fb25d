package profiles

import (
	"strings"
	"testing"
)

func TestProgramWords(t *testing.T) {
	for text, good := range map[string]bool{
		"sched_cls cil_*": true, "tracing hid_tail_call 7cc47bbf07148bfe": true,
		"cgroup_device": false, "kprobe *": false, "* sd_devices": false, "a b c d": false, "": false,
	} {
		if why := programWords(text); (why == "") != good {
			t.Errorf("%q: got %q", text, why)
		}
	}
}

// A type alone stands for programs without a name, which containers have; only
// the data of this package may say so.
func TestCommonProgramsAreNamed(t *testing.T) {
	_, common := load(t)
	for _, p := range common.Persistence.BPF {
		if programWords(p.Path) != "" && p.Path != "cgroup_device" || p.Why == "" || strings.Contains(p.Path, "*") {
			t.Errorf("%+v", p)
		}
	}
}

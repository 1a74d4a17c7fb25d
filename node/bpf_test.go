package node

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBPF(t *testing.T) {
	const table = "1 0 0:2 / / ro - squashfs a ro\n2 1 0:3 / /sys/fs/bpf rw - bpf bpf rw\n3 1 0:4 / /run/cilium/bpffs rw - bpf bpf rw\n4 1 0:5 / /run/hidden rw - bpf bpf rw\n5 4 0:6 / /run/hidden rw - tmpfs t rw\n"
	device := BPFProgram{Name: "sd_devices", Type: "cgroup_device", Tag: "0011223344556677"}
	probe := BPFProgram{Name: "a", Type: "kprobe", Tag: "8899aabbccddeeff", UID: 7}
	q := Question{Kind: AskBPF}
	read := func(files map[string]string, answer []BPFProgram) (BPFPrograms, []Gap, error) {
		files["proc/1/mountinfo"] = table
		return BPF.Read(t.Context(), (&memHost{files: files, kernel: map[Question]any{q: answer}}).host())
	}
	v, gaps, err := read(map[string]string{
		"sys/fs/bpf/maps.debug": "", "sys/fs/bpf/tc/globals/x-721fad77-c395-4420-a926-eff48fa62bfc": "",
		"run/cilium/bpffs/y": "", "run/hidden/z": "",
	}, []BPFProgram{device, probe, device})
	want := BPFPrograms{Programs: []BPFProgram{probe, device}, Pins: []string{"/run/cilium/bpffs/y", "/sys/fs/bpf/maps.debug", "/sys/fs/bpf/tc/globals/x-<uuid>"}}
	if d := cmp.Diff(want, v); d != "" || err != nil || len(gaps) > 0 {
		t.Errorf("%v %v\n%s", err, gaps, d)
	}
	v, gaps, err = read(map[string]string{"sys/fs/bpf/": "", "run/cilium/bpffs/": ""}, nil)
	if d := cmp.Diff(BPFPrograms{Programs: []BPFProgram{}, Pins: []string{}}, v); d != "" || err != nil || len(gaps) > 0 {
		t.Errorf("none: %v %v\n%s", err, gaps, d)
	}
	v, gaps, err = read(map[string]string{"sys/fs/bpf": "! denied"}, nil)
	if d := cmp.Diff([]string{"pins denied what eBPF objects are pinned"}, partTexts(gaps)); d != "" || v.Pins != nil || err != nil {
		t.Errorf("denied: %v %+v\n%s", err, v, d)
	}
	many := map[string]string{}
	for i := range maxPins {
		many[fmt.Sprintf("sys/fs/bpf/%d", i)] = ""
	}
	many["run/cilium/bpffs/y"] = ""
	if v, gaps, _ = read(many, nil); len(gaps) != 1 || gaps[0].Code != TooLarge || v.Pins != nil {
		t.Errorf("too many: %v", gaps)
	}
	if _, gaps, _ = read(map[string]string{"sys/fs/bpf/a/b/c/d/e/f/g/h/i/j/k": ""}, nil); len(gaps) != 1 || gaps[0].Code != TooLarge {
		t.Errorf("too deep: %v", gaps)
	}
	_, _, err = BPF.Read(t.Context(), (&memHost{errors: map[Question]*Error{q: {"asking the kernel for", AskBPF, Denied, ""}}}).host())
	if codeOf(err) != Denied {
		t.Errorf("denied: got %v", err)
	}
}

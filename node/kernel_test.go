package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseTaint(t *testing.T) {
	for _, tt := range []struct {
		line string
		want string // letters, or "error"
	}{
		{"0", ""},
		{"1", "P"},
		{"4097", "P O"},
		{"12288", "O E"},
		{"512", "W"},
		{"524288", "J"},
		{"1048576", "?"},
		{"18446744073709551615", "P F S R M B U D A W C I O E L K X T N J" + strings.Repeat(" ?", 44)},
		{"", "error"}, {"-1", "error"}, {"0x1", "error"}, {"01", "error"}, {"4097 ", "error"}, {"18446744073709551616", "error"},
	} {
		taints, err := parseTaint(tt.line)
		var letters []string
		for _, taint := range taints {
			letters = append(letters, taint.Letter)
		}
		got := strings.Join(letters, " ")
		if err != nil {
			got = "error"
		}
		if got != tt.want {
			t.Errorf("parseTaint(%q): got %q, want %q", tt.line, got, tt.want)
		}
	}
	for bit, taint := range taintBits {
		if taint.Bit != bit {
			t.Errorf("bit %d of the table says %d", bit, taint.Bit)
		}
	}
}

// The masks and letters that people published agree with the table.
func TestParseTaintSamples(t *testing.T) {
	type taint struct {
		Value   *uint64
		Letters []string
	}
	for name, want := range factSamples[taint](t, "taint") {
		if want.Value != nil {
			got, err := parseTaint(fmt.Sprint(*want.Value))
			if err != nil || len(got) != len(want.Letters) {
				t.Errorf("%s: got %v and error %v, want letters %v", name, got, err, want.Letters)
			}
		}
		for _, letter := range want.Letters {
			known := slices.ContainsFunc(taintBits, func(t Taint) bool { return t.Letter == letter })
			if !known && letter != "G" { // G: no proprietary module, the absence of P
				t.Errorf("%s: letter %s is not in the table", name, letter)
			}
		}
	}
}

func TestParseModules(t *testing.T) {
	const text = "xt_set 20480 0 - Live 0x0000000000000000\n" +
		"ip_set 53248 1 xt_set, Live 0xffffffffc0a00000\n" +
		"drbd 1146880 3 drbd_transport_tcp, Live 0xffffffffc2733000 (O)\n" +
		"nvidia 39047168 - - Live 0xffffffffc00ac000 (POE)\n" +
		"bad 4096 1 - Unloading 0x0000000000000000 (E-)\n" +
		"new 4096 1 - Loading 0x0000000000000000 (+)\n" +
		"forever 4096 1 [permanent], Live 0x0000000000000000\n"
	got, err := parseModules([]byte(text))
	want := []Module{{"bad", "E"}, {"drbd", "O"}, {"forever", ""}, {"ip_set", ""}, {"new", ""}, {"nvidia", "POE"}, {"xt_set", ""}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("got error %v and (-want +got):\n%s", err, diff)
	}
}

func TestParseModulesRefuses(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"lsmod's output", "Module                  Size  Used by\n", "fields"},
		{"cut", "xt_set 20480 0 - Live 0x0", "no newline"},
		{"cut within a line", "xt_set 20480 0 -\n", "4 fields"},
		{"twice", "a 1 0 - Live 0x0\na 1 0 - Live 0x0\n", "stands twice"},
		{"a state that no kernel prints", "a 1 0 - Alive 0x0\n", `"Alive"`},
		{"a size that is none", "a 1k 0 - Live 0x0\n", "size"},
		{"a count that is none", "a 1 x - Live 0x0\n", "use count"},
		{"an address that is none", "a 1 0 - Live 12\n", "address"},
		{"taint without parentheses", "a 1 0 - Live 0x0 OE\n", "taint"},
		{"no name", " 1 0 - Live 0x0\n", "name"},
	} {
		got, err := parseModules([]byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v and error %v, want an error with %q", tt.name, got, err, tt.want)
		}
	}
}

func TestParseModulesSamples(t *testing.T) {
	for name, text := range sampleFiles(t, "talos/proc-modules-*.txt") {
		got, err := parseModules([]byte(text))
		if want := strings.Count(text, "\n"); err != nil || len(got) != want {
			t.Errorf("%s: got %d modules and error %v, want %d", name, len(got), err, want)
		}
		for _, m := range got {
			if m.Taint != "PO" {
				t.Errorf("%s: got taint %q of %s, want PO", name, m.Taint, m.Name)
			}
		}
	}
	for name, text := range sampleFiles(t, "cos/lsmod-*.txt") {
		if got, err := parseModules([]byte(text)); err == nil {
			t.Errorf("%s: the output of lsmod was read as /proc/modules: %v", name, got)
		}
	}
}

func FuzzParseModules(f *testing.F) {
	f.Add([]byte("ip_set 53248 1 xt_set, Live 0xffffffffc0a00000\nnvidia 39047168 - - Live 0xffffffffc00ac000 (PO)\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseModules(b)
		if err != nil {
			return
		}
		if lines := strings.Count(string(b), "\n"); len(got) != lines {
			t.Errorf("%q: got %d modules of %d lines", b, len(got), lines)
		}
		for _, m := range got {
			if !strings.Contains(string(b), m.Name+" ") || !strings.Contains(string(b), m.Taint) {
				t.Errorf("%q: module %+v is not there", b, m)
			}
		}
	})
}

func TestReadKernel(t *testing.T) {
	read := func(change map[string]string) (KernelState, []Gap, error) {
		files := map[string]string{
			"proc/sys/kernel/osrelease":                "6.6.95-flatcar\n",
			"proc/version":                             "Linux version 6.6.95-flatcar (build@host) #1 SMP\n",
			"proc/sys/kernel/tainted":                  "4096\n",
			"proc/modules":                             "drbd 4096 0 - Live 0x0 (O)\n",
			"sys/module/module/parameters/sig_enforce": "N\n",
		}
		for name, text := range change {
			if files[name] = text; text == "-" {
				delete(files, name)
			}
		}
		return Kernel.Read(context.Background(), (&memHost{files: files}).host())
	}
	want := KernelState{
		Release: "6.6.95-flatcar", Banner: "Linux version 6.6.95-flatcar (build@host) #1 SMP",
		Taints: []Taint{{"O", "out-of-tree module", 12}}, Modules: []Module{{"drbd", "O"}}, SigEnforce: "off",
	}
	for _, tt := range []struct {
		name   string
		change map[string]string
		want   func(*KernelState)
		gaps   []string
	}{
		{"all there", nil, func(*KernelState) {}, nil},
		{"signatures enforced", map[string]string{"sys/module/module/parameters/sig_enforce": "Y\n"}, func(k *KernelState) { k.SigEnforce = "on" }, nil},
		{"a kernel without signatures", map[string]string{"sys/module/module/parameters/sig_enforce": "-", "sys/module/ext4/x": ""},
			func(k *KernelState) { k.SigEnforce = "absent" }, nil},
		{"no sysfs says nothing about signatures", map[string]string{"sys/module/module/parameters/sig_enforce": "-"},
			func(k *KernelState) { k.SigEnforce = "" }, []string{"module signature enforcement"}},
		{"a kernel without modules", map[string]string{"proc/modules": "-"}, func(k *KernelState) { k.Modules = []Module{} }, nil},
		{"modules denied", map[string]string{"proc/modules": "! denied"}, func(k *KernelState) { k.Modules = nil }, []string{"the loaded modules"}},
		{"taint malformed", map[string]string{"proc/sys/kernel/tainted": "G\n"}, func(k *KernelState) { k.Taints = nil }, []string{"the kernel's taint"}},
		{"no banner", map[string]string{"proc/version": "-"}, func(k *KernelState) { k.Banner = "" }, []string{"the kernel's banner"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, gaps, err := read(tt.change)
			want := want
			tt.want(&want)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("got error %v and (-want +got):\n%s", err, diff)
			}
			if diff := cmp.Diff(tt.gaps, whats(gaps)); diff != "" {
				t.Errorf("gaps (-want +got):\n%s", diff)
			}
		})
	}
	for _, text := range []string{"-", "! denied", "\n", "6.6 95\n"} {
		if got, _, err := read(map[string]string{"proc/sys/kernel/osrelease": text}); err == nil {
			t.Errorf("osrelease %q: got %+v, want an error", text, got)
		}
	}
}

// whats lists what gaps are about.
func whats(gaps []Gap) []string {
	var out []string
	for _, g := range gaps {
		out = append(out, g.What)
	}
	return out
}

func FuzzParseTaint(f *testing.F) {
	f.Add("4097")
	f.Fuzz(func(t *testing.T, line string) {
		taints, err := parseTaint(line)
		if err != nil {
			return
		}
		var mask uint64
		for _, taint := range taints {
			mask |= 1 << taint.Bit
		}
		if fmt.Sprint(mask) != line {
			t.Errorf("%q: the bits make %d", line, mask)
		}
	})
}

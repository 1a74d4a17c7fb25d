package node

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const madeModulesDep = `kernel/fs/overlayfs/overlay.ko.xz:
kernel/net/netfilter/xt-conntrack.ko.xz: kernel/net/netfilter/nf_conntrack.ko.xz
kernel/net/netfilter/nf_conntrack.ko.xz:
`

func TestModuleFiles(t *testing.T) {
	const dir = "usr/lib/modules/6.6.95-flatcar/"
	base := map[string]string{
		"proc/sys/kernel/osrelease": "6.6.95-flatcar\n",
		"proc/modules":              "overlay 1 1 - Live 0x0\nxt_conntrack 1 1 - Live 0x0\ndiamorphine 1 0 - Live 0x0 (OE)\n",
		"lib":                       "-> usr/lib",
		dir + "modules.dep":         madeModulesDep,
		dir + "kernel/fs/overlayfs/overlay.ko.xz":       "x",
		dir + "kernel/net/netfilter/xt-conntrack.ko.xz": "-> /opt/weak/xt-conntrack.ko.xz",
		"opt/weak/xt-conntrack.ko.xz":                   "x",
	}
	with := func(pairs ...string) *Host {
		files := map[string]string{}
		for k, v := range base {
			files[k] = v
		}
		for i := 0; i < len(pairs); i += 2 {
			if files[pairs[i]] = pairs[i+1]; pairs[i+1] == "" {
				delete(files, pairs[i])
			}
		}
		return (&memHost{files: files}).host()
	}
	v, gaps, err := readModuleFiles(context.Background(), with())
	if err != nil || len(gaps) > 0 {
		t.Fatal(err, gaps)
	}
	want := ModuleFolder{Path: "/usr/lib/modules/6.6.95-flatcar", List: "/usr/lib/modules/6.6.95-flatcar/modules.dep", Loaded: []LoadedModule{
		{"diamorphine", ""}, {"overlay", "/" + dir + "kernel/fs/overlayfs/overlay.ko.xz"}, {"xt_conntrack", "/opt/weak/xt-conntrack.ko.xz"},
	}}
	if diff := cmp.Diff(want, v); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if v, _, err := readModuleFiles(context.Background(), with(dir+"vmlinuz", "MZ")); err != nil || v.Kernel != "/"+dir+"vmlinuz" {
		t.Errorf("got the kernel %q, %v", v.Kernel, err)
	}
	if v, gaps, err := readModuleFiles(context.Background(), with(dir+"modules.dep", "! denied")); err != nil || len(gaps) != 1 || gaps[0].Part != "loaded" || v.List != "" {
		t.Errorf("denied: got list %q, gaps %v, %v", v.List, gaps, err)
	}
	if v, gaps, err := readModuleFiles(context.Background(), with(dir+"kernel/fs/overlayfs/overlay.ko.xz", "! denied")); err != nil || len(gaps) != 1 || v.Loaded[1].File == "" {
		t.Errorf("a file that may not be looked at: got %+v, gaps %v, %v; want it counted and not called missing", v.Loaded, gaps, err)
	}
	if v, gaps, err := readModuleFiles(context.Background(), with("lib", "")); err != nil || len(gaps) > 0 || v.Path != "" || len(v.Loaded) != 3 {
		t.Errorf("no folder: got %+v, gaps %v, %v", v, gaps, err)
	}
	if _, _, err := readModuleFiles(context.Background(), with("proc/modules", "! denied")); err == nil {
		t.Error("modules that may not be read are no value")
	}
}

func TestParseModulesDep(t *testing.T) {
	got, err := parseModulesDep([]byte(madeModulesDep))
	want := map[string]string{
		"overlay": "kernel/fs/overlayfs/overlay.ko.xz", "xt_conntrack": "kernel/net/netfilter/xt-conntrack.ko.xz", "nf_conntrack": "kernel/net/netfilter/nf_conntrack.ko.xz",
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	for _, text := range []string{"kernel/a.ko\n", "kernel/a.txt:\n", ":\n", "kernel/../../a.ko:\n", "a b.ko:\n"} {
		if got, err := parseModulesDep([]byte(text)); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q: got %v, %v; want an error that names the line", text, got, err)
		}
	}
}

// FuzzModulesDep: every file is below the folder, and has the name it is listed by.
func FuzzModulesDep(f *testing.F) {
	f.Add([]byte(madeModulesDep))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseModulesDep(b)
		if err != nil {
			return
		}
		for name, file := range got {
			if name == "" || moduleName(file) != name || strings.Contains(name, "-") || strings.Contains("/"+file+"/", "/../") {
				t.Errorf("%q is listed as %q", file, name)
			}
		}
	})
}

package node

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// madeConfig is a configuration in the form of Debian's, cut to what is read.
const madeConfig = `#
# Automatically generated file; DO NOT EDIT.
# Linux/x86 6.12.117 Kernel Configuration
#
CONFIG_CC_VERSION_TEXT="gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0"
CONFIG_64BIT=y
CONFIG_HZ=250
CONFIG_MODULES=y
CONFIG_KEXEC=y
# CONFIG_KEXEC_SIG_FORCE is not set
CONFIG_DM_VERITY=m
CONFIG_DEFAULT_HOSTNAME="(none)"
# end of Kernel hardening options
`

func packed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestKernelBuild(t *testing.T) {
	const release = "6.12.117+deb12-cloud-amd64"
	for _, tt := range []struct {
		name  string
		files map[string]string
		from  string
		fails string
	}{
		{"the kernel's own word", map[string]string{"proc/config.gz": packed(t, madeConfig)}, "/proc/config.gz", ""},
		{"beside the modules (Fedora)", map[string]string{"proc/sys/kernel/osrelease": release + "\n", "usr/lib/modules/" + release + "/config": madeConfig}, "/usr/lib/modules/" + release + "/config", ""},
		{"in /boot (Debian)", map[string]string{"proc/sys/kernel/osrelease": release + "\n", "boot/config-" + release: madeConfig}, "/boot/config-" + release, ""},
		{"that of another kernel does not count", map[string]string{"proc/sys/kernel/osrelease": release + "\n", "boot/config-6.1.0": madeConfig}, "", "no such file"},
		{"/boot may not be read", map[string]string{"proc/sys/kernel/osrelease": release + "\n", "boot/config-" + release: "! denied"}, "", "permission denied"},
		{"what may not be read is not looked for elsewhere", map[string]string{"proc/config.gz": "! denied", "proc/sys/kernel/osrelease": release + "\n", "boot/config-" + release: madeConfig}, "", "permission denied"},
		{"not packed", map[string]string{"proc/config.gz": madeConfig}, "", "unpacking"},
		{"cut", map[string]string{"proc/config.gz": packed(t, madeConfig)[:60]}, "", "unpacking"},
		{"packed to burst", map[string]string{"proc/config.gz": packed(t, strings.Repeat("#\n", maxKernelConfig))}, "", "more than"},
		{"a release that leads elsewhere", map[string]string{"proc/sys/kernel/osrelease": "../../x\n"}, "", "no release"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, gaps, err := readKernelBuild(context.Background(), (&memHost{files: tt.files}).host())
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Fatalf("got %+v, %v; want an error with %q", v, err, tt.fails)
				}
				return
			}
			if err != nil || len(gaps) > 0 || v.From != tt.from {
				t.Fatalf("got from %q, gaps %v, %v; want from %q", v.From, gaps, err, tt.from)
			}
			if len(v.Options) != len(KernelOptions) {
				t.Errorf("got %d options, want %d", len(v.Options), len(KernelOptions))
			}
			for name, want := range map[string]string{"KEXEC": "y", "KEXEC_SIG_FORCE": "n", "DEVMEM": "absent"} {
				if v.Options[name] != want {
					t.Errorf("%s: got %q, want %q", name, v.Options[name], want)
				}
			}
		})
	}
}

// TestKernelBuildKeepsLittle: a capture holds the options that are judged and not
// the other 140 KiB.
func TestKernelBuildKeepsLittle(t *testing.T) {
	text := madeConfig + "CONFIG_NET=y\nCONFIG_SECCOMP_FILTER=y\n"
	for i := range 5000 {
		text += fmt.Sprintf("CONFIG_MADE_%d=y\n# CONFIG_OTHER_%d is not set\n", i, i)
	}
	want := "CONFIG_64BIT=y\nCONFIG_MODULES=y\nCONFIG_KEXEC=y\n# CONFIG_KEXEC_SIG_FORCE is not set\nCONFIG_NET=y\nCONFIG_SECCOMP_FILTER=y\n"
	for _, tt := range []struct {
		name, in, want string
		keep           func([]byte) []byte
	}{
		{"text", text, want, keepOptions},
		{"packed", packed(t, text), unpackedConfig + want, keepPackedOptions},
		{"a line that is none stays to be refused", text + "KEXEC=y\n", want + "KEXEC=y\n", keepOptions},
		{"what cannot be unpacked stays to be refused", text, text, keepPackedOptions},
	} {
		got := tt.keep([]byte(tt.in))
		if d := cmp.Diff(tt.want, string(got)); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
		if again := tt.keep(got); !bytes.Equal(again, got) {
			t.Errorf("%s: kept again it is %q", tt.name, again)
		}
	}
	if !slices.IsSorted(KernelOptions) {
		t.Error("KernelOptions are not sorted")
	}
}

func TestParseKernelConfig(t *testing.T) {
	got, err := parseKernelConfig([]byte(madeConfig))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"CC_VERSION_TEXT": "gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0", "64BIT": "y", "HZ": "250", "MODULES": "y", "KEXEC": "y", "KEXEC_SIG_FORCE": "n",
		"DM_VERITY": "m", "DEFAULT_HOSTNAME": "(none)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for name, text := range map[string]string{
		"no value":          "CONFIG_64BIT=\n",
		"not an option":     "KEXEC=y\n",
		"a word":            "CONFIG_64BIT\n",
		"twice":             "CONFIG_64BIT=y\nCONFIG_64BIT=y\n",
		"an open quote":     "CONFIG_64BIT=y\nCONFIG_X=\"a\n",
		"empty":             "",
		"only comments":     "# CONFIG\n",
		"something at all":  "CONFIG_FOO=y\n",
		"a name with blank": "CONFIG_A B=y\n",
	} {
		if got, err := parseKernelConfig([]byte(text)); err == nil {
			t.Errorf("%s: got %v, want an error", name, got)
		}
	}
}

// TestPublishedKernelConfigs reads what people have published of real kernels.
func TestPublishedKernelConfigs(t *testing.T) {
	files, _ := filepath.Glob("../../shared/corpus/*/kconfig-*.txt")
	if len(files) == 0 {
		t.Skip("SKIPPED: this test reads the published samples in ../shared/corpus")
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		options, err := parseKernelConfig(b)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if options["MODULE_SIG"] != "y" || options["SLAB_FREELIST_HARDENED"] != "y" {
			t.Errorf("%s: MODULE_SIG is %q, SLAB_FREELIST_HARDENED %q, both are y", file, options["MODULE_SIG"], options["SLAB_FREELIST_HARDENED"])
		}
	}
}

func TestThisKernelsBuild(t *testing.T) {
	b, err := os.ReadFile("/proc/config.gz")
	if err != nil {
		t.Skipf("SKIPPED: this kernel does not say how it was built: %v", err)
	}
	text, err := gunzip(b, maxKernelConfig)
	if err != nil {
		t.Fatal(err)
	}
	options, err := parseKernelConfig(text)
	if err != nil {
		t.Fatal(err)
	}
	if options["IKCONFIG_PROC"] != "y" {
		t.Errorf("IKCONFIG_PROC is %q in a file that it makes", options["IKCONFIG_PROC"])
	}
}

// FuzzKernelConfig: what was parsed, written again, is parsed to the same.
func FuzzKernelConfig(f *testing.F) {
	f.Add([]byte(madeConfig))
	f.Add([]byte("CONFIG_64BIT=y\n# CONFIG_A is not set\nCONFIG_S=\"\"\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		kept := keepOptions(b)
		if !bytes.Equal(keepOptions(kept), kept) {
			t.Fatalf("%q is kept as another when it is kept again", b)
		}
		got, err := parseKernelConfig(b)
		if err != nil {
			return
		}
		var again strings.Builder
		for _, name := range slices.Sorted(maps.Keys(got)) {
			fmt.Fprintf(&again, "CONFIG_%s=\"%s\"\n", name, got[name])
		}
		twice, err := parseKernelConfig([]byte(again.String()))
		if err != nil {
			t.Fatalf("%q: %v", again.String(), err)
		}
		if diff := cmp.Diff(got, twice); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

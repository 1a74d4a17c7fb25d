package node

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

const sampleDir = "../../shared/corpus"

// sampleFiles reads the published samples that a pattern names, by their path
// below the corpus. Without the corpus the test is skipped.
func sampleFiles(t testing.TB, pattern string) map[string]string {
	t.Helper()
	if _, err := os.Stat(sampleDir); err != nil {
		t.Skipf("no corpus of published samples: %v", err)
	}
	names, err := filepath.Glob(filepath.Join(sampleDir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, name := range names {
		if strings.HasSuffix(name, ".source.yaml") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		rel, err := filepath.Rel(sampleDir, name)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.ToSlash(rel)] = string(b)
	}
	if len(out) == 0 {
		t.Fatalf("the corpus has no sample %s", pattern)
	}
	return out
}

// factSamples decodes the facts files of the corpus that have a value at key.
func factSamples[T any](t testing.TB, key string) map[string]T {
	t.Helper()
	out := map[string]T{}
	for name, text := range sampleFiles(t, "*/*.facts.yaml") {
		var all map[string]any
		if err := yaml.Unmarshal([]byte(text), &all); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if all[key] == nil {
			continue
		}
		b, err := yaml.Marshal(all[key])
		if err != nil {
			t.Fatal(err)
		}
		var v T
		if err := yaml.Unmarshal(b, &v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = v
	}
	if len(out) == 0 {
		t.Fatalf("no facts file has %s", key)
	}
	return out
}

func TestParseOSRelease(t *testing.T) {
	tests := []struct {
		name, text string
		want       map[string]string
	}{
		{"nothing", "", map[string]string{}},
		{"bare value", "ID=flatcar\n", map[string]string{"ID": "flatcar"}},
		{"double quotes", `NAME="Fedora Linux"`, map[string]string{"NAME": "Fedora Linux"}},
		{"single quotes", `OSTREE_VERSION='35.20211203.3.0'`, map[string]string{"OSTREE_VERSION": "35.20211203.3.0"}},
		{"empty values, bare and quoted", "BUILD_ID=\nVERSION_CODENAME=\"\"\n", map[string]string{"BUILD_ID": "", "VERSION_CODENAME": ""}},
		{"version commented out, with and without a blank", "# VERSION=\"1\"\n#VERSION=2\n  # x\nID=a", map[string]string{"ID": "a"}},
		{"escapes in double quotes", `NAME="a \"b\" \\ \$ \` + "`" + ` \n"`, map[string]string{"NAME": "a \"b\" \\ $ ` \\n"}},
		{"no escapes in single quotes", `NAME='a\b"c$d'`, map[string]string{"NAME": `a\b"c$d`}},
		{"a bare value that is no pattern", "URL=https://x/?a=b\nCPE_NAME=cpe:2.3:o:x:*:*", map[string]string{"URL": "https://x/?a=b", "CPE_NAME": "cpe:2.3:o:x:*:*"}},
		{"equals signs in a quoted value", `URL="https://x/?a=b=c"`, map[string]string{"URL": "https://x/?a=b=c"}},
		{"CRLF", "ID=cos\r\nVERSION=109\r\n", map[string]string{"ID": "cos", "VERSION": "109"}},
		{"the last of two counts, as in a shell", "ID=a\nID=b\n", map[string]string{"ID": "b"}},
		{"blanks at the end", "ID=a  \t\n", map[string]string{"ID": "a"}},
		{"not ASCII", "NAME=\"Größe\"\n", map[string]string{"NAME": "Größe"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseOSRelease([]byte(tt.text))
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("got error %v and (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestParseOSReleaseRefuses(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a sentence", "ID=a\nhello there\n", `line 2 "hello there"`},
		{"a key with a blank", "MY ID=a\n", `"MY ID=a"`},
		{"a key that begins with a digit", "1ID=a\n", "no assignment"},
		{"no key", "=a\n", "no assignment"},
		{"export", "export ID=a\n", "no assignment"},
		{"two words", "NAME=Fedora Linux\n", `' ' in a bare value`},
		{"a command", "ID=`id`\n", "in a bare value"},
		{"a command in quotes", "ID=\"$(id)\"\n", "expanded by a shell"},
		{"an open quote", "NAME=\"Fedora\nID=x\n", "not closed"},
		{"an open single quote", "NAME='Fedora\n", "not closed"},
		{"text after the quote", `NAME="a"b`, "follows the closing quote"},
		{"a quote that an escape keeps open", `NAME="a\"`, "not closed"},
		{"a NUL", "ID=a\x00b\n", "control character"},
		{"not UTF-8", "ID=\xff\n", "not UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseOSRelease([]byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v and error %v, want an error with %q", got, err, tt.want)
			}
		})
	}
}

// Every published os-release is read, whole, and says what its sample is.
func TestParseOSReleaseSamples(t *testing.T) {
	want := map[string]string{ // path prefix → ID, where all samples of a folder share one
		"bottlerocket/": "bottlerocket", "cos/": "cos", "fcos/": "fedora", "flatcar/": "flatcar", "microos/": "opensuse-microos",
	}
	all := sampleFiles(t, "*/os-release-*.txt")
	maps.Copy(all, sampleFiles(t, "lab/*/before/os-release"))
	for name, text := range all {
		if strings.HasPrefix(text, "cat: can't open") {
			continue // a guest without the file
		}
		text, _, _ = strings.Cut(text, "\nLinux ") // one sample goes on with uname
		got, err := parseOSRelease([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		lines := 0
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				lines++
			}
		}
		if len(got) != lines {
			t.Errorf("%s: got %d fields, want %d", name, len(got), lines)
		}
		for prefix, id := range want {
			if strings.HasPrefix(name, prefix) && got["ID"] != id {
				t.Errorf("%s: got ID %q, want %q", name, got["ID"], id)
			}
		}
	}
	if _, err := parseOSRelease([]byte(all["flatcar/os-release-2605.10.0-no-sysext-level.txt"])); err == nil {
		t.Error("an os-release with the output of uname behind it was accepted")
	}

	type quoting struct{ Double, Single, Unquoted []string }
	quotes := factSamples[quoting](t, "quoting")
	for name, want := range factSamples[map[string]string](t, "os_release") {
		var text strings.Builder
		for key, value := range want {
			switch q := quotes[name]; {
			case strings.HasPrefix(key, "#"):
				delete(want, key)
				fmt.Fprintf(&text, "%s=%q\n", key, value)
			case slices.Contains(q.Unquoted, key):
				fmt.Fprintf(&text, "%s=%s\n", key, value)
			case slices.Contains(q.Single, key):
				fmt.Fprintf(&text, "%s='%s'\n", key, value)
			default:
				fmt.Fprintf(&text, "%s=\"%s\"\n", key, value)
			}
		}
		got, err := parseOSRelease([]byte(text.String()))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: got error %v and (-want +got):\n%s", name, err, diff)
		}
	}
}

func FuzzParseOSRelease(f *testing.F) {
	f.Add([]byte("NAME=\"Flatcar Container Linux by Kinvolk\"\nID=flatcar\n# VERSION=\"20240228\"\nBUILD_ID=\n"))
	f.Add([]byte("OSTREE_VERSION='35.20211203.3.0'\r\nX=\"\\\"\\\\\\$\"\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseOSRelease(b)
		if err != nil {
			return
		}
		// What was read, written in quotes, reads as the same again.
		var text strings.Builder
		for key, value := range got {
			value = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(value)
			text.WriteString(key + `="` + value + "\"\n")
		}
		again, err := parseOSRelease([]byte(text.String()))
		if diff := cmp.Diff(got, again); err != nil || diff != "" {
			t.Errorf("%q: got error %v and (-first +second):\n%s", b, err, diff)
		}
	})
}

func TestReadSystem(t *testing.T) {
	read := func(files map[string]string) (System, []Gap, error) {
		return OS.Read(context.Background(), (&memHost{files: files}).host())
	}
	t.Run("a stock Flatcar", func(t *testing.T) {
		got, gaps, err := read(map[string]string{
			"etc/os-release":            "-> ../usr/lib/os-release",
			"usr/lib/os-release":        "ID=flatcar\n",
			"usr/share/flatcar/release": "x",
			"proc/1/comm":               "systemd\n",
			"proc/1/ns/pid":             "-> pid:[4026531836]",
		})
		want := System{
			Release: map[string]string{"ID": "flatcar"}, Markers: []string{"usr/share/flatcar/release"},
			Init: "systemd", PIDNamespace: "initial",
		}
		if diff := cmp.Diff(want, got); err != nil || len(gaps) > 0 || diff != "" {
			t.Errorf("got error %v, gaps %v and (-want +got):\n%s", err, gaps, diff)
		}
	})
	t.Run("etc goes before usr", func(t *testing.T) {
		got, _, err := read(map[string]string{"etc/os-release": "ID=a\n", "usr/lib/os-release": "ID=b\n"})
		if err != nil || got.Release["ID"] != "a" {
			t.Errorf("got %v and error %v, want ID a", got.Release, err)
		}
	})
	t.Run("an absolute link stays inside the root", func(t *testing.T) {
		got, _, err := read(map[string]string{
			"etc/os-release": "-> /x86_64-bottlerocket-linux-gnu/sys-root/usr/lib/os-release",
			"x86_64-bottlerocket-linux-gnu/sys-root/usr/lib/os-release": "ID=bottlerocket\n",
		})
		want := []string{"x86_64-bottlerocket-linux-gnu"}
		if err != nil || got.Release["ID"] != "bottlerocket" || !slices.Equal(got.Markers, want) {
			t.Errorf("got %+v and error %v, want ID bottlerocket and markers %v", got, err, want)
		}
	})
	t.Run("neither file: absence is a value", func(t *testing.T) {
		got, gaps, err := read(map[string]string{"proc/1/comm": "init\n"})
		want := System{Release: map[string]string{}, Markers: []string{}, Init: "init", PIDNamespace: "unknown"}
		if diff := cmp.Diff(want, got); err != nil || len(gaps) > 0 || diff != "" {
			t.Errorf("got error %v, gaps %v and (-want +got):\n%s", err, gaps, diff)
		}
	})
	for _, tt := range []struct{ name, first, own, status, want string }{
		{"process 1 may be looked at", "-> pid:[4026531836]", "", "", "initial"},
		{"it may not, and the reader is in the machine's namespace", "! denied", "-> pid:[4026531836]", "", "initial"},
		{"a user in a container whose process 1 is root's", "! denied", "-> pid:[4026532600]", "Name:\tx\nNSpid:\t12\n", "other"},
		{"a container that has the machine's /proc mounted", "! denied", "-> pid:[4026532600]", "Name:\tx\nNSpid:\t4711\t12\n", "unknown"},
		{"a kernel before NSpid", "! denied", "-> pid:[4026532600]", "Name:\tx\n", "unknown"},
		{"nothing may be looked at", "! denied", "! denied", "! denied", "unknown"},
	} {
		t.Run("whose process 1 it is: "+tt.name, func(t *testing.T) {
			m := &memHost{files: map[string]string{"proc/1/comm": "x\n", "proc/1/ns/pid": tt.first, "proc/self/ns/pid": tt.own, "proc/self/status": tt.status}}
			v, _, err := readSystem(t.Context(), m.host())
			if err != nil || v.PIDNamespace != tt.want {
				t.Errorf("got %q, %v, want %q", v.PIDNamespace, err, tt.want)
			}
		})
	}
	t.Run("process 1 is a sandbox's", func(t *testing.T) {
		got, _, _ := read(map[string]string{"proc/1/comm": "sandboxd\n", "proc/1/ns/pid": "-> pid:[4026532301]"})
		if got.PIDNamespace != "other" || got.Init != "sandboxd" {
			t.Errorf("got %q in namespace %q, want sandboxd in other", got.Init, got.PIDNamespace)
		}
	})
	for name, text := range map[string]string{"denied": "! denied", "malformed": "ID = a\n"} {
		t.Run("os-release "+name+" is no other system", func(t *testing.T) {
			got, _, err := read(map[string]string{"etc/os-release": text, "usr/lib/os-release": "ID=b\n"})
			if err == nil || string(codeOf(err)) != name {
				t.Errorf("got %v and error %v, want a %s error", got, err, name)
			}
		})
	}
	t.Run("markers that cannot be looked at are one gap", func(t *testing.T) {
		_, gaps, err := read(map[string]string{"run/ostree-booted": "! denied", "run/ostree-live": "! untouched", "proc/1/comm": "x\n"})
		want := []Gap{{
			Part: "markers", What: "paths that tell systems apart", Code: Denied, Count: 2, Of: len(MarkerPaths),
			Reason: "looking at /run/ostree-booted: permission denied",
		}}
		if diff := cmp.Diff(want, gaps); err != nil || diff != "" {
			t.Errorf("got error %v and (-want +got):\n%s", err, diff)
		}
	})
}

func TestMarkerPaths(t *testing.T) {
	for i, p := range MarkerPaths {
		if p != filepath.ToSlash(filepath.Clean(p)) || strings.HasPrefix(p, "/") {
			t.Errorf("%q is not a clean relative path", p)
		}
		if slices.Contains(MarkerPaths[:i], p) {
			t.Errorf("%q stands twice", p)
		}
	}
}

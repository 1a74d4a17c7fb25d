package node

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLoader(t *testing.T) {
	const secret = "hunter2"
	environ := func(vars ...string) string { return strings.Join(vars, "\x00") + "\x00" }
	for _, tt := range []struct {
		name, preload, environ string
		want                   Loader
		gaps                   []string
	}{
		{"neither", "! absent", environ("PATH=/usr/bin", "TOKEN="+secret), Loader{PreloadFile: "absent"}, nil},
		{"an empty file", "", environ(), Loader{PreloadFile: "present"}, nil},
		{"a rootkit", "/lib/libprocesshider.so\n", "", Loader{PreloadFile: "present", Preload: []string{"/lib/libprocesshider.so"}}, nil},
		{"two on a line, a comment, a third behind a colon", "# mine\n/a.so libb.so:/c.so # " + secret + "\n", "", Loader{PreloadFile: "present", Preload: []string{"/a.so", "libb.so", "/c.so"}}, nil},
		{"a file that is none of libraries", "password=" + secret + "\n", "", Loader{PreloadFile: "present", Preload: []string{"<withheld>"}}, nil},
		{"a file that may not be read", "! denied", "", Loader{PreloadFile: "unknown"}, []string{"/etc/ld.so.preload could not be read: reading /etc/ld.so.preload: permission denied"}},
		{"a variable", "! absent", environ("X="+secret, "LD_PRELOAD=/opt/x.so libjemalloc.so.2", "LD_LIBRARY_PATH=/opt/lib:$ORIGIN/../lib:rel", "LD_AUDIT=/a.so"), Loader{PreloadFile: "absent", Variables: []LoaderVariable{
			{"/usr/bin/sshd", "LD_AUDIT", []string{"/a.so"}},
			{"/usr/bin/sshd", "LD_LIBRARY_PATH", []string{"/opt/lib", "$ORIGIN/../lib", "<withheld>"}},
			{"/usr/bin/sshd", "LD_PRELOAD", []string{"/opt/x.so", "libjemalloc.so.2"}},
		}}, nil},
		{"a folder whose name is made up on each node", "! absent", environ("LD_LIBRARY_PATH=/run/x/6a1f0c9e-3b62-4d4e-9d0e-2f6c1c3a9b10/lib"), Loader{PreloadFile: "absent", Variables: []LoaderVariable{{"/usr/bin/sshd", "LD_LIBRARY_PATH", []string{"/run/x/<uuid>/lib"}}}}, nil},
		{"a variable without a value", "! absent", environ("LD_PRELOAD=", "LD_LIBRARY_PATH"), Loader{PreloadFile: "absent"}, nil},
		{"a variable that only begins alike", "! absent", environ("LD_PRELOADS=/x.so", "MY_LD_PRELOAD=/x.so"), Loader{PreloadFile: "absent"}, nil},
		{"a secret in a variable's place", "! absent", environ("LD_PRELOAD=" + secret), Loader{PreloadFile: "absent", Variables: []LoaderVariable{{"/usr/bin/sshd", "LD_PRELOAD", []string{"<withheld>"}}}}, nil},
		{"an environment that may not be read", "! absent", "! denied", Loader{PreloadFile: "absent"}, []string{"1 of 2 environments of host processes could not be read: reading /proc/<pid>/environ: permission denied"}},
		{"a process that ended meanwhile", "! absent", "! absent", Loader{PreloadFile: "absent"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := procHost(flatcarMounts, map[int]aProcess{7: {exe: "/usr/bin/sshd"}}, map[string]string{"etc/ld.so.preload": tt.preload, "proc/1/environ": "", "proc/7/environ": tt.environ})
			got, gaps, err := LoaderState.Read(t.Context(), m.host())
			if err != nil {
				t.Fatal(err)
			}
			want := tt.want
			want.Preload = append([]string{}, want.Preload...)
			want.Variables = append([]LoaderVariable{}, want.Variables...)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if d := cmp.Diff(append([]string{}, tt.gaps...), append([]string{}, gapTexts(gaps)...)); d != "" {
				t.Errorf("gaps (-want +got):\n%s", d)
			}
			for _, b := range [][]byte{redactPreloadFile([]byte(tt.preload)), redactEnviron([]byte(tt.environ))} {
				if strings.Contains(string(b), secret) {
					t.Errorf("a secret is kept: %q", b)
				}
			}
		})
	}
}

func FuzzLoaderVariables(f *testing.F) {
	f.Add([]byte("LD_PRELOAD=/a.so libb.so\x00LD_LIBRARY_PATH=/l;m:<withheld>\x00X=y\x00"))
	f.Add([]byte("LD_AUDIT=/a b:$LIB/c\x00LD_PRELOAD"))
	f.Fuzz(func(t *testing.T, b []byte) {
		once := redactLoaderVariables(b)
		if twice := redactLoaderVariables(once); string(twice) != string(once) {
			t.Errorf("redacting again changes %q to %q", once, twice)
		}
		if d := cmp.Diff(parseLoaderVariables(b), parseLoaderVariables(once)); d != "" {
			t.Errorf("%q (-whole +redacted):\n%s", b, d)
		}
	})
}

func FuzzPreloadFile(f *testing.F) {
	f.Add([]byte("/lib/x.so\n# c\nlibb.so:/c.so secret\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		once := redactPreloadFile(b)
		if twice := redactPreloadFile(once); string(twice) != string(once) {
			t.Errorf("redacting again changes %q to %q", once, twice)
		}
		for word := range strings.FieldsSeq(string(once)) {
			if word != withheld && !libraryName.MatchString(word) {
				t.Errorf("%q keeps %q", b, word)
			}
		}
	})
}

// What one source looks for must outlive what another takes out: a capture keeps
// what all of them have left.
func FuzzEnviron(f *testing.F) {
	f.Add([]byte("LD_PRELOAD=/a.so\x00API_KEY=hunter2\x00PATH=/bin\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		once := redactEnviron(b)
		if twice := redactEnviron(once); string(twice) != string(once) {
			t.Errorf("redacting again changes %q to %q", once, twice)
		}
		if d := cmp.Diff(parseLoaderVariables(b), parseLoaderVariables(once)); d != "" {
			t.Errorf("%q: what the loader is told (-whole +redacted):\n%s", b, d)
		}
		if d := cmp.Diff(parseEnvironment(redactEnvironment(b)), parseEnvironment(once)); d != "" {
			t.Errorf("%q: secrets (-alone +together):\n%s", b, d)
		}
	})
}

package node

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseBinfmt(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       BinfmtHandler
		refused    string
	}{
		// The form of the kernel's fs/binfmt_misc.c, entry_status.
		{"by magic", "enabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: OCF\noffset 0\nmagic 7f454c46\nmask ffffffff\n", BinfmtHandler{Enabled: true, Interpreter: "/usr/bin/qemu-aarch64-static", Flags: "OCF"}, ""},
		{"by extension, switched off", "disabled\ninterpreter /opt/a b\nflags: \nextension .x\n", BinfmtHandler{Interpreter: "/opt/a b"}, ""},
		{"no interpreter", "enabled\nflags: \n", BinfmtHandler{}, "it names no interpreter"},
		{"another state", "on\n", BinfmtHandler{}, `state "on" is neither`},
		{"another line", "enabled\ninterpreter /a\nx\n", BinfmtHandler{}, `line "x" is not known`},
		{"two interpreters", "enabled\ninterpreter /a\ninterpreter /b\n", BinfmtHandler{}, "is not known"},
		{"empty", "", BinfmtHandler{}, `state ""`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseBinfmt([]byte(tt.text))
			if tt.refused != "" {
				if err == nil || !strings.Contains(err.Error(), tt.refused) {
					t.Errorf("got %+v, %v", got, err)
				}
			} else if d := cmp.Diff(tt.want, got); err != nil || d != "" {
				t.Errorf("%v\n%s", err, d)
			}
		})
	}
}

func FuzzParseBinfmt(f *testing.F) {
	f.Add([]byte("enabled\ninterpreter /a\nflags: F\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := parseBinfmt(b); err == nil && (h.Interpreter == "" || !strings.Contains(string(b), "interpreter "+h.Interpreter)) {
			t.Errorf("got %+v of %q", h, b)
		}
	})
}

func TestParseBinfmtFile(t *testing.T) {
	testStarts(t, parseBinfmtFile, []startRow{
		{name: "two, one with another separator", text: "# x\n:a:M::\\x7fELF::/usr/bin/a:F\n,b,E,,x,,/opt/b,\n", want: []string{"/usr/bin/a", "/opt/b"}},
		{name: "a backslash hides no line", text: ":a:M::x::/bin/a:\\\n:b:M::x::/opt/b:\n", want: []string{"/bin/a", "/opt/b"}},
		{name: "too few fields", text: ":a:M::x:\n", refused: "line 1 has no interpreter"},
		{name: "no path", text: "root:x:r:0:o:0:t:\n", refused: "line 1 has no interpreter"},
		{name: "half a letter parts the fields", text: "éaéMééxéé/bin/aéF\n", refused: "line 1 has no interpreter"},
	})
}

func TestReadBinfmt(t *testing.T) {
	const loaded = "nodev\tsysfs\nnodev\tbinfmt_misc\n"
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  []BinfmtHandler
		code  Code
	}{
		{"not loaded", map[string]string{"proc/filesystems": "nodev\tsysfs\n"}, []BinfmtHandler{}, ""},
		{"loaded and not mounted", map[string]string{"proc/filesystems": loaded, binfmtDir + "/": ""}, nil, Failed},
		{"loaded and no folder", map[string]string{"proc/filesystems": loaded}, nil, Failed},
		{"no handler", map[string]string{"proc/filesystems": loaded, binfmtDir + "/status": "enabled\n", binfmtDir + "/register": "! denied"}, []BinfmtHandler{}, ""},
		{"one handler", map[string]string{"proc/filesystems": loaded, binfmtDir + "/status": "enabled\n", binfmtDir + "/x": "enabled\ninterpreter /a\nflags: \n"}, []BinfmtHandler{{Name: "x", Enabled: true, Interpreter: "/a"}}, ""},
		{"denied", map[string]string{"proc/filesystems": loaded, binfmtDir + "/status": "enabled\n", binfmtDir + "/x": "! denied"}, nil, Denied},
		{"no list of file systems", map[string]string{}, nil, Absent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readBinfmt((&memHost{files: tt.files}).host())
			if tt.code != "" {
				if err == nil || codeOf(err) != tt.code {
					t.Errorf("got %+v, %v want %s", got, err, tt.code)
				}
				return
			}
			if d := cmp.Diff(tt.want, got); err != nil || d != "" {
				t.Errorf("%v\n%s", err, d)
			}
		})
	}
}

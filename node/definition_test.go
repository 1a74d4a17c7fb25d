package node

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func digestOf(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }

// partTexts are gaps as a test compares them: part, code and what.
func partTexts(gaps []Gap) []string {
	var out []string
	for _, g := range gaps {
		out = append(out, g.Part+" "+string(g.Code)+" "+g.What)
	}
	return out
}

func TestDefinition(t *testing.T) {
	const timer = "[Service]\nExecStart=/opt/a --token s3cret\n"
	for _, tt := range []struct {
		name  string
		files map[string]string
		how   content
		want  Definition // Mode and Path are filled in where they are usual
		none  bool
		gaps  []string
	}{
		{name: "a file", files: map[string]string{"etc/x": timer}, how: unitContent, want: Definition{Starts: []string{"/opt/a"}, Size: int64(len(timer)), SHA256: digestOf(timer)}},
		{name: "one with an address has no digest", files: map[string]string{"etc/x": timer + "ExecStart=/opt/b 10.0.0.1\n"}, how: unitContent, want: Definition{Starts: []string{"/opt/a", "/opt/b"}, Varies: true}},
		{name: "one that names the node", files: map[string]string{"etc/x": timer + "#node-1\n", "proc/sys/kernel/hostname": "node-1\n"}, how: unitContent, want: Definition{Starts: []string{"/opt/a"}, Varies: true}},
		{name: "one that may hold a credential", files: map[string]string{"etc/x": "s3cret"}, how: listed, want: Definition{}},
		{name: "nothing", files: map[string]string{"etc/": ""}, how: hashed, none: true},
		{name: "a folder", files: map[string]string{"etc/x/y": ""}, how: hashed, none: true},
		{name: "it may not be read", files: map[string]string{"etc/x": "! denied"}, how: hashed, none: true, gaps: []string{"part denied /etc/x"}},
		{name: "not its format", files: map[string]string{"etc/x": "s3cret"}, how: unitContent, want: Definition{Size: 6, SHA256: digestOf("s3cret")}, gaps: []string{"part malformed what /etc/x starts"}},
		{name: "a link to a unit of the image", files: map[string]string{"etc/x": "-> /usr/lib/x", "usr/lib/x": timer}, how: unitContent, want: Definition{Link: "/usr/lib/x", Target: "/usr/lib/x", Starts: []string{"/opt/a"}}},
		{name: "a link to a shadow is not read", files: map[string]string{"etc/x": "-> shadow", "etc/shadow": "root:s3cret\n"}, how: parsed(parseModulesLoad), want: Definition{Link: "shadow", Target: "/etc/shadow"}},
		{name: "a link to nowhere", files: map[string]string{"etc/x": "-> /gone"}, how: hashed, want: Definition{Link: "/gone"}},
		{name: "a loop", files: map[string]string{"etc/x": "-> x"}, how: hashed, want: Definition{Link: "x"}, gaps: []string{"part link-loop where /etc/x leads to"}},
		{name: "in a folder that is a link", files: map[string]string{"etc": "-> /writable/etc", "writable/etc/x": "a"}, how: hashed, want: Definition{Target: "/writable/etc/x", Size: 1, SHA256: digestOf("a")}},
		{name: "equal to ostree's copy", files: map[string]string{"etc/x": "a", "usr/etc/x": "a"}, how: hashed, want: Definition{Size: 1, SHA256: digestOf("a"), Image: "/usr/etc/x"}},
		{name: "other than ostree's copy", files: map[string]string{"etc/x": "b", "usr/etc/x": "a"}, how: hashed, want: Definition{Size: 1, SHA256: digestOf("b")}},
		{name: "equal to Flatcar's copy", files: map[string]string{"etc/x": "a", "usr/share/flatcar/etc/x": "a"}, how: hashed, want: Definition{Size: 1, SHA256: digestOf("a"), Image: "/usr/share/flatcar/etc/x"}},
		{name: "an empty file of credentials, as the copy", files: map[string]string{"etc/x": "", "usr/etc/x": ""}, how: listed, want: Definition{Image: "/usr/etc/x"}},
		{name: "a credential of the same length", files: map[string]string{"etc/x": "s", "usr/etc/x": "a"}, how: listed, want: Definition{}},
		{name: "a link within /etc whose end equals the copy", files: map[string]string{"etc/x": "-> /etc/authselect/x", "etc/authselect/x": "[Unit]\n", "usr/etc/authselect/x": "[Unit]\n"}, how: unitContent, want: Definition{Link: "/etc/authselect/x", Target: "/etc/authselect/x", Image: "/usr/etc/authselect/x"}},
		{name: "written to the overlay", files: map[string]string{"etc/x": "a", "ov/upper/x": "a", "proc/1/mountinfo": overlayEtc}, how: hashed, want: Definition{Size: 1, SHA256: digestOf("a"), Upper: true}},
		{name: "below the overlay", files: map[string]string{"etc/x": "a", "ov/upper/": "", "proc/1/mountinfo": overlayEtc}, how: hashed, want: Definition{Size: 1, SHA256: digestOf("a")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := (&memHost{files: tt.files}).host()
			c := newDefinitions(h)
			got, ok := c.file("part", "etc/x", tt.how)
			if d := cmp.Diff(tt.gaps, partTexts(c.gaps)); d != "" {
				t.Errorf("gaps (-want +got):\n%s", d)
			}
			if ok == tt.none {
				t.Fatalf("got %+v, %v", got, ok)
			}
			if tt.none {
				return
			}
			tt.want.Path, tt.want.Mode = "/etc/x", 0o644
			if tt.want.Link != "" && tt.want.Target == "" {
				tt.want.Mode = 0o777 // the link's own
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
			for _, e := range h.evidence.list() {
				if e.SHA256 == digestOf("s") {
					t.Errorf("evidence has the digest of what may be a credential: %+v", e)
				}
			}
		})
	}
}

const overlayEtc = "1 0 0:2 / / ro - squashfs a ro\n2 1 0:3 / /etc rw - overlay overlay rw,lowerdir=/usr/share/x,upperdir=/ov/upper,workdir=/ov/work\n"

// A budget that is hit is said once of each part that lacks something.
func TestDefinitionBudgets(t *testing.T) {
	files := map[string]string{}
	for i := range maxDefinitions {
		files[fmt.Sprintf("etc/a/%d", i)] = ""
	}
	files["etc/b/x"], files["etc/c/x"] = "x", "x"
	c := newDefinitions((&memHost{files: files}).host())
	if n := len(c.folder("a", "etc/a", listed, nil)); n != maxDefinitions-1 {
		t.Errorf("%d files of the first folder", n)
	}
	for _, part := range []string{"b", "c", "b"} {
		if got := c.folder(part, "etc/"+part, listed, nil); len(got) != 0 {
			t.Errorf("%s: got %+v beyond the budget", part, got)
		}
	}
	want := []string{"a too-large what is in /etc/a and after it", "b too-large what is in /etc/b and after it", "c too-large what is in /etc/c and after it"}
	if d := cmp.Diff(want, partTexts(c.gaps)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}

	m := &memHost{files: map[string]string{"etc/big": strings.Repeat("x", 100), "etc/small": "x"}}
	c = newDefinitions(m.host())
	c.bytes = 50
	if d, ok := c.file("p", "etc/big", hashed); !ok || d.SHA256 != "" || d.Size != 100 {
		t.Errorf("got %+v", d)
	}
	if d := cmp.Diff([]string{"p too-large the digest of /etc/big"}, partTexts(c.gaps)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

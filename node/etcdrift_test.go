package node

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEtcDrift(t *testing.T) {
	h := &memHost{
		files: map[string]string{
			"usr/etc/shells":         "/bin/bash\n",
			"etc/shells":             "/bin/zsh2\n", // as long, other content
			"usr/etc/motd":           "hello\n",
			"etc/motd":               "hello\n",
			"usr/etc/issue":          "a",
			"etc/issue":              "longer",
			"usr/etc/sudoers":        "root ALL\n",
			"etc/sudoers":            "root ALL\n",
			"usr/etc/shadow":         "root:!:1\n",
			"etc/shadow":             "root:x:1\n", // as long; its content is nobody's business
			"usr/etc/localtime":      "-> ../usr/share/zoneinfo/UTC",
			"etc/localtime":          "-> ../usr/share/zoneinfo/CET",
			"usr/etc/ssl/cert.pem":   "x",
			"etc/ssl/cert.pem":       "x",
			"usr/etc/securetty":      "tty1\n",
			"etc/profile.d/a.sh":     "evil",
			"etc/ssl/new/ca.pem":     "x",
			"usr/etc/folder/x":       "x",
			"etc/folder":             "x",
			"usr/share/flatcar/etc/": "", // not looked at: the first folder counts
		},
		info: map[string]FileInfo{
			"usr/etc/shadow":  {Type: Regular, Mode: 0o640, Size: 9, Dev: "8:1"},
			"etc/shadow":      {Type: Regular, Mode: 0o640, Size: 9, Dev: "8:1"},
			"usr/etc/sudoers": {Type: Regular, Mode: 0o440, Size: 9, Dev: "8:1"},
			"etc/sudoers":     {Type: Regular, Mode: 0o666, Size: 9, Dev: "8:1"},
		},
	}
	read := map[string]bool{}
	h.asked = func(op, name string) {
		if op == "read" {
			read[name] = true
		}
	}
	v, gaps, err := readEtcDrift(context.Background(), h.host())
	if err != nil || len(gaps) > 0 {
		t.Fatal(err, gaps)
	}
	want := EtcState{
		Defaults: "/usr/etc", Compared: 10,
		Changed: []EtcChange{{"/etc/folder", "type"}, {"/etc/issue", "size"}, {"/etc/localtime", "link"}, {"/etc/shells", "content"}, {"/etc/sudoers", "mode"}},
		Added:   []string{"/etc/profile.d", "/etc/ssl/new"},
		Removed: []string{"/etc/securetty"},
	}
	if diff := cmp.Diff(want, v); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, secret := range []string{"etc/shadow", "usr/etc/shadow", "etc/sudoers"} {
		if read[secret] {
			t.Errorf("%s was opened, which not everybody may read", secret)
		}
	}
}

func TestEtcDriftSaysWhatItCouldNotSee(t *testing.T) {
	read := func(files map[string]string) (EtcState, []Gap, error) {
		return readEtcDrift(context.Background(), (&memHost{files: files}).host())
	}
	if v, gaps, err := read(map[string]string{"etc/x": "x"}); err != nil || len(gaps) > 0 || v.Defaults != "" {
		t.Errorf("no defaults: got %+v, %v, %v", v, gaps, err)
	}
	if _, _, err := read(map[string]string{"usr/etc": "! denied"}); err == nil {
		t.Error("defaults that may not be looked at are not absent")
	}
	if _, gaps, err := read(map[string]string{"usr/share/flatcar/etc/a": "x", "etc/a": "! denied"}); err != nil || len(gaps) != 1 {
		t.Errorf("one file denied: got gaps %v, %v", gaps, err)
	}
	var v EtcState
	w := etcWalk{h: (&memHost{files: map[string]string{"usr/etc/a": "x", "etc/a": "x"}}).host(), state: &v, seen: maxEtcEntries}
	if w.compare("usr/etc", "etc", 0); w.stopped == nil || !strings.Contains(w.stopped.Error(), "stopped after 5000 entries") {
		t.Errorf("too many: got %v", w.stopped)
	}
	deep := strings.Repeat("d/", maxEtcDepth+2) + "x"
	if _, gaps, err := read(map[string]string{"usr/etc/" + deep: "x", "etc/" + deep: "x"}); err != nil || len(gaps) != 1 || !strings.Contains(gaps[0].Reason, "depth") {
		t.Errorf("too deep: got gaps %v, %v", gaps, err)
	}
}

func TestExtensions(t *testing.T) {
	h := &memHost{files: map[string]string{
		"etc/extensions/containerd-flatcar.raw":                                        "-> /usr/share/flatcar/sysext/containerd-flatcar.raw",
		"usr/share/flatcar/sysext/containerd-flatcar.raw":                              "image",
		"usr/lib/extension-release.d/extension-release.containerd-flatcar":             "ID=flatcar\nSYSEXT_LEVEL=1.0\nNAME=x\n",
		"etc/extensions/docker-flatcar.raw":                                            "-> /dev/null",
		"dev/null":                                                                     "",
		"etc/extensions/gone.raw":                                                      "-> /opt/gone.raw",
		"var/lib/extensions/debug/usr/lib/extension-release.d/extension-release.debug": "ID=_any\nARCHITECTURE=x86-64\n",
		"var/lib/extensions/notes.txt":                                                 "no extension",
		"usr/lib/confexts/00-flatcar-default.raw":                                      "confext",
		"run/extensions/locked.raw":                                                    "! denied",
	}}
	got, gaps, err := readExtensions(context.Background(), h.host())
	if err != nil {
		t.Fatal(err)
	}
	image, confext := fmt.Sprintf("%x", sha256.Sum256([]byte("image"))), fmt.Sprintf("%x", sha256.Sum256([]byte("confext")))
	want := []OfferedExtension{
		{Extension{"sysext", "containerd-flatcar", "", "/etc/extensions/containerd-flatcar.raw", "/usr/share/flatcar/sysext/containerd-flatcar.raw"},
			"/usr/share/flatcar/sysext/containerd-flatcar.raw", "file", image, map[string]string{"ID": "flatcar", "SYSEXT_LEVEL": "1.0"}},
		{Extension{"sysext", "docker-flatcar", "", "/etc/extensions/docker-flatcar.raw", "/dev/null"}, "/dev/null", "", "", nil},
		{Extension{"sysext", "gone", "", "/etc/extensions/gone.raw", "/opt/gone.raw"}, "", "gone", "", nil},
		{Extension{"sysext", "locked", "", "/run/extensions/locked.raw", ""}, "", "", "", nil},
		{Extension{"confext", "00-flatcar-default", "", "/usr/lib/confexts/00-flatcar-default.raw", ""}, "/usr/lib/confexts/00-flatcar-default.raw", "file", confext, nil},
		{Extension{"sysext", "debug", "", "/var/lib/extensions/debug", ""}, "/var/lib/extensions/debug", "dir", "", map[string]string{"ID": "_any", "ARCHITECTURE": "x86-64"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(gaps) != 1 || !strings.Contains(gaps[0].What, "locked") {
		t.Errorf("got gaps %v, want one of the image that may not be read", gaps)
	}
	if _, gaps, err := readExtensions(context.Background(), (&memHost{files: map[string]string{"etc/extensions": "! denied", "var/lib/confexts": "! denied"}}).host()); err != nil || len(gaps) != 2 {
		t.Errorf("denied: got gaps %v, %v", gaps, err)
	}
	if got, gaps, err := readExtensions(context.Background(), (&memHost{files: map[string]string{"etc/x": ""}}).host()); err != nil || len(gaps) > 0 || len(got) > 0 {
		t.Errorf("none: got %v, %v, %v", got, gaps, err)
	}
}

// TestExtensionBudget: an image that is too large to hash is a gap.
func TestExtensionBudget(t *testing.T) {
	h := &memHost{
		files: map[string]string{"etc/extensions/huge.raw": "x"},
		info:  map[string]FileInfo{"etc/extensions/huge.raw": {Type: Regular, Size: maxExtensions + 1}},
	}
	got, gaps, err := readExtensions(context.Background(), h.host())
	if err != nil || len(gaps) != 1 || gaps[0].Code != TooLarge || got[0].SHA256 != "" {
		t.Errorf("got %+v, gaps %v, %v", got, gaps, err)
	}
}

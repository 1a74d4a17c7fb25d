package node

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Dictionaries as GLib 2.74.6 on amd64 serializes them (g_variant_parse of the
// text, then g_variant_get_data), in hexadecimal.
const (
	// {'backing-root-device-inode': <(uint64 64512, uint64 131)>, 'composefs': <true>, 'root.transient': <false>, 'sysroot-ro': <true>}
	glibFour = "6261636b696e672d726f6f742d6465766963652d696e6f64650000000000000000fc000000000000830000000000000000287474291a0000" +
		"636f6d706f73656673000000000000000100620a00000000726f6f742e7472616e7369656e7400000000620f00000000737973726f6f742d726f" +
		"0000000000000100620b364c647c"
	// {'composefs': <true>, 'composefs.verity': <true>, 'composefs.signed': <'/etc/ostree/initramfs-root-binding.key'>,
	// 'root.transient': <false>, 'root.transient-ro': <false>, 'sysroot-ro': <true>,
	// 'backing-root-device-inode': <(uint64 64768, uint64 8388736)>, 'transient-etc': <'/run/ostree/transient-etc'>}:
	// more than 255 bytes, so that its offsets have two.
	glibEight = "636f6d706f73656673000000000000000100620a00000000636f6d706f736566732e76657269747900000000000000000100621100000000" +
		"636f6d706f736566732e7369676e656400000000000000002f6574632f6f73747265652f696e697472616d66732d726f6f742d62696e64696e67" +
		"2e6b657900007311000000000000726f6f742e7472616e7369656e7400000000620f00000000726f6f742e7472616e7369656e742d726f000000" +
		"000000000000621200000000737973726f6f742d726f0000000000000100620b000000006261636b696e672d726f6f742d6465766963652d696e" +
		"6f64650000000000000000fd000000000000800080000000000000287474291a00007472616e7369656e742d6574630000002f72756e2f6f7374" +
		"7265652f7472616e7369656e742d6574630000730e140034007a009400b400cc0006013501"
	glibOne   = "737973726f6f742d726f0000000000000000620b14"           // {'sysroot-ro': <false>}
	glibMaybe = "636f6d706f73656673000000000000006d617962650000730a19" // {'composefs': <'maybe'>}
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseOstreeBooted(t *testing.T) {
	for _, tt := range []struct {
		name, hex string
		want      OstreeBooted
	}{
		{"an old ostree leaves it empty", "", OstreeBooted{Keys: []string{}}},
		{"a key that is there and false", glibOne, OstreeBooted{Keys: []string{"sysroot-ro"}, SysrootRO: "false"}},
		{"a composefs host", glibFour, OstreeBooted{
			Keys:      []string{"backing-root-device-inode", "composefs", "root.transient", "sysroot-ro"},
			Composefs: "true", RootTransient: "false", SysrootRO: "true",
		}},
		{"signed and verified, offsets of two bytes", glibEight, OstreeBooted{
			Keys: []string{
				"backing-root-device-inode", "composefs", "composefs.signed", "composefs.verity",
				"root.transient", "root.transient-ro", "sysroot-ro", "transient-etc",
			},
			Composefs: "true", ComposefsVerity: "true", ComposefsSigned: "/etc/ostree/initramfs-root-binding.key",
			RootTransient: "false", RootTransientRO: "false", SysrootRO: "true", TransientEtc: "/run/ostree/transient-etc",
		}},
	} {
		got, err := parseOstreeBooted(unhex(t, tt.hex))
		if diff := cmp.Diff(&tt.want, got); err != nil || diff != "" {
			t.Errorf("%s: got error %v and (-want +got):\n%s", tt.name, err, diff)
		}
	}
}

func TestParseOstreeBootedRefuses(t *testing.T) {
	good := unhex(t, glibFour)
	edit := func(at int, b byte) []byte {
		out := append([]byte{}, good...)
		out[at] = b
		return out
	}
	for _, tt := range []struct {
		name string
		b    []byte
		want string
	}{
		{"a string for a boolean", unhex(t, glibMaybe), "type s, want b"},
		{"a boolean that is 2", edit(72, 2), "no boolean"},
		{"cut by a byte", good[:len(good)-1], ""},
		{"cut in the middle", good[:60], ""},
		{"text", []byte("composefs=true\n"), ""},
		{"a NUL", []byte{0}, ""},
		{"offsets that go back", edit(len(good)-3, 0x10), ""},
		{"an offset beyond the end", edit(len(good)-1, 0xff), "beyond"},
		{"padding that is not zero", edit(55, 1), "padding"},
		{"a type that is none", edit(74, 'Z'), "no type"},
	} {
		got, err := parseOstreeBooted(tt.b)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %+v and error %v, want an error with %q", tt.name, got, err, tt.want)
		}
	}
}

// The keys of the published strings(1) of a real file, with its last bytes,
// which are the framing offsets, are those of our dictionary from GLib.
func TestOstreeBootedSample(t *testing.T) {
	for name, text := range sampleFiles(t, "fcos/run-ostree-booted-strings-*.txt") {
		var want []string
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				want = append(want, line)
			}
		}
		var got []string
		for _, run := range strings.FieldsFunc(string(unhex(t, glibFour)), func(r rune) bool { return r < ' ' || r > '~' }) {
			if len(run) >= 4 {
				got = append(got, run)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-published +ours):\n%s", name, diff)
		}
	}
}

func FuzzOstreeBooted(f *testing.F) {
	for _, s := range []string{"", glibOne, glibFour, glibEight, glibMaybe} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := parseOstreeBooted(b)
		if err != nil {
			return
		}
		// No byte can be left out of a dictionary unnoticed: what is claimed stands
		// in it, and it is as long as its keys at least.
		n := 0
		for _, key := range v.Keys {
			if !strings.Contains(string(b), key+"\x00") {
				t.Errorf("%x: key %q is not there", b, key)
			}
			n += len(key) + 1
		}
		if n > len(b) {
			t.Errorf("%x: %d bytes of keys", b, n)
		}
		for key, value := range map[string]string{"composefs": v.Composefs, "composefs.verity": v.ComposefsVerity, "sysroot-ro": v.SysrootRO} {
			if (value != "") != strings.Contains("\n"+strings.Join(v.Keys, "\n")+"\n", "\n"+key+"\n") {
				t.Errorf("%x: %s is %q with keys %q", b, key, value, v.Keys)
			}
		}
	})
}

func TestFindDeployment(t *testing.T) {
	const sum = "36ff89ff6643a9b02f7cfb8dc96dd4fa2a1da0d2735d40846410169cc577177a"
	const link = "sysroot/ostree/boot.1/fedora-coreos/" + sum + "/0"
	plain := "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
	word := "ostree=/ostree/boot.1/fedora-coreos/" + sum + "/0\n"
	want := &bootedDeployment{"fedora-coreos", sum, "2"}
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  *bootedDeployment
		err   string
	}{
		{"no ostree system", map[string]string{"proc/cmdline": "ro\n", "proc/1/mountinfo": plain}, nil, ""},
		{"by the link", map[string]string{"proc/cmdline": word, "proc/1/mountinfo": plain, link: "-> ../../../deploy/fedora-coreos/deploy/" + sum + ".2"}, want, ""},
		{"by the link, without mounts", map[string]string{"proc/cmdline": word, link: "-> ../../../deploy/fedora-coreos/deploy/" + sum + ".2"}, want, ""},
		{"by the link through boot.1", map[string]string{
			"proc/cmdline": word, "proc/1/mountinfo": plain, "sysroot/ostree/boot.1": "-> boot.1.1",
			"sysroot/ostree/boot.1.1/fedora-coreos/" + sum + "/0": "-> ../../../deploy/fedora-coreos/deploy/" + sum + ".2",
		}, want, ""},
		{"by the mount of /usr", map[string]string{
			"proc/cmdline":     word,
			"proc/1/mountinfo": plain + "2 1 8:1 /ostree/deploy/fedora-coreos/deploy/" + sum + ".2/usr /usr ro - ext4 /dev/sda1 rw\n",
		}, want, ""},
		{"by the mount of /etc, on composefs and btrfs", map[string]string{
			"proc/cmdline":     word,
			"proc/1/mountinfo": "1 0 0:30 / / ro - overlay composefs ro\n2 1 0:31 /root/ostree/deploy/fedora-coreos/deploy/" + sum + ".2/etc /etc rw - btrfs /dev/sda1 rw\n",
		}, want, ""},
		{"a link to somewhere else", map[string]string{"proc/cmdline": word, "proc/1/mountinfo": plain, link: "-> /tmp/x"}, nil, "is no deployment"},
		{"no link", map[string]string{"proc/cmdline": word, "proc/1/mountinfo": plain}, nil, "no such file"},
		{"ostree-booted and nothing more", map[string]string{"proc/cmdline": "ro\n", "proc/1/mountinfo": plain, "run/ostree-booted": ""}, nil, "no mount and no word"},
		{"no command line", map[string]string{"proc/1/mountinfo": plain}, nil, "no such file"},
	} {
		got, err := findDeployment((&memHost{files: tt.files}).host())
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(bootedDeployment{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s: got error %v, want %q", tt.name, err, tt.err)
		}
	}
}

func TestParseKeyFile(t *testing.T) {
	got, err := parseKeyFile([]byte("# made by rpm-ostree\n[origin]\nrefspec=fedora:fedora/x86_64/coreos/stable\n\n[packages]\nrequested=vim;strace;\n[origin]\nunlocked = hotfix\n"))
	want := map[string]map[string]string{
		"origin":   {"refspec": "fedora:fedora/x86_64/coreos/stable", "unlocked": "hotfix"},
		"packages": {"requested": "vim;strace;"},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("got error %v and (-want +got):\n%s", err, diff)
	}
	for _, bad := range []string{"a=b\n", "[origin\n", "[]\n", "[a]b\n", "[origin]\nrefspec\n", "[origin]\n=x\n"} {
		if got, err := parseKeyFile([]byte(bad)); err == nil {
			t.Errorf("parseKeyFile(%q): got %v, want an error", bad, got)
		}
	}
}

func FuzzKeyFile(f *testing.F) {
	f.Add([]byte("[origin]\ncontainer-image-reference=ostree-image-signed:docker://quay.io/fedora/fedora-coreos:stable\n[packages]\nrequested=vim;\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		groups, err := parseKeyFile(b)
		if err != nil {
			return
		}
		var text strings.Builder
		for group, keys := range groups {
			text.WriteString("[" + group + "]\n")
			for key, value := range keys {
				text.WriteString(key + "=" + value + "\n")
			}
		}
		again, err := parseKeyFile([]byte(text.String()))
		if diff := cmp.Diff(groups, again); err != nil || diff != "" {
			t.Errorf("%q: got error %v and (-first +second):\n%s", b, err, diff)
		}
	})
}

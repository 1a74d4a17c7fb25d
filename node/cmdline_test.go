package node

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseCmdline(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []Word
	}{
		{"nothing", "\n", []Word{}},
		{"keys and values", "ro root=/dev/dm-0 quiet=\n", []Word{{Key: "ro"}, {Key: "root", Value: "/dev/dm-0", Valued: true}, {Key: "quiet", Valued: true}}},
		{"blanks of all kinds", " \ta  b\x0bc\r\n", []Word{{Key: "a"}, {Key: "b"}, {Key: "c"}}},
		{"the quote stands before the key, as GRUB and Bottlerocket write it", `"dm-mod.create=root,,,ro,0 8  verity" x`,
			[]Word{{Key: "dm-mod.create", Value: "root,,,ro,0 8  verity", Valued: true}, {Key: "x"}}},
		{"the quote stands after the equals sign", `dm="1 vroot none ro" x`, []Word{{Key: "dm", Value: "1 vroot none ro", Valued: true}, {Key: "x"}}},
		{"a quote inside the value stays", `a=b"c d"e f`, []Word{{Key: "a", Value: `b"c d"e`, Valued: true}, {Key: "f"}}},
		{"a quoted key without a value", `"a b" c`, []Word{{Key: "a b"}, {Key: "c"}}},
		{"an open quote reaches to the end", `a="b c d`, []Word{{Key: "a", Value: "b c d", Valued: true}}},
		{"an equals sign in first place is part of the key", "=a =b=c", []Word{{Key: "=a"}, {Key: "=b", Value: "c", Valued: true}}},
		{"more equals signs belong to the value", "a=b=c", []Word{{Key: "a", Value: "b=c", Valued: true}}},
		{"empty quotes", `a="" b`, []Word{{Key: "a", Valued: true}, {Key: "b"}}},
		{"words for process 1", "a -- b --", []Word{{Key: "a"}, {Key: "b", AfterDashes: true}, {Key: "--", AfterDashes: true}}},
		{"dashes with a value are a word", "--=x b", []Word{{Key: "--", Value: "x", Valued: true}, {Key: "b"}}},
		{"no newline", "a", []Word{{Key: "a"}}},
	} {
		got, err := parseCmdline([]byte(tt.text))
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%s: got error %v and (-want +got):\n%s", tt.name, err, diff)
		}
	}
	for _, bad := range []string{"a\nb\n", "a\x00b\n", "a=\xff\n"} {
		if got, err := parseCmdline([]byte(bad)); err == nil {
			t.Errorf("parseCmdline(%q): got %v, want an error", bad, got)
		}
	}
}

func TestWordIs(t *testing.T) {
	if !(Word{Key: "dm_mod.create"}).Is("dm-mod.create") || (Word{Key: "dm-mod.creat"}).Is("dm-mod.create") {
		t.Error("dashes and underscores are the same in a key, and nothing else is")
	}
}

func TestRedactCmdline(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"Omni's join token", "a siderolink.api=https://node-1.example:8090/?grpc_tunnel=false&jointoken=v1abc b\n",
			"a siderolink.api=https://node-1.example:8090/?<redacted> b\n"},
		{"a join token without a scheme", "siderolink.api=10.5.0.1:8090?jointoken=v1abc", "siderolink.api=10.5.0.1:8090?<redacted>"},
		{"Talos configuration by URL", "talos.config=https://u:pw@host/c?uuid=${uuid}&token=x", "talos.config=https://<redacted>@host/c?<redacted>"},
		{"Talos configuration as a word", "talos.config=none talos.config=metal-iso", "talos.config=none talos.config=metal-iso"},
		{"Talos configuration in place", "talos.config.inline=KLUv/abc==", "talos.config.inline=<redacted>"},
		{"Talos environment keeps its name", "talos.environment=HTTPS_PROXY=http://u:p@h:1", "talos.environment=HTTPS_PROXY=<redacted>"},
		{"OAuth of the Talos configuration", "talos.config.oauth.client_secret=abc", "talos.config.oauth.client_secret=<redacted>"},
		{"systemd credential keeps its name", `"systemd.set_credential=passwd.root:a b c" x`, "systemd.set_credential=passwd.root:<redacted> x"},
		{"systemd credential without a name", "systemd.set_credential_binary=abc", "systemd.set_credential_binary=<redacted>"},
		{"systemd environment", "systemd.setenv=API=abc", "systemd.setenv=API=<redacted>"},
		{"tokens, passwords and secrets by name", "k3s.token=a rd.iscsi.password=b my-secret=c inst.vncpassword=d inst.sshpw=e auth_key=f",
			"k3s.token=<redacted> rd.iscsi.password=<redacted> my-secret=<redacted> inst.vncpassword=<redacted> inst.sshpw=<redacted> auth_key=<redacted>"},
		{"the same in capitals", "K3S_TOKEN=a", "K3S_TOKEN=<redacted>"},
		{"a token within a value", "ds=nocloud;s=/seed;token=abc", "ds=nocloud;s=/seed;token=<redacted>"},
		{"the query of Ignition's URL", "ignition.config.url=http://10.0.0.1/i?sig=abc", "ignition.config.url=http://10.0.0.1/i?<redacted>"},
		{"user of any URL", "x=ftp://me:pw@h/p", "x=ftp://<redacted>@h/p"},
		{"the fragment of a URL", "x=http://h/p#abc", "x=http://h/p#<redacted>"},
		{"a bare URL with a query", "http://h/?a=b c", "<redacted> c"},
		{"iSCSI root with a password", "netroot=iscsi:me:pw@192.0.2.1::3260:1:iqn", "netroot=iscsi:<redacted>@192.0.2.1::3260:1:iqn"},
		{"words for process 1", "a -- my.token=b", "a -- my.token=<redacted>"},
		{"an option of process 1", "a -- --auth-token abc --port 5002 --api-key --verbose x --key=y", "a -- --auth-token <redacted> --port 5002 --api-key --verbose x --key=<redacted>"},
		{"a secret with quotes inside", `my.token=a"b c"d x`, "my.token=<redacted> x"},
		{"a URL with quotes behind it goes whole, with its word", `x=http://u:p@h"b c"d y`, "<redacted> y"},
		{"a secret in an open quote", `a token="b c d`, "a token=<redacted>"},
		{"what is no secret stays, byte for byte",
			`  rd.luks.key=/key:UUID=x luks.key=abc  vconsole.keymap=us netdog.default-interface=eth0:dhcp4,dhcp6? secretmem.enable=1 systemd.import_credentials=no ` +
				`rd.luks.name=x=root rootflags=subvol=@/.snapshots/1 virtio_mmio.device=4K@0xd0000000:5 ds=nocloud;s=/usr/share/oem/ "a=b  c"` + "\n", ""},
	} {
		want := tt.want
		if want == "" {
			want = tt.text
		}
		got := string(redactCmdline([]byte(tt.text)))
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, want)
		}
		if again := string(redactCmdline([]byte(got))); again != got {
			t.Errorf("%s: the second time:\ngot  %s\nwant %s", tt.name, again, got)
		}
	}
}

func TestParseCmdlineMarksRedacted(t *testing.T) {
	words, err := parseCmdline(redactCmdline([]byte("a=b my.token=c siderolink.api=https://h/?jointoken=d")))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, true, true} {
		if words[i].Redacted != want {
			t.Errorf("%+v: got redacted %v, want %v", words[i], words[i].Redacted, want)
		}
	}
}

func TestStableValue(t *testing.T) {
	for _, tt := range []struct{ key, value, want string }{
		{"root", "UUID=da43332a-c607-45a9-808e-1eaa0ec68ba5", "UUID=<uuid>"},
		{"root", "UUID=ABCD-1234", "UUID=<uuid>"},
		{"root", "PARTUUID=6443a6ae-01", "PARTUUID=<uuid>"},
		{"root", "LABEL=ROOT", "LABEL=ROOT"},
		{"dm-mod.create", "root,,,ro,0 8 verity 1 PARTUUID=cfd4dcbd-27df-416e-b3af-38c3036990d4/PARTNROFF=1 sha256", "root,,,ro,0 8 verity 1 PARTUUID=<uuid>/PARTNROFF=1 sha256"},
		{"ostree", "/ostree/boot.1/fedora-coreos/9f2c0d1fbd1c51b3e4b0a7c3a9d0d40b3a8a1f1f7f3b7e8cbe2d1ffa5b1f4d3a/0", "/ostree/boot.N/fedora-coreos/9f2c0d1fbd1c51b3e4b0a7c3a9d0d40b3a8a1f1f7f3b7e8cbe2d1ffa5b1f4d3a/N"},
		{"rd.luks.uuid", "luks-da43332a-c607-45a9-808e-1eaa0ec68ba5", "<uuid>"},
		{"rd.md.uuid", "aaaaaaaa:bbbbbbbb:cccccccc:dddddddd", "<uuid>"},
		{"rd.luks.name", "da43332a-c607-45a9-808e-1eaa0ec68ba5=root", "<uuid>=root"},
		{"systemd.machine_id", "0123456789abcdef0123456789abcdef", "<machine-id>"},
		{"systemd.machine_id", "firmware", "firmware"},
		{"talos.hostname", "worker-3", "<hostname>"},
		{"systemd.hostname", "worker-3", "<hostname>"},
		{"ip", "192.0.2.7::192.0.2.1:255.255.255.0:worker-3:eth0:none", "<address>"},
		{"ip", "[2001:db8::7]::[2001:db8::1]:64:worker-3:eth0:none", "<address>"},
		{"ip", "dhcp", "dhcp"},
		{"ip", "eth0:dhcp", "eth0:dhcp"},
		{"BOOTIF", "01-52-54-00-12-34-56", "<mac>"},
		{"ds", "nocloud;h=worker-3;i=i-123;s=/seed", "nocloud;h=<id>;i=<id>;s=/seed"},
		{"ds", "nocloud;s=/usr/share/oem/", "nocloud;s=/usr/share/oem/"},
		{"systemd.verity_root_data", "/dev/disk/by-id/nvme-SERIAL123-part3", "/dev/disk/by-id/<id>"},
		{"verity.usrhash", "1839da262570fb938be558d95db7fc3d986a0d71e1b77d40d35a3e2a1bac7dcd", "1839da262570fb938be558d95db7fc3d986a0d71e1b77d40d35a3e2a1bac7dcd"},
		{"BOOT_IMAGE", "(hd0,gpt3)/vmlinuz-6.11.10-300.fc41.x86_64", "(hd0,gpt3)/vmlinuz-6.11.10-300.fc41.x86_64"},
	} {
		got := stableValue(tt.key, tt.value)
		if got != tt.want {
			t.Errorf("stableValue(%s, %s): got %s, want %s", tt.key, tt.value, got, tt.want)
		}
		if again := stableValue(tt.key, got); again != got {
			t.Errorf("stableValue(%s, %s): the second time %s", tt.key, got, again)
		}
	}
}

// sampleCmdlines are the published command lines, by sample.
func sampleCmdlines(t testing.TB) map[string]string {
	t.Helper()
	out := sampleFiles(t, "*/cmdline-*.txt")
	for name, text := range sampleFiles(t, "lab/*/before/cmdline") {
		out[name] = text
	}
	for name, text := range sampleFiles(t, "*/dmesg-cmdline-*.txt") {
		_, text, ok := strings.Cut(text, "Command line: ")
		if !ok {
			t.Fatalf("%s: no command line", name)
		}
		out[name] = text
	}
	for name, words := range factSamples[[]string](t, "cmdline") {
		out[name] = strings.Join(words, " ") + "\n"
	}
	return out
}

func TestParseCmdlineSamples(t *testing.T) {
	secret := map[string]bool{"talos/cmdline-omni-iso-1.7.facts.yaml": true}
	for name, text := range sampleCmdlines(t) {
		clean := redactCmdline([]byte(text))
		if secret[name] {
			if bytes.Contains(clean, []byte("jointoken")) || bytes.Contains(clean, []byte("MHhjPW1h")) {
				t.Errorf("%s: a secret is left: %s", name, clean)
			}
		} else if string(clean) != text {
			t.Errorf("%s: redacted without a secret: %s", name, cmp.Diff(text, string(clean)))
		}
		words, err := parseCmdline(clean)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, w := range words {
			if w.Key == "" || strings.ContainsAny(w.Key, " \"") {
				t.Errorf("%s: got key %q", name, w.Key)
			}
			stable := stableValue(w.Key, w.Value)
			if uuidPattern.MatchString(stable) {
				t.Errorf("%s: a UUID is left in %s=%s", name, w.Key, stable)
			}
		}
	}
	// The restated samples list their words, so that their number is known.
	for name, list := range factSamples[[]string](t, "cmdline") {
		words, err := parseCmdline([]byte(strings.Join(list, " ")))
		want := 0
		for _, w := range list {
			if w != "--" {
				want++
			}
		}
		if err != nil || len(words) != want {
			t.Errorf("%s: got %d words and error %v, want %d", name, len(words), err, want)
		}
	}
}

func FuzzCmdline(f *testing.F) {
	f.Add([]byte("BOOT_IMAGE=(hd0,gpt3)/vmlinuz root=/dev/dm-0 \"dm-mod.create=root,,,ro,0 8   verity 1 a b\" -- systemd.log_color=0\n"))
	f.Add([]byte("dm=\"1 vroot none ro 1,0 8 verity\" siderolink.api=https://h:8090/?jointoken=x talos.config=https://u:p@h/\n"))
	f.Add([]byte(`a="b token=c "d=e"f "g systemd.set_credential="x:y z" netroot=iscsi:a:b@c x=http://a@b#c?d=e`))
	f.Fuzz(func(t *testing.T, b []byte) {
		clean := redactCmdline(b)
		if again := redactCmdline(clean); !bytes.Equal(again, clean) {
			t.Errorf("redacting %q: first %q, then %q", b, clean, again)
		}
		before, err := parseCmdline(b)
		after, errAfter := parseCmdline(clean)
		if err != nil {
			return
		}
		if errAfter != nil || len(before) != len(after) {
			t.Fatalf("%q has %d words, redacted %q has %d and error %v", b, len(before), clean, len(after), errAfter)
		}
		for i, w := range after {
			if !w.Redacted && w != before[i] {
				t.Errorf("%q: word %d was %+v and is %+v", b, i, before[i], w)
			}
			if w.Redacted && before[i].Value != "" && w.Value == before[i].Value && !strings.Contains(string(b), redacted) {
				t.Errorf("%q: word %+v is marked and unchanged", b, w)
			}
			if stable := stableValue(w.Key, w.Value); stableValue(w.Key, stable) != stable {
				t.Errorf("%q: the placeholder of %+v changes", b, w)
			}
		}
	})
}

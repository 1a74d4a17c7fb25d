package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The key of RFC 8709's form for a seed of zeros, and what ssh-keygen -lf prints
// of it; TestFingerprintIsThatOfSSHKeygen compares where there is one.
func zeroKey() string {
	public := ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
	var blob []byte
	for _, part := range [][]byte{[]byte("ssh-ed25519"), public} {
		blob = binary.BigEndian.AppendUint32(blob, uint32(len(part)))
		blob = append(blob, part...)
	}
	return "ssh-ed25519 " + base64.StdEncoding.EncodeToString(blob)
}

func TestParsePublicKey(t *testing.T) {
	key := zeroKey()
	for _, tt := range []struct {
		name, line string
		options    []string // nil for a line that is no key
	}{
		{"bare", key, []string{}},
		{"with a comment", key + " a.person@example.org", []string{}},
		{"options", `restrict,command="run \"a b\", c",from="192.0.2.0/24,198.51.100.1" ` + key + " x", []string{"command", "from", "restrict"}},
		{"an authority", "cert-authority " + key, []string{"cert-authority"}},
		{"upper case", "No-PTY " + key, []string{"no-pty"}},
		{"an option of tomorrow", `shiny="1" ` + key, []string{"other"}},
		{"a type without a key", "ssh-ed25519", nil},
		{"a key that says another type", "ssh-rsa " + strings.Fields(key)[1], nil},
		{"no base64", "ssh-ed25519 AAAA*", nil},
		{"a length beyond the key", "ssh-ed25519 " + base64.StdEncoding.EncodeToString([]byte{255, 255, 255, 255, 1}), nil},
		{"a private key", "-----BEGIN OPENSSH PRIVATE KEY-----", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k, ok := parsePublicKey(tt.line)
			if ok != (tt.options != nil) || ok && cmp.Diff(tt.options, k.Options) != "" {
				t.Fatalf("got %+v, %v", k, ok)
			}
			redacted := redactKeys([]byte(tt.line + "\n"))
			for _, secret := range []string{"example.org", "192.0.2", "run", "PRIVATE", strings.Fields(key)[1]} {
				if bytes.Contains(redacted, []byte(secret)) {
					t.Errorf("%q is left in %q", secret, redacted)
				}
			}
			if again := redactKeys(redacted); !bytes.Equal(again, redacted) {
				t.Errorf("redacted twice: %q, then %q", redacted, again)
			}
			if keys, err := parseKeys(redacted); ok && (err != nil || len(keys) != 1) || !ok && err == nil {
				t.Errorf("parsed: %v, %v", keys, err)
			}
		})
	}
}

func TestFingerprintIsThatOfSSHKeygen(t *testing.T) {
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Skip("SKIPPED: no ssh-keygen on this machine to compare with")
	}
	cmd := exec.Command(keygen, "-lf", "-")
	cmd.Stdin = strings.NewReader(zeroKey() + "\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if k, _ := parsePublicKey(zeroKey()); !strings.Contains(string(out), " "+k.Fingerprint+" ") {
		t.Errorf("ssh-keygen says %q, we say %q", out, k.Fingerprint)
	}
}

func TestRedactSSHConfig(t *testing.T) {
	in := "# comment\nInclude /etc/ssh/sshd_config.d/*.conf\nPermitRootLogin=no # by policy\n\tPasswordAuthentication   no\nChallengeResponseAuthentication no\nListenAddress 192.0.2.1\nAllowUsers a.person\n" +
		"AuthorizedKeysCommand /usr/bin/keys --token canary %u\nMatch User a.person Address 192.0.2.0/24\n  PasswordAuthentication \"yes\"\nMatch all\n  PermitEmptyPasswords no\n"
	want := "include /etc/ssh/sshd_config.d/*.conf\npermitrootlogin no\npasswordauthentication no\nkbdinteractiveauthentication no\n" +
		"authorizedkeyscommand /usr/bin/keys\nmatch some\npasswordauthentication \"yes\"\nmatch all\npermitemptypasswords no\n"
	got := redactSSHConfig([]byte(in))
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if again := redactSSHConfig(got); !bytes.Equal(again, got) {
		t.Errorf("redacted twice: %q", again)
	}
	if _, err := parseSSHConfig([]byte("permitrootlogin\n")); err == nil {
		t.Error("a keyword without a value was accepted")
	}
}

func sshHost() *memHost {
	return &memHost{files: map[string]string{
		"etc/passwd":                                    "root:x:0:0::/root:/bin/bash\ncore:x:1000:1000::/var/home/core:/bin/bash\ngone:x:1001:1001::/home/gone:/bin/bash\n",
		"etc/ssh/sshd_config":                           "Include /etc/ssh/sshd_config.d/*.conf\nPasswordAuthentication yes\nAuthorizedKeysFile /etc/ssh/keys/%u .ssh/authorized_keys\nMatch Group x\nPermitRootLogin yes\n",
		"etc/ssh/sshd_config.d/40-pw.conf":              "PasswordAuthentication no\nMatch User y\nPermitRootLogin yes\n",
		"etc/ssh/sshd_config.d/50-root.conf":            "PermitRootLogin no\n",
		"etc/ssh/sshd_config.d/README":                  "PermitRootLogin yes\n",
		"var/home/core/.ssh/authorized_keys.d/ignition": "# by Ignition\n" + zeroKey() + " core@example.org\n",
		"etc/ssh/keys/root":                             `command="x" ` + zeroKey() + "\n",
		"root/":                                         "",
	}}
}

func TestSSH(t *testing.T) {
	got, gaps, err := SSH.Read(context.Background(), sshHost().host())
	if err != nil || len(gaps) > 0 {
		t.Fatalf("got %v, %v", gaps, err)
	}
	k, _ := parsePublicKey(zeroKey())
	want := SSHState{
		Config: "/etc/ssh/sshd_config",
		Settings: []SSHSetting{
			{"passwordauthentication", "no", "/etc/ssh/sshd_config.d/40-pw.conf", false},
			{"permitrootlogin", "yes", "/etc/ssh/sshd_config.d/40-pw.conf", true},
			{"permitrootlogin", "no", "/etc/ssh/sshd_config.d/50-root.conf", false},
			{"passwordauthentication", "yes", "/etc/ssh/sshd_config", false},
			{"authorizedkeysfile", "/etc/ssh/keys/%u .ssh/authorized_keys", "/etc/ssh/sshd_config", false},
			{"permitrootlogin", "yes", "/etc/ssh/sshd_config", true},
		},
		Keys: []SSHKey{
			{"core", "/var/home/core/.ssh/authorized_keys.d/ignition", "ssh-ed25519", k.Fingerprint, []string{}},
			{"root", "/etc/ssh/keys/root", "ssh-ed25519", k.Fingerprint, []string{"command"}},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestSSHThatCannotBeRead(t *testing.T) {
	for _, tt := range []struct{ name, file, content, part string }{
		{"configuration denied", "etc/ssh/sshd_config", "! denied", "settings"},
		{"drop-in denied", "etc/ssh/sshd_config.d/50-root.conf", "! denied", "settings"},
		{"a drop-in that includes itself", "etc/ssh/sshd_config.d/50-root.conf", "Include /etc/ssh/sshd_config.d/50-root.conf\n", "settings"},
		{"a wildcard in a folder", "etc/ssh/sshd_config.d/50-root.conf", "Include /etc/*/x.conf\n", "settings"},
		{"keys denied", "var/home/core/.ssh/authorized_keys", "! denied", "keys"},
		{"a home on a network file system", "var/home/core/.ssh/authorized_keys", "! untouched", "keys"},
		{"a line that is no key", "var/home/core/.ssh/authorized_keys", "hello\n", "keys"},
		{"accounts denied", "etc/passwd", "! denied", "keys"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := sshHost()
			m.files[tt.file] = tt.content
			_, gaps, err := SSH.Read(context.Background(), m.host())
			if err != nil || len(gaps) != 1 || gaps[0].Part != tt.part {
				t.Errorf("got %v, %v; want one gap in %s", gaps, err, tt.part)
			}
		})
	}
	t.Run("without configuration", func(t *testing.T) {
		v, gaps, err := SSH.Read(context.Background(), (&memHost{files: map[string]string{"etc/": ""}}).host())
		if err != nil || len(gaps) > 0 || v.Config != "" {
			t.Errorf("got %v, %v, %v", v, gaps, err)
		}
	})
}

// FuzzRedactSSH: redacting twice changes nothing, and what is left of keys is
// fingerprints alone.
func FuzzRedactSSH(f *testing.F) {
	f.Add(`restrict,from="a b" ` + zeroKey() + " comment\nfingerprint\tssh-rsa\tSHA256:x\t\n")
	f.Add("Include x\nPermitRootLogin=no # c\nMatch all\nAuthorizedKeysFile none\n")
	f.Fuzz(func(t *testing.T, text string) {
		for name, redact := range map[string]func([]byte) []byte{"keys": redactKeys, "configuration": redactSSHConfig} {
			once := redact([]byte(text))
			if twice := redact(once); !bytes.Equal(once, twice) {
				t.Errorf("%s redacted twice: %q, then %q", name, once, twice)
			}
		}
		keys, _ := parseKeys(redactKeys([]byte(text)))
		for _, k := range keys {
			if again, ok := parseKeyLine(keyText(k)); !ok || cmp.Diff(k, again) != "" {
				t.Errorf("%+v is written as %q", k, keyText(k))
			}
		}
		parseSSHConfig(redactSSHConfig([]byte(text)))
	})
}

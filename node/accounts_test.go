package node

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// secretHash is a canary: no redactor may let a part of it through.
const secretHash = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$canaryCANARYcanary"

func TestRedactAccounts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		redact func([]byte) []byte
		in     string
		want   string
	}{
		{"passwd", redactPasswd, "root:x:0:0:Super User:/root:/bin/bash\ncore::500:500:A. Person,,,:/home/core:/bin/bash\nold:" + secretHash + ":1:1::/:\n",
			"root:<shadow>:0:0::/root:/bin/bash\ncore:<empty>:500:500::/home/core:/bin/bash\nold:<password yescrypt>:1:1::/:\n"},
		{"shadow", redactShadow, "root:*:19000:0:99999:7:::\ncore:!!:19000::::::\na:" + secretHash + ":1::::::\nb:!" + secretHash + ":1::::::\nc:$6$s$h:1::::::\nd:ab1234567890.:1::::::\ne::1::::::\nf:odd:1::::::\n",
			"root:<locked>\ncore:<locked>\na:<password yescrypt>\nb:<locked>\nc:<password sha512crypt>\nd:<password descrypt>\ne:<empty>\nf:<password unknown>\n"},
		{"a line of shadow that is none goes as a whole", redactShadow, "root:" + secretHash + "\nroot:" + secretHash + ":1\n# comment\n\n", "root:<password yescrypt>\n<no line of shadow>\n"},
		{"group", redactGroup, "wheel:" + secretHash + ":10:core\n", "wheel::10:core\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.redact([]byte(tt.in))
			if d := cmp.Diff(tt.want, string(got)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if again := tt.redact(got); !bytes.Equal(again, got) {
				t.Errorf("redacted twice: got %q, want %q", again, got)
			}
		})
	}
}

func TestRedactSudoers(t *testing.T) {
	in := "# comment\nDefaults env_reset, passprompt=\"secret\"\nUser_Alias OPS = a, b\nroot ALL=(ALL:ALL) ALL\n%wheel\tALL=(ALL)\tNOPASSWD: ALL\n" +
		"OPS ALL = \\\n  /usr/bin/tool --password canary\ncore h1, h2 = (root) NOPASSWD: /bin/x, ALL\n#1000 ALL=(ALL) ALL\n@includedir /etc/sudoers.d\n#include /etc/sudoers.local\nodd line\nDefaults:OPS, c !authenticate\nDefaults:OPS env_keep+=A, !authenticate\nDefaults@web !authenticate\n"
	want := "rule\troot\tpassword\tall\nrule\t%wheel\tnopassword\tall\nrule\ta,b\tpassword\tsome\nrule\tcore\tnopassword\tall\nrule\t#1000\tpassword\tall\nincludedir\t/etc/sudoers.d\ninclude\t/etc/sudoers.local\nunread\t-\nunasked\tALL\nunasked\ta,b\nunasked\tALL\n"
	got := redactSudoers([]byte(in))
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if again := redactSudoers(got); !bytes.Equal(again, got) {
		t.Errorf("redacted twice: got %q", again)
	}
	if _, err := parseSudoers(got); err == nil {
		t.Error("a line that is not understood was passed over")
	}
}

func TestParseAccountsRefuses(t *testing.T) {
	for _, text := range []string{"root\n", "root:<shadow>:zero:0::/:\n", ":<shadow>:0:0::/:\n", "root:<shadow>:-1:0::/:\n", "root:<shadow>:0:4294967296::/:\n"} {
		if _, err := parsePasswd([]byte(text)); err == nil {
			t.Errorf("passwd %q was accepted", text)
		}
	}
	for _, text := range []string{"root\n", "root:" + secretHash + "\n", ":<locked>\n"} {
		_, err := parseShadow([]byte(text))
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("shadow %q: got %v", text, err)
		}
	}
	for _, text := range []string{"wheel:10\n", "wheel::ten:\n", "::1:\n"} {
		if _, err := parseGroup([]byte(text)); err == nil {
			t.Errorf("group %q was accepted", text)
		}
	}
}

// flatcarAccounts is the shape of Flatcar's databases: users of the image in
// /usr/share/baselayout, by nss-altfiles.
func flatcarAccounts() *memHost {
	return &memHost{files: map[string]string{
		"etc/passwd":                   "root:x:0:0:root:/root:/bin/bash\ncore:x:500:500:CoreOS Admin:/home/core:/bin/bash\n",
		"etc/shadow":                   "root:*:15887:0:::::\ncore:" + secretHash + ":15887:0:::::\n",
		"etc/group":                    "wheel:x:10:root\n",
		"usr/share/baselayout/passwd":  "core:x:500:500:CoreOS Admin:/home/core:/bin/bash\nnobody:x:65534:65534:nobody:/var/empty:/sbin/nologin\n",
		"usr/share/baselayout/group":   "docker:x:233:core\ncore:x:500:\nwheel:x:10:root,core\n",
		"usr/share/baselayout/gshadow": "docker:::\n",
		"bin/bash":                     "",
		"etc/sudoers":                  "root ALL=(ALL) ALL\n#includedir /etc/sudoers.d\n",
		"etc/sudoers.d/core":           "core ALL=(ALL) NOPASSWD: ALL\n",
		"etc/sudoers.d/core.bak":       "mallory ALL=(ALL) NOPASSWD: ALL\n",
	}}
}

func TestAccounts(t *testing.T) {
	got, gaps, err := Accounts.Read(context.Background(), flatcarAccounts().host())
	if err != nil || len(gaps) > 0 {
		t.Fatalf("got %v, %v", gaps, err)
	}
	want := AccountState{
		Accounts: []Account{
			{"core", 500, "/home/core", "/bin/bash", "yes", "password", "yescrypt", "/etc/passwd"},
			{"core", 500, "/home/core", "/bin/bash", "yes", "none", "", "/usr/share/baselayout/passwd"},
			{"nobody", 65534, "/var/empty", "/sbin/nologin", "no", "none", "", "/usr/share/baselayout/passwd"},
			{"root", 0, "/root", "/bin/bash", "yes", "locked", "", "/etc/passwd"},
		},
		Groups: []AccountGroup{{"docker", []string{"core"}}, {"wheel", []string{"core", "root"}}},
		Sudo:   []SudoRule{{"core", true, true, "/etc/sudoers.d/core"}, {"root", false, true, "/etc/sudoers"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Defaults take the password away from rules that say nothing of it.
func TestSudoWithoutPasswordByDefault(t *testing.T) {
	for _, tt := range []struct {
		name, defaults string
		core, root     bool
	}{
		{"for everybody", "Defaults !authenticate\n", true, true},
		{"among others", "Defaults env_reset, !authenticate\n", true, true},
		{"for one user", "Defaults:core !authenticate\n", true, false},
		{"with a blank", "Defaults env_reset,! authenticate\n", true, true},
		{"on some hosts", "Defaults@web !authenticate\n", true, true},
		{"asked for", "Defaults authenticate\n", false, false},
	} {
		m := flatcarAccounts()
		m.files["etc/sudoers"] = tt.defaults + m.files["etc/sudoers"]
		m.files["etc/sudoers.d/core"] = "core ALL=(ALL) ALL\n"
		v, gaps, err := Accounts.Read(t.Context(), m.host())
		want := []SudoRule{{"core", tt.core, true, "/etc/sudoers.d/core"}, {"root", tt.root, true, "/etc/sudoers"}}
		if d := cmp.Diff(want, v.Sudo); err != nil || len(gaps) > 0 || d != "" {
			t.Errorf("%s: %v, %v (-want +got):\n%s", tt.name, gaps, err, d)
		}
	}
}

func TestSudoRules(t *testing.T) {
	for _, tt := range []struct {
		name, sudoers string
		want          SudoRule
	}{
		{"a group that is never asked", "Defaults exempt_group = wheel\n%wheel ALL=(ALL) ALL\n", SudoRule{"%wheel", true, true, "/etc/sudoers"}},
		{"everything on the second host", "ann web=/bin/ls : db=ALL\n", SudoRule{"ann", false, true, "/etc/sudoers"}},
		{"everything in a folder", "ann ALL=(ALL) CWD=/srv ALL\n", SudoRule{"ann", false, true, "/etc/sudoers"}},
		{"a command whose argument is ALL", "ann ALL=(ALL) /bin/cat ALL\n", SudoRule{"ann", false, false, "/etc/sudoers"}},
		{"a command whose argument ends in ALL", "ann ALL=(ALL) /bin/x --what\\=ALL\n", SudoRule{"ann", false, false, "/etc/sudoers"}},
		{"everything, with an option", "ann ALL=(ALL) TIMEOUT=5m NOPASSWD: ALL\n", SudoRule{"ann", true, true, "/etc/sudoers"}},
	} {
		got, gaps := readSudo((&memHost{files: map[string]string{"etc/sudoers": tt.sudoers}}).host())
		if d := cmp.Diff([]SudoRule{tt.want}, got); len(gaps) > 0 || d != "" {
			t.Errorf("%s: %v (-want +got):\n%s", tt.name, gaps, d)
		}
	}
}

func TestAccountsThatCannotBeRead(t *testing.T) {
	for _, tt := range []struct {
		name, file, content, part string
	}{
		{"shadow denied", "etc/shadow", "! denied", "accounts"},
		{"passwd denied", "etc/passwd", "! denied", "accounts"},
		{"group denied", "etc/group", "! denied", "groups"},
		{"passwd with a line that is none", "etc/passwd", "root\n", "accounts"},
		{"a rule that is not understood", "etc/sudoers.d/core", "who knows\n", "sudo"},
		{"sudoers denied", "etc/sudoers", "! denied", "sudo"},
		{"records of systemd", "etc/userdb/mallory.user", "{}", "accounts"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := flatcarAccounts()
			m.files[tt.file] = tt.content
			v, gaps, err := Accounts.Read(context.Background(), m.host())
			if err != nil || len(gaps) != 1 || gaps[0].Part != tt.part {
				t.Fatalf("got %v, %v; want one gap in %s", gaps, err, tt.part)
			}
			for _, a := range v.Accounts {
				if tt.file == "etc/shadow" && a.From == "/etc/passwd" && a.Password != "unknown" {
					t.Errorf("the password of %s is %q", a.Name, a.Password)
				}
			}
		})
	}
	t.Run("no database at all is a value", func(t *testing.T) {
		v, gaps, err := Accounts.Read(context.Background(), (&memHost{files: map[string]string{"etc/": ""}}).host())
		if err != nil || len(gaps) > 0 || len(v.Accounts) > 0 {
			t.Errorf("got %v, %v, %v", v, gaps, err)
		}
	})
	t.Run("without /etc nothing is known", func(t *testing.T) {
		if _, _, err := Accounts.Read(context.Background(), (&memHost{}).host()); !IsAbsent(err) {
			t.Errorf("got %v", err)
		}
	})
}

// FuzzRedactAccounts: redacting twice changes nothing, and no hash is left.
func FuzzRedactAccounts(f *testing.F) {
	f.Add("root:" + secretHash + ":19000:0:99999:7:::\ncore:!!:19000::::::\n")
	f.Add("root:x:0:0:root:/root:/bin/bash\n<no line of passwd>\na:<password >:1:1::/:\n")
	f.Add("User_Alias A = b\\\nDefaults:A !authenticate\nDefaults:b\\ !authenticate\n")
	f.Add("%wheel ALL=(ALL) NOPASSWD: ALL\nrule\tx\tnopassword\tall\nUser_Alias A = b\\\n,c\n")
	f.Fuzz(func(t *testing.T, text string) {
		for name, redact := range map[string]func([]byte) []byte{"passwd": redactPasswd, "shadow": redactShadow, "group": redactGroup, "sudoers": redactSudoers} {
			once := redact([]byte(text))
			if twice := redact(once); !bytes.Equal(once, twice) {
				t.Errorf("%s redacted twice: %q, then %q", name, once, twice)
			}
		}
		lines, err := parseShadow(redactShadow([]byte(text)))
		for _, l := range lines {
			if err == nil && l.class != classOf(l.class) {
				t.Errorf("class %q", l.class)
			}
		}
		parsePasswd(redactPasswd([]byte(text)))
		parseGroup(redactGroup([]byte(text)))
		parseSudoers(redactSudoers([]byte(text)))
	})
}

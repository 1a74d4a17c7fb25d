package node

import (
	"bytes"
	"strings"
	"testing"
)

func TestParseUnit(t *testing.T) {
	testStarts(t, parseUnit, []startRow{
		{name: "GKE's docker", text: string(corpus(t, "cos/docker-unit-gke.txt")), want: []string{"/bin/echo", "/bin/kill", "/bin/sh", "/usr/bin/dockerd"}},
		// corpus/fcos/systemctl-cat-serial-getty-autologin.txt, the drop-in
		{name: "Fedora CoreOS' autologin", text: "[Service]\n# Override Execstart in main unit\nExecStart=\n# Add new Execstart with `-` prefix to ignore failure\nExecStart=-/usr/sbin/agetty --autologin core --noclear %I $TERM\n", want: []string{"/usr/sbin/agetty"}},
		{name: "no command", text: "[Unit]\nDescription=x\n[Timer]\nOnCalendar=daily\n"},
		{name: "a value that is taken back", text: "[Service]\nExecStart=/bin/a\nExecStart=\nExecStart=/bin/b\n", want: []string{"/bin/b"}},
		{name: "all prefixes", text: "[Service]\nExecStart=@-:+!!/bin/a b\nExecStartPre=|/bin/c\n", want: []string{"/bin/a", "/bin/c"}},
		{name: "two commands in a line", text: "[Service]\nType=oneshot\nExecStart=/bin/a x ; -/bin/b y\n", want: []string{"/bin/a", "/bin/b"}},
		{name: "a semicolon that is an argument", text: "[Service]\nExecStart=/bin/a \\; /bin/b\n", want: []string{"/bin/a"}},
		{name: "a line that goes on", text: "[Service]\nExecStart=\\\n# between\n  /bin/a \\\n  --x\n", want: []string{"/bin/a"}},
		{name: "a comment that ends in a backslash does not go on", text: "[Service]\n# x \\\nExecStart=/bin/a\n", want: []string{"/bin/a"}},
		{name: "quotes", text: "[Service]\nExecStart=\"/opt/my program\" 'a b'\n", want: []string{"/opt/my program"}},
		{name: "a name", text: "[Service]\nExecStart=sleep 1\n", want: []string{"sleep"}},
		{name: "an escape stays", text: "[Service]\nExecStart=/opt/a\\x2db\n", want: []string{`/opt/a\x2db`}},
		{name: "a socket", text: "[Socket]\nListenStream=1\nExecStartPre=/bin/a\n", want: []string{"/bin/a"}},
		{name: "empty", text: ""},
		{name: "no section", text: "ExecStart=/bin/a\n", refused: "line 1 stands in no section"},
		{name: "an open section", text: "[Service\n", refused: "line 1: the name of a section is not closed"},
		{name: "no assignment", text: "[Service]\nhello\n", refused: "line 2 has no ="},
		{name: "an open quote", text: "[Service]\nExecStart=/bin/a \"b\n", refused: "line 2, ExecStart: a quote is not closed"},
		{name: "prefixes alone", text: "[Service]\nExecStart=-@\n", refused: "a command without a program"},
		{name: "a NUL", text: "[Service]\x00\n", refused: "it is no text"},
		{name: "no UTF-8", text: "[Service]\nA=\xff\n", refused: "it is no text"},
	})
}

func TestRedactUnitKeepsNoSecret(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"environment and arguments", "[Service]\nEnvironment=TOKEN=hunter2\nExecStart=/k --token=hunter2\n# EnvironmentFile=/no\nEnvironmentFile=-/etc/a\nEnvironmentFile=\n EnvironmentFile=\"/etc/b\"\nEnvironmentFile=relative\n",
			"environment \"/etc/b\"\nExecStart \"/k\" \"\"\n"},
		{"whom agetty logs in", "[Service]\nExecStart=-/usr/sbin/agetty --autologin core --noclear %I $TERM\n", "ExecStart \"/usr/sbin/agetty\" \"core\"\n"},
		{"an address", "[Service]\nExecStart=/a 10.1.2.3\nhunter2\n", "ExecStart \"/a\" \"\"\nrefused \"line 3 has no =\"\nvaries\n"},
		{"what is understood of a file that is refused", "hunter2\n[Service]\nExecStart=/bin/sh 'hunter2\nExecStop=/b\n", "ExecStop \"/b\" \"\"\nrefused \"line 1 has no =\"\n"},
		{"no unit at all", "root:$6$hunter2:1::::::\n", "refused \"line 1 has no =\"\n"},
	} {
		if got := string(redactUnit("node-1")([]byte(tt.text))); got != tt.want {
			t.Errorf("%s: got %q want %q", tt.name, got, tt.want)
		}
	}
}

// What is kept of a unit is reduced, says what the parsers said, and is the same
// when it is redacted again, by whichever source.
func FuzzRedactUnit(f *testing.F) {
	f.Add([]byte("[Service]\nEnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env\nExecStart=/usr/bin/kubelet $A\n"))
	f.Add([]byte("EnvironmentFile='/a'\nEnvironmentFile=-\"-/b\"\n"))
	f.Add([]byte("[Service]\nExecStart=@/bin/sh sh -c 'canary' ; /sbin/agetty --autologin=root\n"))
	f.Add([]byte("ExecStart \"/a\" \"b\"\nvaries\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		once := redactUnit("node-1")(b)
		if again := redactUnit("another")(once); !bytes.Equal(once, again) {
			t.Errorf("%q became %q, and then %q", b, once, again)
		}
		u, err := readReducedUnit(once)
		if err != nil {
			t.Fatalf("%q of %q: %v", once, b, err)
		}
		if bytes.Equal(once, b) {
			return // it was reduced already
		}
		commands, err := parseUnitCommands(b)
		if (err == nil) != (u.refused == "") || len(commands) != len(u.commands) || len(environmentFiles(b)) != len(u.environment) {
			t.Errorf("%q became %+v", b, u)
		}
		for _, c := range commands {
			if c.program == "" || strings.ContainsAny(c.program[:1], "@-:+!|") {
				t.Errorf("program %q of %q", c.program, b)
			}
		}
	})
}

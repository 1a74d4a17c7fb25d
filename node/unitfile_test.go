package node

import "testing"

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

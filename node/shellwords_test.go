package node

import "testing"

func TestShellPrograms(t *testing.T) {
	testStarts(t, func(b []byte) ([]string, error) { return startedBy(string(b)) }, []startRow{
		{name: "one", text: "/bin/a b c", want: []string{"/bin/a"}},
		{name: "a list", text: "/bin/a && /bin/b || /bin/c; /bin/d & /bin/e | /bin/f", want: []string{"/bin/a", "/bin/b", "/bin/c", "/bin/d", "/bin/e", "/bin/f"}},
		{name: "keywords and the shell's own", text: "if [ -x /bin/a ]; then exec /bin/a; else echo no; fi", want: []string{"/bin/a"}},
		{name: "a subshell", text: "(cd /x; /bin/a)", want: []string{"/bin/a"}},
		{name: "a redirection before the command", text: "> /dev/null 2>&1 /bin/a", want: []string{"/bin/a"}},
		{name: "what is computed", text: "$X a; `which b` c; $(/bin/d e) f", want: []string{"$"}},
		{name: "an assignment keeps its secret", text: "KEY=s3cret /bin/a s3cret", want: []string{"/bin/a"}},
		{name: "quoted keywords are programs", text: "'if' a", want: []string{"if"}},
		{name: "a comment", text: "/bin/a # /bin/b\n/bin/c", want: []string{"/bin/a", "/bin/c"}},
		{name: "a quote in a word", text: `/bin/"a b"\ c d`, want: []string{"/bin/a b c"}},
		{name: "nothing", text: " \t"},
		{name: "an open quote", text: `"a`, refused: "a quote is not closed"},
		{name: "an open substitution", text: "$(a", refused: "a substitution is not closed"},
	})
}

package node

import "testing"

func TestParseUdevRules(t *testing.T) {
	testStarts(t, parseUdevRules, []startRow{
		{name: "each key that starts something", text: `ACTION=="add", SUBSYSTEM=="net", RUN+="/bin/a b", PROGRAM="/bin/c", IMPORT{program}="/bin/d", RUN{program}+="/bin/e"` + "\n", want: []string{"/bin/a", "/bin/c", "/bin/d", "/bin/e"}},
		{name: "keys that start nothing", text: `KERNEL=="sd*", ATTR{size}!="0", ENV{A}="b c", SYMLINK+="x", RUN{builtin}+="kmod load x", IMPORT{builtin}="net_id", GOTO="end"` + "\n" + `LABEL="end"` + "\n"},
		{name: "what is taken from the list", text: `RUN-="/bin/a"` + "\n"},
		{name: "a name", text: `RUN+="ata_id x"` + "\n", want: []string{"ata_id"}},
		{name: "a program in quotes", text: `RUN+="'/opt/my program' x"` + "\n", want: []string{"/opt/my program"}},
		{name: "a line that goes on", text: "KERNEL==\"x\", \\\n  RUN+=\"/bin/a\"\n", want: []string{"/bin/a"}},
		{name: "an escaped string", text: `RUN+=e"/bin/a\"b c"` + "\n", want: []string{`/bin/a\"b`}},
		{name: "an attribute with an operator in its name", text: `ATTRS{a-b:c}=="1", RUN+="/bin/a"` + "\n", want: []string{"/bin/a"}},
		{name: "a regular program in braces of its value", text: `RUN+="/bin/a{x}"` + "\n", want: []string{"/bin/a{x}"}},
		{name: "comments", text: "# RUN+=\"/bin/a\"\n\n"},
		{name: "no operator", text: "RUN\n", refused: "line 1: a key without an operator"},
		{name: "no quotes", text: "RUN+=/bin/a\n", refused: "line 1: a value without quotes"},
		{name: "an open quote", text: "RUN+=\"/bin/a\n", refused: "line 1: a quote is not closed"},
		{name: "an open attribute", text: "ATTR{x==\"1\"\n", refused: "line 1: an attribute is not closed"},
	})
}

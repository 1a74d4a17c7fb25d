package node

import "testing"

func TestParseModulesLoad(t *testing.T) {
	testStarts(t, parseModulesLoad, []startRow{
		{name: "kubeadm's guide", text: "overlay\nbr_netfilter\n", want: []string{"overlay", "br_netfilter"}},
		{name: "comments of both kinds", text: "# a\n; b\n\n  loop  \n", want: []string{"loop"}},
		{name: "Debian's parameters", text: "loop max_loop=64\n", want: []string{"loop"}},
		{name: "a backslash hides no line", text: "#\\\nevil\n", want: []string{"evil"}},
		{name: "no name", text: "loop\nevil\\\n", refused: "line 2 does not begin with the name of a module"},
		{name: "a path", text: "/opt/evil.ko\n", refused: "line 1"},
	})
}

func TestParseModprobe(t *testing.T) {
	testStarts(t, parseModprobe, []startRow{
		{name: "settings that start nothing", text: "alias a b\nblacklist c\noptions d e=1\nsoftdep f pre: g\nweakdep h i\nconfig binary_indexes yes\n"},
		{name: "the common way to forbid a module", text: "install cramfs /bin/true\ninstall dccp /bin/false\n", want: []string{"/bin/true", "/bin/false"}},
		{name: "a program in place of a module", text: "install usb_storage /sbin/modprobe --ignore-install usb_storage && /opt/evil\nremove a /opt/b\n", want: []string{"/sbin/modprobe", "/opt/evil", "/opt/b"}},
		{name: "a line that goes on", text: "install a \\\n/opt/b\n", want: []string{"/opt/b"}},
		{name: "no command", text: "install a\n", refused: "line 1 has no command"},
		{name: "another word", text: "options a b\nroot:x\n", refused: "line 2 begins with no word of modprobe.d"},
	})
}

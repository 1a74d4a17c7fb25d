package verify

import (
	"testing"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

var mappingsGap = node.Gap{What: "memory maps of host processes", Code: node.Denied, Reason: "reading /proc/<pid>/maps: permission denied", Count: 3, Of: 40}

func mapping(path string, on node.Mount, programs ...string) node.Mapping {
	return node.Mapping{Path: path, On: on, Programs: programs}
}

func mapped(m ...node.Mapping) node.Facts { return withFact(onHost(), node.Mappings, m) }

// unreadMappings are the rows that every check of mappings has.
func unreadMappings(good node.Mapping) []judgedRow {
	return []judgedRow{
		{name: "nothing mapped", facts: mapped(), want: "unknown unread"},
		{name: "fact missing", facts: lacking(onHost(), node.Mappings, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "gap", facts: withFact(onHost(), node.Mappings, []node.Mapping{good}, mappingsGap), want: "unknown gap-denied"},
		{name: "in a sandbox", facts: withFact(inSandbox(), node.Mappings, []node.Mapping{good}), want: "unknown part-of-machine"},
	}
}

func TestMappingsFromImage(t *testing.T) {
	libc := mapping("/usr/lib64/libc.so.6", flatcarUsr)
	plugin := mapping("/opt/lib/plugin.so", flatcarRoot, "/usr/bin/sshd")
	kubelet := mapping("/opt/bin/kubelet", flatcarRoot, "/opt/bin/kubelet")
	kubelet.SHA256 = someDigest
	unhashed := mapping("/opt/bin/kubelet", flatcarRoot, "/opt/bin/kubelet")
	own := mapping("/usr/lib/libc.so.6", mounted("/", "overlay", "overlay", "rw", "rw"), "/usr/local/bin/kubelet")
	own.OwnRoot = true
	detached := node.Mapping{Path: "/usr/lib/evil.so", Detached: true, Programs: []string{"/usr/bin/sshd"}}
	memory := node.Mapping{Path: "/memfd:x", Memory: true, Deleted: true, Programs: []string{"/usr/bin/sshd"}}
	many := mapping("/opt/lib/plugin.so", flatcarRoot, "/usr/bin/a", "/usr/bin/b", "/usr/bin/c", "/usr/bin/d")
	libraries := func(p ...profiles.Place) profiles.Profile {
		return inventoryProfile(func(i *profiles.Inventory) { i.Mappings = p })
	}
	processes := func(p ...profiles.Place) profiles.Profile {
		return profiles.Profile{Processes: profiles.Processes{Allowed: p}}
	}
	testJudge(t, mappingsFromImage, append([]judgedRow{
		{name: "all of the image", facts: mapped(libc), want: "pass from-image"},
		{name: "a library from /opt", facts: mapped(libc, plugin), want: "fail outside-image", items: []string{"/opt/lib/plugin.so in /usr/bin/sshd"}},
		{name: "in four programs: three are named", facts: mapped(libc, many), want: "fail outside-image", items: []string{"/opt/lib/plugin.so in /usr/bin/a, /usr/bin/b, /usr/bin/c and 1 more"}},
		{name: "a declared library", profile: libraries(profiles.Place{Path: "/opt/lib/*"}), facts: mapped(libc, plugin), want: "pass from-image"},
		{name: "a declared program", profile: processes(profiles.Place{Path: "/opt/bin/kubelet"}), facts: mapped(libc, kubelet), want: "pass from-image"},
		{name: "a declared program with its digest", profile: processes(profiles.Place{Path: "/opt/bin/kubelet", SHA256: someDigest}), facts: mapped(libc, kubelet), want: "pass from-image"},
		{name: "a declared program with another digest", profile: processes(profiles.Place{Path: "/opt/bin/kubelet", SHA256: otherDigest}), facts: mapped(libc, kubelet), want: "fail changed", items: []string{"/opt/bin/kubelet sha256:" + someDigest}},
		{name: "a declared program that was not hashed", profile: processes(profiles.Place{Path: "/opt/bin/kubelet", SHA256: otherDigest}), facts: mapped(libc, unhashed), want: "unknown not-hashed"},
		{name: "talos: a library in the root of a declared program", profile: processes(profiles.Place{Path: "/usr/local/bin/kubelet"}), facts: mapped(libc, own), want: "pass from-image"},
		{name: "a library in the root of a program nobody declared", facts: mapped(libc, own), want: "fail outside-image", items: []string{"/usr/lib/libc.so.6 (in a root of its own) in /usr/local/bin/kubelet"}},
		{name: "from a mount that was detached", facts: mapped(libc, detached), want: "fail outside-image", items: []string{"/usr/lib/evil.so (from a mount that was detached) in /usr/bin/sshd"}},
		{name: "what is in memory is another check's", facts: mapped(libc, memory), want: "pass from-image"},
		{name: "an ordinary host", facts: mapped(mapping("/usr/lib/libc.so.6", flatcarRoot)), want: "fail no-image", items: []string{}},
		{name: "outside over a gap", facts: withFact(onHost(), node.Mappings, []node.Mapping{libc, plugin}, mappingsGap), want: "fail outside-image"},
	}, unreadMappings(libc)...))
}

func TestNoDeletedLibraries(t *testing.T) {
	libc := mapping("/usr/lib64/libc.so.6", flatcarUsr)
	gone := mapping("/usr/lib64/libssl.so.3", flatcarUsr, "/usr/bin/sshd")
	gone.Deleted = true
	program := mapping("/usr/bin/sshd", flatcarUsr, "/usr/bin/sshd")
	program.Deleted = true
	memory := node.Mapping{Path: "/memfd:x", Memory: true, Deleted: true}
	testJudge(t, noDeletedLibraries, append([]judgedRow{
		{name: "all there", facts: mapped(libc), want: "pass all-there"},
		{name: "a library of before an update", facts: mapped(libc, gone), want: "fail deleted", items: []string{"/usr/lib64/libssl.so.3 (deleted) in /usr/bin/sshd"}},
		{name: "from a mount that was detached", facts: mapped(libc, node.Mapping{Path: "/usr/lib/x.so", Detached: true}), want: "fail deleted", items: []string{"/usr/lib/x.so (from a mount that was detached)"}},
		{name: "an executable is another check's", facts: mapped(libc, program), want: "pass all-there"},
		{name: "what is in memory is another check's", facts: mapped(libc, memory), want: "pass all-there"},
	}, unreadMappings(libc)...))
}

func TestNoMemoryMappings(t *testing.T) {
	libc := mapping("/usr/lib64/libc.so.6", flatcarUsr)
	jit := node.Mapping{Path: "/memfd:doublemapper", Memory: true, Deleted: true, Programs: []string{"/usr/bin/pwsh"}}
	program := node.Mapping{Path: "/memfd:x", Memory: true, Deleted: true, Programs: []string{"/memfd:x"}}
	testJudge(t, noMemoryMappings, append([]judgedRow{
		{name: "none", facts: mapped(libc), want: "pass none"},
		{name: "code in memory", facts: mapped(libc, jit), want: "fail memory-only", items: []string{"/memfd:doublemapper (in memory only) in /usr/bin/pwsh"}},
		{name: "a declared compiler", profile: inventoryProfile(func(i *profiles.Inventory) { i.Mappings = []profiles.Place{{Path: "/memfd:doublemapper"}} }), facts: mapped(libc, jit), want: "pass none"},
		{name: "an executable is another check's", facts: mapped(libc, program), want: "pass none"},
	}, unreadMappings(libc)...))
}

func TestNoScriptsFromWritableStorage(t *testing.T) {
	facts := func(p ...node.Program) node.Facts { return withFact(onHost(), node.Processes, p) }
	systemd := node.Program{Path: "/usr/lib/systemd/systemd", On: flatcarUsr}
	ofImage := node.Program{Path: "/usr/bin/bash", Script: "/usr/libexec/x.sh", On: flatcarUsr}
	script := node.Program{Path: "/usr/bin/bash", Script: "/home/kubernetes/bin/health-monitor.sh", On: flatcarRoot}
	pipe := node.Program{Path: "/usr/bin/bash", Script: "/dev/fd/N", Memory: true}
	testJudge(t, noScriptsFromWritableStorage, []judgedRow{
		{name: "no script at all", facts: facts(systemd), want: "pass none"},
		{name: "a script of the image", facts: facts(systemd, ofImage), want: "pass none"},
		{name: "a script of /home", facts: facts(systemd, script), want: "fail writable-script", items: []string{"/usr/bin/bash /home/kubernetes/bin/health-monitor.sh"}},
		{name: "a declared script", profile: profiles.Profile{Processes: profiles.Processes{Allowed: []profiles.Place{{Path: "/home/kubernetes/bin/*"}}}}, facts: facts(systemd, script), want: "pass none"},
		{name: "a script from a pipe", facts: facts(systemd, pipe), want: "fail writable-script", items: []string{"/usr/bin/bash /dev/fd/N (in memory only)"}},
		{name: "a program outside the image is another check's", facts: facts(systemd, node.Program{Path: "/opt/x", On: flatcarRoot}), want: "pass none"},
		{name: "a mount that is not known", facts: facts(systemd, node.Program{Path: "/usr/bin/bash", Script: "/x.sh"}), want: "unknown mount-unknown", items: []string{"/usr/bin/bash /x.sh"}},
		{name: "no program at all", facts: facts(), want: "unknown unread"},
		{name: "in a sandbox", facts: withFact(inSandbox(), node.Processes, []node.Program{systemd}), want: "unknown part-of-machine"},
		{name: "fact missing", facts: lacking(onHost(), node.Processes, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "gap", facts: withFact(onHost(), node.Processes, []node.Program{systemd}, deniedGap), want: "unknown gap-denied"},
	})
}

package verify

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

var (
	someDigest  = strings.Repeat("a", 64)
	otherDigest = strings.Repeat("b", 64)
	storedGap   = node.Gap{What: "what is to be run from storage that can be written, from /opt/z on,", Code: node.TooLarge, Reason: "looking through /opt/z: too large: stopped after 20000 names"}
)

// onStorage is a node of these mounts with these executables.
func onStorage(mounts []node.Mount, files ...node.StoredExecutable) node.Facts {
	facts := withFact(onHost(), node.Mounts, mounts)
	facts = withFact(facts, node.StoredExecutables, node.Inventory{Looked: []string{"/etc", "/opt"}, Files: files})
	return withFact(facts, node.PassingExecutables, node.Inventory{Looked: []string{"/run", "/tmp"}, Files: []node.StoredExecutable{}})
}

// storedAt is an executable of root's with a digest.
func storedAt(path string, change ...func(*node.StoredExecutable)) node.StoredExecutable {
	f := node.StoredExecutable{Path: path, Kind: "elf", Mode: 0o755, Size: 7, SHA256: someDigest}
	for _, c := range change {
		c(&f)
	}
	return f
}

var (
	storageMounts = []node.Mount{flatcarRoot, flatcarUsr, noexecHome}
	noexecHome    = mountedWith("/home", "noexec", "nosuid")
)

func mountedWith(path string, options ...string) node.Mount {
	m := mounted(path, "ext4", "/dev/sda1", "rw", "rw")
	m.Options = append(m.Options, options...)
	return m
}

// unreadStorage are the rows that every check of stored executables has.
func unreadStorage(facts node.Facts) []judgedRow {
	stored, _, _ := node.StoredExecutables.Of(facts)
	return []judgedRow{
		{name: "fact missing", facts: lacking(facts, node.StoredExecutables, node.NotRecorded, "not recorded"), want: "unknown fact-not-recorded"},
		{name: "the other fact missing", facts: lacking(facts, node.PassingExecutables, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "nothing was looked at", facts: withFact(facts, node.StoredExecutables, node.Inventory{}), want: "unknown unread"},
		{name: "mounts missing", facts: lacking(facts, node.Mounts, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "in a container", facts: withFact(facts, node.OS, node.System{Init: "bash", PIDNamespace: "other"}), want: "unknown not-the-host"},
		{name: "the search was stopped", facts: withFact(facts, node.StoredExecutables, stored, storedGap), want: "unknown gap-too-large"},
	}
}

func inventoryProfile(change func(*profiles.Inventory)) profiles.Profile {
	var p profiles.Profile
	change(&p.Inventory)
	return p
}

func TestWritableExecutablesDeclared(t *testing.T) {
	tool := storedAt("/opt/bin/tool")
	item := "/opt/bin/tool sha256:" + someDigest
	allow := func(places ...profiles.Place) profiles.Profile {
		return inventoryProfile(func(i *profiles.Inventory) { i.Allowed = places })
	}
	none := onStorage(storageMounts)
	unhashed := storedAt("/opt/bin/tool", func(f *node.StoredExecutable) { f.SHA256 = "" })
	many := make([]node.StoredExecutable, 250)
	for i := range many {
		many[i] = storedAt(fmt.Sprintf("/opt/%03d", i))
	}
	testJudge(t, writableExecutablesDeclared, append([]judgedRow{
		{name: "nothing there", facts: none, want: "pass declared"},
		{name: "a program nobody declared", facts: onStorage(storageMounts, tool), want: "fail undeclared", items: []string{item}},
		{name: "a program in /tmp", facts: withFact(none, node.PassingExecutables, node.Inventory{Looked: []string{"/tmp"}, Files: []node.StoredExecutable{storedAt("/tmp/x")}}), want: "fail undeclared", items: []string{"/tmp/x sha256:" + someDigest}},
		{name: "a declared path", profile: allow(profiles.Place{Path: "/opt/bin/tool"}), facts: onStorage(storageMounts, tool), want: "pass declared"},
		{name: "a declared folder", profile: allow(profiles.Place{Path: "/opt/bin/*"}), facts: onStorage(storageMounts, tool), want: "pass declared"},
		{name: "a declared folder that only begins alike", profile: allow(profiles.Place{Path: "/opt/bi/*"}), facts: onStorage(storageMounts, tool), want: "fail undeclared"},
		{name: "a program that processes declare", profile: profiles.Profile{Processes: profiles.Processes{Allowed: []profiles.Place{{Path: "/opt/bin/tool"}}}}, facts: onStorage(storageMounts, tool), want: "pass declared"},
		{name: "a script that processes declare", profile: profiles.Profile{Processes: profiles.Processes{Allowed: []profiles.Place{{Path: "/usr/bin/bash", Script: "/opt/bin/tool"}}}}, facts: onStorage(storageMounts, tool), want: "pass declared"},
		{name: "a declared digest", profile: allow(profiles.Place{Path: "/opt/bin/tool", SHA256: strings.ToUpper(someDigest)}), facts: onStorage(storageMounts, tool), want: "pass declared"},
		{name: "one of two declared digests", profile: allow(profiles.Place{Path: "/opt/bin/tool", SHA256: otherDigest}, profiles.Place{Path: "/opt/bin/tool", SHA256: someDigest}), facts: onStorage(storageMounts, tool), want: "pass declared"},
		{name: "another digest than declared", profile: allow(profiles.Place{Path: "/opt/bin/tool", SHA256: otherDigest}), facts: onStorage(storageMounts, tool), want: "fail changed", items: []string{item}},
		{name: "a digest outweighs a folder that is open", profile: allow(profiles.Place{Path: "/opt/bin/tool", SHA256: otherDigest}, profiles.Place{Path: "/opt/bin/*"}), facts: onStorage(storageMounts, tool), want: "fail changed"},
		{name: "declared with a digest and not hashed", profile: allow(profiles.Place{Path: "/opt/bin/tool", SHA256: otherDigest}), facts: onStorage(storageMounts, unhashed), want: "unknown not-hashed"},
		{name: "undeclared and not hashed", facts: onStorage(storageMounts, unhashed), want: "fail undeclared", items: []string{"/opt/bin/tool (not hashed)"}},
		{name: "on a mount of the image", facts: onStorage(storageMounts, storedAt("/usr/local/bin/x"), storedAt("/usr/x")), want: "pass declared"},
		{name: "a copy of the image's own", facts: onStorage(storageMounts, storedAt("/etc/x.sh", func(f *node.StoredExecutable) { f.Copy = "/usr/share/flatcar/etc/x.sh" })), want: "pass declared"},
		{name: "a copy of something that can be written", facts: onStorage(storageMounts, storedAt("/etc/x.sh", func(f *node.StoredExecutable) { f.Copy = "/var/x.sh" })), want: "fail undeclared"},
		{name: "where nothing can be run", facts: onStorage(storageMounts, storedAt("/home/core/x")), want: "pass declared"},
		{name: "250 of them: not all are named", facts: onStorage(storageMounts, many...), want: "fail undeclared"},
		{name: "undeclared before the search was stopped", facts: withFact(none, node.StoredExecutables, node.Inventory{Looked: []string{"/opt"}, Files: []node.StoredExecutable{tool}}, storedGap), want: "fail undeclared"},
	}, unreadStorage(none)...))
	f := Run([]Check{writableExecutablesDeclared}, onStorage(storageMounts, many...), Given{Profile: &profiles.Profile{}})[0]
	if len(f.Items) != maxListed || !strings.HasSuffix(f.Reason, "; and 150 more") || !strings.HasPrefix(f.Reason, "executables on writable storage that nobody declared (250): ") {
		t.Errorf("got %d items: %.100s … %s", len(f.Items), f.Reason, f.Reason[len(f.Reason)-40:])
	}
}

func TestNoSetuidOnWritableStorage(t *testing.T) {
	setuid := storedAt("/opt/bin/su", func(f *node.StoredExecutable) { f.Mode = 0o4755 })
	setgid := storedAt("/opt/bin/wall", func(f *node.StoredExecutable) { f.Mode, f.GID = 0o2755, 5 })
	none := onStorage(storageMounts, storedAt("/opt/bin/tool"))
	testJudge(t, noSetuidOnWritableStorage, append([]judgedRow{
		{name: "none", facts: none, want: "pass none"},
		{name: "setuid root", facts: onStorage(storageMounts, setuid), want: "fail setuid", items: []string{"/opt/bin/su sha256:" + someDigest + " (setuid 0)"}},
		{name: "setgid", facts: onStorage(storageMounts, setgid), want: "fail setuid", items: []string{"/opt/bin/wall sha256:" + someDigest + " (setgid 5)"}},
		{name: "where nosuid disarms it", facts: onStorage(storageMounts, storedAt("/home/su", func(f *node.StoredExecutable) { f.Mode = 0o4755 })), want: "pass none"},
		{name: "declared", profile: inventoryProfile(func(i *profiles.Inventory) { i.Setuid = []profiles.Place{{Path: "/opt/bin/su"}} }), facts: onStorage(storageMounts, setuid), want: "pass none"},
		{name: "declared as an executable, not as setuid", profile: inventoryProfile(func(i *profiles.Inventory) { i.Allowed = []profiles.Place{{Path: "/opt/bin/su"}} }), facts: onStorage(storageMounts, setuid), want: "fail setuid"},
		{name: "declared with another digest", profile: inventoryProfile(func(i *profiles.Inventory) {
			i.Setuid = []profiles.Place{{Path: "/opt/bin/su", SHA256: otherDigest}}
		}), facts: onStorage(storageMounts, setuid), want: "fail setuid"},
	}, unreadStorage(none)...))
}

func TestNoCapabilitiesOnWritableStorage(t *testing.T) {
	ping := storedAt("/opt/bin/ping", func(f *node.StoredExecutable) { f.Capabilities = []string{"cap_net_raw=ep", "cap_setuid=ep"} })
	none := onStorage(storageMounts, storedAt("/opt/bin/tool"))
	testJudge(t, noCapabilitiesOnWritableStorage, append([]judgedRow{
		{name: "none", facts: none, want: "pass none"},
		{name: "two", facts: onStorage(storageMounts, ping), want: "fail capabilities", items: []string{"/opt/bin/ping sha256:" + someDigest + " (cap_net_raw=ep cap_setuid=ep)"}},
		{name: "where nosuid disarms them", facts: onStorage([]node.Mount{flatcarRoot, flatcarUsr, mountedWith("/opt", "nosuid")}, ping), want: "pass none"},
		{name: "declared", profile: inventoryProfile(func(i *profiles.Inventory) { i.Capabilities = []profiles.Place{{Path: "/opt/bin/*"}} }), facts: onStorage(storageMounts, ping), want: "pass none"},
	}, unreadStorage(none)...))
}

func TestNoWorldWritableExecutables(t *testing.T) {
	none := onStorage(storageMounts, storedAt("/opt/bin/tool", func(f *node.StoredExecutable) { f.Mode = 0o775 }))
	testJudge(t, noWorldWritableExecutables, append([]judgedRow{
		{name: "none", facts: none, want: "pass closed"},
		{name: "a file for everybody", facts: onStorage(storageMounts, storedAt("/opt/x", func(f *node.StoredExecutable) { f.Mode = 0o777 })), want: "fail world-writable", items: []string{"/opt/x sha256:" + someDigest + " (mode 0777)"}},
		{name: "a folder for everybody", facts: onStorage(storageMounts, storedAt("/opt/a/b/x", func(f *node.StoredExecutable) { f.OpenFolder = "/opt/a" })), want: "fail world-writable", items: []string{"/opt/a/b/x sha256:" + someDigest + " (everybody may write /opt/a)"}},
		{name: "where nothing can be run", facts: onStorage(storageMounts, storedAt("/home/x", func(f *node.StoredExecutable) { f.Mode = 0o777 })), want: "pass closed"},
	}, unreadStorage(none)...))
}

func TestDeclaredExecutablesOwnedByRoot(t *testing.T) {
	p := inventoryProfile(func(i *profiles.Inventory) { i.Allowed = []profiles.Place{{Path: "/opt/bin/*"}} })
	with := func(change func(*node.StoredExecutable)) node.Facts {
		return onStorage(storageMounts, storedAt("/opt/bin/tool", change))
	}
	none := onStorage(storageMounts, storedAt("/opt/bin/tool"))
	testJudge(t, executablesOwnedByRoot, append([]judgedRow{
		{name: "root's", profile: p, facts: none, want: "pass roots"},
		{name: "another user's", profile: p, facts: with(func(f *node.StoredExecutable) { f.UID = 1000 }), want: "fail not-roots", items: []string{"/opt/bin/tool sha256:" + someDigest + " (user 1000)"}},
		{name: "another group may write it", profile: p, facts: with(func(f *node.StoredExecutable) { f.GID, f.Mode = 999, 0o775 }), want: "fail not-roots", items: []string{"/opt/bin/tool sha256:" + someDigest + " (group 999 may write it)"}},
		{name: "another group may run it", profile: p, facts: with(func(f *node.StoredExecutable) { f.GID = 999 }), want: "pass roots"},
		{name: "root's group may write it", profile: p, facts: with(func(f *node.StoredExecutable) { f.Mode = 0o775 }), want: "pass roots"},
		{name: "an undeclared one is another check's", facts: with(func(f *node.StoredExecutable) { f.UID = 1000 }), want: "pass roots"},
	}, unreadStorage(none)...))
}

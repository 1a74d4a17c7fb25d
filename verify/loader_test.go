package verify

import (
	"testing"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

func loading(l node.Loader, gaps ...node.Gap) node.Facts {
	return withFact(withFact(onHost(), node.Mounts, storageMounts), node.LoaderState, l, gaps...)
}

func variable(name string, values ...string) node.Loader {
	return node.Loader{PreloadFile: "absent", Variables: []node.LoaderVariable{{Program: "/usr/bin/sshd", Name: name, Values: values}}}
}

var (
	fileGap        = node.Gap{What: "/etc/ld.so.preload", Code: node.Denied, Reason: "reading /etc/ld.so.preload: permission denied", Part: "preload"}
	environmentGap = node.Gap{What: "environments of host processes", Code: node.Denied, Reason: "reading /proc/<pid>/environ: permission denied", Part: "variables", Count: 2, Of: 30}
)

func TestNoPreload(t *testing.T) {
	none := node.Loader{PreloadFile: "absent"}
	file := node.Loader{PreloadFile: "present", Preload: []string{"/lib/libprocesshider.so"}}
	declared := inventoryProfile(func(i *profiles.Inventory) {
		i.Libraries = []profiles.Place{{Path: "/lib/libprocesshider.so"}, {Path: "/a.so"}}
	})
	testJudge(t, noPreload, []judgedRow{
		{name: "neither", facts: loading(none), want: "pass none"},
		{name: "an empty file", facts: loading(node.Loader{PreloadFile: "present"}), want: "pass none"},
		{name: "a rootkit", facts: loading(file), want: "fail preload", items: []string{"/etc/ld.so.preload: /lib/libprocesshider.so"}},
		{name: "LD_PRELOAD", facts: loading(variable("LD_PRELOAD", "/a.so", "/b.so")), want: "fail preload", items: []string{"/usr/bin/sshd: LD_PRELOAD=/a.so:/b.so"}},
		{name: "LD_AUDIT", facts: loading(variable("LD_AUDIT", "/a.so")), want: "fail preload"},
		{name: "what is withheld is a library too", facts: loading(variable("LD_PRELOAD", "<withheld>")), want: "fail preload", items: []string{"/usr/bin/sshd: LD_PRELOAD=<withheld>"}},
		{name: "LD_LIBRARY_PATH is another check's", facts: loading(variable("LD_LIBRARY_PATH", "/opt/lib")), want: "pass none"},
		{name: "declared in the file", profile: declared, facts: loading(file), want: "pass none"},
		{name: "declared in the environment", profile: declared, facts: loading(variable("LD_PRELOAD", "/a.so")), want: "pass none"},
		{name: "one of two is declared", profile: declared, facts: loading(variable("LD_PRELOAD", "/a.so", "/b.so")), want: "fail preload"},
		{name: "zero value", facts: loading(node.Loader{}), want: "unknown unread"},
		{name: "a file that was not read", facts: loading(node.Loader{PreloadFile: "unknown"}, fileGap), want: "unknown gap-denied"},
		{name: "a file that was not read, and a variable", facts: loading(func() node.Loader { l := variable("LD_PRELOAD", "/a.so"); l.PreloadFile = "unknown"; return l }(), fileGap), want: "fail preload"},
		{name: "environments that were not read", facts: loading(none, environmentGap), want: "unknown gap-denied"},
		{name: "in a sandbox", facts: withFact(inSandbox(), node.LoaderState, none), want: "unknown part-of-machine"},
		{name: "fact missing", facts: lacking(onHost(), node.LoaderState, node.Denied, "permission denied"), want: "unknown fact-denied"},
	})
}

func TestLibraryPathsFromImage(t *testing.T) {
	none := node.Loader{PreloadFile: "absent"}
	testJudge(t, libraryPathsFromImage, []judgedRow{
		{name: "none", facts: loading(none), want: "pass from-image"},
		{name: "a folder of the image", facts: loading(variable("LD_LIBRARY_PATH", "/usr/lib64/x")), want: "pass from-image"},
		{name: "a folder of the image by the link /lib64", facts: loading(variable("LD_LIBRARY_PATH", "/lib64")), want: "pass from-image"},
		{name: "a folder of the image, written with a slash at its end", facts: loading(variable("LD_LIBRARY_PATH", "/usr/lib64/")), want: "pass from-image"},
		{name: "something writable on /lib64, which is no link then", facts: withFact(loading(variable("LD_LIBRARY_PATH", "/lib64")), node.Mounts, append(storageMounts[:len(storageMounts):len(storageMounts)], mountedWith("/lib64"))), want: "fail outside-image"},
		{name: "a folder beside the links of the merged /usr", facts: loading(variable("LD_LIBRARY_PATH", "/lib-of-mine")), want: "fail outside-image"},
		{name: "a way out of the image", facts: loading(variable("LD_LIBRARY_PATH", "/usr/lib64/../../opt/lib")), want: "fail outside-image"},
		{name: "/usr/local, a link to /var on Fedora CoreOS", facts: loading(variable("LD_LIBRARY_PATH", "/usr/local/lib")), want: "fail outside-image"},
		{name: "/opt", facts: loading(variable("LD_LIBRARY_PATH", "/usr/lib64", "/opt/lib")), want: "fail outside-image", items: []string{"/usr/bin/sshd: LD_LIBRARY_PATH=/usr/lib64:/opt/lib"}},
		{name: "a relative folder", facts: loading(variable("LD_LIBRARY_PATH", "<withheld>")), want: "fail outside-image"},
		{name: "beside the program", facts: loading(variable("LD_LIBRARY_PATH", "$ORIGIN/../lib")), want: "fail outside-image"},
		{name: "a declared folder", profile: inventoryProfile(func(i *profiles.Inventory) { i.Libraries = []profiles.Place{{Path: "/opt/lib"}} }), facts: loading(variable("LD_LIBRARY_PATH", "/opt/lib")), want: "pass from-image"},
		{name: "LD_PRELOAD is another check's", facts: loading(variable("LD_PRELOAD", "/opt/x.so")), want: "pass from-image"},
		{name: "a file that was not read says nothing of folders", facts: loading(node.Loader{PreloadFile: "unknown"}, fileGap), want: "pass from-image"},
		{name: "environments that were not read", facts: loading(none, environmentGap), want: "unknown gap-denied"},
		{name: "zero value", facts: loading(node.Loader{}), want: "unknown unread"},
		{name: "mounts missing", facts: lacking(loading(none), node.Mounts, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "in a sandbox", facts: withFact(loading(none), node.OS, node.System{Init: "sandboxd", PIDNamespace: "other"}), want: "unknown part-of-machine"},
	})
}

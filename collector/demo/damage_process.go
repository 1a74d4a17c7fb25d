package demo

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
)

const (
	// labFlatcar has process 1 and three more, all from /usr; its root is writable.
	labFlatcar = "recorded-lab-flatcar"
	// labProcess of it runs the program that recorded it.
	labProcess = "proc/267"
	// labRootMount is the number of its mount of /.
	labRootMount = 31
	labRootDev   = "254:16"
)

// storedProgram is an executable on storage that can be written.
type storedProgram struct {
	path, content string
	mode, uid     uint32
	caps          string // the attribute security.capability
}

// aKubelet is where Flatcar has it.
var aKubelet = storedProgram{path: "opt/bin/kubelet", content: "\x7fELF the kubelet", mode: 0o755, caps: noCapabilities}

// Attributes as setcap(8) writes them: struct vfs_cap_data.
const (
	noCapabilities = "\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	capSetuid      = "\x01\x00\x00\x02\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
)

// executableFolders are the folders in which executables are looked for.
var executableFolders = []string{
	"dev/shm", "etc", "home", "opt", "root", "run", "tmp", "usr/libexec/kubernetes", "usr/local", "var/home", "var/lib", "var/lib/cloud", "var/opt",
	"var/roothome", "var/tmp", "var/usrlocal",
}

// storePrograms puts on a tape that these executables are on storage that can be written,
// and no others.
func storePrograms(files ...storedProgram) func(*capture.Tape) {
	return func(t *capture.Tape) {
		t.Absent(executableFolders...)
		folders := map[string][]node.DirEntry{"etc": {}, "opt": {}, "run": {}, "tmp": {}}
		for _, f := range files {
			entry := node.DirEntry{Name: path.Base(f.path), Type: node.Regular}
			for dir := path.Dir(f.path); dir != "."; dir = path.Dir(dir) {
				if !slices.Contains(folders[dir], entry) {
					folders[dir] = append(folders[dir], entry)
				}
				entry = node.DirEntry{Name: path.Base(dir), Type: node.Directory}
			}
			sum := sha256.Sum256([]byte(f.content))
			t.Info(f.path, node.FileInfo{Type: node.Regular, Mode: f.mode, UID: f.uid, Size: int64(len(f.content)), Dev: labRootDev, Ino: 7})
			t.Digest(f.path, hex.EncodeToString(sum[:]))
			t.Head(f.path, f.content[:node.MaxHead])
			t.Attribute(f.path, "security.capability", f.caps)
		}
		for dir, entries := range folders {
			slices.SortFunc(entries, func(a, b node.DirEntry) int { return strings.Compare(a.Name, b.Name) })
			t.Dir(dir, entries...)
		}
	}
}

// eachProcess puts a file of every process that is on the tape with its executable.
func eachProcess(t *capture.Tape, name, content string) {
	for _, e := range t.Exchanges() {
		if m := executableLink.FindStringSubmatch(e.What); m != nil && e.Op == "readlink" && e.Err == nil {
			t.Content(m[1]+"/"+name, content)
		}
	}
}

var executableLink = regexp.MustCompile(`^/(proc/[0-9]+)/exe$`)

// mapImage has every process map one library of the image.
func mapImage(t *capture.Tape) {
	eachProcess(t, "maps", "0-0 r-xp 0 fd:00 12 /usr/lib/libc.so.6\n")
}

// mapMore has one process map something else as well.
func mapMore(line string) func(*capture.Tape) {
	return func(t *capture.Tape) {
		t.Content(labProcess+"/maps", "0-0 r-xp 0 fd:00 12 /usr/lib/libc.so.6\n"+line+"\n")
	}
}

// quietLoader has nothing that tells the loader to load other libraries.
func quietLoader(t *capture.Tape) {
	t.Absent("etc/ld.so.preload")
	eachProcess(t, "environ", "")
}

// runsFromRoot has one process run this executable from the root file system.
func runsFromRoot(exe string) func(*capture.Tape) {
	return func(t *capture.Tape) {
		t.Link(labProcess+"/exe", exe)
		t.Answer(node.Question{Kind: node.AskExe, Of: labProcess}, node.Executable{Mount: labRootMount, Dev: labRootDev})
	}
}

var processDamages = []Damage{
	{
		Check: "processes-from-image", Node: labFlatcar, What: "a miner was started from /var/tmp",
		Do: runsFromRoot("/var/tmp/kworker"),
	},
	{
		Check: "no-deleted-executables", Node: labFlatcar, What: "a program deleted itself after it was started",
		Do: runsFromRoot("/opt/bin/agent (deleted)"),
	},
	{
		Check: "no-scripts-from-writable-storage", Node: labFlatcar, What: "bash runs a script that somebody left in /home",
		Do: func(t *capture.Tape) {
			t.Link(labProcess+"/exe", "/usr/bin/bash")
			t.Content(labProcess+"/cmdline", "bash\x00/home/core/.update.sh\x00")
			t.Link(labProcess+"/root", "/")
			t.Absent("home")
		},
	},
	{
		Check: "writable-executables-declared", Node: labFlatcar, What: "a program was put beside the kubelet",
		Sound: storePrograms(aKubelet),
		Do:    storePrograms(aKubelet, storedProgram{path: "opt/bin/kubelet-helper", content: "\x7fELF a back door", mode: 0o755, caps: noCapabilities}),
	},
	{
		Check: "no-setuid-on-writable-storage", Node: labFlatcar, What: "a copy of a shell got a setuid bit",
		Sound: storePrograms(aKubelet),
		Do:    storePrograms(aKubelet, storedProgram{path: "opt/.sh", content: "\x7fELF a shell", mode: 0o4755, caps: noCapabilities}),
	},
	{
		Check: "no-file-capabilities-on-writable-storage", Node: labFlatcar, What: "a copy of python got cap_setuid",
		Sound: storePrograms(aKubelet),
		Do:    storePrograms(aKubelet, storedProgram{path: "opt/.python3", content: "\x7fELF python", mode: 0o755, caps: capSetuid}),
	},
	{
		Check: "no-world-writable-executables", Node: labFlatcar, What: "everybody may write the kubelet",
		Sound: storePrograms(aKubelet),
		Do:    storePrograms(storedProgram{path: aKubelet.path, content: aKubelet.content, mode: 0o777, caps: noCapabilities}),
	},
	{
		Check: "declared-executables-owned-by-root", Node: labFlatcar, What: "the kubelet belongs to the user core",
		Sound: storePrograms(aKubelet),
		Do:    storePrograms(storedProgram{path: aKubelet.path, content: aKubelet.content, mode: 0o755, uid: 500, caps: noCapabilities}),
	},
	{
		Check: "mappings-from-image", Node: labFlatcar, What: "a service loads a library from /opt",
		Sound: mapImage,
		Do:    mapMore("0-0 r-xp 0 fe:10 99 /opt/lib/plugin.so"),
	},
	{
		Check: "no-deleted-libraries", Node: labFlatcar, What: "a library was deleted after it was loaded",
		Sound: mapImage,
		Do:    mapMore("0-0 r-xp 0 fe:10 99 /var/tmp/x.so (deleted)"),
	},
	{
		Check: "no-memory-mappings", Node: labFlatcar, What: "code was injected through a file in memory",
		Sound: mapImage,
		Do:    mapMore("0-0 rwxs 0 00:01 99 /memfd:x (deleted)"),
	},
	{
		Check: "no-preload", Node: labFlatcar, What: "a rootkit stands in /etc/ld.so.preload",
		Sound: quietLoader,
		Do:    func(t *capture.Tape) { t.Content("etc/ld.so.preload", "/lib/libprocesshider.so\n") },
	},
	{
		Check: "library-paths-from-image", Node: labFlatcar, What: "a service looks for libraries in /opt first",
		Sound: quietLoader,
		Do: func(t *capture.Tape) {
			t.Content(labProcess+"/environ", "LD_LIBRARY_PATH=/opt/lib\x00")
		},
	},
}

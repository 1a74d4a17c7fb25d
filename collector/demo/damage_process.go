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
	// flatcarNode has process 1 and three more, all from /usr; its root is writable.
	flatcarNode = "recorded-lab-flatcar"
	// aProcess of it runs the program that recorded it.
	aProcess = "proc/267"
	// rootMount is the number of its mount of /.
	rootMount = 31
	rootDev   = "254:16"
)

// stored is an executable on storage that can be written.
type stored struct {
	path, content string
	mode, uid     uint32
	caps          string // the attribute security.capability
}

// aKubelet is where Flatcar has it.
var aKubelet = stored{path: "opt/bin/kubelet", content: "\x7fELF the kubelet", mode: 0o755, caps: noCapabilities}

// Attributes as setcap(8) writes them: struct vfs_cap_data.
const (
	noCapabilities = "\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	capSetuid      = "\x01\x00\x00\x02\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
)

// searched are the folders in which executables are looked for.
var searched = []string{
	"dev/shm", "etc", "home", "opt", "root", "run", "tmp", "usr/libexec/kubernetes", "usr/local", "var/home", "var/lib", "var/lib/cloud", "var/opt",
	"var/roothome", "var/tmp", "var/usrlocal",
}

// store puts on a tape that these executables are on storage that can be written,
// and no others.
func store(files ...stored) func(*capture.Tape) {
	return func(t *capture.Tape) {
		t.Absent(searched...)
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
			t.Info(f.path, node.FileInfo{Type: node.Regular, Mode: f.mode, UID: f.uid, Size: int64(len(f.content)), Dev: rootDev, Ino: 7})
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

// each puts a file of every process that is on the tape with its executable.
func each(t *capture.Tape, name, content string) {
	for _, e := range t.Exchanges() {
		if m := executableLink.FindStringSubmatch(e.What); m != nil && e.Op == "readlink" && e.Err == nil {
			t.Content(m[1]+"/"+name, content)
		}
	}
}

var executableLink = regexp.MustCompile(`^/(proc/[0-9]+)/exe$`)

// mapImage has every process map one library of the image.
func mapImage(t *capture.Tape) {
	each(t, "maps", "0-0 r-xp 0 fd:00 12 /usr/lib/libc.so.6\n")
}

// mapMore has one process map something else as well.
func mapMore(line string) func(*capture.Tape) {
	return func(t *capture.Tape) {
		t.Content(aProcess+"/maps", "0-0 r-xp 0 fd:00 12 /usr/lib/libc.so.6\n"+line+"\n")
	}
}

// quietLoader has nothing that tells the loader to load other libraries.
func quietLoader(t *capture.Tape) {
	t.Absent("etc/ld.so.preload")
	each(t, "environ", "")
}

// runs has one process run this executable from the root file system.
func runs(exe string) func(*capture.Tape) {
	return func(t *capture.Tape) {
		t.Link(aProcess+"/exe", exe)
		t.Answer(node.Question{Kind: node.AskExe, Of: aProcess}, node.Executable{Mount: rootMount, Dev: rootDev})
	}
}

var processDamages = []Damage{
	{
		Check: "processes-from-image", Node: flatcarNode, What: "a miner was started from /var/tmp",
		Do: runs("/var/tmp/kworker"),
	},
	{
		Check: "no-deleted-executables", Node: flatcarNode, What: "a program deleted itself after it was started",
		Do: runs("/opt/bin/agent (deleted)"),
	},
	{
		Check: "no-scripts-from-writable-storage", Node: flatcarNode, What: "bash runs a script that somebody left in /home",
		Do: func(t *capture.Tape) {
			t.Link(aProcess+"/exe", "/usr/bin/bash")
			t.Content(aProcess+"/cmdline", "bash\x00/home/core/.update.sh\x00")
			t.Link(aProcess+"/root", "/")
			t.Absent("home")
		},
	},
	{
		Check: "writable-executables-declared", Node: flatcarNode, What: "a program was put beside the kubelet",
		Sound: store(aKubelet),
		Do:    store(aKubelet, stored{path: "opt/bin/kubelet-helper", content: "\x7fELF a back door", mode: 0o755, caps: noCapabilities}),
	},
	{
		Check: "no-setuid-on-writable-storage", Node: flatcarNode, What: "a copy of a shell got a setuid bit",
		Sound: store(aKubelet),
		Do:    store(aKubelet, stored{path: "opt/.sh", content: "\x7fELF a shell", mode: 0o4755, caps: noCapabilities}),
	},
	{
		Check: "no-file-capabilities-on-writable-storage", Node: flatcarNode, What: "a copy of python got cap_setuid",
		Sound: store(aKubelet),
		Do:    store(aKubelet, stored{path: "opt/.python3", content: "\x7fELF python", mode: 0o755, caps: capSetuid}),
	},
	{
		Check: "no-world-writable-executables", Node: flatcarNode, What: "everybody may write the kubelet",
		Sound: store(aKubelet),
		Do:    store(stored{path: aKubelet.path, content: aKubelet.content, mode: 0o777, caps: noCapabilities}),
	},
	{
		Check: "declared-executables-owned-by-root", Node: flatcarNode, What: "the kubelet belongs to the user core",
		Sound: store(aKubelet),
		Do:    store(stored{path: aKubelet.path, content: aKubelet.content, mode: 0o755, uid: 500, caps: noCapabilities}),
	},
	{
		Check: "mappings-from-image", Node: flatcarNode, What: "a service loads a library from /opt",
		Sound: mapImage,
		Do:    mapMore("0-0 r-xp 0 fe:10 99 /opt/lib/plugin.so"),
	},
	{
		Check: "no-deleted-libraries", Node: flatcarNode, What: "a library was deleted after it was loaded",
		Sound: mapImage,
		Do:    mapMore("0-0 r-xp 0 fe:10 99 /var/tmp/x.so (deleted)"),
	},
	{
		Check: "no-memory-mappings", Node: flatcarNode, What: "code was injected through a file in memory",
		Sound: mapImage,
		Do:    mapMore("0-0 rwxs 0 00:01 99 /memfd:x (deleted)"),
	},
	{
		Check: "no-preload", Node: flatcarNode, What: "a rootkit stands in /etc/ld.so.preload",
		Sound: quietLoader,
		Do:    func(t *capture.Tape) { t.Content("etc/ld.so.preload", "/lib/libprocesshider.so\n") },
	},
	{
		Check: "library-paths-from-image", Node: flatcarNode, What: "a service looks for libraries in /opt first",
		Sound: quietLoader,
		Do: func(t *capture.Tape) {
			t.Content(aProcess+"/environ", "LD_LIBRARY_PATH=/opt/lib\x00")
		},
	},
}

package demo

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
)

var imageDamages = []Damage{{
	Check: "image-read-only", Node: "composed-talos", What: "the root was remounted writable",
	Do: change("proc/1/mountinfo", "/ / ro,relatime - squashfs /dev/loop0 ro,", "/ / rw,relatime - ext4 /dev/loop0 rw,"),
}, {
	Check: "image-unwritable", Node: "composed-flatcar", What: "an overlay with an upper directory was mounted over /usr",
	Do: mounted("200 73 0:60 / /usr rw,relatime - overlay overlay rw,lowerdir=/usr,upperdir=/var/u,workdir=/var/w"),
}, {
	Check: "image-verified", Node: "recorded-lab-cos", What: "a block that does not match its hash was read",
	Do: verityTable(func(d *node.DMTable) { d.Targets[0].Status = "C" }),
}, {
	Check: "image-content-intact", Node: "recorded-lab-cos", What: "a block was overwritten on the disk, and nobody has read it since",
	Sound: rereadImage(func(*node.DeepDevice) {}),
	Do: rereadImage(func(d *node.DeepDevice) {
		d.Read = d.DataBlocks / 2
		d.Bad = &node.BadBlock{Of: node.BadData, Block: d.Read, Device: "vda", Offset: d.Read * int64(d.DataBlockSize), Wanted: strings.Repeat("ab", 32), Computed: strings.Repeat("cd", 32)}
	}),
}, {
	Check: "image-anchored", Node: "composed-talos", What: "Secure Boot was switched off",
	Sound: all(secureBoot, put("sys/kernel/security/lockdown", "none [integrity] confidentiality\n")),
	Do:    put(efivar+"SecureBoot"+efiVendor, "\x06\x00\x00\x00\x00"),
}, {
	Check: "no-shadowed-paths", Node: "composed-flatcar", What: "a folder in memory was mounted over the kubelet's volume plugins",
	Do: mounted("200 73 0:60 / /usr/libexec/kubernetes rw,relatime - tmpfs tmpfs rw"),
}, {
	Check: "mount-namespaces-agree", Node: "recorded-lab-cos", What: "one process was given a writable /usr",
	Do: func(t *capture.Tape) {
		t.Link("proc/245/ns/mnt", "mnt:[4026532999]")
		t.Content("proc/245/mountinfo", "500 1 253:0 / / ro,relatime - erofs /dev/dm-0 ro,user_xattr,acl,cache_strategy=readaround\n"+
			"501 500 0:60 / /usr rw,relatime - overlay overlay rw,lowerdir=/usr,upperdir=/var/u,workdir=/var/w\n")
		t.Link("proc/245/root", "/")
	},
}, {
	Check: "cmdline-matches-mapping", Node: "composed-flatcar", What: "another root hash was put on the command line",
	Do: change("proc/cmdline", " usrhash=3563", " usrhash=0563"),
}, {
	Check: "image-unmodified", Node: "recorded-lab-cos", What: "developer features were unlocked",
	Do: change("proc/cmdline", "module.sig_enforce=1", "module.sig_enforce=1 cros_debug"),
}, {
	Check: "no-undeclared-writable-exec", Node: "recorded-lab-cos", What: "a disk was mounted on a folder that nobody declared, without noexec",
	Do: mounted("90 31 254:32 / /data rw,relatime - ext4 /dev/vdc rw"),
}, {
	Check: "extensions-declared", Node: "recorded-lab-flatcar", What: "an extension was laid on the disk",
	Sound: func(t *capture.Tape) { // containerd of the image, by a link into /usr
		withoutExtensions(t)
		t.Dir("etc/extensions", node.DirEntry{Name: "containerd-flatcar.raw", Type: node.Symlink})
		plain(t, "etc")
		extension(t, "etc/extensions/containerd-flatcar.raw", "usr/share/flatcar/sysext/containerd-flatcar.raw", "containerd-flatcar")
	},
	Do: func(t *capture.Tape) {
		t.Dir("var/lib/extensions", node.DirEntry{Name: "rootkit.raw", Type: node.Regular})
		plain(t, "var", "var/lib")
		extension(t, "var/lib/extensions/rootkit.raw", "", "rootkit")
	},
}, {
	Check: "etc-as-shipped", Node: "recorded-lab-flatcar", What: "a file was added to /etc/profile.d",
	Sound: func(t *capture.Tape) {
		t.Absent("usr/etc")
		for _, root := range []string{"usr/share/flatcar/etc", "etc"} {
			t.Dir(root, node.DirEntry{Name: "profile.d", Type: node.Directory}, node.DirEntry{Name: "shells", Type: node.Regular})
			t.Dir(root+"/profile.d", node.DirEntry{Name: "flatcar.sh", Type: node.Regular})
			for _, file := range []string{"/shells", "/profile.d/flatcar.sh"} {
				t.Info(root+file, node.FileInfo{Type: node.Regular, Mode: 0o644, Size: 20, Dev: "0:1"})
				t.Digest(root+file, strings.Repeat("5e", 32))
			}
		}
	},
	Do: func(t *capture.Tape) {
		t.Dir("etc/profile.d", node.DirEntry{Name: "a.sh", Type: node.Regular}, node.DirEntry{Name: "flatcar.sh", Type: node.Regular})
	},
}, {
	Check: "writable-mounts-restricted", Node: "recorded-lab-cos", What: "/var was remounted so that setuid programs count",
	Sound: mounted(
		"90 26 0:61 / /dev/shm rw,nosuid,nodev,noexec - tmpfs tmpfs rw",
		"91 31 254:16 /home /home rw,nosuid,nodev,noexec,relatime - ext4 /dev/vdb rw",
		"92 31 254:16 / /mnt/stateful_partition rw,nosuid,nodev,noexec,relatime - ext4 /dev/vdb rw"),
	Do: change("proc/1/mountinfo", "/var /var rw,nosuid,nodev,noexec,relatime", "/var /var rw,nodev,relatime"),
}}

// all puts one after the other.
func all(edits ...func(*capture.Tape)) func(*capture.Tape) {
	return func(t *capture.Tape) {
		for _, edit := range edits {
			edit(t)
		}
	}
}

// read is what a file on the tape holds. It panics where the tape has none: a
// damage is data, and this one would do nothing.
func read(t *capture.Tape, name string) string {
	b, err := t.Host().ReadFile(name, 1<<20)
	if err != nil {
		panic(fmt.Sprintf("reading %s off a tape to damage it: %v", name, err))
	}
	return string(b)
}

// put puts a file of the kernel's.
func put(name, content string) func(*capture.Tape) {
	return func(t *capture.Tape) { t.Content(name, content) }
}

// change changes the one place of a file where old stands.
func change(name, old, new string) func(*capture.Tape) {
	return func(t *capture.Tape) {
		text := read(t, name)
		if n := strings.Count(text, old); n != 1 {
			panic(fmt.Sprintf("damaging %s: %q stands there %d times", name, old, n))
		}
		t.Content(name, strings.Replace(text, old, new, 1))
	}
}

// mounted adds lines to the mount table of process 1.
func mounted(lines ...string) func(*capture.Tape) {
	return func(t *capture.Tape) {
		t.Content("proc/1/mountinfo", read(t, "proc/1/mountinfo")+strings.Join(lines, "\n")+"\n")
	}
}

// verityTable changes the first device-mapper table.
func verityTable(edit func(*node.DMTable)) func(*capture.Tape) {
	return func(t *capture.Tape) {
		q := node.Question{Kind: node.AskDM}
		b, err := t.Host().Kernel.Ask(q)
		if err != nil {
			panic(fmt.Sprintf("reading the device-mapper tables off a tape: %v", err))
		}
		var tables []node.DMTable
		if err := json.Unmarshal(b, &tables); err != nil || len(tables) == 0 {
			panic(fmt.Sprintf("reading the device-mapper tables off a tape: %d, %v", len(tables), err))
		}
		edit(&tables[0])
		t.Answer(q, tables)
	}
}

// rereadImage answers with what the first verity device came to when it was read
// again: whole, or as edit has it.
func rereadImage(edit func(*node.DeepDevice)) func(*capture.Tape) {
	return func(t *capture.Tape) {
		t.Answer(node.Question{Kind: node.AskDeep}, node.DeepAsked{Asked: "yes"})
		verityTable(func(table *node.DMTable) {
			v, err := node.ParseVerity(table.Targets[0].Params)
			if err != nil {
				panic(fmt.Sprintf("reading the device-mapper tables off a tape: %v", err))
			}
			d := node.DeepDevice{
				Algorithm: v.Algorithm, DataBlockSize: v.DataBlockSize, HashBlockSize: v.HashBlockSize,
				DataBlocks: v.DataBlocks, Read: v.DataBlocks, RootHash: v.RootHash, Computed: v.RootHash,
			}
			edit(&d)
			t.Answer(node.Question{Kind: node.AskDeepVerity, Of: table.Name}, d)
		})(t)
	}
}

const (
	efivar    = "sys/firmware/efi/efivars/"
	efiVendor = "-8be4df61-93ca-11d2-aa0d-00e098032b8c" // UEFI's global variables
)

// secureBoot makes the machine one that UEFI started with Secure Boot.
func secureBoot(t *capture.Tape) {
	t.Info("sys/firmware/efi", node.FileInfo{Type: node.Directory, Mode: 0o755, Dev: "0:1"})
	t.Content(efivar+"SecureBoot"+efiVendor, "\x06\x00\x00\x00\x01")
	t.Content(efivar+"SetupMode"+efiVendor, "\x06\x00\x00\x00\x00")
}

// plain puts folders whose content nobody asks for.
func plain(t *capture.Tape, names ...string) {
	for _, name := range names {
		t.Info(name, node.FileInfo{Type: node.Directory, Mode: 0o755, Dev: "0:1"})
	}
}

// withoutExtensions says that no folder of extensions is there.
func withoutExtensions(t *capture.Tape) {
	t.Absent("etc/extensions", "run/extensions", "var/lib/extensions", "usr/local/lib/extensions", "usr/lib/extensions",
		"run/confexts", "var/lib/confexts", "usr/local/lib/confexts", "usr/lib/confexts", "etc/extensions.yaml")
}

// extension puts an extension image, or a link to one of the image.
func extension(t *capture.Tape, name, leadsTo, called string) {
	file := name
	if leadsTo != "" {
		t.Link(name, "/"+leadsTo)
		file = leadsTo
		for dir := leadsTo; strings.Contains(dir, "/"); {
			dir = dir[:strings.LastIndex(dir, "/")]
			plain(t, dir)
		}
	}
	t.Info(file, node.FileInfo{Type: node.Regular, Mode: 0o644, Size: 4096, Dev: "0:1"})
	t.Digest(file, strings.Repeat("ab", 32))
	t.Absent("usr/lib/extension-release.d/extension-release." + called)
}

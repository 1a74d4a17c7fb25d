//go:build linux

package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Builder makes the disks of one guest.
type Builder struct {
	Ctx    context.Context
	Cache  *Cache
	Dir    string // for what is made
	Kernel Kernel
	Agent  string // the programs under test
	CLI    string
	Guest  string // process 1 of the guest
}

// Tree is a new tree of the guest's.
func (b *Builder) Tree(name string) *Tree { return NewTree(b.Ctx, filepath.Join(b.Dir, name)) }

func (b *Builder) path(name string) string { return filepath.Join(b.Dir, name) }

// Squashfs makes a squashfs of a tree that is not compressed, so that an attack
// finds what it looks for.
func (b *Builder) Squashfs(name string, t *Tree) (string, error) {
	if t.Err != nil {
		return "", t.Err
	}
	out := b.path(name)
	return out, run(b.Ctx, "mksquashfs", t.Dir, out, "-noappend", "-all-root", "-noI", "-noD", "-noF", "-noX", "-mkfs-time", "0", "-all-time", "0", "-quiet", "-no-progress")
}

// Erofs makes an erofs of a tree, not compressed.
func (b *Builder) Erofs(name string, t *Tree, options ...string) (string, error) {
	if t.Err != nil {
		return "", t.Err
	}
	out := b.path(name)
	return out, run(b.Ctx, "mkfs.erofs", append(append([]string{"--quiet", "-T0", "--all-root"}, options...), out, t.Dir)...)
}

// Ext4 makes an ext4 of this many MiB with the content of a tree, which may be
// nil.
func (b *Builder) Ext4(name, label string, size int64, t *Tree, options ...string) (string, error) {
	out := b.path(name)
	args := append([]string{"-q", "-F", "-L", label}, options...)
	if t != nil {
		if t.Err != nil {
			return "", t.Err
		}
		args = append(args, "-d", t.Dir)
	}
	if err := b.Blank(out, size); err != nil {
		return "", err
	}
	return out, run(b.Ctx, "mkfs.ext4", append(args, out)...)
}

// Blank makes a file of this many MiB without content.
func (b *Builder) Blank(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return first(f.Truncate(size<<20), f.Close())
}

// Verity is a file system image with its hash tree behind it.
type Verity struct {
	Path       string
	RootHash   string
	Salt       string
	DataBlocks int64 // of 4096 bytes
	HashStart  int64 // of the tree, in blocks of 4096 bytes from the start of the file
}

// verityUUID and veritySalt are the same in every image, so that equal content
// makes equal disks.
const verityUUID = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"

var veritySalt = strings.Repeat("ab", 32)

// Verity appends a hash tree with its superblock to an image.
func (b *Builder) Verity(path string) (Verity, error) { return b.verity(path, path) }

// VerityApart makes the hash tree of an image, with its superblock, in a file of
// its own.
func (b *Builder) VerityApart(path, tree string) (Verity, error) { return b.verity(path, tree) }

func (b *Builder) verity(path, tree string) (Verity, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Verity{}, err
	}
	v := Verity{Path: path, Salt: veritySalt, DataBlocks: (info.Size() + 4095) / 4096, HashStart: 1}
	if err := os.Truncate(path, v.DataBlocks*4096); err != nil {
		return Verity{}, err
	}
	offset := int64(0)
	if tree == path {
		offset = v.DataBlocks * 4096
		v.HashStart = v.DataBlocks + 1
	}
	out, err := output(b.Ctx, "veritysetup", "format", "--uuid="+verityUUID, "--salt="+veritySalt,
		"--data-blocks="+strconv.FormatInt(v.DataBlocks, 10), "--hash-offset="+strconv.FormatInt(offset, 10), path, tree)
	if err != nil {
		return Verity{}, err
	}
	for line := range strings.Lines(out) {
		if hash, ok := strings.CutPrefix(line, "Root hash:"); ok {
			v.RootHash = strings.TrimSpace(hash)
		}
	}
	if v.RootHash == "" {
		return v, fmt.Errorf("veritysetup said no root hash: %s", out)
	}
	return v, nil
}

// Table is the device-mapper table line of the image on a device, with optional
// arguments.
func (v Verity) Table(device string, args ...string) string {
	return v.TableApart(device, device, args...)
}

// TableApart is Table with the hash tree on a device of its own.
func (v Verity) TableApart(device, tree string, args ...string) string {
	table := fmt.Sprintf("0 %d verity 1 %s %s 4096 4096 %d %d sha256 %s %s", v.DataBlocks*8, device, tree, v.DataBlocks, v.HashStart, v.RootHash, v.Salt)
	if len(args) > 0 {
		table += fmt.Sprintf(" %d %s", len(args), strings.Join(args, " "))
	}
	return table
}

// bootModules are what every guest needs before it finds its disks.
var bootModules = []string{"virtio_pci", "virtio_blk"}

// Initramfs makes an initramfs with the guest program as /init, the tools that
// shapes are set up with, and the modules.
func (b *Builder) Initramfs(name string, more func(*Tree), modules ...string) (string, error) {
	t := b.Tree(name+".tree").Merged().Mkdir("proc", "sys", "dev", "run", "tmp", "etc", "newroot")
	t.Busybox(busyboxTools...).Program("/sbin/dmsetup", "usr/sbin").Program("/sbin/veritysetup", "usr/sbin").Copy(b.Guest, "init", 0o755)
	order := t.Modules(b.Kernel, "usr/lib/modules/ko", append(bootModules, modules...)...)
	t.File("usr/lib/modules/load", 0o644, strings.Join(order, "\n")+"\n")
	if more != nil {
		more(t)
	}
	if t.Err != nil {
		return "", t.Err
	}
	return b.archive(name, t)
}

// archive makes an initramfs of a tree.
func (b *Builder) archive(name string, t *Tree) (string, error) {
	out := b.path(name)
	return out, run(b.Ctx, "sh", "-c", `cd "$1" && find . | LC_ALL=C sort | cpio -o -H newc --quiet >"$2"`, "sh", t.Dir, out)
}

// btrfsUUID is that of every btrfs.
const btrfsUUID = "bbbbbbbb-cccc-4ddd-8eee-ffffffffffff"

// btrfsScript fills a btrfs that is mounted where only it sees it: the writable
// subvolumes, and the tree as a snapshot that is the default and read-only.
const btrfsScript = `
image=$1 at=$2 tree=$3 snapshot=$4; shift 4
mount -o loop "$image" "$at"
cd "$at"
btrfs subvolume create @
for s; do mkdir -p "$(dirname "@/$s")"; btrfs subvolume create "@/$s"; done
mkdir -p "${snapshot%/*}"
btrfs subvolume create "$snapshot"
cp -a "$tree/." "$snapshot/"
btrfs property set -ts "$snapshot" ro true
btrfs subvolume set-default "$snapshot"
cd /
umount "$at"
`

// Btrfs makes a btrfs of this many MiB with a tree as its default subvolume, a
// read-only snapshot, beside writable subvolumes of "@".
func (b *Builder) Btrfs(name string, size int64, t *Tree, subvolumes []string) (string, error) {
	if t.Err != nil {
		return "", t.Err
	}
	out, at := b.path(name), b.path(name+".mounted")
	if err := first(b.Blank(out, size), os.MkdirAll(at, 0o755), run(b.Ctx, "mkfs.btrfs", "-q", "-f", "-U", btrfsUUID, out)); err != nil {
		return "", err
	}
	args := []string{"-m", "--propagation", "private", "sh", "-e", "-c", btrfsScript, "sh", out, at, t.Dir, snapshot}
	return out, run(b.Ctx, "unshare", append(args, subvolumes...)...)
}

// Appended makes an initramfs that has the files of a tree beside those of
// another, since the kernel unpacks all archives that it finds in one.
func (b *Builder) Appended(name, initrd string, t *Tree) (string, error) {
	if t.Err != nil {
		return "", t.Err
	}
	more, err := b.archive(name+".more", t)
	if err != nil {
		return "", err
	}
	out := b.path(name)
	return out, run(b.Ctx, "sh", "-c", `cat "$1" "$2" >"$3"`, "sh", initrd, more, out)
}

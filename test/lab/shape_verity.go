//go:build linux

package lab

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// verityCreate has the kernel's dm-mod.create= on its command line, as
// Container-Optimized OS and Bottlerocket do. Debian's kernels are built without
// CONFIG_DM_INIT: the initramfs sets up the same words.
var verityCreate = Shape{
	Name:    "verity-create",
	Like:    "Container-Optimized OS, Bottlerocket",
	What:    "erofs on dm-verity, set up from dm-mod.create= on the kernel command line",
	Series:  "6.12",
	Modules: verityCreateModules,
	Build:   buildVerityCreate,
	Boot:    bootVerityCreate,
	Up:      upStateful,
	Profile: "cos",
	Level:   3,
}

var verityCreateModules = []string{"dm-verity", "erofs", "overlay", "loop"}

var cosSystem = System{ID: "cos", Name: "Container-Optimized OS", Version: "1", More: "BUILD_ID=1.0.0\n"}

func buildVerityCreate(b *Builder, options map[string]string) (Boot, error) {
	return buildCreate(b, options, unsignedModule)
}

// buildCreate makes an image with further modules.
func buildCreate(b *Builder, options map[string]string, modules ...string) (Boot, error) {
	t := b.Tree("root").Base(b, cosSystem, modules...).Copy(b.CLI, cliProgram, 0o755).Mkdir("mnt/stateful_partition", "mnt/disks", "usr/local/bin")
	image, err := b.Erofs("root.img", t)
	if err != nil {
		return Boot{}, err
	}
	v, err := b.Verity(image)
	if err != nil {
		return Boot{}, err
	}
	data, err := b.Ext4("data.img", "STATE", 64, b.Tree("state").Mkdir("var/lib", "var/log", "home"))
	if err != nil {
		return Boot{}, err
	}
	said, table := v, v.Table("/dev/vda", strings.Fields(options[tableArgs])...)
	boot := Boot{Disks: []Disk{{"root", image}, {"data", data}}}
	switch options[tableKind] {
	case "":
		boot.Cmdline = "dm-mod.create=\"vroot,,,ro," + table + "\""
	case "linear":
		boot, err = insteadOf(b, boot, v, fmt.Sprintf("0 %d linear /dev/vda 0", v.DataBlocks*8))
	case "other-hash":
		said.RootHash = strings.Repeat("0", len(v.RootHash))
		boot, err = insteadOf(b, boot, said, table)
	}
	boot.Cmdline += " root=/dev/dm-0 ro module.sig_enforce=1"
	return boot, err
}

// forgedTable is where an initramfs has what it sets up instead of what the
// command line says.
const forgedTable = "/etc/table"

// insteadOf boots with the table of one image on the command line and an initramfs
// that sets up another.
func insteadOf(b *Builder, boot Boot, said Verity, table string) (Boot, error) {
	var err error
	boot.Cmdline = "dm-mod.create=\"vroot,,,ro," + said.Table("/dev/vda") + "\""
	boot.Initrd, err = b.Initramfs("forged.img", func(t *Tree) { t.File(forgedTable, 0o644, table) }, verityCreateModules...)
	return boot, err
}

var createWords = regexp.MustCompile(`dm-mod\.create="?([^"]*)"`)

func bootVerityCreate(g *InGuest, at string) error {
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	words := createWords.FindSubmatch(cmdline)
	if words == nil {
		return fmt.Errorf("no dm-mod.create= in %q", cmdline)
	}
	concise := string(words[1])
	if table, err := os.ReadFile(forgedTable); err == nil {
		concise = "vroot,,,ro," + string(table)
	}
	if err := g.Quiet("dmsetup", "create", "--concise", concise); err != nil {
		return err
	}
	if err := g.Quiet("dmsetup", "mknodes"); err != nil {
		return err
	}
	return mount("/dev/dm-0", at, "erofs", unix.MS_RDONLY, "")
}

// upStateful mounts what Container-Optimized OS has on its stateful partition.
func upStateful(g *InGuest) error {
	const closed = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := mount(g.Disk("data"), "/mnt/stateful_partition", "ext4", closed, ""); err != nil {
		return err
	}
	for _, d := range []string{"/var", "/home"} {
		if err := first(
			unix.Mount("/mnt/stateful_partition"+d, d, "", unix.MS_BIND, ""),
			unix.Mount("", d, "", unix.MS_REMOUNT|unix.MS_BIND|closed, ""),
		); err != nil {
			return fmt.Errorf("binding %s: %w", d, err)
		}
	}
	return first(mount("tmpfs", "/tmp", "tmpfs", closed, "mode=1777"), etcOverlay("/tmp/.etc"), sharedMemory(), startedBySystemd())
}

// etcOverlay lays a writable overlay over /etc with its upper layer in a folder.
func etcOverlay(upper string) error {
	return overlay("/etc", "/etc", upper+"/upper", upper+"/work", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC)
}

func sharedMemory() error {
	return mount("tmpfs", "/dev/shm", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=1777")
}

// startedBySystemd makes what systemd makes when it starts (sd_booted(3)): our
// process 1 stands for it on systems that it runs.
func startedBySystemd() error { return os.MkdirAll("/run/systemd/system", 0o755) }

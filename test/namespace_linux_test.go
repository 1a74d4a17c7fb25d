package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/hostfs"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

// insideRoot names the environment variable that makes this test binary the
// process that is scanned: it enters the root that the variable names, which
// its parent's script has laid out, and prints a report of it.
const insideRoot = "SEAWORTHY_TEST_ROOT"

func TestMain(m *testing.M) {
	if root := os.Getenv(insideRoot); root != "" {
		if err := scanInside(root, os.Stdout); err != nil {
			fmt.Fprintf(os.Stderr, "scanning inside %s: %v\n", root, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if about := os.Getenv(benchNode); about != "" {
		if err := runNode(about, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintf(os.Stderr, "running the node %s: %v\n", about, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// ownMounts shows the mount table of this process as that of process 1, which
// is the machine's and has another.
type ownMounts struct{ node.FS }

func (o ownMounts) ReadFile(name string, max int64, redact func([]byte) []byte) ([]byte, error) {
	if name == "proc/1/mountinfo" {
		name = fmt.Sprintf("proc/%d/mountinfo", os.Getpid())
	}
	return o.FS.ReadFile(name, max, redact)
}

// scanInside makes root the process's / and scans it.
func scanInside(root string, out *os.File) error {
	if err := syscall.Chroot(root); err != nil {
		return err
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	host, err := hostfs.Machine("/")
	if err != nil {
		return err
	}
	host.FS = ownMounts{host.FS}
	at := time.Now()
	facts := node.Gather(context.Background(), host, at)
	all, _, err := profiles.Load()
	if err != nil {
		return err
	}
	profile, _ := verify.Detect(facts, all)
	return json.NewEncoder(out).Encode(verify.NewReport("test", verify.Checks(), facts, profile, at))
}

// scanRoot runs script in a mount namespace of its own, in which $root is the
// folder that becomes /, and scans what it laid out. The script has $work for
// scratch files; what it mounts goes with the namespace.
func scanRoot(t *testing.T, script string) verify.Report {
	t.Helper()
	work, err := os.MkdirTemp("", "root") // t.TempDir has the test's name in it, and overlay options part at commas
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(work) })
	root := filepath.Join(work, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-ec", prelude+script+epilogue)
	cmd.Env = append(os.Environ(), "root="+root, "work="+work, "self="+exe, insideRoot+"="+root)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("laying out and scanning the root: %v\n%s", err, stderr.String())
	}
	var r verify.Report
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatalf("reading the report: %v\n%.500s", err, stdout.String())
	}
	return r
}

// prelude makes a small system's tree in $work/tree.
const prelude = `
mount --make-rprivate /
tree=$work/tree
mkdir -p $tree/etc $tree/usr/bin $tree/usr/lib $tree/var $tree/run $tree/proc $tree/sys $tree/dev $tree/tmp $tree/opt $tree/sysroot
printf 'NAME="Test OS"\nID=testos\nVERSION_ID=1\n' >$tree/etc/os-release
echo a program >$tree/usr/bin/program
`

// epilogue mounts what every system has, and scans.
const epilogue = `
mount -t proc proc $root/proc
mount --rbind /sys $root/sys
mount --rbind /dev $root/dev
mount -t tmpfs -o nosuid,nodev,noexec tmpfs $root/run
exec $self -test.run='^$'
`

// Ways to lay out a root, to be followed by what the test changes.
const (
	squashfsRoot = `
mksquashfs $tree $work/image -noI -noD -noF -noX -quiet -no-progress >/dev/null
mount -t squashfs -o loop,ro $work/image $root
mount -t tmpfs tmpfs $root/var
mkdir $root/var/upper $root/var/work
mount -t overlay -o lowerdir=$root/etc,upperdir=$root/var/upper,workdir=$root/var/work overlay $root/etc
`
	erofsRoot = `
mkfs.erofs --quiet $work/image $tree 2>/dev/null >/dev/null || mkfs.erofs $work/image $tree >/dev/null
mount -t erofs -o loop,ro $work/image $root
mount -t tmpfs tmpfs $root/var
`
	ext4Root = `
truncate -s 16M $work/image
mkfs.ext4 -q -d $tree $work/image
mount -t ext4 -o loop,rw $work/image $root
`
	btrfsRoot = `
truncate -s 128M $work/image
mkfs.btrfs -q $work/image >/dev/null 2>&1
mkdir $work/top
mount -t btrfs -o loop $work/image $work/top
btrfs -q subvolume create $work/top/snapshot >/dev/null
cp -a $tree/. $work/top/snapshot/
btrfs property set $work/top/snapshot ro true
mount -t btrfs -o ro,subvol=/snapshot $(findmnt -no SOURCE $work/top | sed 's/\[.*//') $root
mount -t tmpfs tmpfs $root/var
`
)

// wantLevel is what a test of a root expects.
type wantLevel struct {
	number int
	// verdicts are those of the checks that the test is about.
	verdicts map[string]verify.Verdict
}

func TestRoots(t *testing.T) {
	needRoot(t)
	needPrograms(t, "mksquashfs", "mkfs.erofs", "mkfs.ext4", "mkfs.btrfs", "btrfs", "findmnt")
	const (
		pass = verify.Pass
		fail = verify.Fail
	)
	tests := []struct {
		name   string
		script string
		want   wantLevel
	}{
		{"squashfs with an overlay on /etc", squashfsRoot,
			wantLevel{2, map[string]verify.Verdict{"image-read-only": pass, "image-unwritable": pass, "no-shadowed-paths": pass}}},
		{"erofs", erofsRoot,
			wantLevel{2, map[string]verify.Verdict{"image-read-only": pass, "image-unwritable": pass, "no-shadowed-paths": pass}}},
		{"a bind mount of a writable folder over /usr/bin", squashfsRoot + `
mkdir $root/var/bin
mount --bind $root/var/bin $root/usr/bin
`, wantLevel{0, map[string]verify.Verdict{"no-shadowed-paths": fail}}},
		{"an overlay with an upper directory over /usr", squashfsRoot + `
mkdir $root/var/u $root/var/w
mount -t overlay -o lowerdir=$root/usr,upperdir=$root/var/u,workdir=$root/var/w overlay $root/usr
`, wantLevel{0, map[string]verify.Verdict{"no-shadowed-paths": fail}}},
		{"two mounts on /usr, the lower one writable", squashfsRoot + `
mount -t tmpfs tmpfs $root/usr
mount -t tmpfs -o ro tmpfs $root/usr
`, wantLevel{0, map[string]verify.Verdict{"no-shadowed-paths": fail}}},
		{"ext4 read-only", ext4Root + `
mount -o remount,ro $root
`, wantLevel{1, map[string]verify.Verdict{"image-read-only": pass}}},
		{"ext4 writable", ext4Root, wantLevel{0, map[string]verify.Verdict{"image-read-only": fail}}},
		{"ext4 read-only by the mount alone, a remount away from writable", ext4Root + `
mount --bind $root $root
mount -o remount,bind,ro $root
`, wantLevel{1, map[string]verify.Verdict{"image-read-only": pass}}},
		{"btrfs read-only subvolume, mounted read-only", btrfsRoot,
			wantLevel{1, map[string]verify.Verdict{"image-read-only": pass}}},
		{"btrfs read-only subvolume, remounted writable", btrfsRoot + `
mount -o remount,rw $root
`, wantLevel{0, map[string]verify.Verdict{"image-read-only": fail}}},
		{"btrfs subvolume made writable below a read-only mount", btrfsRoot + `
btrfs property set $work/top/snapshot ro false
`, wantLevel{0, map[string]verify.Verdict{"image-read-only": fail}}},
		{"an overlay of two images without an upper directory", `
mksquashfs $tree $work/image -noI -noD -noF -noX -quiet -no-progress >/dev/null
mkdir -p $work/more/usr/lib/extension $work/a $work/b
mksquashfs $work/more $work/image2 -quiet -no-progress >/dev/null
mount -t squashfs -o loop,ro $work/image $work/a
mount -t squashfs -o loop,ro $work/image2 $work/b
mount -t overlay -o ro,lowerdir=$work/b:$work/a overlay $root
umount -l $work/a
umount -l $work/b
mount -t tmpfs tmpfs $root/var
`, wantLevel{2, map[string]verify.Verdict{"image-read-only": pass}}},
		{"an overlay root with an upper directory", `
mksquashfs $tree $work/image -noI -noD -noF -noX -quiet -no-progress >/dev/null
mkdir -p $work/a $work/scratch
mount -t squashfs -o loop,ro $work/image $work/a
mount -t tmpfs tmpfs $work/scratch
mkdir $work/scratch/u $work/scratch/w
mount -t overlay -o lowerdir=$work/a,upperdir=$work/scratch/u,workdir=$work/scratch/w overlay $root
`, wantLevel{0, map[string]verify.Verdict{"image-read-only": fail}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := scanRoot(t, test.script)
			if r.Level.Number != test.want.number {
				t.Errorf("got level %d (%s), want %d", r.Level.Number, strings.Join(r.Level.Reasons, "; "), test.want.number)
			}
			for id, want := range test.want.verdicts {
				i := slices.IndexFunc(r.Findings, func(f verify.Finding) bool { return f.Check == id })
				if i < 0 {
					t.Errorf("no finding of %s", id)
					continue
				}
				if got := r.Findings[i]; got.Verdict != want {
					t.Errorf("%s: got %s (%s), want %s", id, got.Verdict, got.Reason, want)
				}
			}
		})
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: this test mounts file systems and needs root")
	}
}

func needPrograms(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("SKIPPED: this test needs %s: install squashfs-tools, erofs-utils, e2fsprogs, btrfs-progs and util-linux", name)
		}
	}
}

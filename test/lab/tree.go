//go:build linux

package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Tree is a file tree that becomes an image, with the first error of those who
// put things in it.
type Tree struct {
	Dir string
	Err error
	ctx context.Context
}

// NewTree is a tree in a new folder.
func NewTree(ctx context.Context, dir string) *Tree {
	return &Tree{Dir: dir, ctx: ctx, Err: os.MkdirAll(dir, 0o755)}
}

func (t *Tree) path(name string) string { return filepath.Join(t.Dir, name) }

func (t *Tree) do(f func() error) *Tree {
	if t.Err == nil {
		t.Err = f()
	}
	return t
}

// Mkdir makes folders.
func (t *Tree) Mkdir(names ...string) *Tree {
	for _, n := range names {
		t.do(func() error { return os.MkdirAll(t.path(n), 0o755) })
	}
	return t
}

// File writes a file.
func (t *Tree) File(name string, mode os.FileMode, content string) *Tree {
	return t.do(func() error {
		if err := os.MkdirAll(filepath.Dir(t.path(name)), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(t.path(name), []byte(content), mode); err != nil {
			return err
		}
		return os.Chmod(t.path(name), mode)
	})
}

// Append writes more at the end of a file.
func (t *Tree) Append(name, content string) *Tree {
	return t.do(func() error {
		f, err := os.OpenFile(t.path(name), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString(content)
		return first(err, f.Close())
	})
}

// Link makes a symbolic link.
func (t *Tree) Link(target, name string) *Tree {
	return t.do(func() error {
		if err := os.MkdirAll(filepath.Dir(t.path(name)), 0o755); err != nil {
			return err
		}
		return os.Symlink(target, t.path(name))
	})
}

// Copy copies a file of this machine, with what its links lead to.
func (t *Tree) Copy(from, name string, mode os.FileMode) *Tree {
	return t.do(func() error {
		b, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		return t.File(name, mode, string(b)).Err
	})
}

var libraries = regexp.MustCompile(`/\S+\.so\S*`)

// Program copies a program of this machine with the libraries that it loads. Its
// folder is "usr/bin" or "usr/sbin".
func (t *Tree) Program(from, folder string) *Tree {
	t.Copy(from, filepath.Join(folder, filepath.Base(from)), 0o755)
	return t.do(func() error { return t.libraries(from, nil) })
}

// libraries copies what a program loads. A program that was unpacked and not
// installed says in env where its libraries are.
func (t *Tree) libraries(program string, env []string) error {
	cmd := exec.CommandContext(t.ctx, "ldd", program)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if bytes.Contains(out, []byte("not a dynamic executable")) {
		return nil
	}
	if err != nil || bytes.Contains(out, []byte("not found")) {
		return fmt.Errorf("what %s loads: %w: %s", program, err, out)
	}
	for _, lib := range libraries.FindAllString(string(out), -1) {
		dir := "usr/lib/x86_64-linux-gnu"
		if strings.HasPrefix(filepath.Base(lib), "ld-linux") {
			dir = "usr/lib64"
		}
		if t.Copy(lib, filepath.Join(dir, filepath.Base(lib)), 0o755); t.Err != nil {
			return t.Err
		}
	}
	return nil
}

// Busybox installs busybox under the names of these tools.
func (t *Tree) Busybox(tools ...string) *Tree {
	t.Copy("/bin/busybox", "usr/bin/busybox", 0o755)
	for _, name := range tools {
		t.Link("busybox", "usr/bin/"+name)
	}
	return t
}

// Merged makes the links of a merged /usr.
func (t *Tree) Merged() *Tree {
	for _, d := range []string{"bin", "sbin", "lib", "lib64"} {
		t.Mkdir("usr/"+d).Link("usr/"+d, d)
	}
	return t
}

// Modules copies modules as the guest loads them, unpacked, below folder, and
// returns their names in the tree in the order in which they load.
func (t *Tree) Modules(k Kernel, folder string, modules ...string) (names []string) {
	t.do(func() error {
		files, err := k.Order(t.ctx, modules...)
		if err != nil {
			return err
		}
		for _, f := range files {
			rel, err := filepath.Rel(k.Modules(), f)
			if err != nil {
				return err
			}
			b, err := os.ReadFile(f)
			if err == nil && strings.HasSuffix(rel, ".xz") {
				rel = strings.TrimSuffix(rel, ".xz")
				b, err = exec.CommandContext(t.ctx, "xz", "-dc", f).Output()
			}
			if err != nil {
				return fmt.Errorf("unpacking %s: %w", f, err)
			}
			name := filepath.Join(folder, rel)
			t.File(name, 0o644, string(b))
			names = append(names, "/"+name)
		}
		return t.Err
	})
	return names
}

// Tools are those of busybox that the attacks and shapes use.
var busyboxTools = []string{
	"sh", "ash", "cat", "cp", "dmesg", "dd", "echo", "false", "ip", "ln", "losetup", "ls", "mkdir", "mknod", "mount", "mv",
	"nsenter", "ps", "rm", "rmdir", "setpriv", "sync", "sysctl", "touch", "true", "umount", "unshare",
}

// Names of a system as its os-release says them.
type System struct {
	ID      string
	Name    string
	Version string // VERSION_ID
	More    string // further lines of os-release
}

// Base fills the tree with what every root of a guest has: the tools, the two
// programs of ours, accounts, and the modules that an initramfs loads, which a
// real image has as well.
func (t *Tree) Base(b *Builder, s System, modules ...string) *Tree {
	t.Merged().Mkdir("proc", "sys", "dev", "run", "tmp", "etc", "var", "root", "home", "mnt", "srv", "opt")
	t.do(func() error { return first(os.Chmod(t.path("tmp"), 0o1777), os.Chmod(t.path("root"), 0o700)) })
	t.Busybox(busyboxTools...)
	t.Program("/bin/sleep", "usr/bin").Program("/sbin/dmsetup", "usr/sbin").Program("/sbin/veritysetup", "usr/sbin")
	t.Copy(b.Agent, agentProgram, 0o755).Copy(b.Guest, initProgram, 0o755)

	t.KernelFiles(b, modules...).OSRelease(s)
	t.File("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n")
	t.File("etc/shadow", 0o640, "root:*:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n")
	t.File("etc/group", 0o644, "root:x:0:\nnobody:x:65534:\n")
	t.File("etc/hosts", 0o644, "127.0.0.1 localhost\n").File("etc/resolv.conf", 0o644, "nameserver 10.0.2.3\n")
	t.File("etc/machine-id", 0o444, "0123456789abcdef0123456789abcdef\n")
	t.File("usr/lib/sysctl.d/50-lab.conf", 0o644, strictSysctls)
	return t.Marked()
}

// strictSysctls hold the kernel to what the agent asks of it.
var strictSysctls = strings.Join([]string{
	"kernel.kptr_restrict=1", "kernel.dmesg_restrict=1", "kernel.yama.ptrace_scope=1", "kernel.sysrq=0",
	"net.core.bpf_jit_harden=2", "kernel.unprivileged_bpf_disabled=1", "user.max_user_namespaces=0", "kernel.kexec_load_disabled=1",
	"fs.protected_hardlinks=1", "fs.protected_symlinks=1", "fs.protected_regular=1", "fs.protected_fifos=1", "",
}, "\n")

// KernelFiles puts the kernel's configuration and these modules into the tree.
func (t *Tree) KernelFiles(b *Builder, modules ...string) *Tree {
	release := "usr/lib/modules/" + b.Kernel.Release
	t.Modules(b.Kernel, release, slices.Concat(bootModules, []string{"dm-verity", "erofs", "squashfs", "overlay", "loop"}, modules)...)
	for _, f := range []string{"modules.order", "modules.builtin", "modules.builtin.modinfo"} {
		t.Copy(filepath.Join(b.Kernel.Modules(), f), release+"/"+f, 0o644)
	}
	t.Copy(filepath.Join(b.Kernel.Dir, "boot", "config-"+b.Kernel.Release), release+"/config", 0o644)
	return t.do(func() error { return run(t.ctx, "depmod", "-b", t.Dir, b.Kernel.Release) })
}

// OSRelease names the system.
func (t *Tree) OSRelease(s System) *Tree {
	osRelease := fmt.Sprintf("ID=%s\nNAME=%q\nPRETTY_NAME=\"Laboratory guest in the shape of %s\"\nVERSION_ID=%s\n%s", s.ID, "Laboratory guest", s.Name, s.Version, s.More)
	return t.File("usr/lib/os-release", 0o644, osRelease).Link("../usr/lib/os-release", "etc/os-release")
}

// MarkedFile is the file whose blocks an attack overwrites.
const MarkedFile = "/usr/share/lab/marked"

// mark begins the marked file: in an image that is not compressed it is found as it
// is. It is made here, so that the programs in the image do not have it, too.
var mark = strings.ToUpper("laboratory: the marked file begins here\n")

// Marked puts the marked file into the tree, some blocks long.
func (t *Tree) Marked() *Tree {
	var b bytes.Buffer
	for b.WriteString(mark); b.Len() < 64<<10; {
		fmt.Fprintf(&b, "line at byte %08d of the marked file\n", b.Len())
	}
	return t.File(strings.TrimPrefix(MarkedFile, "/"), 0o644, b.String())
}

//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Cache keeps between runs what takes long to fetch or to build. What is in it is
// named by what it was made from.
type Cache struct{ Dir string }

// OpenCache opens the cache in the user's cache folder, or where SEAWORTHY_LAB
// says.
func OpenCache() (*Cache, error) {
	dir := os.Getenv("SEAWORTHY_LAB")
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return nil, err
		}
		dir = filepath.Join(base, "seaworthy-lab")
	}
	return &Cache{dir}, os.MkdirAll(dir, 0o755)
}

// Lock waits for its turn: guests run one at a time on a machine. The lock ends
// with the process, or when the returned function is called.
func (c *Cache) Lock() (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(c.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil
}

// Make returns the entry of this name, after build made it at a path of its own
// if it was not there. Half an entry is never seen.
func (c *Cache) Make(name string, build func(path string) error) (string, error) {
	path := filepath.Join(c.Dir, name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	tmp, err := os.MkdirTemp(c.Dir, ".making-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	made := filepath.Join(tmp, filepath.Base(name))
	if err := build(made); err != nil {
		return "", fmt.Errorf("making %s: %w", name, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	if err := os.Rename(made, path); err != nil && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.ENOTEMPTY) {
		return "", err
	}
	return path, nil
}

// Package is the content of Debian's package of this name in the version that
// apt would install, unpacked and not installed.
func (c *Cache) Package(ctx context.Context, name string) (string, error) {
	version, err := candidate(ctx, name)
	if err != nil {
		return "", err
	}
	return c.Make("packages/"+name+"_"+strings.ReplaceAll(version, ":", "-"), func(path string) error {
		dir := filepath.Dir(path)
		if err := runIn(ctx, dir, "apt-get", "-q", "download", name+"="+version); err != nil {
			return err
		}
		debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
		if err != nil || len(debs) != 1 {
			return fmt.Errorf("downloading %s left %v", name, debs)
		}
		return runIn(ctx, dir, "dpkg-deb", "-x", debs[0], path)
	})
}

// candidate is the version of a package that apt would install.
func candidate(ctx context.Context, name string) (string, error) {
	out, err := output(ctx, "apt-cache", "policy", name)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "Candidate: "); ok && v != "(none)" {
			return v, nil
		}
	}
	return "", fmt.Errorf("apt has no package %s: run apt-get update", name)
}

// Kernel is a kernel of Debian's, unpacked.
type Kernel struct {
	Dir     string // its package's files
	Release string // "6.12.117+deb12-cloud-amd64"
}

// Kernel is the newest of Debian's cloud kernels of this series, "6.12".
func (c *Cache) Kernel(ctx context.Context, series string) (Kernel, error) {
	out, err := output(ctx, "apt-cache", "pkgnames", "linux-image-"+series+".")
	if err != nil {
		return Kernel{}, err
	}
	var names []string
	for name := range strings.Lines(out) {
		name = strings.TrimSpace(name)
		if strings.HasSuffix(name, "-cloud-amd64") {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return Kernel{}, fmt.Errorf("apt has no cloud kernel %s: run apt-get update", series)
	}
	if names, err = byVersion(ctx, names); err != nil {
		return Kernel{}, err
	}
	for _, name := range slices.Backward(names) { // an old name may be known and gone
		dir, packageErr := c.Package(ctx, name)
		if err = packageErr; err != nil {
			continue
		}
		k := Kernel{dir, strings.TrimPrefix(name, "linux-image-")}
		if _, err := os.Stat(filepath.Join(k.Modules(), "modules.dep.bin")); err == nil {
			return k, nil
		}
		return k, run(ctx, "depmod", "-b", k.Dir, k.Release)
	}
	return Kernel{}, err
}

// byVersion sorts the names of packages as versions.
func byVersion(ctx context.Context, names []string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "sort", "-V")
	cmd.Stdin = strings.NewReader(strings.Join(names, "\n"))
	out, err := cmd.Output()
	return strings.Fields(string(out)), err
}

// Image is the kernel itself.
func (k Kernel) Image() string { return filepath.Join(k.Dir, "boot", "vmlinuz-"+k.Release) }

// Modules is where its modules are.
func (k Kernel) Modules() string { return filepath.Join(k.Dir, "lib", "modules", k.Release) }

// Order lists the files of these modules and of those that they need, in the
// order in which they load.
func (k Kernel) Order(ctx context.Context, modules ...string) ([]string, error) {
	var files []string
	for _, m := range modules {
		out, err := output(ctx, "modprobe", "-d", k.Dir, "-S", k.Release, "--show-depends", m)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(out) {
			if f := strings.Fields(line); len(f) >= 2 && f[0] == "insmod" && !slices.Contains(files, f[1]) {
				files = append(files, f[1])
			}
		}
	}
	return files, nil
}

// installed is an error where this machine lacks a program, with Debian's packages
// of all of them.
func installed(packages string, programs ...string) error {
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			return fmt.Errorf("%w: apt-get install %s", err, packages)
		}
	}
	return nil
}

// output runs a program and returns its standard output.
func output(ctx context.Context, name string, args ...string) (string, error) {
	b, err := exec.CommandContext(ctx, name, args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("running %s %s: %w: %s", name, strings.Join(args, " "), err, exit.Stderr)
	}
	if err != nil {
		return "", fmt.Errorf("running %s: %w", name, err)
	}
	return string(b), nil
}

// run runs a program.
func run(ctx context.Context, name string, args ...string) error {
	return runIn(ctx, "", name, args...)
}

// runIn runs a program in a folder.
func runIn(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running %s %s: %w: %s", name, strings.Join(args, " "), err, b)
	}
	return nil
}

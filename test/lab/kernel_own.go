//go:build linux

package lab

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// OwnKernel is a kernel built from Debian's source of this series with what
// fragment, a file, adds to tinyconfig. It takes a quarter of an hour and is kept
// by the version of the source and the content of the fragment.
func (c *Cache) OwnKernel(ctx context.Context, series, fragment string) (Kernel, error) {
	source := "linux-source-" + series
	version, err := candidate(ctx, source)
	if err != nil {
		return Kernel{}, err
	}
	if fragment, err = filepath.Abs(fragment); err != nil {
		return Kernel{}, err
	}
	options, err := os.ReadFile(fragment)
	if err != nil {
		return Kernel{}, err
	}
	dir, err := c.Make(fmt.Sprintf("kernels/%s-%.8x", version, sha256.Sum256(options)), func(path string) error {
		return buildKernel(ctx, source+"="+version, fragment, path)
	})
	if err != nil {
		return Kernel{}, err
	}
	release, err := os.ReadFile(filepath.Join(dir, "release"))
	return Kernel{dir, strings.TrimSpace(string(release))}, err
}

// buildKernel builds a kernel in the folder that path is to be made in, and lays
// it out at path as Debian's packages are. The source, 1.5 GB, goes with that
// folder.
func buildKernel(ctx context.Context, source, fragment, path string) error {
	dir := filepath.Dir(path)
	tree := filepath.Join(dir, "tree")
	kernel := func(args ...string) error {
		return runIn(ctx, tree, "nice", append([]string{"-n", "19", "make", "-s", fmt.Sprintf("-j%d", runtime.NumCPU())}, args...)...)
	}
	if err := installed("make gcc bc flex bison libelf-dev libssl-dev", "make", "gcc", "bc", "flex", "bison"); err != nil {
		return err
	}
	err := first(
		runIn(ctx, dir, "apt-get", "-q", "download", source),
		runIn(ctx, dir, "sh", "-c", "dpkg-deb -x linux-source-*.deb deb && mkdir tree && tar -C tree --strip-components=1 -xf deb/usr/src/linux-source-*.tar.xz && rm -r deb"),
		kernel("tinyconfig"),
		runIn(ctx, tree, "scripts/kconfig/merge_config.sh", "-m", ".config", fragment),
		kernel("olddefconfig"),
	)
	if err != nil {
		return err
	}
	if err := keptOptions(fragment, filepath.Join(tree, ".config")); err != nil {
		return err
	}
	if err := kernel("bzImage", "modules"); err != nil {
		return err
	}
	release, err := output(ctx, "make", "-s", "-C", tree, "kernelrelease")
	if err != nil {
		return err
	}
	release = strings.TrimSpace(release)
	modules := "lib/modules/" + release
	t := NewTree(ctx, path).File("release", 0o644, release+"\n")
	t.Copy(filepath.Join(tree, "arch/x86/boot/bzImage"), "boot/vmlinuz-"+release, 0o644).Copy(filepath.Join(tree, ".config"), "boot/config-"+release, 0o644)
	for _, f := range []string{"modules.order", "modules.builtin", "modules.builtin.modinfo"} {
		t.Copy(filepath.Join(tree, f), modules+"/"+f, 0o644)
	}
	return t.do(func() error { return run(ctx, "depmod", "-b", path, release) }).Err
}

// keptOptions looks whether the kernel's configuration is still what the fragment
// wants: an option whose conditions do not hold is left out without a word.
func keptOptions(fragment, config string) error {
	wanted, err := os.ReadFile(fragment)
	if err != nil {
		return err
	}
	made, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(wanted)) {
		if strings.HasPrefix(line, "CONFIG_") && !strings.Contains("\n"+string(made), "\n"+line) {
			return fmt.Errorf("the kernel has no %q: what it depends on is missing in %s", strings.TrimSpace(line), fragment)
		}
	}
	return nil
}

package node

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// KernelConfig is how the running kernel was built, of the options that are judged.
type KernelConfig struct {
	// From is the file that said so: "/proc/config.gz", "/boot/config-RELEASE".
	// Only the first is the running kernel's own word.
	From string `json:"from"`
	// Options are the values of [KernelOptions]: "y", "m", a number, a text without
	// quotes, "n" where it is not set, or "absent" where this kernel does not know
	// it or what it depends on is off.
	Options map[string]string `json:"options"`
}

// KernelOptions are the build options that are read, sorted, without "CONFIG_".
// Source: the kernel's Kconfig files, and the list of the Kernel Self Protection
// Project.
var KernelOptions = []string{
	"DEVMEM",
	"HARDENED_USERCOPY",
	"KEXEC",
	"KEXEC_FILE",
	"KEXEC_SIG_FORCE",
	"KEXEC_VERIFY_SIG", // KEXEC_SIG up to 5.3
	"MODULES",
	"RANDOMIZE_BASE",
	"SECCOMP_FILTER",
	"SLAB_FREELIST_HARDENED",
	"SLAB_FREELIST_RANDOM",
	"STACKPROTECTOR_STRONG",
	"STRICT_DEVMEM",
	"STRICT_KERNEL_RWX",
	"STRICT_MODULE_RWX",
	"VMAP_STACK",
}

// KernelBuild is how the running kernel was built.
var KernelBuild = Source[KernelConfig]{
	Name:  "kernel-build",
	Doc:   "how the kernel was built (/proc/config.gz, /boot/config-RELEASE)",
	Scope: Cohort,
	Every: AtBoot,
	Read:  readKernelBuild,
}

// maxKernelConfig bounds a configuration; those of distributions have 300 KiB.
const maxKernelConfig = 4 << 20

func readKernelBuild(_ context.Context, h *Host) (KernelConfig, []Gap, error) {
	b, err := h.ReadSecret("proc/config.gz", maxKernelConfig, keepPackedOptions)
	from := "proc/config.gz"
	switch {
	case err == nil:
		if !bytes.HasPrefix(b, []byte(unpackedConfig)) {
			_, err := gunzip(b, maxKernelConfig) // as keepPackedOptions could not
			return KernelConfig{}, nil, fmt.Errorf("reading /%s: %w", from, err)
		}
	case !IsAbsent(err):
		return KernelConfig{}, nil, err
	default:
		if b, from, err = readBuiltConfig(h); err != nil {
			return KernelConfig{}, nil, err
		}
	}
	options, err := parseKernelConfig(b)
	if err != nil {
		return KernelConfig{}, nil, fmt.Errorf("reading /%s: %w", from, err)
	}
	v := KernelConfig{From: "/" + from, Options: map[string]string{}}
	for _, name := range KernelOptions {
		v.Options[name] = "absent"
		if value, ok := options[name]; ok {
			v.Options[name] = value
		}
	}
	return v, nil, nil
}

// readBuiltConfig reads the configuration that lies beside the running kernel.
// The first place that is there but may not be read is what is told.
func readBuiltConfig(h *Host) ([]byte, string, error) {
	release, err := readLine(h, "proc/sys/kernel/osrelease")
	if err != nil {
		return nil, "", err
	}
	if release == "" || strings.ContainsAny(release, "/\x00") {
		return nil, "", &Error{"reading", "/proc/sys/kernel/osrelease", Malformed, fmt.Sprintf("%.200q is no release", release)}
	}
	var first error
	for _, name := range []string{"usr/lib/modules/" + release + "/config", "lib/modules/" + release + "/config", "boot/config-" + release} {
		b, err := h.ReadSecret(name, maxKernelConfig, keepOptions)
		if err == nil {
			return b, name, nil
		}
		if first == nil || IsAbsent(first) {
			first = err
		}
	}
	return nil, "", first
}

// usualOptions are those of which every whole configuration has one or more.
var usualOptions = []string{"64BIT", "MMU", "MODULES", "NET"}

// keepOptions keeps of a configuration the options that are read and those that
// show that it is whole, so that a capture holds none of the other 5,000; and what
// is no line of one, for the parser to refuse.
func keepOptions(b []byte) []byte {
	out := []byte{}
	for line := range bytes.Lines(b) {
		name, _, err := parseKernelOption(strings.TrimRight(string(line), " \t\r\n"))
		if err != nil || slices.Contains(KernelOptions, name) || slices.Contains(usualOptions, name) {
			out = append(out, line...)
		}
	}
	return out
}

// unpackedConfig begins what keepPackedOptions has unpacked. It is a comment.
const unpackedConfig = "# unpacked\n"

// keepPackedOptions is keepOptions for a packed configuration. What it cannot
// unpack it leaves as it is.
func keepPackedOptions(b []byte) []byte {
	if bytes.HasPrefix(b, []byte(unpackedConfig)) {
		return b
	}
	text, err := gunzip(b, maxKernelConfig)
	if err != nil {
		return b
	}
	return append([]byte(unpackedConfig), keepOptions(text)...)
}

// gunzip returns what was packed, which must be at most max bytes.
func gunzip(b []byte, max int64) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(r, max+1))
	if err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	if int64(len(out)) > max {
		return nil, fmt.Errorf("unpacking: more than %d bytes", max)
	}
	return out, nil
}

// parseKernelConfig parses a .config, whole or as keepOptions leaves it.
func parseKernelConfig(b []byte) (map[string]string, error) {
	out := map[string]string{}
	n := 0
	for line := range bytes.Lines(b) {
		n++
		text := strings.TrimRight(string(line), " \t\r\n")
		name, value, err := parseKernelOption(text)
		if err != nil {
			return nil, fmt.Errorf("kernel configuration line %d %.200q: %w", n, text, err)
		}
		if name == "" {
			continue
		}
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("kernel configuration line %d %.200q: %s stands twice", n, text, name)
		}
		out[name] = value
	}
	if !slices.ContainsFunc(usualOptions, func(name string) bool { _, ok := out[name]; return ok }) && len(out) < 16 {
		return nil, fmt.Errorf("kernel configuration of %d options is cut", len(out))
	}
	return out, nil
}

// parseKernelOption parses a line of a .config: CONFIG_NAME=value, "# CONFIG_NAME
// is not set"; the name is "" where it is empty or a comment.
// Source: the kernel's scripts/kconfig/confdata.c.
func parseKernelOption(text string) (name, value string, err error) {
	if off, ok := strings.CutSuffix(text, " is not set"); ok && strings.HasPrefix(off, "# CONFIG_") {
		name, value = off[len("# "):], "n"
	} else if text == "" || text[0] == '#' {
		return "", "", nil
	} else if name, value, ok = strings.Cut(text, "="); !ok || value == "" {
		return "", "", errors.New("it is no assignment")
	}
	name, ok := strings.CutPrefix(name, "CONFIG_")
	if !ok || name == "" || strings.ContainsFunc(name, func(r rune) bool { return !wordRune(r) }) {
		return "", "", fmt.Errorf("%.100q is no option", name)
	}
	if quoted, ok := strings.CutPrefix(value, `"`); ok {
		if value, ok = strings.CutSuffix(quoted, `"`); !ok {
			return "", "", errors.New("the quote is not closed")
		}
	}
	return name, value, nil
}

func wordRune(r rune) bool {
	return r == '_' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9'
}

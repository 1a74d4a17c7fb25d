package node

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// BootState is how the machine was booted and what the kernel holds itself to.
// Each field is what the kernel says, never what a configuration file wants.
// A text that is "" could not be read: the fact then has a gap.
type BootState struct {
	// Cmdline are the words of /proc/cmdline in order, secrets redacted and what
	// differs between equal nodes replaced by placeholders.
	Cmdline []Word `json:"cmdline"`
	// Bootconfig are the "key = value" lines of /proc/bootconfig, redacted; nil
	// where the kernel has none.
	Bootconfig []string `json:"bootconfig"`
	// Firmware is "uefi", or "other" where the kernel has no EFI interface.
	Firmware string `json:"firmware"`
	// SecureBoot and SetupMode are "on", "off", or "absent" where the firmware
	// has no such variable. Source: the efivars of the UEFI specification, 3.3.
	SecureBoot string `json:"secureBoot"`
	SetupMode  string `json:"setupMode"`
	// Lockdown is "none", "integrity", "confidentiality", or "absent" where this
	// kernel does not offer it. Source: kernel_lockdown(7).
	Lockdown string `json:"lockdown"`
	// LSMs are the active Linux security modules in order; nil where securityfs
	// does not say.
	LSMs []string `json:"lsms"`
	// SELinux is "enforcing", "permissive" or "absent".
	SELinux string `json:"selinux"`
	// AppArmor is "enabled", "disabled" or "absent".
	AppArmor string `json:"appArmor"`
	// FIPS is "on", "off" or "absent".
	FIPS string `json:"fips"`
}

// Boot is how the machine was booted. It is missing where the command line
// cannot be read: without it a word that is not there could not be told from
// one that was not seen.
var Boot = Source[BootState]{
	Name:  "boot",
	Doc:   "kernel command line, Secure Boot, lockdown and security modules, as the kernel says them",
	Scope: Cohort,
	Every: Scan,
	Read:  readBoot,
}

func readBoot(_ context.Context, h *Host) (BootState, []Gap, error) {
	var v BootState
	var gaps []Gap
	gap := func(part, what string, err error) {
		if err != nil {
			gaps = append(gaps, GapOf(what, err).In(part))
		}
	}
	words, err := readCmdline(h)
	if err != nil {
		return v, nil, err
	}
	v.Cmdline = make([]Word, len(words))
	for i, w := range words {
		w.Value = stableValue(w.Key, w.Value)
		v.Cmdline[i] = w
	}
	v.Bootconfig, err = readBootconfig(h)
	gap("bootconfig", "the boot configuration", err)

	switch _, err := h.Stat("sys/firmware/efi"); {
	case err == nil:
		v.Firmware = "uefi"
		v.SecureBoot, err = readEFIFlag(h, "SecureBoot")
		gap("secureBoot", "Secure Boot", err)
		v.SetupMode, err = readEFIFlag(h, "SetupMode")
		gap("setupMode", "Secure Boot setup mode", err)
	case !IsAbsent(err):
		gap("firmware", "the firmware", err)
	default:
		// Only a sysfs that is there can say that there is no EFI.
		if _, err := h.Stat("sys/firmware"); err != nil {
			gap("firmware", "the firmware", err)
			break
		}
		v.Firmware, v.SecureBoot, v.SetupMode = "other", "absent", "absent"
	}

	v.Lockdown, err = readLockdown(h)
	gap("lockdown", "lockdown", err)
	v.LSMs, err = readLSMs(h)
	gap("lsms", "the security modules", err)
	v.SELinux, err = readSELinux(h)
	gap("selinux", "SELinux", err)
	v.AppArmor, err = kernelState(h, "sys/module/apparmor/parameters/enabled", "sys/module",
		map[string]string{"Y": "enabled", "N": "disabled"})
	gap("appArmor", "AppArmor", err)
	v.FIPS, err = kernelState(h, "proc/sys/crypto/fips_enabled", "proc/sys", map[string]string{"1": "on", "0": "off"})
	gap("fips", "FIPS mode", err)
	return v, gaps, nil
}

// readCmdline reads the kernel command line. Secrets are taken out before
// anything keeps them. The kernel prints at most COMMAND_LINE_SIZE and the
// words of the boot configuration.
func readCmdline(h *Host) ([]Word, error) {
	b, err := h.readOnce("proc/cmdline", 64<<10, redactCmdline)
	if err != nil {
		return nil, err
	}
	words, err := parseCmdline(b)
	if err != nil {
		return nil, fmt.Errorf("reading /proc/cmdline: %w", err)
	}
	return words, nil
}

func readBootconfig(h *Host) ([]string, error) {
	b, err := h.ReadSecret("proc/bootconfig", 128<<10, redactBootconfig)
	if IsAbsent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	lines, err := parseBootconfig(b)
	if err != nil {
		return nil, fmt.Errorf("reading /proc/bootconfig: %w", err)
	}
	return lines, nil
}

// parseBootconfig parses /proc/bootconfig: lines of `key = "value", "value"`,
// and comments with what the boot loader gave. Source: the kernel's
// Documentation/admin-guide/bootconfig.rst and fs/proc/bootconfig.c.
func parseBootconfig(b []byte) ([]string, error) {
	lines := []string{}
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		text := strings.TrimSuffix(line, "\n")
		if text == "" || text[0] == '#' {
			continue
		}
		key, values, ok := strings.Cut(text, " = ")
		if !ok || key == "" || strings.ContainsAny(key, " \t\"'") {
			return nil, fmt.Errorf("boot configuration line %d %.200q is no assignment", n, text)
		}
		rest := strings.Trim(bootconfigValue.ReplaceAllString(values, ""), ", ")
		if values == "" || rest != "" && rest != redacted {
			return nil, fmt.Errorf("boot configuration line %d %.200q: %q is not quoted", n, text, rest)
		}
		lines = append(lines, key+" = "+eachBootconfigValue(values, func(v string) string {
			return stableValue(bootconfigKey(key), v)
		}))
	}
	return lines, nil
}

// readEFIFlag reads a one-byte variable of the UEFI global vendor. Where it does
// not exist, other variables must: an efivarfs that is not mounted is empty.
func readEFIFlag(h *Host, variable string) (string, error) {
	const dir = "sys/firmware/efi/efivars"
	name := dir + "/" + variable + "-8be4df61-93ca-11d2-aa0d-00e098032b8c"
	b, err := h.ReadFile(name, 4096)
	if IsAbsent(err) {
		others, listErr := h.ReadDir(dir, 1<<16)
		if listErr != nil && !IsAbsent(listErr) {
			return "", listErr
		}
		if len(others) == 0 {
			return "", &Error{"reading", "/" + name, Unsupported, "efivarfs is not mounted"}
		}
		return "absent", nil
	}
	if err != nil {
		return "", err
	}
	on, err := parseEFIFlag(b)
	if err != nil {
		return "", fmt.Errorf("reading /%s: %w", name, err)
	}
	return on, nil
}

// parseEFIFlag parses what efivarfs holds: four bytes of attributes, then the
// value. Source: the kernel's Documentation/filesystems/efivarfs.rst.
func parseEFIFlag(b []byte) (string, error) {
	if len(b) != 5 || b[4] > 1 {
		return "", fmt.Errorf("EFI variable %x is not four bytes of attributes and a 0 or a 1", b)
	}
	return map[byte]string{0: "off", 1: "on"}[b[4]], nil
}

func readLockdown(h *Host) (string, error) {
	const name = "sys/kernel/security/lockdown"
	line, absent, err := readSecurityFS(h, name)
	if err != nil {
		return "", err
	}
	if absent {
		return "absent", nil
	}
	level, err := parseLockdown(line)
	if err != nil {
		return "", fmt.Errorf("reading /%s: %w", name, err)
	}
	return level, nil
}

// parseLockdown parses "none [integrity] confidentiality": the word in brackets
// holds. Source: the kernel's security/lockdown/lockdown.c.
func parseLockdown(line string) (string, error) {
	var active []string
	for _, w := range strings.Fields(line) {
		level, bracket := strings.CutPrefix(w, "[")
		if bracket {
			var closed bool
			if level, closed = strings.CutSuffix(level, "]"); !closed {
				return "", fmt.Errorf("lockdown %q: %q is not closed", line, w)
			}
			active = append(active, level)
		}
		if !slices.Contains([]string{"none", "integrity", "confidentiality"}, level) {
			return "", fmt.Errorf("lockdown %q: %q is no level", line, w)
		}
	}
	if len(active) != 1 {
		return "", fmt.Errorf("lockdown %q: %d levels in brackets, want 1", line, len(active))
	}
	return active[0], nil
}

func readLSMs(h *Host) ([]string, error) {
	const name = "sys/kernel/security/lsm"
	line, absent, err := readSecurityFS(h, name)
	if absent || err != nil {
		return nil, err
	}
	lsms, err := parseLSMs(line)
	if err != nil {
		return nil, fmt.Errorf("reading /%s: %w", name, err)
	}
	return lsms, nil
}

// parseLSMs parses the comma-separated names of the active security modules.
// Source: the kernel's Documentation/admin-guide/LSM/index.rst.
func parseLSMs(line string) ([]string, error) {
	names := strings.Split(line, ",")
	for i, name := range names {
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
			return nil, fmt.Errorf("security modules %.200q: %q is no name", line, name)
		}
		if slices.Contains(names[:i], name) {
			return nil, fmt.Errorf("security modules %.200q: %s stands twice", line, name)
		}
	}
	return names, nil
}

// readSecurityFS reads one line of a file of securityfs. A file that is not there
// is absent only where securityfs is mounted.
func readSecurityFS(h *Host, name string) (line string, absent bool, err error) {
	line, err = readLine(h, name)
	if !IsAbsent(err) {
		return line, false, err
	}
	t, err := h.gathering.mounts()
	if err != nil {
		return "", false, fmt.Errorf("looking whether securityfs is mounted: %w", err)
	}
	at := t.lookup("/" + name)
	if at < 0 || t.mounts[at].fstype != "securityfs" {
		return "", false, &Error{"reading", "/" + name, Unsupported, "securityfs is not mounted"}
	}
	return "", true, nil
}

// readSELinux reads the mode that the kernel is in. The kernel makes
// /sys/fs/selinux only where SELinux is on. Source: its
// security/selinux/selinuxfs.c.
func readSELinux(h *Host) (string, error) {
	const dir = "sys/fs/selinux"
	mode, err := kernelState(h, dir+"/enforce", dir, map[string]string{"1": "enforcing", "0": "permissive"})
	if IsAbsent(err) {
		if _, err := h.Stat("sys/fs"); err != nil {
			return "", err
		}
		return "absent", nil
	}
	if mode == "absent" {
		return "", &Error{"reading", "/" + dir + "/enforce", Unsupported, "selinuxfs is not mounted"}
	}
	return mode, err
}

// kernelState reads a one-word file of the kernel and names its value. Where
// there is no such file below a directory that is there, the kernel has no such
// thing and the state is "absent".
func kernelState(h *Host, name, dir string, names map[string]string) (string, error) {
	word, err := readLine(h, name)
	if IsAbsent(err) {
		if _, err := h.Stat(dir); err != nil {
			return "", err
		}
		return "absent", nil
	}
	if err != nil {
		return "", err
	}
	state, ok := names[word]
	if !ok {
		return "", fmt.Errorf("reading /%s: %.200q is none of %q", name, word, slices.Sorted(maps.Keys(names)))
	}
	return state, nil
}

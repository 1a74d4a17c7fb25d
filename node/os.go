package node

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// System is what the node says its operating system is. It is a claim: files
// can say anything, so it is compared with signals of other kinds.
type System struct {
	// Release holds the fields of os-release(5), unquoted; empty where the node
	// has no such file.
	Release map[string]string `json:"release"`
	// Markers are the paths, of those in [MarkerPaths], that exist. Sorted.
	Markers []string `json:"markers"`
	// Init is the command name of process 1 (/proc/1/comm): "systemd", "init",
	// "sandboxd"; "" where there is no process 1 to see.
	Init string `json:"init"`
	// PIDNamespace says whether process 1 is that of the whole machine:
	// "initial", "other" (process 1 is a container's or a sandbox's) or
	// "unknown" where the program may not see it. Unknown is a value and no gap:
	// only root may look (ptrace(2), PTRACE_MODE_READ), and what rests on it
	// says so itself.
	PIDNamespace string `json:"pidNamespace"`
}

// MarkerPaths are paths that tell operating systems apart, without leading
// slash. The profiles' path signals are taken from here; a test compares them.
// None is ever opened.
var MarkerPaths = []string{
	// Talos: its boot program answers on machine.sock; the extension list exists
	// only with extensions. sandboxd is there where process 1 may be a sandbox's.
	"etc/extensions.yaml",
	"sbin/sandboxd",
	"system/run/machined/machine.sock",
	// Flatcar, and CoreOS Container Linux before it.
	"oem/oem-release",
	"usr/share/coreos/release",
	"usr/share/flatcar/release",
	"usr/share/flatcar/update.conf",
	// Bottlerocket: its sysroots, its API and its inventory.
	"aarch64-bottlerocket-linux-gnu",
	"run/api.sock",
	"usr/share/bottlerocket/application-inventory.json",
	"x86_64-bottlerocket-linux-gnu",
	// Fedora CoreOS, RHCOS and other ostree systems; ostree-live on live media.
	"etc/machine-config-daemon",
	"run/ostree-booted",
	"run/ostree-live",
	"sysroot/.coreos-aleph-version.json",
	"usr/share/rpm-ostree/treefile.json",
	// openSUSE MicroOS, SUSE Linux Micro, Leap Micro.
	"usr/lib/tukit",
	"usr/sbin/transactional-update",
	"usr/sbin/tukit",
	// Container-Optimized OS.
	"etc/cos-package-info.json",
	"usr/share/oem",
	// Siblings: Kairos and Elemental, Ubuntu Core, RancherOS, Azure Container Linux.
	"etc/kairos-release",
	"run/cos",
	"run/mnt/ubuntu-boot",
	"usr/bin/ros",
	"usr/share/os-manifests/package-manifest.spdx.json",
}

// initialPIDNamespace is the link text of the machine's own PID namespace.
// Source: PROC_PID_INIT_INO (0xEFFFFFFC) in the kernel's
// include/linux/proc_ns.h, now PID_NS_INIT_INO in include/uapi/linux/nsfs.h.
const initialPIDNamespace = "pid:[4026531836]"

// OS is the operating system by os-release(5) and other signals. It is missing
// where os-release exists and cannot be read: nothing follows from the rest.
var OS = Source[System]{
	Name:  "os",
	Doc:   "what the node says its operating system is, and paths that only some systems have",
	Scope: Cohort,
	Every: Scan,
	Read:  readSystem,
}

func readSystem(_ context.Context, h *Host) (System, []Gap, error) {
	v := System{Release: map[string]string{}, Markers: []string{}}
	var gaps []Gap

	// os-release(5): /etc/os-release takes precedence over /usr/lib/os-release.
	for _, name := range []string{"etc/os-release", "usr/lib/os-release"} {
		b, err := h.ReadFile(name, 64<<10)
		if IsAbsent(err) {
			continue
		}
		if err != nil {
			return v, nil, err
		}
		if v.Release, err = parseOSRelease(b); err != nil {
			return v, nil, fmt.Errorf("reading /%s: %w", name, err)
		}
		break
	}

	unseen := Gap{Part: "markers", What: "paths that tell systems apart", Of: len(MarkerPaths)}
	for _, name := range MarkerPaths {
		_, err := h.Stat(name)
		switch {
		case err == nil:
			v.Markers = append(v.Markers, name)
		case !IsAbsent(err):
			if unseen.Count++; unseen.Count == 1 {
				unseen.Code, unseen.Reason = codeOf(err), err.Error()
			}
		}
	}
	if unseen.Count > 0 {
		gaps = append(gaps, unseen)
	}
	slices.Sort(v.Markers)

	var err error
	if v.Init, err = readLine(h, "proc/1/comm"); err != nil && !IsAbsent(err) {
		gaps = append(gaps, GapOf("the command name of process 1", err).In("init"))
	}
	v.PIDNamespace = pidNamespace(h)
	return v, gaps, nil
}

// pidNamespace says whether process 1 is the machine's. Only root may look at its
// namespace; everybody may look at their own, which is process 1's where the
// reader goes by one number alone, and one above it where it goes by more.
// Source: proc_pid_status(5), NSpid; pid_namespaces(7).
func pidNamespace(h *Host) string {
	name := func(link string) string {
		if link == initialPIDNamespace {
			return "initial"
		}
		return "other"
	}
	if link, err := h.ReadLink("proc/1/ns/pid"); err == nil {
		return name(link)
	}
	own, err := h.ReadLink("proc/self/ns/pid")
	if err != nil {
		return "unknown"
	}
	if name(own) == "initial" {
		return "initial" // there is none above it
	}
	status, err := h.FS.ReadFile("proc/self/status", maxStatus, nil) // no evidence: it is of the reader
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(status)) {
		if numbers, ok := strings.CutPrefix(line, "NSpid:"); ok && len(strings.Fields(numbers)) == 1 {
			return "other"
		}
	}
	return "unknown"
}

// parseOSRelease parses os-release(5): shell assignments of literal values,
// one a line, bare or in single or double quotes, and comments. Of a name that
// stands twice the last counts, as in a shell. It refuses what a shell would
// expand and every line that is no assignment.
func parseOSRelease(b []byte) (map[string]string, error) {
	out := map[string]string{}
	n := 0
	for line := range bytes.Lines(b) {
		n++
		// systemd, which wrote the manual page, ends lines at a carriage return too.
		text := strings.Trim(string(line), " \t\r\n")
		if text == "" || text[0] == '#' {
			continue
		}
		name, raw, ok := strings.Cut(text, "=")
		if !ok || !isVariable(name) {
			return nil, fmt.Errorf("os-release line %d %.200q is no assignment", n, text)
		}
		value, err := shellLiteral(raw)
		if err != nil {
			return nil, fmt.Errorf("os-release line %d %.200q: %w", n, text, err)
		}
		out[name] = value
	}
	return out, nil
}

func isVariable(s string) bool {
	for i, c := range []byte(s) {
		letter := c == '_' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// shellLiteral is the value that a shell gives to s without expanding anything.
func shellLiteral(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", fmt.Errorf("not UTF-8")
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }); i >= 0 {
		return "", fmt.Errorf("control character %q", s[i])
	}
	if s == "" {
		return "", nil
	}
	quote := s[0]
	if quote != '"' && quote != '\'' {
		// A shell expands no * ? [ in an assignment, and CPE names hold some.
		if i := strings.IndexAny(s, " \t\"'\\$`;&|<>()"); i >= 0 {
			return "", fmt.Errorf("%q in a bare value", s[i])
		}
		return s, nil
	}
	var out strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote:
			if i != len(s)-1 {
				return "", fmt.Errorf("%q follows the closing quote", s[i+1:])
			}
			return out.String(), nil
		case quote == '"' && (c == '$' || c == '`'):
			return "", fmt.Errorf("%q would be expanded by a shell", c)
		case quote == '"' && c == '\\' && i+1 < len(s) && strings.IndexByte("\"\\$`", s[i+1]) >= 0:
			i++
			out.WriteByte(s[i])
		default:
			out.WriteByte(c)
		}
	}
	return "", fmt.Errorf("the quote is not closed")
}

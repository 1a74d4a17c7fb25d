package node

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// OstreeBooted is the GVariant dictionary in /run/ostree-booted. Source:
// ostree's src/libotcore/otcore.h. A key that is absent is "".
type OstreeBooted struct {
	Keys            []string `json:"keys"`            // all keys that were there, sorted
	Composefs       string   `json:"composefs"`       // "true", "false" or ""
	ComposefsVerity string   `json:"composefsVerity"` // "true", "false" or ""
	ComposefsSigned string   `json:"composefsSigned"` // the key's name or ""
	RootTransient   string   `json:"rootTransient"`   // "true", "false" or ""
	RootTransientRO string   `json:"rootTransientRO"` // "true", "false" or ""
	SysrootRO       string   `json:"sysrootRO"`       // "true", "false" or ""
	TransientEtc    string   `json:"transientEtc"`    // path or ""
}

// readOstreeBooted reads /run/ostree-booted; nil where there is none. A file
// that cannot be read or parsed gives a value without keys, and an error: that
// it is there says that this is an ostree system.
func readOstreeBooted(h *Host) (*OstreeBooted, error) {
	const name = "run/ostree-booted"
	b, err := h.ReadFile(name, 64<<10)
	if IsAbsent(err) {
		return nil, nil
	}
	if err != nil {
		return &OstreeBooted{Keys: []string{}}, err
	}
	v, err := parseOstreeBooted(b)
	if err != nil {
		return &OstreeBooted{Keys: []string{}}, fmt.Errorf("reading /%s: %w", name, err)
	}
	return v, nil
}

// parseOstreeBooted parses /run/ostree-booted. Before 2023 ostree left it empty.
func parseOstreeBooted(b []byte) (*OstreeBooted, error) {
	dict, err := parseVardict(b)
	if err != nil {
		return nil, err
	}
	v := &OstreeBooted{Keys: slices.AppendSeq([]string{}, maps.Keys(dict))}
	slices.Sort(v.Keys)
	for key, into := range map[string]*string{
		"composefs":         &v.Composefs,
		"composefs.verity":  &v.ComposefsVerity,
		"root.transient":    &v.RootTransient,
		"root.transient-ro": &v.RootTransientRO,
		"sysroot-ro":        &v.SysrootRO,
	} {
		if value, ok := dict[key]; ok {
			if *into, err = value.boolean(); err != nil {
				return nil, fmt.Errorf("key %q: %w", key, err)
			}
		}
	}
	for key, into := range map[string]*string{
		"composefs.signed": &v.ComposefsSigned,
		"transient-etc":    &v.TransientEtc,
	} {
		if value, ok := dict[key]; ok {
			if *into, err = value.text(); err != nil {
				return nil, fmt.Errorf("key %q: %w", key, err)
			}
		}
	}
	return v, nil
}

// bootedDeployment is where the booted ostree deployment lies.
type bootedDeployment struct {
	stateroot string
	checksum  string
	serial    string
}

// dir is the deployment's directory, without leading slash.
func (d bootedDeployment) dir() string {
	return "sysroot/ostree/deploy/" + d.stateroot + "/deploy/" + d.checksum + "." + d.serial
}

var deploymentPath = regexp.MustCompile(`(?:^|/)deploy/([^/]+)/deploy/([0-9a-f]{64})\.([0-9]+)(?:/usr|/etc)?$`)

// findDeployment finds the booted deployment: the ostree= word names a symbolic
// link to it, /ostree/boot.N/STATEROOT/BOOTCHECKSUM/SERIAL, and the mounts of
// /, /usr and /etc show it as the root of what is mounted. Nil where nothing
// says that this is an ostree system. Source: ostree's docs/manual/deployment.md.
func findDeployment(h *Host) (*bootedDeployment, error) {
	words, err := readCmdline(h)
	if err != nil {
		return nil, err
	}
	target := ""
	for _, w := range words {
		if w.Key == "ostree" && !w.AfterDashes {
			target = w.Value // the last counts
		}
	}
	if target == "" {
		// ostree-booted without the word: bootc's own composefs, or a soft reboot.
		if _, err := h.Stat("run/ostree-booted"); IsAbsent(err) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
	}
	t, mountsErr := h.gathering.mounts()
	if mountsErr == nil {
		for _, p := range []string{"/etc", "/usr", "/"} {
			for _, m := range t.mounts {
				if f := deploymentPath.FindStringSubmatch(m.root); f != nil && m.path == p {
					return &bootedDeployment{f[1], f[2], f[3]}, nil
				}
			}
		}
	}
	if target == "" {
		if mountsErr != nil {
			return nil, mountsErr
		}
		return nil, &Error{"finding", "the booted deployment", Unsupported, "no mount and no word on the command line shows it"}
	}
	link, err := h.ReadLink("sysroot" + strings.TrimSuffix(target, "/"))
	if err != nil {
		return nil, err
	}
	f := deploymentPath.FindStringSubmatch(link)
	if f == nil {
		return nil, fmt.Errorf("reading link /sysroot%s: %.300q is no deployment", target, link)
	}
	return &bootedDeployment{f[1], f[2], f[3]}, nil
}

// parseKeyFile parses a GLib key file: groups in brackets, key=value lines,
// comments. Source: the Desktop Entry Specification, "basic format of the file",
// which GKeyFile follows. Of a key that stands twice the last counts.
func parseKeyFile(b []byte) (map[string]map[string]string, error) {
	groups := map[string]map[string]string{}
	group := ""
	n := 0
	for line := range bytes.Lines(b) {
		n++
		text := strings.Trim(string(line), " \t\r\n")
		if text == "" || text[0] == '#' {
			continue
		}
		if inner, ok := strings.CutPrefix(text, "["); ok {
			name, closed := strings.CutSuffix(inner, "]")
			if !closed || name == "" || strings.ContainsAny(name, "[]") {
				return nil, fmt.Errorf("line %d %.200q is no group", n, text)
			}
			group = name
			if groups[group] == nil {
				groups[group] = map[string]string{}
			}
			continue
		}
		key, value, ok := strings.Cut(text, "=")
		if key = strings.TrimSpace(key); !ok || key == "" || group == "" {
			return nil, fmt.Errorf("line %d %.200q is no assignment in a group", n, text)
		}
		groups[group][key] = strings.TrimSpace(value)
	}
	return groups, nil
}

// keyFileList splits a list of a GLib key file, which ends in a semicolon.
func keyFileList(value string) []string {
	list := []string{}
	for item := range strings.SplitSeq(value, ";") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

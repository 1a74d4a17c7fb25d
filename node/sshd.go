package node

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
)

// SSHState is how the SSH daemon was told to let people in, and which keys it
// would take. The daemon's own arguments are not known.
type SSHState struct {
	// Config is the file that was read: "/etc/ssh/sshd_config", or the vendor's of
	// /usr where there is none; "" where no place has one.
	Config string `json:"config"`
	// Settings are those that matter in the order in which the daemon meets them:
	// of two of one keyword the first counts. Source: sshd_config(5).
	Settings []SSHSetting `json:"settings"`
	// Keys are the public keys in files of users. Sorted.
	Keys []SSHKey `json:"keys"`
}

// SSHSetting is a line of sshd_config(5).
type SSHSetting struct {
	Keyword string `json:"keyword"` // lower case: "permitrootlogin"
	Value   string `json:"value"`
	From    string `json:"from"` // the file
	// Conditional marks one in a Match block, which holds for some connections.
	Conditional bool `json:"conditional,omitempty"`
}

// SSHKey is a line of a user's authorized_keys: sshd(8).
type SSHKey struct {
	User string `json:"user"`
	File string `json:"file"`
	Type string `json:"type"` // "ssh-ed25519"
	// Fingerprint is that of ssh-keygen -l: "SHA256:" and 43 characters.
	Fingerprint string `json:"fingerprint"`
	// Options are the names of what restricts the key: "command", "from",
	// "restrict"; "cert-authority" marks a key that signs others.
	Options []string `json:"options"`
}

// SSHConfigs are where the daemon's configuration is: the vendor's only where
// /etc has none. Without leading slash.
var SSHConfigs = []string{"etc/ssh/sshd_config", "usr/etc/ssh/sshd_config", "usr/share/ssh/sshd_config"}

// SSH is the SSH daemon's configuration and the keys that it takes.
var SSH = Source[SSHState]{
	Name:  "ssh",
	Doc:   "how the SSH daemon lets people in, and the public keys of users by fingerprint",
	Scope: Node,
	Every: Hour,
	Read: func(_ context.Context, h *Host) (SSHState, []Gap, error) {
		v := SSHState{Settings: []SSHSetting{}, Keys: []SSHKey{}}
		if _, err := h.Lstat("etc"); err != nil {
			return v, nil, err
		}
		r := &sshReader{h: h, left: maxSSHFiles}
		for _, name := range SSHConfigs {
			err := r.read(name, false, 0)
			if IsAbsent(err) {
				continue
			}
			v.Config = "/" + name
			if err != nil {
				r.gaps = append(r.gaps, GapOf("/"+name, err).In("settings"))
			}
			break
		}
		v.Settings = append(v.Settings, r.settings...)
		keys, gaps := readSSHKeys(h, r.settings)
		v.Keys = append(v.Keys, keys...)
		return v, append(r.gaps, gaps...), nil
	},
}

const (
	maxSSHConfig = 1 << 20
	maxSSHFiles  = 200
	maxSSHDepth  = 16 // servconf.h, SERVCONF_MAX_DEPTH
)

// sshReader follows sshd_config(5) through its includes.
type sshReader struct {
	h        *Host
	left     int
	settings []SSHSetting
	gaps     []Gap
}

func (r *sshReader) read(name string, conditional bool, depth int) error {
	if r.left--; r.left < 0 || depth > maxSSHDepth {
		return &Error{"reading", "/" + name, TooLarge, fmt.Sprintf("stopped after %d files, %d deep", maxSSHFiles, maxSSHDepth)}
	}
	b, err := r.h.ReadSecret(name, maxSSHConfig, redactSSHConfig)
	if err != nil {
		return err
	}
	lines, err := parseSSHConfig(b)
	if err != nil {
		return &Error{"reading", "/" + name, Malformed, err.Error()}
	}
	for _, l := range lines {
		switch l.keyword {
		case "match":
			// A block reaches to the next one or to the end of its file.
			conditional = !strings.EqualFold(l.value, "all")
		case "include":
			for pattern := range strings.FieldsSeq(l.value) {
				r.include(pattern, conditional, depth)
			}
		default:
			r.settings = append(r.settings, SSHSetting{l.keyword, l.value, "/" + name, conditional})
		}
	}
	return nil
}

// include reads the files of a pattern in lexical order. Patterns are relative to
// /etc/ssh; a wildcard is followed in the last component.
func (r *sshReader) include(pattern string, conditional bool, depth int) {
	pattern = strings.Trim(pattern, `"`)
	if !path.IsAbs(pattern) {
		pattern = path.Join("/etc/ssh", pattern)
	}
	dir, last := path.Dir(pattern)[1:], path.Base(pattern)
	note := func(what string, err error) {
		if err != nil && !IsAbsent(err) {
			r.gaps = append(r.gaps, GapOf(what, err).In("settings"))
		}
	}
	switch {
	case strings.ContainsAny(dir, "*?["):
		note(pattern, &Error{"listing", pattern, Unsupported, "a wildcard in a folder's name is not followed"})
	case !strings.ContainsAny(last, "*?["):
		note(pattern, r.read(pattern[1:], conditional, depth+1))
	default:
		list, err := r.h.ReadDir(dir, maxUnits)
		note("/"+dir, err)
		for _, e := range list {
			if ok, _ := path.Match(last, e.Name); ok && !(e.Name[0] == '.' && last[0] != '.') {
				note("/"+dir+"/"+e.Name, r.read(dir+"/"+e.Name, conditional, depth+1))
			}
		}
	}
}

// sshKeywords are the keywords that are kept; others may name people and hosts.
var sshKeywords = []string{
	"authenticationmethods", "authorizedkeyscommand", "authorizedkeysfile", "include", "kbdinteractiveauthentication", "match",
	"passwordauthentication", "permitemptypasswords", "permitrootlogin", "pubkeyauthentication", "trustedusercakeys", "usepam",
}

// sshAliases are older names. Source: servconf.c, keywords.
var sshAliases = map[string]string{
	"challengeresponseauthentication":   "kbdinteractiveauthentication",
	"skeyauthentication":                "kbdinteractiveauthentication",
	"keyboardinteractiveauthentication": "kbdinteractiveauthentication",
	"dsaauthentication":                 "pubkeyauthentication",
	"authorizedkeysfile2":               "authorizedkeysfile",
}

// redactSSHConfig leaves the lines of sshKeywords, one blank after the keyword.
// What a Match block is about is left out, except that it is about all.
func redactSSHConfig(b []byte) []byte {
	return redactLines(b, func(line string) string {
		keyword, value := splitSSH(line)
		if !slices.Contains(sshKeywords, keyword) {
			return ""
		}
		switch {
		case keyword == "match" && !strings.EqualFold(value, "all"):
			value = "some"
		case keyword == "authorizedkeyscommand":
			value, _, _ = strings.Cut(value, " ") // its arguments may be secret
		}
		return keyword + " " + value
	})
}

// splitSSH parts keyword and value: blanks or one equals sign between them.
func splitSSH(line string) (keyword, value string) {
	line = strings.Trim(line, " \t\r\f")
	if line == "" || line[0] == '#' {
		return "", ""
	}
	i := strings.IndexAny(line, " \t=\"")
	if i < 0 {
		return strings.ToLower(line), ""
	}
	keyword = strings.ToLower(line[:i])
	value = strings.Trim(line[i:], " \t")
	value = strings.Trim(strings.TrimPrefix(value, "="), " \t")
	if before, _, ok := strings.Cut(value, " #"); ok {
		value = strings.TrimRight(before, " \t")
	}
	keyword = cmp.Or(sshAliases[keyword], keyword)
	return keyword, strings.Join(strings.Fields(value), " ")
}

type sshLine struct{ keyword, value string }

// parseSSHConfig parses sshd_config(5) after redactSSHConfig.
func parseSSHConfig(b []byte) ([]sshLine, error) {
	var out []sshLine
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		keyword, value, ok := strings.Cut(line, " ")
		if !ok || value == "" || !slices.Contains(sshKeywords, keyword) {
			return nil, fmt.Errorf("line %.100q is no keyword with a value", line)
		}
		if keyword != "include" && keyword != "authorizedkeysfile" {
			value = strings.Trim(value, `"`)
		}
		out = append(out, sshLine{keyword, value})
	}
	return out, nil
}

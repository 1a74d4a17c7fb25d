package node

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

const (
	maxKeyFile  = 1 << 20
	maxKeyUsers = 200
	maxKeyFiles = 500 // in all
)

// readSSHKeys reads the public keys of users that the daemon would look for: in
// the files of AuthorizedKeysFile, or where it looks without one, and in the
// folders that Flatcar and Fedora CoreOS make authorized_keys from.
func readSSHKeys(h *Host, settings []SSHSetting) ([]SSHKey, []Gap) {
	var gaps []Gap
	patterns := []string{".ssh/authorized_keys", ".ssh/authorized_keys2", ".ssh/authorized_keys.d/*"}
	for _, s := range settings {
		if s.Keyword == "authorizedkeysfile" {
			patterns = append(patterns, strings.Fields(strings.ReplaceAll(s.Value, `"`, ""))...)
		}
	}
	var users []passwdLine
	for _, dir := range AccountFiles {
		some, err := readColons(h, dir+"/passwd", redactPasswd, parsePasswd)
		if err != nil && !IsAbsent(err) {
			gaps = append(gaps, GapOf("the accounts of /"+dir+"/passwd", err).In("keys"))
		}
		users = append(users, some...)
	}
	slices.SortStableFunc(users, func(a, b passwdLine) int { return strings.Compare(a.name, b.name) })
	users = slices.CompactFunc(users, func(a, b passwdLine) bool { return a.name == b.name && a.home == b.home })
	if len(users) > maxKeyUsers {
		gaps = append(gaps, GapOf("keys of users", &Error{"looking for", "keys of users", TooLarge, fmt.Sprintf("stopped after %d users", maxKeyUsers)}).In("keys"))
		users = users[:maxKeyUsers]
	}
	var keys []SSHKey
	left := maxKeyFiles
	seen := map[string]bool{}
	unread := tally{what: "files of keys"}
	for _, u := range users {
		if !path.IsAbs(u.home) {
			continue
		}
		if _, err := h.Stat(cmp.Or(strings.Trim(path.Clean(u.home), "/"), ".")); IsAbsent(err) {
			continue // no home, no files in it
		}
		for _, pattern := range patterns {
			files, err := keyFiles(h, u, pattern)
			if err != nil {
				unread.of++
				unread.add(0, err)
			}
			for _, file := range files {
				if seen[u.name+"\x00"+file] {
					continue
				}
				seen[u.name+"\x00"+file] = true
				if left--; left < 0 {
					break
				}
				b, err := h.readOnce(file[1:], maxKeyFile, redactKeys)
				if IsAbsent(err) {
					continue
				}
				unread.of++
				var some []SSHKey
				if err == nil {
					some, err = parseKeys(b)
				}
				if err != nil {
					unread.add(0, err)
				}
				for _, k := range some {
					k.User, k.File = u.name, quoteName(file)
					keys = append(keys, k)
				}
			}
		}
	}
	for _, g := range unread.gaps() {
		gaps = append(gaps, g.In("keys"))
	}
	if left < 0 {
		gaps = append(gaps, GapOf("keys of users", &Error{"looking for", "keys of users", TooLarge, fmt.Sprintf("stopped after %d files", maxKeyFiles)}).In("keys"))
	}
	slices.SortFunc(keys, func(a, b SSHKey) int {
		return cmp.Or(strings.Compare(a.User, b.User), strings.Compare(a.File, b.File), strings.Compare(a.Fingerprint, b.Fingerprint), slices.Compare(a.Options, b.Options))
	})
	return slices.CompactFunc(keys, func(a, b SSHKey) bool {
		return a.User == b.User && a.File == b.File && a.Fingerprint == b.Fingerprint && slices.Equal(a.Options, b.Options)
	}), gaps
}

// keyFiles are the absolute paths that a pattern of AuthorizedKeysFile names for
// a user; a "*" at its end stands for every file of the folder.
// Source: sshd_config(5), TOKENS.
func keyFiles(h *Host, u passwdLine, pattern string) ([]string, error) {
	name := strings.NewReplacer("%%", "%", "%h", u.home, "%u", u.name, "%U", strconv.FormatUint(uint64(u.uid), 10)).Replace(pattern)
	switch {
	case name == "none":
		return nil, nil
	case !path.IsAbs(name):
		name = path.Join(u.home, name)
	}
	dir, all := strings.CutSuffix(name, "/*")
	if !all {
		return []string{path.Clean(name)}, nil
	}
	list, err := h.ReadDir(strings.TrimPrefix(path.Clean(dir), "/"), maxUnits)
	if IsAbsent(err) {
		return nil, nil
	}
	var out []string
	for _, e := range list {
		if e.Type != Directory {
			out = append(out, path.Join(dir, e.Name))
		}
	}
	return out, err
}

const (
	fingerprintWord = "fingerprint"
	unreadKey       = "unread"
)

// redactKeys replaces each key by its type, its fingerprint and the names of its
// options. Comments, which name people, stay on the node.
func redactKeys(b []byte) []byte {
	return redactLines(b, func(line string) string {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
			return ""
		case line == unreadKey:
			return line
		}
		if k, ok := parseKeyLine(line); ok {
			return keyText(k)
		}
		if k, ok := parsePublicKey(line); ok {
			return keyText(k)
		}
		return unreadKey
	})
}

func keyText(k SSHKey) string {
	return strings.Join([]string{fingerprintWord, k.Type, k.Fingerprint, strings.Join(k.Options, ",")}, "\t")
}

// parseKeyLine reads a line as redactKeys writes it.
func parseKeyLine(line string) (SSHKey, bool) {
	f := strings.Split(line, "\t")
	if len(f) == 3 { // the blank of no options, trimmed
		f = append(f, "")
	}
	if len(f) != 4 || f[0] != fingerprintWord || !isKeyType(f[1]) {
		return SSHKey{}, false
	}
	sum, ok := strings.CutPrefix(f[2], "SHA256:")
	if raw, err := base64.RawStdEncoding.DecodeString(sum); !ok || err != nil || len(raw) != sha256.Size {
		return SSHKey{}, false
	}
	k := SSHKey{Type: f[1], Fingerprint: f[2], Options: []string{}}
	if f[3] != "" {
		k.Options = strings.Split(f[3], ",")
	}
	for _, o := range k.Options {
		if !slices.Contains(keyOptions, o) {
			return SSHKey{}, false
		}
	}
	return k, true
}

// parseKeys parses a file of keys after redactKeys.
func parseKeys(b []byte) ([]SSHKey, error) {
	var out []SSHKey
	bad := 0
	for line := range strings.Lines(string(b)) {
		k, ok := parseKeyLine(strings.TrimSuffix(line, "\n"))
		if !ok {
			bad++
			continue
		}
		out = append(out, k)
	}
	if bad > 0 {
		return out, fmt.Errorf("%d lines are no public key", bad)
	}
	return out, nil
}

// keyOptions are the options of authorized_keys, sshd(8); "other" stands for one
// that this program does not know.
var keyOptions = []string{
	"agent-forwarding", "cert-authority", "command", "environment", "expiry-time", "from", "no-agent-forwarding", "no-port-forwarding",
	"no-pty", "no-touch-required", "no-user-rc", "no-x11-forwarding", "other", "permitlisten", "permitopen", "port-forwarding",
	"principals", "pty", "restrict", "tunnel", "user-rc", "verify-required", "x11-forwarding",
}

func isKeyType(s string) bool {
	return s != "" && len(s) < 100 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.@") == ""
}

// parsePublicKey reads a line of authorized_keys: options, type, key, comment.
// The key has to begin with its type, as RFC 4253, 6.6 has it.
func parsePublicKey(line string) (SSHKey, bool) {
	k := SSHKey{Options: []string{}}
	for rest := line; ; {
		word, after := cutOptions(rest)
		f := strings.Fields(after)
		if isKeyType(word) && len(f) > 0 {
			blob, err := base64.StdEncoding.DecodeString(f[0])
			if err == nil && len(blob) > 4 {
				n := binary.BigEndian.Uint32(blob)
				if int64(n)+4 <= int64(len(blob)) && string(blob[4:4+n]) == word {
					sum := sha256.Sum256(blob)
					k.Type, k.Fingerprint = word, "SHA256:"+base64.RawStdEncoding.EncodeToString(sum[:])
					return k, true
				}
			}
		}
		if rest != line || after == "" {
			return SSHKey{}, false
		}
		for _, o := range splitOptions(word) {
			name, _, _ := strings.Cut(strings.ToLower(o), "=")
			if !slices.Contains(keyOptions, name) {
				name = "other"
			}
			k.Options = append(k.Options, name)
		}
		slices.Sort(k.Options)
		k.Options = slices.Compact(k.Options)
		rest = after
	}
}

// cutOptions cuts at the first blank outside double quotes.
func cutOptions(s string) (word, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case !quoted && (s[i] == ' ' || s[i] == '\t'):
			return s[:i], strings.TrimLeft(s[i:], " \t")
		}
	}
	return s, ""
}

// splitOptions splits at commas outside double quotes.
func splitOptions(s string) []string {
	var out []string
	quoted, start := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	return append(out, s[start:])
}

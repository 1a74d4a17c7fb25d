package node

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// AccountState is who the host knows and who of them may become root. No
// password, and no digest of one, is part of it.
type AccountState struct {
	Accounts []Account `json:"accounts"` // sorted by name
	// Groups are those of [rootGroups] that have members, sorted by name.
	Groups []AccountGroup `json:"groups"`
	// Sudo are the rules of sudoers(5), sorted.
	Sudo []SudoRule `json:"sudo"`
}

// Account is a line of passwd(5).
type Account struct {
	Name string `json:"name"`
	UID  uint32 `json:"uid"`
	Home string `json:"home"`
	// Shell is as written; "" stands for /bin/sh there.
	Shell string `json:"shell"`
	// ShellFound says whether the shell exists: "yes", "no", "unknown".
	ShellFound string `json:"shellFound"`
	// Password is "password" (one is set), "empty" (none is asked for), "locked"
	// (no password fits), "none" (the account has no entry in shadow(5)), or
	// "unknown" where shadow could not be read.
	Password string `json:"password"`
	// Hash is the method of crypt(5) that the password was hashed with: "yescrypt",
	// "sha512crypt", "md5crypt", "descrypt"; "" where there is no password.
	Hash string `json:"hash,omitempty"`
	From string `json:"from"` // the file
}

// AccountGroup is a group whose members can become root.
type AccountGroup struct {
	Name    string   `json:"name"`
	Members []string `json:"members"` // sorted; those with it as their first group too
}

// SudoRule is who may run commands as somebody else.
type SudoRule struct {
	Who        string `json:"who"`                  // "%wheel", "core"
	NoPassword bool   `json:"noPassword,omitempty"` // NOPASSWD stands in it
	All        bool   `json:"all,omitempty"`        // every command
	From       string `json:"from"`                 // the file
}

// AccountFiles are the databases of users: those of nsswitch.conf's "files", and
// of nss-altfiles, which ostree systems (usr/lib) and Flatcar (usr/share/baselayout)
// use. Without leading slash; passwd, shadow and group of each.
var AccountFiles = []string{"etc", "usr/lib", "usr/share/baselayout"}

// SudoFiles are where sudoers(5) is; the vendor's own only where /etc has none.
var SudoFiles = []string{"etc/sudoers", "usr/etc/sudoers"}

// rootGroups are groups whose members can become root: by sudo where a rule says
// so, by the socket of an engine, or by the disk itself.
var rootGroups = []string{"disk", "docker", "incus", "incus-admin", "libvirt", "lxd", "podman", "root", "sudo", "wheel"}

// Accounts are the local accounts of the host.
var Accounts = Source[AccountState]{
	Name:  "accounts",
	Doc:   "local accounts by shell and kind of password, and who may become root; no password and no digest of one",
	Scope: Cohort,
	Every: Hour,
	Read:  readAccounts,
}

const maxAccounts = 4 << 20 // bytes of passwd, shadow or group

func readAccounts(_ context.Context, h *Host) (AccountState, []Gap, error) {
	v := AccountState{Accounts: []Account{}, Groups: []AccountGroup{}, Sudo: []SudoRule{}}
	var gaps []Gap
	if _, err := h.Lstat("etc"); err != nil {
		return v, nil, err
	}
	firstGroup := map[uint32][]string{}
	members := map[string][]string{}
	for _, dir := range AccountFiles {
		users, err := readColons(h, dir+"/passwd", redactPasswd, parsePasswd)
		if err != nil {
			if !IsAbsent(err) {
				gaps = append(gaps, GapOf("the accounts of /"+dir+"/passwd", err).In("accounts"))
			}
			continue
		}
		secrets, err := readColons(h, dir+"/shadow", redactShadow, parseShadow)
		hidden := err != nil && !IsAbsent(err)
		if hidden {
			gaps = append(gaps, GapOf("the kinds of passwords of /"+dir+"/shadow", err).In("accounts"))
		}
		for _, u := range users {
			a := Account{Name: u.name, UID: u.uid, Home: u.home, Shell: u.shell, From: "/" + dir + "/passwd"}
			switch a.Password, a.Hash = classWords(u.password); {
			case a.Password != "shadow":
			case hidden:
				a.Password = "unknown"
			default:
				a.Password = "none"
				if i := slices.IndexFunc(secrets, func(s shadowLine) bool { return s.name == u.name }); i >= 0 {
					a.Password, a.Hash = classWords(secrets[i].class)
				}
			}
			a.ShellFound = "yes"
			switch _, err := h.Stat(strings.TrimPrefix(cmp.Or(u.shell, "/bin/sh"), "/")); {
			case IsAbsent(err):
				a.ShellFound = "no"
			case err != nil:
				a.ShellFound = "unknown"
			}
			v.Accounts = append(v.Accounts, a)
			firstGroup[u.gid] = append(firstGroup[u.gid], u.name)
		}
	}
	for _, dir := range AccountFiles {
		groups, err := readColons(h, dir+"/group", redactGroup, parseGroup)
		if err != nil {
			if !IsAbsent(err) {
				gaps = append(gaps, GapOf("the groups of /"+dir+"/group", err).In("groups"))
			}
			continue
		}
		for _, g := range groups {
			if slices.Contains(rootGroups, g.name) {
				members[g.name] = append(members[g.name], slices.Concat(g.members, firstGroup[g.gid])...)
			}
		}
	}
	for name, list := range members {
		slices.Sort(list)
		if list = slices.Compact(list); len(list) > 0 {
			v.Groups = append(v.Groups, AccountGroup{name, list})
		}
	}
	slices.SortFunc(v.Groups, func(a, b AccountGroup) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(v.Accounts, func(a, b Account) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.From, b.From))
	})
	for _, dir := range []string{"etc/userdb", "run/userdb"} {
		list, err := h.ReadDir(dir, maxUnits)
		if err == nil && slices.ContainsFunc(list, func(e DirEntry) bool { return path.Ext(e.Name) == ".user" }) {
			err = &Error{"reading", "/" + dir, Unsupported, "user records of nss-systemd(8) are not followed"}
		}
		if err != nil && !IsAbsent(err) {
			gaps = append(gaps, GapOf("the accounts of /"+dir, err).In("accounts"))
		}
	}
	rules, more := readSudo(h)
	v.Sudo = append(v.Sudo, rules...)
	return v, append(gaps, more...), nil
}

// readColons reads a database of lines with colons.
func readColons[T any](h *Host, name string, redact func([]byte) []byte, parse func([]byte) ([]T, error)) ([]T, error) {
	b, err := h.readOnce(name, maxAccounts, redact)
	if err != nil {
		return nil, err
	}
	out, err := parse(b)
	if err != nil {
		return nil, &Error{"reading", "/" + name, Malformed, err.Error()}
	}
	return out, nil
}

// Classes that stand in place of the second field after redaction.
const (
	classEmpty  = "<empty>"
	classLocked = "<locked>"
	classShadow = "<shadow>"
	classHash   = "<password " // with the method and ">"
)

// cryptMethods are the prefixes of crypt(5), longest first where one begins another.
var cryptMethods = []struct{ prefix, name string }{
	{"$y$", "yescrypt"}, {"$gy$", "gost-yescrypt"}, {"$7$", "scrypt"},
	{"$2b$", "bcrypt"}, {"$2a$", "bcrypt"}, {"$2x$", "bcrypt"}, {"$2y$", "bcrypt"},
	{"$6$", "sha512crypt"}, {"$5$", "sha256crypt"}, {"$1$", "md5crypt"}, {"$sha1$", "sha1crypt"}, {"$md5", "sunmd5"}, {"_", "bsdicrypt"},
}

// classOf is what may be said of the second field of passwd(5) or shadow(5).
// What begins with "!" or "*" fits no password, whatever follows.
func classOf(field string) string {
	switch {
	case field == "":
		return classEmpty
	case field == classEmpty, field == classLocked, field == classShadow:
		return field
	case field == "x":
		return classShadow
	case field[0] == '!' || field[0] == '*':
		return classLocked
	}
	if inner, ok := strings.CutPrefix(field, classHash); ok {
		inner, closed := strings.CutSuffix(inner, ">")
		if closed && (inner == "descrypt" || inner == "unknown" || slices.ContainsFunc(cryptMethods, func(m struct{ prefix, name string }) bool { return m.name == inner })) {
			return field
		}
	}
	method := "unknown"
	if len(field) == 13 && !strings.Contains(field, "$") {
		method = "descrypt"
	}
	for _, m := range cryptMethods {
		if strings.HasPrefix(field, m.prefix) {
			method = m.name
			break
		}
	}
	return classHash + method + ">"
}

// classWords are the words of a fact for a class.
func classWords(class string) (password, hash string) {
	switch class {
	case classEmpty:
		return "empty", ""
	case classLocked:
		return "locked", ""
	case classShadow:
		return "shadow", ""
	}
	return "password", strings.TrimSuffix(strings.TrimPrefix(class, classHash), ">")
}

// redactLines replaces each line by what keep makes of it; "" drops it. Every
// line that stays ends in a newline.
func redactLines(b []byte, keep func(string) string) []byte {
	var out strings.Builder
	for line := range strings.Lines(string(b)) {
		if kept := keep(strings.TrimSuffix(line, "\n")); kept != "" {
			out.WriteString(kept + "\n")
		}
	}
	return []byte(out.String())
}

// redactPasswd leaves name, class of password, numbers, home and shell: the
// name of a person in the fifth field stays on the node.
func redactPasswd(b []byte) []byte {
	return redactLines(b, func(line string) string {
		f := strings.Split(line, ":")
		if len(f) != 7 {
			return keepBadLine(line, "passwd")
		}
		f[1], f[4] = classOf(f[1]), ""
		return strings.Join(f, ":")
	})
}

// redactShadow leaves the name and the class of the password.
func redactShadow(b []byte) []byte {
	return redactLines(b, func(line string) string {
		f := strings.Split(line, ":")
		if len(f) != 9 && len(f) != 2 {
			return keepBadLine(line, "shadow")
		}
		return f[0] + ":" + classOf(f[1])
	})
}

// redactGroup leaves out the passwords of groups.
func redactGroup(b []byte) []byte {
	return redactLines(b, func(line string) string {
		f := strings.Split(line, ":")
		if len(f) != 4 {
			return keepBadLine(line, "group")
		}
		f[1] = ""
		return strings.Join(f, ":")
	})
}

// keepBadLine keeps that there is a line which is none of the format's, and
// nothing of it; comments and the compat entries of nsswitch go.
func keepBadLine(line, format string) string {
	if text := strings.TrimSpace(line); text == "" || text[0] == '#' {
		return ""
	}
	return "<no line of " + format + ">"
}

type passwdLine struct {
	name, password, home, shell string
	uid, gid                    uint32
}

// parsePasswd parses passwd(5) after redactPasswd.
func parsePasswd(b []byte) ([]passwdLine, error) {
	var out []passwdLine
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		f := strings.Split(line, ":")
		if len(f) != 7 || f[0] == "" {
			return nil, fmt.Errorf("passwd line %.100q: %d fields, want 7", line, len(f))
		}
		p := passwdLine{name: quoteName(f[0]), password: f[1], home: quoteName(f[5]), shell: quoteName(f[6])}
		for i, id := range []*uint32{&p.uid, &p.gid} {
			n, err := strconv.ParseUint(f[2+i], 10, 32)
			if err != nil {
				return nil, fmt.Errorf("passwd line %.100q: %q is no number", line, f[2+i])
			}
			*id = uint32(n)
		}
		out = append(out, p)
	}
	return out, nil
}

type shadowLine struct{ name, class string }

// parseShadow parses shadow(5) after redactShadow.
func parseShadow(b []byte) ([]shadowLine, error) {
	var out []shadowLine
	for line := range strings.Lines(string(b)) {
		name, class, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		if !ok || name == "" || class != classOf(class) {
			return nil, fmt.Errorf("shadow has a line that is none")
		}
		out = append(out, shadowLine{quoteName(name), class})
	}
	return out, nil
}

type groupLine struct {
	name    string
	gid     uint32
	members []string
}

// parseGroup parses group(5) after redactGroup.
func parseGroup(b []byte) ([]groupLine, error) {
	var out []groupLine
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		f := strings.Split(line, ":")
		if len(f) != 4 || f[0] == "" {
			return nil, fmt.Errorf("group line %.100q: %d fields, want 4", line, len(f))
		}
		gid, err := strconv.ParseUint(f[2], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("group line %.100q: %q is no number", line, f[2])
		}
		g := groupLine{name: quoteName(f[0]), gid: uint32(gid)}
		for m := range strings.SplitSeq(f[3], ",") {
			if m = strings.TrimSpace(m); m != "" {
				g.members = append(g.members, quoteName(m))
			}
		}
		out = append(out, g)
	}
	return out, nil
}

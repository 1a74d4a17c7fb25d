package node

import (
	"regexp"
	"slices"
	"strings"
)

// redactCmdline takes secrets out of a kernel command line. Everything else
// stays byte for byte, and what is redacted already stays as it is.
func redactCmdline(b []byte) []byte {
	text, newline := strings.CutSuffix(string(b), "\n") // which belongs to no word, open quote or not
	var out strings.Builder
	option := false // the word before is an option of process 1 that takes a secret
	for _, p := range splitCmdline(text) {
		w := p.word()
		switch {
		case p.blank:
			out.WriteString(p.text)
			continue
		case option && !w.Valued && !strings.HasPrefix(w.Key, "-"):
			out.WriteString(redacted)
		default:
			out.WriteString(p.redact(w))
		}
		option = !w.Valued && strings.HasPrefix(w.Key, "-") && namesSecret(w.Key, w.Value)
	}
	if newline {
		out.WriteByte('\n')
	}
	return []byte(out.String())
}

// redact is the text of the piece, whose word is w, without secrets.
func (p cmdlinePart) redact(w Word) string {
	switch {
	case hidesURL(w.Key): // an equals sign in a query parts key and value at the wrong place
		return redacted
	case !w.Valued:
		return p.text
	}
	value := redactValue(w.Key, w.Value)
	if value == w.Value {
		return p.text
	}
	if strings.Contains(w.Key+value, `"`) { // its quotes would part the words elsewhere
		return redacted
	}
	return cmdlineText(w.Key, value)
}

func hidesURL(key string) bool { return strings.Contains(key, "://") || strings.Contains(key, "?") }

// redactBootconfig takes secrets out of /proc/bootconfig, which may end in
// comments that hold the boot loader's command line.
func redactBootconfig(b []byte) []byte {
	var out strings.Builder
	for line := range strings.Lines(string(b)) {
		text := strings.TrimSuffix(line, "\n")
		end := line[len(text):]
		if comment, ok := strings.CutPrefix(text, "# "); ok {
			out.WriteString("# " + string(redactCmdline([]byte(comment))) + end)
			continue
		}
		key, values, ok := strings.Cut(text, " = ")
		if !ok {
			if strings.Trim(text, " #") != "" && !strings.HasPrefix(text, "#") {
				text = redacted // the parser refuses the line, and quotes it
			}
			out.WriteString(text + end)
			continue
		}
		out.WriteString(key + " = " + eachBootconfigValue(values, func(v string) string {
			return redactValue(bootconfigKey(key), v)
		}) + end)
	}
	return []byte(out.String())
}

// bootconfigKey is the kernel parameter that a bootconfig key stands for:
// "kernel.x" and "init.x" are the words "x".
// Source: the kernel's Documentation/admin-guide/bootconfig.rst.
func bootconfigKey(key string) string {
	for _, prefix := range []string{"kernel.", "init."} {
		if rest, ok := strings.CutPrefix(key, prefix); ok {
			return rest
		}
	}
	return key
}

var bootconfigValue = regexp.MustCompile(`"[^"]*"|'[^']*'`)

// eachBootconfigValue applies f inside each pair of quotes; text outside quotes
// is left for the parser to refuse, unless it could be a value.
func eachBootconfigValue(s string, f func(string) string) string {
	if strings.Trim(bootconfigValue.ReplaceAllString(s, ""), ", ") != "" {
		return redacted
	}
	return bootconfigValue.ReplaceAllStringFunc(s, func(q string) string {
		return q[:1] + f(q[1:len(q)-1]) + q[len(q)-1:]
	})
}

// wholeSecrets are keys whose value is a secret or a document full of them.
var wholeSecrets = []string{
	"talos.config.inline", // machine configuration in base64
	"talos.config.early",
}

// noSecrets are keys that look like secrets and are settings.
var noSecrets = []string{
	"secretmem.enable",           // kernel-parameters.rst
	"systemd.import_credentials", // boolean, systemd(1)
	"rd.luks.key",                // path of a key file, systemd-cryptsetup-generator(8)
	"luks.key",
}

// secretParts in a key name a secret, wherever they stand in it.
var secretParts = []string{"token", "passw", "passphrase", "secret", "credential"}

// secretEnds are last parts of a key that name a secret.
var secretEnds = []string{
	"key", "authkey", "apikey", "accesskey", "privatekey", "joinkey", "psk", "pw", "rootpw", "sshpw",
}

// secretAssignments begin a secret within a value.
var secretAssignments = regexp.MustCompile(`(?i)(token|passwd|password|passphrase|secret|apikey|authkey)=`)

// redactValue is the value of a command line word without secrets. Applied to
// its own result it changes nothing.
func redactValue(key, value string) string {
	if value == "" || value == redacted {
		return value
	}
	name := strings.ReplaceAll(strings.ToLower(key), "-", "_")
	switch {
	case name == "systemd.set_credential" || name == "systemd.set_credential_binary":
		return keepBefore(value, ":") // NAME:VALUE, systemd(1)
	case name == "systemd.setenv" || name == "talos.environment":
		return keepBefore(value, "=") // NAME=VALUE; proxies hold passwords
	case namesSecret(key, value):
		return redacted
	}
	value = redactURLs(value)
	if at := secretAssignments.FindStringIndex(value); at != nil {
		value = value[:at[1]] + redacted
	}
	// netroot=iscsi:user:password@server… and the like, dracut.cmdline(7).
	for _, scheme := range []string{"iscsi:", "cifs:", "smb:"} {
		rest, ok := strings.CutPrefix(value, scheme)
		if at := strings.LastIndexByte(rest, '@'); ok && at >= 0 && !strings.HasPrefix(rest, "//") {
			value = scheme + redacted + rest[at:]
		}
	}
	return value
}

// namesSecret reports whether a key names a secret by the parts that it has.
// A path is none: it says where a key lies.
func namesSecret(key, value string) bool {
	name := strings.ReplaceAll(strings.ToLower(key), "-", "_")
	switch {
	case slices.Contains(noSecrets, name):
		return false
	case slices.Contains(wholeSecrets, name):
		return true
	case slices.ContainsFunc(secretParts, func(s string) bool { return strings.Contains(name, s) }):
		return true
	}
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '.' || r == '_' })
	return len(parts) > 0 && slices.Contains(secretEnds, parts[len(parts)-1]) && !strings.HasPrefix(value, "/")
}

// keepBefore keeps a name and the separator after it, and nothing else.
func keepBefore(value, separator string) string {
	name, _, ok := strings.Cut(value, separator)
	if !ok {
		return redacted
	}
	return name + separator + redacted
}

// urlUser is the user of a URL, with a password in which somebody left the
// characters unescaped that end it: then all up to the last @ is taken for it.
var urlUser = regexp.MustCompile(`(://)(?:[^/?#\s"']*:[^\s"']*|[^/?#\s"']*)@`)

// redactURLs takes user and query out of every URL in s. A query is whatever
// follows a question mark and holds an equals sign; its end cannot be told from
// what may follow, so that all of the rest goes.
func redactURLs(s string) string {
	s = urlUser.ReplaceAllString(s, "${1}"+redacted+"@")
	if at := strings.IndexByte(s, '?'); at >= 0 && s[at+1:] != redacted &&
		(strings.Contains(s[:at], "://") || strings.Contains(s[at:], "=")) && s[at+1:] != "" {
		s = s[:at+1] + redacted
	}
	if at := strings.IndexByte(s, '#'); at >= 0 && strings.Contains(s[:at], "://") && s[at+1:] != redacted && s[at+1:] != "" {
		s = s[:at+1] + redacted
	}
	return s
}

var (
	deviceByID   = regexp.MustCompile(`/dev/disk/by-id/[^\s,;:]+`)
	idAssignment = regexp.MustCompile(`(UUID=)[^\s,;:/"]+`)
	anAddress    = regexp.MustCompile(`[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+|\[[0-9a-fA-F:]*:[0-9a-fA-F:.]*\]`)
	ostreeSlot   = regexp.MustCompile(`^/ostree/boot\.[01](?:\.[01])?/(.*)/[0-9]+$`) // of two, which updates change
	cloudSeed    = regexp.MustCompile(`(^|;)(h|i|local-hostname|instance-id)=[^;]*`)
)

// stableValue is the value of a command line word with placeholders for what
// differs between equal nodes: UUIDs, names, addresses, serial numbers.
func stableValue(key, value string) string {
	value = withoutUUID(value)
	value = idAssignment.ReplaceAllString(value, "${1}<uuid>")
	value = deviceByID.ReplaceAllString(value, "/dev/disk/by-id/<id>")
	switch name := strings.ReplaceAll(strings.ToLower(key), "-", "_"); name {
	case "systemd.machine_id":
		if len(value) >= 32 { // "firmware" is a setting
			return "<machine-id>"
		}
	case "hostname", "systemd.hostname", "talos.hostname":
		return "<hostname>"
	case "ostree":
		return ostreeSlot.ReplaceAllString(value, "/ostree/boot.N/${1}/N")
	case "ip":
		// A static address carries the node's name too; "dhcp" and the like stay.
		if anAddress.MatchString(value) {
			return "<address>"
		}
	case "bootif", "ifname":
		return "<mac>"
	case "resume_offset":
		return "<number>"
	case "rd.iscsi.initiator":
		return "<name>"
	case "rd.luks.uuid", "rd.md.uuid", "luks.uuid":
		return "<uuid>"
	case "ds", "ci.ds", "ci.datasource":
		return cloudSeed.ReplaceAllString(value, "${1}${2}=<id>")
	}
	return value
}

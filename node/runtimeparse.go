package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Redactors of configuration keep what is known to be no secret: names of keys,
// numbers but those whose key names a secret, switches, and the text of the keys in safeText. A file that is not of
// its form is kept as the number of the line that is not, after notOfForm.

const notOfForm = "# not of its form: "

// safeText are the keys of engines' configuration whose text is an address, a
// path, a word or a registry.
var safeText = setOf(
	"address", "tcp_address", "uid", "gid", "root", "state", "imports", "disabled_plugins", "required_plugins", "version",
	"stream_server_address", "stream_server_port", "stream_address", "stream_port", "metrics_host", "listen", "unset_seccomp_profile", "seccomp_profile", "apparmor_profile",
	"config_path", "bin_dir", "bin_dirs", "conf_dir", "plugin_dirs", "network_dir", "plugin_path", "plugin_config_path", "nri_listen", "nri_plugin_dir", "nri_plugin_config_dir", "socket_path",
	"runtime_type", "runtime_path", "BinaryName", "default_runtime", "default_runtime_name", "snapshotter", "signature_policy", "signature_policy_dir",
	"endpoint", "server", "location", "prefix", "insecure_registries", "registries", "unqualified-search-registries", "short-name-mode", "blocked",
	"hosts", "insecure-registries", "seccomp-profile", "userns-remap", "default-runtime", "exec-opts", "storage-driver", "type", "keyPath", "keyType", "capabilities",
)

// userInfo is the user and password in a URL, whatever characters people have
// left in them that a URL may not have there. A query goes too: it may hold a token.
var (
	userInfo = regexp.MustCompile(`(?s)//.*@`)
	urlQuery = regexp.MustCompile(`(?s)(//[^?#]*)[?#].*`)
)

func withoutUserInfo(s string) string {
	return urlQuery.ReplaceAllString(userInfo.ReplaceAllString(s, "//"), "${1}")
}

// redactTree is redaction of what a decoder made of a file.
func redactTree(v any, safe bool) any {
	switch v := v.(type) {
	case string:
		if safe {
			return withoutUserInfo(v)
		}
		return redacted
	case []any:
		for i := range v {
			v[i] = redactTree(v[i], safe)
		}
		return v
	case []map[string]any:
		for i := range v {
			v[i] = redactTree(v[i], safe).(map[string]any)
		}
		return v
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) { // for two may become one
			out[withoutUserInfo(key)] = redactTree(v[key], safeText[key])
			switch v[key].(type) {
			case int64, float64:
				if namesSecret(key, "") { // a PIN
					out[withoutUserInfo(key)] = redacted
				}
			}
		}
		return out
	}
	return v
}

func redactTOML(b []byte) []byte {
	if bytes.HasPrefix(b, []byte(notOfForm)) {
		return b
	}
	doc := map[string]any{}
	if _, err := toml.Decode(string(b), &doc); err != nil {
		var at toml.ParseError
		if errors.As(err, &at) {
			return fmt.Appendf(nil, "%sline %d\n", notOfForm, at.Position.Line)
		}
		return []byte(notOfForm + "no TOML\n")
	}
	var out bytes.Buffer
	e := toml.NewEncoder(&out)
	e.Indent = ""
	if err := e.Encode(redactTree(doc, false)); err != nil {
		return []byte(notOfForm + "it cannot be written again\n")
	}
	return out.Bytes()
}

func redactJSON(b []byte) []byte {
	if bytes.HasPrefix(b, []byte(notOfForm)) {
		return b
	}
	var doc any
	if err := json.Unmarshal(b, &doc); err != nil {
		return []byte(notOfForm + "no JSON\n")
	}
	out, err := json.Marshal(redactTree(doc, false))
	if err != nil {
		return []byte(notOfForm + "it cannot be written again\n")
	}
	return append(out, '\n')
}

// redactEngineArgs keeps of an engine's arguments the program and the flags that
// engineFlags knows; the others go as a whole.
func redactEngineArgs(b []byte) []byte {
	args := splitArgs(b)
	out := args[:1:1]
	for _, f := range engineFlags(args) {
		out = append(out, "--"+f.Key+"="+withoutUserInfo(f.Value))
	}
	return joinArgs(out)
}

// engineFlags are the flags of an engine that say where its configuration is or
// what stands there too: containerd(8), crio(8), dockerd(8).
func engineFlags(args []string) []Setting {
	known := func(name string) bool {
		_, ok := engineFlagSettings[name]
		return ok || slices.Contains([]string{"config", "c", "config-dir", "d", "config-file"}, name)
	}
	switches := []string{"tlsverify", "stream-enable-tls", "enable-metrics", "selinux", "enable-nri"}
	var out []Setting
	for i := 1; i < len(args); i++ {
		flag, value, valued := strings.Cut(args[i], "=")
		name := strings.TrimLeft(flag, "-")
		if flag == name || !known(name) {
			continue
		}
		switch {
		case valued:
		case slices.Contains(switches, name):
			value = "true"
		case i+1 < len(args):
			i++
			value = args[i]
		}
		out = append(out, Setting{Key: name, Value: value})
	}
	return out
}

// parsedConfig is what one file says.
type parsedConfig struct {
	imports    []string
	settings   []Setting
	registries []Registry
	unjudged   []string
}

func decodeTOML(b []byte) (map[string]any, error) {
	if rest, bad := bytes.CutPrefix(b, []byte(notOfForm)); bad {
		return nil, fmt.Errorf("no TOML at %s", strings.TrimSpace(string(rest)))
	}
	doc := map[string]any{}
	if _, err := toml.Decode(string(b), &doc); err != nil {
		var at toml.ParseError
		if errors.As(err, &at) {
			return nil, fmt.Errorf("line %d: %s", at.Position.Line, at.Message)
		}
		return nil, err
	}
	return doc, nil
}

// flat are the values of a document by dotted name, sorted; a list of values has
// an entry for each, and a list of tables is passed over.
func flat(prefix string, v any, into *[]Setting) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			name := key
			if prefix != "" {
				name = prefix + "." + key
			}
			flat(name, v[key], into)
		}
	case []any:
		for _, one := range v {
			if _, nested := one.(map[string]any); !nested {
				flat(prefix, one, into)
			}
		}
	case []map[string]any:
	default:
		*into = append(*into, Setting{Key: prefix, Value: fmt.Sprint(v)})
	}
}

// containerdNames are the names of plugins in versions 1, 2 and 3 of the
// configuration, and what they are called here: docs/PLUGINS.md and
// docs/cri/config.md of containerd.
var containerdNames = []struct{ from, to string }{
	{"plugins.io.containerd.grpc.v1.cri.", "cri."},
	{"plugins.io.containerd.cri.v1.runtime.", "cri."},
	{"plugins.io.containerd.cri.v1.images.", "cri."},
	{"plugins.cri.", "cri."},
	{"plugins.io.containerd.nri.v1.nri.", "nri."},
	{"plugins.io.containerd.image-verifier.v1.bindir.", "image-verifier."},
}

// judgedSettings are the settings that a fact holds, by what they are called here.
var judgedSettings = setOf(
	"version", "grpc.address", "grpc.tcp_address", "debug.address", "metrics.address", "ttrpc.address",
	"cri.disable_tcp_service", "cri.stream_server_address", "cri.stream_server_port", "cri.enable_tls_streaming", "cri.enable_selinux", "cri.disable_apparmor", "cri.unset_seccomp_profile",
	"cri.registry.config_path", "cri.cni.bin_dir", "cri.cni.bin_dirs", "nri.disable", "nri.disable_connections", "nri.plugin_path", "nri.plugin_config_path", "nri.socket_path", "image-verifier.bin_dir",
	"stream_address", "stream_port", "stream_enable_tls", "metrics_host", "enable_metrics", "seccomp_profile", "seccomp_use_default_when_empty", "apparmor_profile", "selinux",
	"signature_policy", "enable_nri", "nri_listen", "nri_plugin_dir", "insecure_registries", "plugin_dirs",
	"hosts", "tlsverify", "insecure-registries", "seccomp-profile", "no-new-privileges", "selinux-enabled", "userns-remap",
)

// crioNames are CRI-O's words for what containerd calls otherwise.
var crioNames = map[string]string{"nri_plugin_dir": "nri.plugin_path", "nri_listen": "nri.socket_path", "plugin_dirs": "cri.cni.bin_dir"}

func (c *parsedConfig) put(s Setting) {
	if judgedSettings[s.Key] {
		if to, ok := crioNames[s.Key]; ok {
			s.Key = to
		}
		c.settings = append(c.settings, s)
		return
	}
	c.unjudged = append(c.unjudged, s.Key)
}

func parseContainerd(b []byte) (parsedConfig, error) {
	var c parsedConfig
	doc, err := decodeTOML(b)
	if err != nil {
		return c, err
	}
	var all []Setting
	flat("", doc, &all)
	for _, s := range all {
		for _, n := range containerdNames {
			if rest, ok := strings.CutPrefix(s.Key, n.from); ok {
				s.Key = n.to + rest
				break
			}
		}
		// Up to version 2 the runtime of the CRI was one table deeper.
		s.Key = strings.Replace(s.Key, "cri.containerd.", "cri.", 1)
		switch host, ok := strings.CutPrefix(s.Key, "cri.registry."); {
		case s.Key == "imports":
			c.imports = append(c.imports, s.Value)
		case ok && strings.HasSuffix(host, ".tls.insecure_skip_verify"):
			if s.Value == "true" {
				name := strings.TrimPrefix(strings.TrimSuffix(host, ".tls.insecure_skip_verify"), "configs.")
				c.registries = append(c.registries, Registry{Host: name, Fault: "skip-verify"})
			}
		case ok && strings.HasSuffix(host, ".endpoint"):
			if strings.HasPrefix(s.Value, "http://") {
				c.registries = append(c.registries, Registry{Host: strings.TrimPrefix(s.Value, "http://"), Fault: "plain-http"})
			}
		default:
			c.put(s)
		}
	}
	return c, nil
}

// parseHosts parses hosts.toml of one registry, whose folder has its name.
func parseHosts(registry string, b []byte) (parsedConfig, error) {
	var c parsedConfig
	doc, err := decodeTOML(b)
	if err != nil {
		return c, err
	}
	if server, ok := doc["server"].(string); ok && strings.HasPrefix(server, "http://") {
		c.registries = append(c.registries, Registry{Host: strings.TrimPrefix(server, "http://"), Fault: "plain-http"})
	}
	if skip, ok := doc["skip_verify"].(bool); ok && skip {
		c.registries = append(c.registries, Registry{Host: quoteName(registry), Fault: "skip-verify"})
	}
	hosts, _ := doc["host"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(hosts)) {
		if strings.HasPrefix(name, "http://") {
			c.registries = append(c.registries, Registry{Host: strings.TrimPrefix(name, "http://"), Fault: "plain-http"})
		}
		host, _ := hosts[name].(map[string]any)
		if skip, ok := host["skip_verify"].(bool); ok && skip {
			c.registries = append(c.registries, Registry{Host: strings.TrimPrefix(name, "https://"), Fault: "skip-verify"})
		}
	}
	return c, nil
}

// parseCrio parses crio.conf, whose tables are named [crio.runtime] and so on:
// the last name of a key tells it.
func parseCrio(b []byte) (parsedConfig, error) {
	var c parsedConfig
	doc, err := decodeTOML(b)
	if err != nil {
		return c, err
	}
	var all []Setting
	flat("", doc, &all)
	for _, s := range all {
		f := strings.Split(s.Key, ".")
		if len(f) == 3 && f[0] == "crio" || len(f) == 2 && f[0] == "crio" {
			s.Key = f[len(f)-1]
		}
		if s.Key == "insecure_registries" {
			c.registries = append(c.registries, Registry{Host: s.Value, Fault: "insecure"})
			continue
		}
		c.put(s)
	}
	return c, nil
}

func parseRegistries(b []byte) (parsedConfig, error) {
	var c parsedConfig
	doc, err := decodeTOML(b)
	if err != nil {
		return c, err
	}
	insecure := func(v any) {
		tables, _ := v.([]map[string]any)
		for _, r := range tables {
			if on, ok := r["insecure"].(bool); ok && on {
				name, _ := r["location"].(string)
				if name == "" {
					name, _ = r["prefix"].(string)
				}
				c.registries = append(c.registries, Registry{Host: name, Fault: "insecure"})
			}
		}
	}
	insecure(doc["registry"])
	if tables, ok := doc["registry"].([]map[string]any); ok {
		for _, r := range tables {
			insecure(r["mirror"])
		}
	}
	// Version 1 of the format.
	if tables, ok := doc["registries"].(map[string]any); ok {
		if old, ok := tables["insecure"].(map[string]any); ok {
			list, _ := old["registries"].([]any)
			for _, name := range list {
				c.registries = append(c.registries, Registry{Host: fmt.Sprint(name), Fault: "insecure"})
			}
		}
	}
	return c, nil
}

// parseDaemon parses dockerd's daemon.json.
func parseDaemon(b []byte) (parsedConfig, error) {
	var c parsedConfig
	doc := map[string]any{}
	if err := decodeJSON(b, &doc); err != nil {
		return c, err
	}
	var all []Setting
	flat("", doc, &all)
	for _, s := range all {
		if s.Key == "insecure-registries" {
			c.registries = append(c.registries, Registry{Host: s.Value, Fault: "insecure"})
			continue
		}
		c.put(s)
	}
	return c, nil
}

func decodeJSON(b []byte, into any) error {
	if rest, bad := bytes.CutPrefix(b, []byte(notOfForm)); bad {
		return errors.New(strings.TrimSpace(string(rest)))
	}
	return json.Unmarshal(b, into)
}

// parsePolicy parses containers-policy.json(5).
func parsePolicy(b []byte) (SignaturePolicy, error) {
	type requirement struct {
		Type string `json:"type"`
	}
	p := SignaturePolicy{State: "present", Default: []string{}, Scopes: []string{}}
	var doc struct {
		Default    []requirement                       `json:"default"`
		Transports map[string]map[string][]requirement `json:"transports"`
	}
	if err := decodeJSON(b, &doc); err != nil {
		return p, err
	}
	if len(doc.Default) == 0 {
		return p, errors.New("it has no default")
	}
	for _, r := range doc.Default {
		p.Default = append(p.Default, r.Type)
	}
	for transport, scopes := range doc.Transports {
		for scope, list := range scopes {
			for _, r := range list {
				p.Scopes = append(p.Scopes, fmt.Sprintf("%s %s: %s", transport, scope, r.Type))
			}
		}
	}
	slices.Sort(p.Scopes)
	return p, nil
}

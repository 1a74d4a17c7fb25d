package node

import (
	"slices"
	"strings"
)

// heldSettings is whether a file of settings holds a secret.
type heldSettings struct {
	Holds string `json:"holds"` // "secret", "none", or "unknown" for a form that is not known
}

// redactSettings replaces a file of settings in JSON, YAML or INI by whether a
// secret is in it.
func redactSettings(b []byte) []byte {
	var s heldSettings
	if strictJSON(b, &s) != nil || !slices.Contains([]string{"secret", "none", "unknown"}, s.Holds) {
		s.Holds = holdsSecret(b)
	}
	return []byte(compactJSON(s))
}

func holdsSecret(b []byte) string {
	if len(strings.TrimSpace(string(b))) == 0 {
		return "none"
	}
	if m, err := parseYAMLMap(b); err == nil {
		if secretIn(m) {
			return "secret"
		}
		return "none"
	}
	// INI, as the AWS tools and cloud providers of Kubernetes write it.
	assigned := false
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") || strings.HasPrefix(line, "[") {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return "unknown"
		}
		assigned = true
		if secretSetting(strings.TrimSpace(key), strings.Trim(strings.TrimSpace(value), `"'`)) {
			return "secret"
		}
	}
	if !assigned {
		return "unknown"
	}
	return "none"
}

func secretIn(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			if text, ok := inner.(string); ok && secretSetting(key, text) || secretIn(inner) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, secretIn)
	}
	return false
}

// secretSettings are keys that namesSecret does not know: config.json of Docker,
// and the credentials of cloud providers.
var secretSettings = []string{"auth", "identitytoken", "registrytoken", "private_key", "aadclientcertpassword"}

// plainSettings look like secrets and are none: they name a program, a kind, a
// place of a token, or say with "msi" that the machine has an identity.
var plainSettings = []string{"credential_process", "credential_source", "credhelpers", "credsstore", "token_uri", "token_url", "tokenurl", "token-url", "secret-name", "secret-namespace", "secretname", "secretnamespace", "subject_token_type"}

func secretSetting(key, value string) bool {
	key = strings.ToLower(key)
	if value == "" || value == "msi" || slices.Contains(plainSettings, key) {
		return false
	}
	return slices.Contains(secretSettings, key) || namesSecret(key, value)
}

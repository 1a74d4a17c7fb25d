package node

import (
	"encoding/base64"
	"encoding/json"
	"path"
	"slices"
	"strings"
	"time"
)

// The ways in which a user of a kubeconfig proves who it is, as
// KubeletState.Credential has them of the kubelet's beside "" (no kubeconfig),
// "absent" (the file is not there) and "unknown" (it could not be read).
const (
	credentialExec     = "exec"             // a program fetches short-lived ones
	credentialFile     = "certificate-file" // a certificate that the kubelet can replace
	credentialData     = "certificate-data" // a certificate inside the kubeconfig, which nothing replaces
	credentialToken    = "token"            // a token or password
	credentialProvider = "auth-provider"    // a removed kind of plug-in
	credentialNone     = "none"             // the kubeconfig names no user or gives it nothing
)

// kubeconfigCredential is the credential in a kubeconfig, without the credential.
type kubeconfigCredential struct {
	Credential string `json:"credential"`
	// Certificate is the file that it names, as it stands there.
	Certificate string `json:"certificate,omitempty"`
	// Class and NotAfter are those of a certificate inside, as in [Certificate].
	Class    string     `json:"class,omitempty"`
	NotAfter *time.Time `json:"notAfter,omitempty"`
}

// readCredential reads of a kubeconfig which kind of credential it holds, and
// nothing else of it.
func (r *kubeletReading) readCredential(h *Host, name string) {
	if name == "" {
		return
	}
	r.state.Credential = "unknown"
	if !strings.HasPrefix(name, "/") {
		return
	}
	b, err := h.readOnce(strings.TrimPrefix(name, "/"), maxKubeletConfig, redactKubeconfig)
	if IsAbsent(err) {
		r.state.Credential = "absent"
	}
	var c kubeconfigCredential
	if err != nil || json.Unmarshal(b, &c) != nil {
		return
	}
	r.state.Credential = c.Credential
}

// redactKubeconfig replaces a kubeconfig by the kind of its credential.
// Source: k8s.io/client-go/tools/clientcmd/api/v1/types.go.
func redactKubeconfig(b []byte) []byte {
	c := kubeconfigCredential{Credential: "unknown"}
	if done, ok := redactedKubeconfig(b); ok {
		c = done
	} else if m, err := parseYAMLMap(b); err == nil {
		c = credentialOf(m)
	}
	return []byte(compactJSON(c))
}

// redactedKubeconfig recognizes what redactKubeconfig writes, by every word of it.
func redactedKubeconfig(b []byte) (kubeconfigCredential, bool) {
	var c kubeconfigCredential
	kinds := []string{"unknown", credentialExec, credentialFile, credentialData, credentialToken, credentialProvider, credentialNone}
	if strictJSON(b, &c) != nil || !slices.Contains(kinds, c.Credential) || !slices.Contains([]string{"", "masters", "nodes", "other"}, c.Class) {
		return kubeconfigCredential{}, false
	}
	c.Certificate = pathOnly(c.Certificate)
	return c, true
}

func credentialOf(kubeconfig map[string]any) kubeconfigCredential {
	context := namedIn(kubeconfig["contexts"], kubeconfig["current-context"], "context")
	user := namedIn(kubeconfig["users"], context["user"], "user")
	for _, k := range []struct{ key, kind string }{
		{"exec", credentialExec},
		{"auth-provider", credentialProvider},
		{"tokenFile", credentialToken},
		{"token", credentialToken},
		{"password", credentialToken},
		{"client-certificate-data", credentialData},
		{"client-certificate", credentialFile},
	} {
		v := user[k.key]
		if v == nil || v == "" {
			continue
		}
		c := kubeconfigCredential{Credential: k.kind}
		text, _ := v.(string)
		switch k.kind {
		case credentialFile:
			c.Certificate = pathOnly(text)
		case credentialData:
			if der, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text)); err == nil {
				c.readCertificate(der)
			}
		}
		return c
	}
	return kubeconfigCredential{Credential: credentialNone}
}

// readCertificate notes whose the first certificate in PEM is and until when.
func (c *kubeconfigCredential) readCertificate(b []byte) {
	content, err := parsePEM(redactPEM(b))
	if err != nil || len(content.certificates) == 0 {
		return
	}
	first := content.certificates[0]
	c.Class, c.NotAfter = first.Class, &first.NotAfter
}

// pathOnly is s where it is the path of a certificate by its ending, so that
// nothing else can pass for one.
func pathOnly(s string) string {
	ends := []string{".pem", ".crt", ".cert", ".cer"}
	if len(s) > 4096 || !slices.Contains(ends, path.Ext(s)) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) {
		return ""
	}
	return s
}

// namedIn is the inner map of the element of list that is called name.
func namedIn(list, name any, inner string) map[string]any {
	elements, _ := list.([]any)
	for _, e := range elements {
		m, _ := e.(map[string]any)
		if text, ok := name.(string); ok && m["name"] == text {
			found, _ := m[inner].(map[string]any)
			return found
		}
	}
	return nil
}

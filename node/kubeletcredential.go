package node

import (
	"encoding/json"
	"strings"
)

// The ways in which a kubelet proves to the API server who it is, as
// KubeletState.Credential has them beside "" (no kubeconfig), "absent" (the file
// is not there) and "unknown" (it could not be read).
const (
	credentialExec     = "exec"             // a program fetches short-lived ones
	credentialFile     = "certificate-file" // a certificate that the kubelet can replace
	credentialData     = "certificate-data" // a certificate inside the kubeconfig, which nothing replaces
	credentialToken    = "token"            // a token or password
	credentialProvider = "auth-provider"    // a removed kind of plug-in
	credentialNone     = "none"             // the kubeconfig names no user or gives it nothing
)

// kubeconfigCredential is the kind of credential in a kubeconfig.
type kubeconfigCredential struct {
	Credential string `json:"credential"`
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
	b, err := h.ReadSecret(strings.TrimPrefix(name, "/"), maxKubeletConfig, redactKubeconfig)
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
	kind := "unknown"
	if m, err := parseYAMLMap(b); err == nil {
		if done, ok := m["credential"].(string); ok && len(m) == 1 {
			kind = done
		} else {
			kind = credentialOf(m)
		}
	}
	return []byte(compactJSON(kubeconfigCredential{kind}))
}

func credentialOf(kubeconfig map[string]any) string {
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
		if v := user[k.key]; v != nil && v != "" {
			return k.kind
		}
	}
	return credentialNone
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

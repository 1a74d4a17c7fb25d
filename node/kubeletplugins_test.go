package node

import "testing"

func TestParseCNI(t *testing.T) {
	testStarts(t, parseCNI, []startRow{
		{name: "a list", text: `{"cniVersion":"1.0.0","name":"a","plugins":[{"type":"bridge","ipam":{"type":"host-local"}},{"type":"portmap"}]}`, want: []string{"bridge", "host-local", "portmap"}},
		{name: "one plugin", text: `{"name":"a","type":"loopback"}`, want: []string{"loopback"}},
		{name: "none", text: `{"name":"a"}`, refused: "it names no plugin"},
		{name: "no JSON", text: "type: bridge", refused: "it is no network configuration"},
	})
}

func TestParseCredentialProviders(t *testing.T) {
	testStarts(t, parseCredentialProviders, []startRow{
		{name: "Amazon's", text: "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n- name: ecr-credential-provider\n  args: [get-credentials, s3cret]\n", want: []string{"ecr-credential-provider"}},
		{name: "another kind", text: "kind: Config\n", refused: "it is no CredentialProviderConfig"},
	})
}

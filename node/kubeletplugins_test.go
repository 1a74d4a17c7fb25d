package node

import "testing"

func TestParseStaticPod(t *testing.T) {
	testStarts(t, parseStaticPod, []startRow{
		{name: "a recorded one", text: string(corpus(t, "lab/k8s-host/static-pod.yaml")), want: []string{"lab.local/agent:1"}},
		{name: "of JSON, with an init container", text: `{"kind":"Pod","spec":{"initContainers":[{"image":"a"}],"containers":[{"image":"b","env":[{"name":"K","value":"s3cret"}]}]}}`, want: []string{"a", "b"}},
		{name: "a DaemonSet", text: "kind: DaemonSet\n", refused: "it is no manifest of a pod"},
		{name: "no YAML", text: "{", refused: "it is no manifest"},
	})
}

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

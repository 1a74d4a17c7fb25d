package node

import "context"

// KubeletState is the kubelet as it was started and configured. Defaults are
// not filled in: package verify knows them.
type KubeletState struct {
	// Found is "process" (a kubelet runs), "embedded" (inside k3s, RKE2 or
	// another supervisor), or "absent".
	Found string `json:"found"`
	// Program is the executable that is or embeds the kubelet.
	Program string `json:"program"`
	// Embedder is "k3s", "rke2" or another program's name where Found is "embedded".
	Embedder string `json:"embedder,omitempty"`
	// Config is the file that --config names, ConfigDir the folder that
	// --config-dir names; "" where the argument is not there.
	Config    string `json:"config"`
	ConfigDir string `json:"configDir"`
	// Files are the files that the arguments and the configuration name.
	Files []KubeletFile `json:"files"`
	// Values are the effective settings by dotted v1beta1 name
	// ("authentication.anonymous.enabled"), merged as the kubelet merges them.
	Values map[string]KubeletValue `json:"values"`
	// Overridden are settings that stood in an earlier place and lost.
	Overridden []KubeletOverride `json:"overridden"`
	// Unknown are keys that this program does not know, with their place.
	Unknown []string `json:"unknown"`
	// Flags are the names of the arguments, sorted, without values.
	Flags []string `json:"flags"`
}

// KubeletValue is one setting and where it came from.
type KubeletValue struct {
	JSON string `json:"json"` // the value as compact JSON: true, "Webhook", {"cpu":"100m"}
	From string `json:"from"` // "flag --anonymous-auth", "file /etc/kubernetes/kubelet.yaml"
}

// KubeletOverride is a setting that a later place replaced.
type KubeletOverride struct {
	Key  string `json:"key"`
	JSON string `json:"json"`
	From string `json:"from"`
}

// KubeletFile is a file that matters to the kubelet. Its content is not kept.
type KubeletFile struct {
	Role string `json:"role"` // "config", "drop-in", "kubeconfig", "bootstrap-kubeconfig", "client-ca"
	Path string `json:"path"`
	// Found is "yes", "no", or "unknown" where the program may not see it.
	Found string `json:"found"`
	Mode  uint32 `json:"mode"`
	UID   uint32 `json:"uid"`
	GID   uint32 `json:"gid"`
}

// Kubelet is how the kubelet was started and configured.
var Kubelet = Source[KubeletState]{
	Name:  "kubelet",
	Doc:   "how the kubelet was started and configured, each value with its place",
	Scope: Cohort,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (v KubeletState, gaps []Gap, err error) {
		return v, nil, &Error{"reading", "kubelet", Unsupported, "not written yet"}
	},
}

// kubeletReading is the kubelet's state with its gaps, read once a gathering.
type kubeletReading struct {
	state KubeletState
	gaps  []Gap
}

func readKubelet(_ *Host) (*kubeletReading, error) {
	return nil, &Error{"reading", "kubelet", Unsupported, "not written yet"}
}

package node

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"sigs.k8s.io/yaml"
)

// parseCNI reads the plugins that a network configuration names. Source: the CNI
// specification 1.1, section 1.
func parseCNI(b []byte) ([]string, error) {
	type plugin struct {
		Type string `json:"type"`
		IPAM struct {
			Type string `json:"type"`
		} `json:"ipam"`
	}
	var conf struct {
		plugin
		Plugins []plugin `json:"plugins"`
	}
	if err := json.Unmarshal(b, &conf); err != nil {
		return nil, fmt.Errorf("it is no network configuration")
	}
	var out []string
	for _, p := range append(conf.Plugins, conf.plugin) {
		out = append(out, p.Type, p.IPAM.Type)
	}
	if out = distinct(out); len(out) == 0 {
		return nil, fmt.Errorf("it names no plugin")
	}
	return out, nil
}

// parseCredentialProviders reads the names of the programs of a configuration of
// credential providers. Source: kubelet.config.k8s.io/v1 CredentialProviderConfig.
func parseCredentialProviders(b []byte) ([]string, error) {
	var conf struct {
		Kind      string
		Providers []struct{ Name string }
	}
	if err := yaml.Unmarshal(b, &conf); err != nil || conf.Kind != "CredentialProviderConfig" {
		return nil, fmt.Errorf("it is no CredentialProviderConfig")
	}
	var out []string
	for _, p := range conf.Providers {
		out = append(out, p.Name)
	}
	return distinct(out), nil
}

// Where networks of containers are configured, and where their plugins are:
// containerd's default (pkg/cri/config), OpenShift's, and GKE's on COS.
var (
	cniConfigDirs = []string{"etc/cni/net.d", "etc/kubernetes/cni/net.d", "run/multus/cni/net.d"}
	cniBinDirs    = []string{"opt/cni/bin", "var/lib/cni/bin", "usr/local/lib/cni", "home/kubernetes/bin"}
)

// everyFile is a filter of folder. A plugin whose name begins with a dot is
// started like any other.
func everyFile(DirEntry) bool { return true }

func (c *definitions) network() []Definition {
	out := []Definition{}
	conf := settings(parseCNI) // addresses and tokens of a network may stand in it
	for _, dir := range cniConfigDirs {
		out = append(out, c.folder("network", dir, conf, named(".conf", ".conflist", ".json"))...)
	}
	for _, dir := range cniBinDirs {
		out = append(out, c.folder("network", dir, hashed, everyFile)...)
	}
	return out
}

// defaultVolumePlugins is where a kubelet looks for volume plugins unless it is
// told. Source: volumePluginDir of k8s.io/kubelet's KubeletConfiguration.
const defaultVolumePlugins = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec/"

// kubelet reads what the kubelet starts, volume plugins and credential providers,
// and which device plugins have given it a socket. Static pods are another source's.
func (c *definitions) kubelet(v *StartupFiles) {
	r, err := c.h.gathering.kubelet()
	if err != nil {
		c.gaps = append(c.gaps, GapOf("the kubelet's configuration", err).In("kubeletPlugins"))
		return
	}
	v.KubeletPlugins = []Definition{}
	v.Kubelet = r.state.Found
	for _, g := range r.gaps {
		c.gaps = append(c.gaps, g.In("kubeletPlugins"))
	}
	if r.state.Found == "absent" {
		return
	}
	dir := defaultVolumePlugins
	if at := r.text("volumePluginDir"); at != "" {
		dir = at
	}
	v.KubeletPlugins = append(v.KubeletPlugins, c.tree("kubeletPlugins", strings.Trim(path.Clean(dir), "/"), 2, hashed, nil)...)
	if at := r.arg("image-credential-provider-bin-dir"); at != "" {
		v.KubeletPlugins = append(v.KubeletPlugins, c.folder("kubeletPlugins", strings.Trim(path.Clean(at), "/"), hashed, everyFile)...)
	}
	if at := r.arg("image-credential-provider-config"); at != "" {
		v.KubeletPlugins = append(v.KubeletPlugins, c.single("kubeletPlugins", settings(parseCredentialProviders), strings.Trim(path.Clean(at), "/"))...)
	}
	// Source: pkg/kubelet/apis/deviceplugin/v1beta1; kubelet.sock is the kubelet's own.
	plugin := func(e DirEntry) bool { return e.Type == Socket && e.Name != "kubelet.sock" }
	v.KubeletPlugins = append(v.KubeletPlugins, c.folder("kubeletPlugins", "var/lib/kubelet/device-plugins", listed, plugin)...)
}

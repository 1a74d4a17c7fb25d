package verify

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

// kubeletDefault is what the kubelet does where a setting is not written, as
// compact JSON. The two differ because arguments keep defaults that are older
// than the configuration file. Where they are "" the default depends on the
// kubelet's version, which is not known.
type kubeletDefault struct {
	withConfig    string // --config is given
	withoutConfig string // it is not, --config-dir or not
}

// kubeletDefaults are those that no release since 1.16 has changed.
// Sources: Kubernetes pkg/kubelet/apis/config/v1beta1/defaults.go;
// cmd/kubelet/app/options/options.go, applyLegacyDefaults (the four that differ);
// cmd/kubelet/app/server.go, loadConfigFile (evictionHard: until 1.24 it was a
// default of both, since then of the file alone); component-base/cli/flag/ciphersuites_flag.go
// (DefaultTLSVersion).
var kubeletDefaults = map[string]kubeletDefault{
	"authentication.anonymous.enabled": {"false", "true"},
	"authentication.x509.clientCAFile": {`""`, `""`},
	"authorization.mode":               {`"Webhook"`, `"AlwaysAllow"`},
	"enforceNodeAllocatable":           {`["pods"]`, `["pods"]`},
	"evictionHard":                     {hardEvictionDefault, ""},
	"failSwapOn":                       {"true", "true"},
	"featureGates":                     {"{}", "{}"},
	"kubeReserved":                     {"{}", "{}"},
	"maxPods":                          {"110", "110"},
	"memorySwap.swapBehavior":          {`""`, `""`}, // NoSwap
	"mergeDefaultEvictionSettings":     {"false", "false"},
	"protectKernelDefaults":            {"false", "false"},
	"readOnlyPort":                     {"0", "10255"},
	"reservedSystemCPUs":               {`""`, `""`},
	"rotateCertificates":               {"false", "false"},
	"systemReserved":                   {"{}", "{}"},
	"tlsCipherSuites":                  {"[]", "[]"}, // Go's own choice
	"tlsMinVersion":                    {`"VersionTLS12"`, `"VersionTLS12"`},
}

// hardEvictionDefault is pkg/kubelet/eviction/defaults_linux.go without
// imagefs.inodesFree, which came later and is not judged.
const hardEvictionDefault = `{"imagefs.available":"15%","memory.available":"100Mi","nodefs.available":"10%","nodefs.inodesFree":"5%"}`

// kubeletSetting is one setting as it takes effect.
type kubeletSetting struct {
	key, json, from string
	written         bool // not a default
}

// String says what is set, and where.
func (s kubeletSetting) String() string { return fmt.Sprintf("%s is %s (%s)", s.key, s.json, s.from) }

// text is a setting that is a string.
func (s kubeletSetting) text() string {
	var v string
	if json.Unmarshal([]byte(s.json), &v) != nil {
		return ""
	}
	return v
}

// effective is what a setting comes to, or why that is not known: a place that
// could not be read may hold it, or the default depends on the version.
func effective(k node.KubeletState, key string) (kubeletSetting, *Finding) {
	v, written := k.Values[key]
	// An empty text is what the kubelet itself replaces by its default.
	written = written && v.JSON != `""`
	if len(k.Unread) > 0 && (!written || !certain(v.From)) {
		what := key + " is not known"
		if written {
			what = fmt.Sprintf("%s is %s (%s), unless it stands elsewhere too", key, v.JSON, v.From)
		}
		f := unreadSettings(what, k)
		return kubeletSetting{}, &f
	}
	if written {
		return kubeletSetting{key, v.JSON, v.From, true}, nil
	}
	d, from := kubeletDefaults[key].withConfig, "the kubelet's default with --config"
	if k.Config == "" {
		d, from = kubeletDefaults[key].withoutConfig, "the kubelet's default without --config"
	}
	if d == "" {
		f := unknown("default-depends-on-version", key+" is not set, and what the kubelet then does depends on its version, which is not known", key)
		return kubeletSetting{}, &f
	}
	return kubeletSetting{key, d, from, false}, nil
}

// unreadSettings is the finding of a judge whose settings may stand in a place
// that could not be read. Its code is that of [withGaps], so that what more rights
// would settle is told apart.
func unreadSettings(what string, k node.KubeletState) Finding {
	items := make([]string, len(k.Unread))
	for i, g := range k.Unread {
		items[i] = g.String()
	}
	first := max(0, slices.IndexFunc(k.Unread, func(g node.Gap) bool { return g.Code != node.Denied }))
	return unknown("gap-"+string(k.Unread[first].Code), what+": "+items[first], items...)
}

// certain reports whether a value stands on the command line, which nothing overrides.
func certain(from string) bool {
	return strings.HasPrefix(from, "flag ") && !strings.Contains(from, " in ") && !strings.Contains(from, ",")
}

// amounts is a setting that maps names to amounts, or why it is not known.
func amounts(k node.KubeletState, key string) (map[string]string, kubeletSetting, *Finding) {
	s, f := effective(k, key)
	if f != nil {
		return nil, s, f
	}
	out := map[string]string{}
	if err := json.Unmarshal([]byte(s.json), &out); err != nil {
		f := unknown("setting-malformed", s.String()+", which is no map of names to amounts", key)
		return nil, s, &f
	}
	return out, s, nil
}

// hardEviction is the map of hard eviction thresholds that takes effect. The
// kubelet fills its defaults in as one where the configuration file has none, and
// only then merges drop-ins into them; it fills them in one by one where that
// file says mergeDefaultEvictionSettings.
// Source: cmd/kubelet/app/server.go, loadConfigFile before mergeKubeletConfigurations.
func hardEviction(k node.KubeletState) (map[string]string, kubeletSetting, *Finding) {
	set, s, f := amounts(k, "evictionHard")
	if f != nil || !s.written || k.Config == "" || strings.HasPrefix(s.from, "flag ") {
		return set, s, f
	}
	places := strings.Split(s.from, ", ")
	inConfig := slices.ContainsFunc(k.Files, func(file node.KubeletFile) bool {
		return file.Role == "config" && slices.Contains(places, "file "+file.Path)
	})
	merge := k.Values["mergeDefaultEvictionSettings"].JSON == "true"
	if inConfig && !merge {
		return set, s, nil
	}
	out := map[string]string{}
	if err := json.Unmarshal([]byte(hardEvictionDefault), &out); err != nil {
		panic(err) // a constant
	}
	maps.Copy(out, set)
	s.from += ", with the kubelet's defaults below"
	return out, s, nil
}

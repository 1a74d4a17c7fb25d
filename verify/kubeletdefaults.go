package verify

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

// kubeletDefault is what the kubelet does where a setting is not written, as
// compact JSON, from a minor version on. The two differ because arguments keep
// defaults that are older than the configuration file.
type kubeletDefault struct {
	since         int    // 29 for 1.29; 0 for every release since 1.16
	withConfig    string // --config is given
	withoutConfig string // it is not, --config-dir or not
}

// kubeletDefaults are the defaults of settings that are judged, each by the minor
// versions that changed it, oldest first. A setting that an older release does
// not have stands with what that release does.
// Sources: Kubernetes pkg/kubelet/apis/config/v1beta1/defaults.go, and the comments
// of k8s.io/kubelet/config/v1beta1/types.go, which a test compares for every minor
// version since 1.18; cmd/kubelet/app/options/options.go, applyLegacyDefaults (those
// that differ without a file); cmd/kubelet/app/server.go, loadConfigFile
// (evictionHard: until 1.24 it was a default of both, since then of the file
// alone); component-base/cli/flag/ciphersuites_flag.go (DefaultTLSVersion).
var kubeletDefaults = map[string][]kubeletDefault{
	"allowedUnsafeSysctls":             always("[]"),
	"authentication.anonymous.enabled": {{0, "false", "true"}},
	"authentication.webhook.enabled":   {{0, "true", "false"}},
	"authentication.x509.clientCAFile": always(`""`),
	"authorization.mode":               {{0, `"Webhook"`, `"AlwaysAllow"`}},
	"containerLogMaxFiles":             always("5"),
	"containerLogMaxSize":              always(`"10Mi"`),
	"enableDebugFlagsHandler":          always("true"), // a setting since 1.21
	"enableDebuggingHandlers":          always("true"),
	"enableProfilingHandler":           always("true"),  // a setting since 1.21
	"enableSystemLogQuery":             always("false"), // since 1.27
	"enforceNodeAllocatable":           always(`["pods"]`),
	"eventRecordQPS":                   {{0, "5", "5"}, {27, "50", "50"}},
	"evictionHard":                     {{0, hardEvictionDefault, hardEvictionDefault}, {24, hardEvictionDefault, "{}"}},
	"failSwapOn":                       always("true"),
	"featureGates":                     always("{}"),
	"healthzBindAddress":               always(`"127.0.0.1"`),
	"healthzPort":                      always("10248"),
	"imageGCHighThresholdPercent":      always("85"),
	"imageGCLowThresholdPercent":       always("80"),
	"kubeReserved":                     always("{}"),
	"makeIPTablesUtilChains":           always("true"),
	"maxPods":                          always("110"),
	"memorySwap.swapBehavior":          always(`""`),    // since 1.22; what it stands for has changed
	"mergeDefaultEvictionSettings":     always("false"), // since 1.33
	"podPidsLimit":                     always("-1"),
	"protectKernelDefaults":            always("false"),
	"readOnlyPort":                     {{0, "0", "10255"}},
	"reservedSystemCPUs":               always(`""`),
	"rotateCertificates":               always("false"),
	"seccompDefault":                   always("false"), // since 1.22
	"serverTLSBootstrap":               always("false"),
	"staticPodPath":                    always(`""`),
	"staticPodURL":                     always(`""`),
	"streamingConnectionIdleTimeout":   always(`"4h"`),
	"systemReserved":                   always("{}"),
	"tlsCertFile":                      always(`""`),
	"tlsCipherSuites":                  always("[]"), // Go's own choice
	"tlsMinVersion":                    always(`"VersionTLS12"`),
	"tlsPrivateKeyFile":                always(`""`),
}

// always is a default that no release has changed, with --config and without.
func always(json string) []kubeletDefault { return []kubeletDefault{{0, json, json}} }

// defaultOf is what a kubelet does without a setting; ok is false where that
// depends on its version, which is not known.
func defaultOf(k node.KubeletState, key string) (json, from string, ok bool) {
	minor, known := kubeletMinor(k)
	var last string
	for i, d := range kubeletDefaults[key] {
		if known && d.since > minor {
			break
		}
		value := d.withConfig
		if k.Config == "" {
			value = d.withoutConfig
		}
		if !known && i > 0 && value != last {
			return "", "", false
		}
		last = value
	}
	from = "the kubelet's default with --config"
	if k.Config == "" {
		from = "the kubelet's default without --config"
	}
	if known && len(kubeletDefaults[key]) > 1 {
		from += " in " + k.Version
	}
	return last, from, last != ""
}

// dependsOnVersion is the code of a finding that the kubelet's version would settle.
const dependsOnVersion = "default-depends-on-version"

// versionUnknown says why the version is not known.
func versionUnknown(k node.KubeletState) string {
	if k.VersionFrom == "" {
		return "the node did not say why"
	}
	return k.VersionFrom
}

// kubeletMinor is the minor version of the kubelet: 31 for v1.31.2.
func kubeletMinor(k node.KubeletState) (minor int, ok bool) {
	rest, ok := strings.CutPrefix(k.Version, "v1.")
	if !ok {
		return 0, false
	}
	digits, _, _ := strings.Cut(rest, ".")
	minor, err := strconv.Atoi(digits)
	return minor, err == nil && minor >= 0
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
	d, from, ok := defaultOf(k, key)
	if !ok {
		f := unknown(dependsOnVersion, fmt.Sprintf("%s is not set, and what the kubelet then does depends on its version, which is not known: %s", key, versionUnknown(k)), key)
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

// settingAs is a setting as a value of type T, or why it is not known.
func settingAs[T any](k node.KubeletState, key, what string) (v T, s kubeletSetting, f *Finding) {
	s, f = effective(k, key)
	if f != nil {
		return v, s, f
	}
	if err := json.Unmarshal([]byte(s.json), &v); err != nil {
		f := unknown("setting-malformed", s.String()+", which is no "+what, key)
		return v, s, &f
	}
	return v, s, nil
}

// switched is a setting that is on or off, counted one that is a number, listed
// one that is a list of names.
func switched(k node.KubeletState, key string) (bool, kubeletSetting, *Finding) {
	return settingAs[bool](k, key, "true or false")
}

func counted(k node.KubeletState, key string) (int64, kubeletSetting, *Finding) {
	return settingAs[int64](k, key, "whole number")
}

func listed(k node.KubeletState, key string) ([]string, kubeletSetting, *Finding) {
	return settingAs[[]string](k, key, "list of names")
}

// gatesOf are the feature gates that are set.
func gatesOf(k node.KubeletState) (map[string]bool, kubeletSetting, *Finding) {
	return settingAs[map[string]bool](k, "featureGates", "map of names to true or false")
}

// amounts is a setting that maps names to amounts, or why it is not known.
func amounts(k node.KubeletState, key string) (map[string]string, kubeletSetting, *Finding) {
	return settingAs[map[string]string](k, key, "map of names to amounts")
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

package verify

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/seaworthy/seaworthy/node"
)

// gateCheck is a check of a feature gate that some releases of the kubelet have.
type gateCheck struct {
	id, title, why, rule string
	gate                 string
	want                 bool
	removed              int           // the minor version that no longer has the gate
	defaults             []gateDefault // oldest first
	remedy               map[string]string
}

// gateDefault is what a gate is without a word about it, from a minor version on.
type gateDefault struct {
	since int // 0 for every release since 1.16
	on    bool
}

func (c gateCheck) check(refs ...Ref) Check {
	how := fmt.Sprintf("featureGates as they take effect must not come to %t for %s. Kubernetes 1.%d took the gate away: a newer kubelet, by the version in its executable, has nothing to judge.", !c.want, c.gate, c.removed)
	for _, d := range c.defaults {
		if d.since == 0 {
			how += fmt.Sprintf(" By default it is %t.", d.on)
		} else {
			how += fmt.Sprintf(" From 1.%d on it is %t by default.", d.since, d.on)
		}
	}
	return Check{
		ID: c.id, Rev: 1, Topic: KubeletTopic, Severity: Medium, Title: c.title,
		Refs: append([]Ref{{kubernetesSTIG, c.rule}}, refs...),
		Help: Help{Why: c.why, How: how, Remedy: c.remedy},
		Judge: On2(node.Kubelet, node.OS.Parts("release"), func(k node.KubeletState, s node.System, _ Given) Finding {
			if f, none := withoutKubelet(k); none {
				return f
			}
			return c.judge(withSystemVersion(k, s))
		}),
	}
}

var (
	bottlerocketVariant = regexp.MustCompile(`-k8s-1\.([0-9]{2})(-|$)`)
	openShiftVersion    = regexp.MustCompile(`^4\.([0-9]{1,2})$`)
)

// withSystemVersion is a kubelet with the minor version that the system is made
// for, where its executable did not tell: Bottlerocket has it in its variant, and
// OpenShift 4.y is Kubernetes 1.(y+13) from 4.3 on.
// Sources: bottlerocket.dev, variants; access.redhat.com/solutions/4870701.
func withSystemVersion(k node.KubeletState, s node.System) node.KubeletState {
	if k.Version != "" || k.Program != "/usr/bin/kubelet" {
		return k
	}
	if m := bottlerocketVariant.FindStringSubmatch(s.Release["VARIANT_ID"]); m != nil && s.Release["ID"] == "bottlerocket" {
		k.Version, k.VersionFrom = "v1."+m[1], "VARIANT_ID of os-release"
	} else if m := openShiftVersion.FindStringSubmatch(s.Release["OPENSHIFT_VERSION"]); m != nil {
		if y, err := strconv.Atoi(m[1]); err == nil && y >= 3 {
			k.Version, k.VersionFrom = fmt.Sprintf("v1.%d", y+13), "OPENSHIFT_VERSION of os-release"
		}
	}
	return k
}

func (c gateCheck) judge(k node.KubeletState) Finding {
	minor, known := kubeletMinor(k)
	if known && minor >= c.removed {
		return notApplicable("gate-removed", fmt.Sprintf("the kubelet is %s (%s), and since 1.%d there is no feature gate %s", k.Version, k.VersionFrom, c.removed, c.gate))
	}
	gates, s, f := gatesOf(k)
	if f != nil {
		return *f
	}
	if on, set := gates[c.gate]; set {
		return c.verdict(on, fmt.Sprintf("the feature gate %s is %t (%s)", c.gate, on, s.from))
	}
	for _, all := range []string{"AllAlpha", "AllBeta"} {
		if _, set := gates[all]; set {
			return unknown("gates-by-stage", fmt.Sprintf("the feature gate %s may be set with all of its stage, by %s (%s)", c.gate, all, s.from), all)
		}
	}
	var on bool
	for i, d := range c.defaults {
		if known && d.since > minor {
			break
		}
		if !known && i > 0 && d.on != on {
			return unknown(dependsOnVersion, fmt.Sprintf("the feature gate %s is not set, and its default depends on the kubelet's version, which is not known: %s", c.gate, versionUnknown(k)), c.gate)
		}
		on = d.on
	}
	return c.verdict(on, fmt.Sprintf("the feature gate %s is not set, and %t by default where there is one", c.gate, on))
}

func (c gateCheck) verdict(on bool, reason string) Finding {
	code := map[bool]string{true: "on", false: "off"}[on]
	if on == c.want {
		return pass(code, reason)
	}
	return fail(code, reason, c.gate)
}

// The gates that the STIG still asks for. Source: pkg/features/kube_features.go of
// Kubernetes, by release.

// KubeletDynamicAuditingOff is about where audit events go.
var KubeletDynamicAuditingOff = gateCheck{
	id: "kubelet-dynamic-auditing-off", rule: "V-242398", gate: "DynamicAuditing", removed: 19,
	title:    "dynamic auditing (feature gate DynamicAuditing) is off",
	why:      "With dynamic auditing an object in the cluster decides where audit events go, so that whoever may write it sends them elsewhere.",
	defaults: []gateDefault{{0, false}},
	remedy: map[string]string{
		"":      "Take DynamicAuditing out of featureGates and --feature-gates, and update: the last release with this gate is 1.18.",
		"talos": "Take DynamicAuditing out of machine.kubelet.extraConfig and extraArgs, and upgrade Kubernetes with talosctl upgrade-k8s.",
	},
}.check(Ref{sp80053, "AU-9"})

// KubeletDynamicConfigurationOff is about who configures the kubelet.
var KubeletDynamicConfigurationOff = gateCheck{
	id: "kubelet-dynamic-configuration-off", rule: "V-242399", gate: "DynamicKubeletConfig", removed: 26,
	title:    "dynamic kubelet configuration (feature gate DynamicKubeletConfig) is off",
	why:      "With dynamic configuration a ConfigMap replaces the file on the node, authentication included, and nothing on the node shows it.",
	defaults: []gateDefault{{0, true}, {22, false}},
	remedy: map[string]string{
		"":      "Set DynamicKubeletConfig to false in featureGates of the file that --config names, take --dynamic-config-dir away, and update to a release that no longer has it.",
		"talos": "Upgrade Kubernetes (talosctl upgrade-k8s): 1.26 and later have no dynamic configuration.",
	},
}.check(Ref{sp80053, "CM-5"})

// KubeletPodSecurityKept is about the admission of pods.
var KubeletPodSecurityKept = gateCheck{
	id: "kubelet-pod-security-kept", rule: "V-254801", gate: "PodSecurity", want: true, removed: 28,
	title:    "the feature gate of pod security admission is not switched off",
	why:      "Without pod security admission nothing keeps a namespace from running privileged pods, unless another policy engine does.",
	defaults: []gateDefault{{0, false}, {23, true}},
	remedy: map[string]string{
		"":      "Take PodSecurity out of featureGates and --feature-gates of the kubelet; from 1.23 on it is true by itself.",
		"talos": "Take PodSecurity out of the feature gates in machine.kubelet; Talos configures pod security admission in cluster.apiServer.admissionControl.",
	},
}.check(Ref{sp80053, "CM-7"})

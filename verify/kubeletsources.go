package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

// guardedSettings are those that decide who may do what with the kubelet, its port
// and its pods.
var guardedSettings = []string{
	"allowedUnsafeSysctls",
	"authentication.anonymous.enabled",
	"authentication.webhook.enabled",
	"authentication.x509.clientCAFile",
	"authorization.mode",
	"enableDebugFlagsHandler",
	"enableDebuggingHandlers",
	"enableProfilingHandler",
	"enableSystemLogQuery",
	"healthzBindAddress",
	"makeIPTablesUtilChains",
	"podPidsLimit",
	"protectKernelDefaults",
	"readOnlyPort",
	"rotateCertificates",
	"seccompDefault",
	"serverTLSBootstrap",
	"staticPodPath",
	"staticPodURL",
	"streamingConnectionIdleTimeout",
	"tlsCertFile",
	"tlsCipherSuites",
	"tlsMinVersion",
	"tlsPrivateKeyFile",
}

// KubeletSettingsAgree demands that what one reads in the file is what counts.
var KubeletSettingsAgree = Check{
	ID: "kubelet-settings-agree", Rev: 1, Topic: KubeletTopic, Severity: Medium,
	Title: "no setting that guards the kubelet is given twice with different values",
	Refs:  []Ref{{sp80053, "CM-3"}, {sp80053, "CM-6"}},
	Help: Help{
		Why: "Whoever reviews the file believes what it says; an argument or a drop-in that says otherwise wins, and is where somebody who wants to hide a change puts it.",
		How: "Of the settings that decide about authentication, authorization, TLS, handlers, static pods and limits none may stand in an earlier place with another value than the one that takes effect. Arguments win over drop-ins, those over the file of --config.",
		Remedy: map[string]string{
			"cos":           "GKE writes file and arguments of the kubelet itself: recreate the node in its pool, and find the DaemonSet or start-up script that wrote the second value.",
			"":              "Decide which of the two values is meant, write it into the file that --config names, and take the other one away: out of the kubelet's unit, its environment file or the drop-ins of --config-dir. Then restart the kubelet.",
			"talos":         "Take the setting out of machine.kubelet.extraArgs, where it wins over machine.kubelet.extraConfig, and leave it in the latter (talosctl patch machineconfig).",
			"flatcar":       "Decide which of the two values is meant, and make the unit, the drop-ins and the file agree, in the Butane configuration too.",
			"bottlerocket":  "Bottlerocket writes each setting once; two places mean that something added a drop-in or an argument: replace the node.",
			"fedora-coreos": "On OpenShift put the value into the KubeletConfig resource and remove MachineConfigs that write other files of the kubelet. Elsewhere make unit and file agree.",
			"microos":       "With k3s or RKE2 kubelet-arg wins over the files of agent/etc/kubelet.conf.d: keep the setting in one of them.",
		},
	},
	Judge: onKubelet(func(k node.KubeletState, _ Given) Finding {
		var items []string
		lost := 0
		for _, o := range k.Overridden {
			now, set := k.Values[o.Key]
			if set && now.JSON == o.JSON {
				continue
			}
			lost++
			if slices.Contains(guardedSettings, o.Key) {
				other := "a later place that takes it away"
				if set {
					other = fmt.Sprintf("%s (%s)", now.JSON, now.From)
				}
				items = append(items, fmt.Sprintf("%s: %s (%s) lost to %s", o.Key, o.JSON, o.From, other))
			}
		}
		switch {
		case len(items) > 0:
			return fail("contradiction", strings.Join(items, "; "), items...)
		case len(k.Unread) > 0:
			return unreadSettings("whether settings contradict each other is not known", k)
		case lost > 0:
			return pass("others-only", fmt.Sprintf("settings that guard nothing were replaced by a later place: %d", lost))
		}
		return pass("agree", "no setting stands in two places with two values")
	}),
}

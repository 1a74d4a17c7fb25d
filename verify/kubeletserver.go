package verify

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/seaworthy/seaworthy/node"
)

// streamsElsewhere is the minor version from which on the kubelet does not read
// streamingConnectionIdleTimeout. Source: k8s.io/kubelet v0.34.0,
// config/v1beta1/types.go: "no longer has any effect".
const streamsElsewhere = 34

// KubeletStreamsTimeOut demands that a forgotten session ends.
var KubeletStreamsTimeOut = Check{
	ID: "kubelet-streams-time-out", Rev: 1, Topic: KubeletTopic, Severity: Medium,
	Title: "the kubelet is set to end idle exec, attach and port-forward sessions",
	Refs:  []Ref{{cisKubernetes, "4.2.5"}, {sp80053, "SC-10"}, {sp80053, "AC-12"}},
	Help: Help{
		Why: "A session into a container that never ends holds a connection, and is open to whoever finds the terminal that it was left in.",
		How: "streamingConnectionIdleTimeout as it takes effect has to be more than 0. The default is 4h, which also a 0 in the file of --config stands for; a 0 as an argument means never. From 1.34 on the setting has no effect: the container runtime's own timeout counts.",
		Remedy: kubeletRemedy("streamingConnectionIdleTimeout: 5m", "streaming-connection-idle-timeout=5m", map[string]string{
			"bottlerocket": "Bottlerocket leaves the timeout at its default of 4h and has no setting for it; another value means that something changed /etc/kubernetes/kubelet/config: replace the node.",
		}),
	},
	Judge: onKubelet(func(k node.KubeletState, _ Given) Finding {
		if minor, ok := kubeletMinor(k); ok && minor >= streamsElsewhere {
			return notApplicable("not-the-kubelets", k.Version+" ends no sessions itself: streamingConnectionIdleTimeout has no effect since 1.34, the container runtime's timeout counts")
		}
		s, f := effective(k, "streamingConnectionIdleTimeout")
		if f != nil {
			return *f
		}
		idle, err := time.ParseDuration(s.text())
		switch {
		case err != nil:
			return unknown("setting-malformed", s.String()+", which is no duration", s.key)
		case idle > 0:
			return pass("times-out", s.String()+ifRead(k))
		case idle == 0 && strings.HasPrefix(s.from, "file "):
			return pass("default", s.String()+", which stands for the kubelet's default of 4h"+ifRead(k))
		}
		return fail("never", s.String()+": idle sessions are never ended", s.key)
	}),
}

// ifRead says what a version that is not known leaves open.
func ifRead(k node.KubeletState) string {
	if _, known := kubeletMinor(k); known {
		return ""
	}
	return "; from 1.34 on the kubelet does not read it, and its version is not known"
}

// leastEventRate is the kubelet's default before 1.27, the lowest it ever had.
const leastEventRate = 5

// KubeletEventRateBounded demands that events are neither dropped nor a flood.
var KubeletEventRateBounded = Check{
	ID: "kubelet-event-rate-bounded", Rev: 1, Topic: KubeletTopic, Severity: Low,
	Title: "the kubelet's event rate has a limit, and one that loses few events",
	Refs:  []Ref{{cisKubernetes, "4.2.8"}, {sp80053, "AU-12"}, {sp80053, "SC-5"}},
	Help: Help{
		Why: "Events are what is known of a pod that was started and is gone: too low a rate drops them, no limit lets one broken pod drown the API server.",
		How: "eventRecordQPS as it takes effect has to be 5 or more; 0 stands for no limit. The default was 5 until 1.26 and is 50 since.",
		Remedy: kubeletRemedy("eventRecordQPS: 50", "event-qps=50", map[string]string{
			"bottlerocket": "apiclient set kubernetes.event-qps=50",
		}),
	},
	Judge: onKubelet(func(k node.KubeletState, _ Given) Finding {
		rate, s, f := counted(k, "eventRecordQPS")
		switch {
		case f != nil && f.Code == dependsOnVersion:
			return pass("default", "eventRecordQPS is not set, and every default that a kubelet ever had (5, then 50) is in range")
		case f != nil:
			return *f
		case rate == 0:
			return fail("unlimited", s.String()+": there is no limit", s.key)
		case rate < leastEventRate:
			return fail("too-low", fmt.Sprintf("%s: less than %d a second, so that events are dropped", s, leastEventRate), s.key)
		}
		return pass("bounded", s.String())
	}),
}

// KubeletProfilingOff demands that the port shows nothing of the program itself.
var KubeletProfilingOff = Check{
	ID: "kubelet-profiling-off", Rev: 1, Topic: KubeletTopic, Severity: Low,
	Title: "the kubelet's profiling and debug-flags handlers are off",
	Refs:  []Ref{{sp80053, "CM-7"}},
	Help: Help{
		Why: "A profile shows what the kubelet holds in memory and costs time to make; a raised log level writes the contents of requests into the journal.",
		How: "enableProfilingHandler and enableDebugFlagsHandler as they take effect have to be false (both are true by default), or enableDebuggingHandlers has to be, which takes logs and exec away too. Whoever may use them needs a right on nodes/proxy.",
		Remedy: kubeletRemedy("enableProfilingHandler: false, enableDebugFlagsHandler: false", "", map[string]string{
			"microos": "With k3s or RKE2: a file in agent/etc/kubelet.conf.d with enableProfilingHandler: false and enableDebugFlagsHandler: false, there is no argument for them. With kubeadm: the same into /var/lib/kubelet/config.yaml and the ConfigMap kubelet-config.",
		}),
	},
	Judge: onKubelet(func(k node.KubeletState, _ Given) Finding {
		all, s, f := switched(k, "enableDebuggingHandlers")
		if f == nil && !all {
			return pass("no-handlers", s.String())
		}
		var on, off []string
		for _, key := range []string{"enableProfilingHandler", "enableDebugFlagsHandler"} {
			open, s, unsettled := switched(k, key)
			switch {
			case unsettled != nil:
				f = unsettled
			case open:
				on = append(on, s.String())
			default:
				off = append(off, s.String())
			}
		}
		switch {
		case f != nil:
			return *f
		case len(on) > 0:
			return fail("on", strings.Join(on, ", "), on...)
		}
		return pass("off", strings.Join(off, ", "))
	}),
}

// KubeletLogQueryOff demands that the journal is not served.
var KubeletLogQueryOff = Check{
	ID: "kubelet-log-query-off", Rev: 1, Topic: KubeletTopic, Severity: Medium,
	Title: "the kubelet answers no queries for system logs",
	Refs:  []Ref{{sp80053, "CM-7"}, {sp80053, "AU-9"}},
	Help: Help{
		Why: "With the log query whoever has a right on nodes/proxy reads the journal of every service of the node, and files below /var/log, over the network.",
		How: "enableSystemLogQuery as it takes effect has to be false, which is the default; releases before 1.27 do not have it.",
		Remedy: kubeletRemedy("enableSystemLogQuery: false", "", map[string]string{
			"bottlerocket": "Bottlerocket does not switch the log query on and has no setting for it: replace the node, and look for what changed its kubelet's configuration.",
			"microos":      "With k3s or RKE2: take enableSystemLogQuery out of the files of agent/etc/kubelet.conf.d. With kubeadm: out of /var/lib/kubelet/config.yaml and the ConfigMap kubelet-config.",
		}),
	},
	Judge: onKubelet(func(k node.KubeletState, _ Given) Finding {
		on, s, f := switched(k, "enableSystemLogQuery")
		switch {
		case f != nil:
			return *f
		case on:
			return fail("on", s.String(), s.key)
		}
		return pass("off", s.String())
	}),
}

// KubeletHealthzLocal demands that the health port stays on the node.
var KubeletHealthzLocal = Check{
	ID: "kubelet-healthz-local", Rev: 1, Topic: KubeletTopic, Severity: Low,
	Title: "the kubelet's health port listens on loopback only",
	Refs:  []Ref{{sp80053, "CM-7"}, {sp80053, "SC-7"}, {pciDSS, "2.2.4"}},
	Help: Help{
		Why: "The health port has neither authentication nor TLS; on the network it is one more service that strangers reach.",
		How: "healthzBindAddress as it takes effect has to be a loopback address (the default is 127.0.0.1), or healthzPort 0.",
		Remedy: kubeletRemedy("healthzBindAddress: 127.0.0.1", "healthz-bind-address=127.0.0.1", map[string]string{
			"bottlerocket": "Bottlerocket leaves healthzBindAddress at 127.0.0.1 and has no setting for it: apiclient reboot, its files in /etc are made anew.",
		}),
	},
	Judge: onKubelet(func(k node.KubeletState, _ Given) Finding {
		port, portSetting, portUnsettled := counted(k, "healthzPort")
		if portUnsettled == nil && port == 0 {
			return pass("closed", portSetting.String())
		}
		s, f := effective(k, "healthzBindAddress")
		if f != nil {
			return *f
		}
		address, err := netip.ParseAddr(s.text())
		switch {
		case err == nil && address.IsLoopback():
			return pass("local", s.String())
		case portUnsettled != nil:
			return *portUnsettled
		case err != nil && s.text() != "<node>":
			return unknown("setting-malformed", s.String()+", which is no address", s.key)
		}
		return fail("exposed", s.String()+": it is reached from outside the node", s.key)
	}),
}

// KubeletHostnameOwn demands that the node goes by its own name.
var KubeletHostnameOwn = Check{
	ID: "kubelet-hostname-own", Rev: 1, Topic: KubeletTopic, Severity: Low,
	Title: "the kubelet's node name is not overridden, unless the system does it",
	Refs:  []Ref{{cisKubernetes, "4.2.7"}, {sp80053, "IA-3"}, {sp80053, "CM-6"}},
	Help: Help{
		Why: "A name that is not the node's own breaks certificates that were issued for the node's name, and makes logs speak of a machine that is not there.",
		How: "--hostname-override must not be among the kubelet's arguments, unless the profile says that the system sets it itself. What it is set to is not judged.",
		Remedy: map[string]string{
			"":              "Take --hostname-override out of the kubelet's arguments and give the node that name (hostnamectl hostname NAME); with kubeadm it is nodeRegistration.name in the configuration that the node is joined with.",
			"talos":         "Talos sets it from the machine's hostname: take hostname-override out of machine.kubelet.extraArgs (talosctl patch machineconfig).",
			"flatcar":       "Take --hostname-override out of the kubelet's unit, and write the name into /etc/hostname by the Butane configuration.",
			"fedora-coreos": "Take --hostname-override out of the kubelet's unit; /etc/hostname of the Ignition configuration names the node. On OpenShift the cloud provider names it: waive it there with that reason.",
			"microos":       "With k3s or RKE2: take hostname-override out of kubelet-arg and set node-name in config.yaml instead. With kubeadm: take it out of /var/lib/kubelet/kubeadm-flags.env.",
		},
	},
	Judge: On(node.Kubelet.Parts("flags"), func(k node.KubeletState, g Given) Finding {
		if f, none := withoutKubelet(k); none {
			return f
		}
		overridden, unread := flagGiven(k, "hostname-override")
		switch {
		case overridden && g.Profile.Kubelet.HostnameOverride != "":
			return pass("by-the-system", "--hostname-override is given: "+g.Profile.Kubelet.HostnameOverride)
		case overridden:
			return fail("overridden", "--hostname-override is among the kubelet's arguments", "--hostname-override")
		case unread != nil:
			return *unread
		}
		return pass("own", "--hostname-override is not among the kubelet's arguments")
	}),
}

// flagGiven reports whether an argument is among those of the kubelet, or why that
// is not known.
func flagGiven(k node.KubeletState, name string) (given bool, unread *Finding) {
	if slices.Contains(k.Flags, name) {
		return true, nil
	}
	if slices.ContainsFunc(k.Unread, func(g node.Gap) bool { return g.Part != "values" }) {
		f := unreadSettings("whether --"+name+" is given is not known", k)
		return false, &f
	}
	return false, nil
}

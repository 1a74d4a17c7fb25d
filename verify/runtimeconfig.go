package verify

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// setting is the value of a setting that counts, and where it comes from.
func setting(e node.EngineConfig, key string) (node.Setting, bool) {
	for _, s := range slices.Backward(e.Settings) {
		if s.Key == key {
			return s, true
		}
	}
	return node.Setting{}, false
}

// engineJudge makes the judge of a check of how engines are configured: each
// adds what is wrong with one engine to bad, and what is worth naming to good.
func engineJudge(code, badText, goodText string, look func(e node.EngineConfig, g Given, bad, good *[]string)) Judge {
	return On2(node.RuntimeConfig.Parts("engines", "registries"), node.OS.Parts("init", "pidNamespace"), func(v node.RuntimeState, o node.System, g Given) Finding {
		if v.Engines == nil {
			return unsaid("how its container engines are configured")
		}
		if len(v.Engines) == 0 {
			return wholeMachine(o, noEngineRuns())
		}
		var bad, good, unseen []string
		for _, e := range v.Engines {
			if e.Named && len(e.Files) == 0 {
				unseen = append(unseen, e.Program)
				continue
			}
			look(e, g, &bad, &good)
		}
		slices.Sort(bad)
		slices.Sort(good)
		bad, good = slices.Compact(bad), slices.Compact(good)
		if len(bad) > 0 {
			return fail(code, badText+": "+strings.Join(bad, "; "), bad...)
		}
		if len(unseen) > 0 {
			return unknown("file-missing", strings.Join(unseen, ", ")+" was started with a configuration file that could not be found", unseen...)
		}
		if len(good) > 0 {
			return wholeMachine(o, pass("safe", goodText+": "+strings.Join(good, "; "), good...))
		}
		return wholeMachine(o, pass("safe", fmt.Sprintf("%s, in the configuration of %s", goodText, engineNames(v))))
	})
}

func noEngineRuns() Finding {
	return notApplicable("no-engine", "no container engine runs outside containers whose configuration could be read: no containerd, CRI-O or dockerd")
}

func engineNames(v node.RuntimeState) string {
	var names []string
	for _, e := range v.Engines {
		names = append(names, e.Program)
	}
	return strings.Join(slices.Compact(names), ", ")
}

func settingText(s node.Setting) string {
	return fmt.Sprintf("%s = %q (%s)", s.Key, s.Value, s.From)
}

// reach says who can connect to an address of a configuration: "path" for a unix
// socket, "loopback", or "network".
func reach(address string) string {
	if strings.HasPrefix(address, "/") || strings.HasPrefix(address, "unix://") || strings.HasPrefix(address, "fd://") {
		return "path"
	}
	host := strings.TrimPrefix(address, "tcp://")
	if i := strings.LastIndexByte(host, ':'); i >= 0 && (!strings.Contains(host[:i], ":") || strings.HasPrefix(host, "[")) {
		host = host[:i]
	}
	host = strings.Trim(host, "[]")
	if a, err := netip.ParseAddr(host); host == "localhost" || err == nil && a.Unmap().IsLoopback() {
		return "loopback"
	}
	return "network"
}

var runtimeConfigNoNetwork = Check{
	ID:       "runtime-config-no-network",
	Rev:      1,
	Title:    "no container engine is configured to serve its API, debugging or metrics on the network",
	Topic:    Runtime,
	Severity: High,
	Refs:     []Ref{{sp80053, "CM-7"}, {sp80053, "SC-7"}, {pciDSS, "2.2.4"}, {sp800190, "4.5.5"}, {iso27001, "8.9"}},
	Help: Help{
		Why: "What is configured comes back at the next restart, whether it listens now or not. containerd's debug address gives away memory and goroutines of a process that is root.",
		How: "containerd: tcp_address under [grpc], address under [debug] and [metrics], disable_tcp_service; CRI-O: metrics_host where enable_metrics is on; dockerd: hosts, -H. All files and imports of the engine that runs are read. Unix sockets and loopback pass.",
		Remedy: map[string]string{
			"cos":          "Find the start-up script or DaemonSet that writes the address into the engine's configuration, and recreate the node; debug and metrics of containerd are reached through a socket or loopback.",
			"bottlerocket": "The configuration is rendered from the settings: find what changed the template below /usr/share/templates, which the image protects, and replace the node.",
			"talos":        "Take the address out of the file under /etc/cri/conf.d that machine.files writes, and apply the machine configuration.",
			"":             "Take the address out of the file that the finding names, or set it to 127.0.0.1, and restart the engine.",
		},
	},
	Judge: engineJudge("on-network", "engines are configured to listen on the network", "no engine is configured to listen on the network", func(e node.EngineConfig, _ Given, bad, good *[]string) {
		look := func(s node.Setting) {
			switch reach(s.Value) {
			case "network":
				*bad = append(*bad, settingText(s))
			case "loopback":
				*good = append(*good, settingText(s))
			}
		}
		switch e.Engine {
		case "containerd":
			for _, key := range []string{"grpc.tcp_address", "debug.address", "metrics.address", "ttrpc.address"} {
				if s, ok := setting(e, key); ok && s.Value != "" {
					look(s)
				}
			}
			if s, ok := setting(e, "cri.disable_tcp_service"); ok && s.Value == "false" {
				*bad = append(*bad, settingText(s))
			}
		case "crio":
			if on, ok := setting(e, "enable_metrics"); ok && on.Value == "true" {
				if s, ok := setting(e, "metrics_host"); ok {
					look(s) // 127.0.0.1 where nothing is said: crio.conf(5)
				}
			}
		case "docker":
			for _, s := range e.Settings {
				if s.Key == "hosts" {
					look(s)
				}
			}
		}
	}),
}

var runtimeStreamsLocal = Check{
	ID:       "runtime-streams-local",
	Rev:      1,
	Title:    "the container engine's streams for exec, attach and port-forward stay on loopback or are encrypted",
	Topic:    Runtime,
	Severity: High,
	Refs:     []Ref{{sp80053, "SC-8"}, {sp80053, "SC-7"}, {pciDSS, "2.2.7"}, {sp800190, "4.5.5"}, {iso27001, "8.20"}},
	Help: Help{
		Why: "The engine's stream server carries shells in containers. The kubelet forwards them from loopback; on another address anybody who guesses or sees a token has the shell, in the clear.",
		How: "stream_server_address and enable_tls_streaming of containerd, stream_address and stream_enable_tls of CRI-O; both engines use 127.0.0.1 where nothing is said. An address that is empty is that of the host.",
		Remedy: map[string]string{
			"talos":        "Take stream_server_address out of what machine.files adds to the containerd configuration, so that the default 127.0.0.1 holds.",
			"bottlerocket": "Bottlerocket leaves streams on loopback and has no setting for another address: replace the node.",
			"cos":          "GKE leaves streams on loopback: find what writes stream_server_address, and recreate the node.",
			"":             "Remove stream_server_address (containerd) or stream_address (CRI-O) from the configuration, so that the default 127.0.0.1 holds; the kubelet has proxied streams since Kubernetes 1.11.",
		},
	},
	Judge: engineJudge("streams-open", "streams of containers are served outside loopback without TLS", "streams of containers are served on loopback or by TLS", func(e node.EngineConfig, _ Given, bad, good *[]string) {
		keys := map[string][2]string{"containerd": {"cri.stream_server_address", "cri.enable_tls_streaming"}, "crio": {"stream_address", "stream_enable_tls"}}[e.Engine]
		s, ok := setting(e, keys[0])
		if !ok || keys[0] == "" {
			return
		}
		tls, _ := setting(e, keys[1])
		switch {
		case reach(s.Value) != "network":
			*good = append(*good, settingText(s))
		case tls.Value == "true":
			*good = append(*good, settingText(s)+" with TLS")
		default:
			*bad = append(*bad, settingText(s))
		}
	}),
}

var runtimeDefaultsConfined = Check{
	ID:       "runtime-defaults-confined",
	Rev:      1,
	Title:    "no container engine is configured to run containers unconfined by default",
	Topic:    Runtime,
	Severity: Medium,
	Refs:     []Ref{{sp80053, "CM-6"}, {sp80053, "SC-39"}, {grundschutz, "SYS.1.6.A21"}, {iso27001, "8.9"}, {sp800190, "4.4.3"}},
	Help: Help{
		Why: "What the engine gives a container that asks for nothing is what nearly every container gets. One line turns seccomp, AppArmor or SELinux off for all of them.",
		How: "Fails where the configuration says so itself: unset_seccomp_profile or seccomp_profile \"unconfined\", seccomp_use_default_when_empty = false, disable_apparmor where SELinux does not confine instead, apparmor_profile \"unconfined\", and SELinux support off where the system's SELinux enforces. That containerd leaves seccomp to the kubelet where nothing is said is the default of Kubernetes and no finding here.",
		Remedy: map[string]string{
			"talos":         "Take the line out of the drop-in below /etc/cri/conf.d that machine.files writes, and apply the machine configuration.",
			"bottlerocket":  "No setting of Bottlerocket leaves containers unconfined: find what changed the rendered configuration, and replace the node.",
			"cos":           "GKE ships the engine confined: find what changed its configuration, and recreate the node in its pool.",
			"fedora-coreos": "Remove the drop-in of /etc/crio/crio.conf.d that says so; on OpenShift the ContainerRuntimeConfig or MachineConfig that wrote it. selinux = true is what the distribution ships.",
			"":              "Remove the line that the finding names and restart the engine; give the one workload that needs it an Unconfined profile in its own securityContext.",
		},
	},
	Judge: engineJudge("unconfined", "engines are configured to leave containers unconfined", "no engine is configured to leave containers unconfined", func(e node.EngineConfig, g Given, bad, _ *[]string) {
		selinux := g.Profile.Boot.MAC == "selinux"
		faults := map[string][]string{
			"cri.unset_seccomp_profile": {"unconfined"}, "seccomp_profile": {"unconfined"}, "seccomp-profile": {"unconfined"}, "apparmor_profile": {"unconfined"},
			"seccomp_use_default_when_empty": {"false"},
		}
		if !strings.HasPrefix(g.Profile.Boot.MAC, "selinux") {
			faults["cri.disable_apparmor"] = []string{"true"}
		}
		for key, values := range faults {
			if s, ok := setting(e, key); ok && slices.Contains(values, s.Value) {
				*bad = append(*bad, settingText(s))
			}
		}
		if key := map[string]string{"containerd": "cri.enable_selinux", "crio": "selinux", "docker": "selinux-enabled"}[e.Engine]; selinux {
			// All three are off where nothing is said.
			if s, ok := setting(e, key); ok && s.Value == "false" {
				*bad = append(*bad, settingText(s))
			} else if !ok && e.Engine != "docker" && cri(e) {
				*bad = append(*bad, e.Program+" does not set "+key)
			}
		}
	}),
}

// cri reports whether an engine serves Kubernetes: CRI-O always, a containerd
// whose files speak of the plugin.
func cri(e node.EngineConfig) bool {
	return e.Engine == "crio" || slices.ContainsFunc(e.Settings, func(s node.Setting) bool { return strings.HasPrefix(s.Key, "cri.") })
}

var noInsecureRegistries = Check{
	ID:       "no-insecure-registries",
	Rev:      1,
	Title:    "no undeclared registry is configured without TLS or without certificate verification",
	Topic:    Runtime,
	Severity: High,
	Refs:     []Ref{{sp80053, "SC-8"}, {sp80053, "SI-7"}, {sp800190, "4.2.1"}, {iso27001, "8.20"}, {pciDSS, "4.2.1"}},
	Help: Help{
		Why: "Whoever is between the node and such a registry decides which program runs in the pod that was asked for.",
		How: "Registries with http:// or skip_verify in containerd's mirrors, configs and hosts.toml files, insecure in registries.conf and its drop-ins, insecure_registries of CRI-O and insecure-registries of dockerd. One on loopback, such as a cache on the node itself, passes and is named.",
		Remedy: map[string]string{
			"cos":          "GKE: name the registry and its authority in the containerd configuration file of the node pool (privateRegistryAccessConfig), and remove the line that the finding names from what writes it.",
			"talos":        "machine.registries.config.HOST.tls: give the authority's certificate as ca and remove insecureSkipVerify; use https:// in machine.registries.mirrors.",
			"bottlerocket": "apiclient get settings.container-registry, and give the mirror an https:// endpoint; add the authority under settings.pki.",
			"":             "Give the registry a certificate, put its authority in place as ca in hosts.toml or below /etc/containers/certs.d, and remove the line that the finding names.",
		},
	},
	Judge: engineJudge("insecure-registry", "registries are asked without a verified certificate", "every registry that is configured is asked with a verified certificate", func(e node.EngineConfig, g Given, bad, good *[]string) {
		for _, r := range e.Registries {
			item := fmt.Sprintf("%s: %s (%s)", r.Host, r.Fault, r.From)
			host, _, _ := strings.Cut(r.Host, "/")
			switch {
			case reach(host) == "loopback":
				*good = append(*good, item+" on loopback")
			case slices.ContainsFunc(g.Profile.Containers.Registries, func(p profiles.Place) bool { return beginsAs(r.Host, p.Path) }):
				*good = append(*good, item+" declared")
			default:
				*bad = append(*bad, item)
			}
		}
	}),
}

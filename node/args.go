package node

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// redacted stands in place of what may not leave the node.
const redacted = "<redacted>"

// kubeletPrograms are the programs that are or embed a kubelet.
var kubeletPrograms = []string{"kubelet", "hyperkube", "k3s", "k3s-server", "k3s-agent", "k3s-init", "rke2", "kubelite", "kubenswrapper", "k0s"}

func isKubelet(exe string) bool { return slices.Contains(kubeletPrograms, kubeletName(exe)) }

var versionedKubelet = regexp.MustCompile(`^kubelet[-_.]v?[0-9][0-9A-Za-z.+_-]*$`)

// kubeletName is the name of an executable, that of a kubelet without the version
// which some put into it: /opt/bin/kubelet-v1.33.4.
func kubeletName(exe string) string {
	name := path.Base(exe)
	if versionedKubelet.MatchString(name) {
		return "kubelet"
	}
	return name
}

// argsRedactor is what may be kept of the arguments of the executable exe, in
// the form of proc_pid_cmdline(5); nil for an executable whose arguments are
// never read. Of an interpreter's arguments it keeps the script alone, after
// "--" (see readInput and noScript); of a kubelet's every flag, and the values of
// those in kubeletSafeFlags.
func argsRedactor(exe string) func([]byte) []byte {
	family := interpreter(exe)
	switch {
	case isKubelet(exe):
		return func(b []byte) []byte { return joinArgs(keepKubelet(splitArgs(b))) }
	case family != "":
		return func(b []byte) []byte { return joinArgs(keepScript(family, splitArgs(b))) }
	}
	return nil
}

// splitArgs is the inverse of joinArgs. Programs that rewrite their title leave
// a tail of NUL bytes, which are no arguments.
func splitArgs(b []byte) []string {
	return strings.Split(strings.TrimRight(string(b), "\x00"), "\x00")
}

func joinArgs(args []string) []byte {
	return []byte(strings.Join(args, "\x00") + "\x00")
}

// keepScript keeps the first word of the first argument, which may be a title
// that the program made itself, and the script. Options go as a whole: their
// values may stand in the same word.
func keepScript(family string, args []string) []string {
	title, _, _ := strings.Cut(args[0], " ")
	args = args[1:]
	switch {
	case family != "busybox":
	case len(args) > 0 && slices.Contains([]string{"--", readInput, noScript}, args[0]):
		family = "sh"
	default:
		// The applet is the name that it was called by, or the first argument.
		applet := strings.TrimPrefix(path.Base(title), "-")
		if interpreters[applet] == "busybox" && len(args) > 0 {
			applet, args = args[0], args[1:]
		}
		if interpreters[applet] != "sh" {
			return []string{title}
		}
		family = "sh"
	}
	switch script := findScript(family, args); {
	case script == fromInput && (family == "sh" || interpreter(title) == family): // gunicorn makes itself a title, which hides its script
		return []string{title, readInput}
	case script == "" && grammars[family].reads:
		return []string{title, noScript}
	case script != "" && script != fromInput:
		return []string{title, "--", script}
	}
	return []string{title}
}

// What keepScript puts in the place of arguments that name no script: it comes
// from standard input, or the code stands among them.
const (
	readInput = "-"
	noScript  = "-c"
)

// scriptOf is the script that keepScript kept, "" where there is none.
func scriptOf(args []string) string {
	if len(args) == 3 && args[1] == "--" {
		return args[2]
	}
	return ""
}

// readsInput reports whether keepScript has found that the script comes from
// standard input.
func readsInput(args []string) bool { return len(args) == 2 && args[1] == readInput }

// keepKubelet keeps the names of all flags, and the values of safe ones.
// k3s and RKE2 replace their arguments by one title: "/usr/local/bin/k3s server".
func keepKubelet(args []string) []string {
	out := strings.Fields(args[0])
	if len(out) == 0 {
		out = []string{""}
	}
	words := append(out[1:], args[1:]...)
	out = slices.Clone(out[:1])
	for i := 0; i < len(words); i++ {
		w := words[i]
		if !strings.HasPrefix(w, "-") {
			out = append(out, keepWord(w))
			continue
		}
		flag, value, valued := strings.Cut(w, "=")
		name := strings.TrimLeft(flag, "-")
		if valued {
			out = append(out, flag+"="+keepValue(name, value))
			continue
		}
		out = append(out, w)
		if i+1 < len(words) && !strings.HasPrefix(words[i+1], "-") {
			i++
			out = append(out, keepValue(name, words[i]))
		}
	}
	return out
}

// keepWord keeps a word that is neither a flag nor a flag's value: a subcommand
// (k3s server, hyperkube kubelet) or the program that a wrapper starts
// (kubenswrapper /usr/bin/kubelet).
func keepWord(w string) string {
	if w == "" || slices.Contains([]string{"server", "agent", "worker", "controller", "kubelet"}, w) || strings.HasPrefix(w, "/") && isKubelet(w) {
		return w
	}
	return redacted
}

func keepValue(flag, value string) string {
	switch {
	case value == "":
		return ""
	case flag == "kubelet-arg": // of k3s and RKE2: --kubelet-arg=max-pods=200
		name, v, valued := strings.Cut(value, "=")
		if !valued {
			if kubeletSafeFlags[name] {
				return value
			}
			return redacted
		}
		return name + "=" + keepValue(name, v)
	case flag == "manifest-url-header" || flag == "static-pod-url-header":
		// "Authorization:Bearer …": the name of the first header is kept. Where
		// the next begins cannot be told from a comma in a secret.
		if name, _, valued := strings.Cut(value, ":"); valued {
			return name + ":" + redacted
		}
	case kubeletSafeFlags[flag] || embedderSafeFlags[flag]:
		return value
	}
	return redacted
}

// embedderSafeFlags are the flags of k3s, RKE2, k0s and MicroK8s whose values say
// where configuration is and are no secret.
var embedderSafeFlags = setOf(
	"config", "c", "data-dir", "d", "kubelet-args-file", "debug", "disable-agent", "kubelet-path", "protect-kernel-defaults", "profile", "selinux", "snapshotter",
	"container-runtime-endpoint", "docker", "rootless", "write-kubeconfig-mode", "kubelet-root-dir", "kubelet-extra-args-file", "enable-worker", "single", "start-kubelet",
)

// kubeletSafeFlags are the flags of the kubelet whose values are no secret and
// name no node: paths, switches, numbers, lists of words, and the address that
// it serves on. Flags that carry URLs, labels or the cloud's name of the node are
// not among them.
// Source: cmd/kubelet/app/options of Kubernetes 1.13 to 1.37.
var kubeletSafeFlags = setOf(
	"add-dir-header", "address", "allow-privileged", "allowed-unsafe-sysctls", "alsologtostderr", "anonymous-auth", "application-metrics-count-limit",
	"authentication-token-webhook", "authentication-token-webhook-cache-ttl", "authorization-mode", "authorization-webhook-cache-authorized-ttl", "authorization-webhook-cache-unauthorized-ttl",
	"boot-id-file", "bootstrap-kubeconfig", "cadvisor-port", "cert-dir", "cgroup-driver", "cgroup-root", "cgroups-per-qos", "chaos-chance", "client-ca-file", "cloud-config", "cloud-provider",
	"cluster-dns", "cluster-domain", "cni-bin-dir", "cni-cache-dir", "cni-conf-dir", "config", "config-dir", "container-hints", "container-log-max-files", "container-log-max-size",
	"container-runtime", "container-runtime-endpoint", "containerd", "containerd-namespace", "containerized", "contention-profiling", "cpu-cfs-quota", "cpu-cfs-quota-period", "cpu-manager-policy", "cpu-manager-policy-options", "cpu-manager-reconcile-period",
	"docker-endpoint", "docker-only", "docker-root", "docker-tls", "docker-tls-ca", "docker-tls-cert", "docker-tls-key", "dynamic-config-dir",
	"enable-cadvisor-json-endpoints", "enable-controller-attach-detach", "enable-debugging-handlers", "enable-load-reader", "enable-server", "enforce-node-allocatable",
	"event-burst", "event-qps", "event-storage-age-limit", "event-storage-event-limit", "eviction-hard", "eviction-max-pod-grace-period", "eviction-minimum-reclaim", "eviction-pressure-transition-period", "eviction-soft", "eviction-soft-grace-period",
	"exit-on-lock-contention", "experimental-allocatable-ignore-eviction", "experimental-bootstrap-kubeconfig", "experimental-check-node-capabilities-before-mount", "experimental-dockershim-root-directory",
	"experimental-kernel-memcg-notification", "experimental-mounter-path", "fail-swap-on", "feature-gates", "file-check-frequency", "global-housekeeping-interval", "hairpin-mode",
	"healthz-bind-address", "healthz-port", "help", "host-ipc-sources", "host-network-sources", "host-pid-sources", "hostname-override", "housekeeping-interval", "http-check-frequency",
	"image-credential-provider-bin-dir", "image-credential-provider-config", "image-gc-high-threshold", "image-gc-low-threshold", "image-pull-progress-deadline", "image-service-endpoint",
	"iptables-drop-bit", "iptables-masquerade-bit", "keep-terminated-pod-volumes", "kernel-memcg-notification", "kube-api-burst", "kube-api-content-type", "kube-api-qps", "kube-reserved", "kube-reserved-cgroup", "kubeconfig", "kubelet-cgroups",
	"local-storage-capacity-isolation", "lock-file", "log-backtrace-at", "log-cadvisor-usage", "log-dir", "log-file", "log-file-max-size", "log-flush-frequency", "log-json-info-buffer-size", "log-json-split-stream", "log-text-info-buffer-size", "log-text-split-stream", "logging-format", "logtostderr",
	"machine-id-file", "make-iptables-util-chains", "master-service-namespace", "max-open-files", "max-pods", "maximum-dead-containers", "maximum-dead-containers-per-container",
	"memory-manager-policy", "memory-swap-behavior", "minimum-container-ttl-duration", "minimum-image-ttl-duration", "network-plugin", "network-plugin-mtu", "node-ip", "node-status-max-images", "node-status-update-frequency", "non-masquerade-cidr",
	"one-output", "oom-score-adj", "pod-cidr", "pod-infra-container-image", "pod-manifest-path", "pod-max-pids", "pods-per-core", "port", "protect-kernel-defaults", "qos-reserved", "read-only-port", "really-crash-for-testing",
	"redirect-container-streaming", "register-node", "register-schedulable", "register-with-taints", "registry-burst", "registry-qps", "reserved-cpus", "require-kubeconfig", "reserved-memory", "resolv-conf", "root-dir", "rotate-certificates", "rotate-server-certificates",
	"runonce", "runtime-cgroups", "runtime-request-timeout", "seccomp-default", "seccomp-profile-root", "serialize-image-pulls", "skip-headers", "skip-log-headers", "stderrthreshold", "storage-driver-buffer-duration", "storage-driver-db", "storage-driver-secure", "storage-driver-table",
	"streaming-connection-idle-timeout", "sync-frequency", "system-cgroups", "system-reserved", "system-reserved-cgroup", "tls-cert-file", "tls-cipher-suites", "tls-min-version", "tls-private-key-file",
	"topology-manager-policy", "topology-manager-policy-options", "topology-manager-scope", "v", "version", "vmodule", "volume-plugin-dir", "volume-stats-agg-period", "windows-service", "windows-priorityclass",
)

func setOf(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

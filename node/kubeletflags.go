package node

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// flagKind says how the kubelet reads the value of an argument.
type flagKind int

const (
	flagText    flagKind = iota
	flagBool             // without a value it means true
	flagNumber           //
	flagList             // comma-separated; repeated ones are appended
	flagPairs            // comma-separated key=value; repeated ones are added
	flagPair             // one key=value; repeated ones are added
	flagLess             // comma-separated key<value; repeated ones are added
	flagGates            // comma-separated key=bool; repeated ones are added
	flagHeaders          // comma-separated key:value; values are secret
	flagTaints           // comma-separated key=value:effect
	flagModules          // comma-separated pattern=level
	flagMemory           // NUMA reservations: 0:memory=1Gi,hugepages-1Gi=2Gi;1:…
)

type kubeletFlag struct {
	name string
	kind flagKind
	key  string // the dotted v1beta1 name; "" where the argument is no setting
}

// kubeletFlags are the arguments that are settings too, and the switches that
// are none: those do not take the next word as their value.
// Source: cmd/kubelet/app/options/options.go, AddKubeletConfigFlags and AddFlags;
// component-base/logs/api/v1/options.go, addFlags.
var kubeletFlags = []kubeletFlag{
	{"address", flagText, "address"},
	{"allowed-unsafe-sysctls", flagList, "allowedUnsafeSysctls"},
	{"anonymous-auth", flagBool, "authentication.anonymous.enabled"},
	{"authentication-token-webhook", flagBool, "authentication.webhook.enabled"},
	{"authentication-token-webhook-cache-ttl", flagText, "authentication.webhook.cacheTTL"},
	{"authorization-mode", flagText, "authorization.mode"},
	{"authorization-webhook-cache-authorized-ttl", flagText, "authorization.webhook.cacheAuthorizedTTL"},
	{"authorization-webhook-cache-unauthorized-ttl", flagText, "authorization.webhook.cacheUnauthorizedTTL"},
	{"cgroup-driver", flagText, "cgroupDriver"},
	{"cgroup-root", flagText, "cgroupRoot"},
	{"cgroups-per-qos", flagBool, "cgroupsPerQOS"},
	{"client-ca-file", flagText, "authentication.x509.clientCAFile"},
	{"cluster-dns", flagList, "clusterDNS"},
	{"cluster-domain", flagText, "clusterDomain"},
	{"container-log-max-files", flagNumber, "containerLogMaxFiles"},
	{"container-log-max-size", flagText, "containerLogMaxSize"},
	{"container-runtime-endpoint", flagText, "containerRuntimeEndpoint"},
	{"contention-profiling", flagBool, "enableContentionProfiling"},
	{"cpu-cfs-quota", flagBool, "cpuCFSQuota"},
	{"cpu-cfs-quota-period", flagText, "cpuCFSQuotaPeriod"},
	{"cpu-manager-policy", flagText, "cpuManagerPolicy"},
	{"cpu-manager-policy-options", flagPair, "cpuManagerPolicyOptions"},
	{"cpu-manager-reconcile-period", flagText, "cpuManagerReconcilePeriod"},
	{"enable-controller-attach-detach", flagBool, "enableControllerAttachDetach"},
	{"enable-debugging-handlers", flagBool, "enableDebuggingHandlers"},
	{"enable-server", flagBool, "enableServer"},
	{"enforce-node-allocatable", flagList, "enforceNodeAllocatable"},
	{"event-burst", flagNumber, "eventBurst"},
	{"event-qps", flagNumber, "eventRecordQPS"},
	{"eviction-hard", flagLess, "evictionHard"},
	{"eviction-max-pod-grace-period", flagNumber, "evictionMaxPodGracePeriod"},
	{"eviction-minimum-reclaim", flagPairs, "evictionMinimumReclaim"},
	{"eviction-pressure-transition-period", flagText, "evictionPressureTransitionPeriod"},
	{"eviction-soft", flagLess, "evictionSoft"},
	{"eviction-soft-grace-period", flagPairs, "evictionSoftGracePeriod"},
	{"experimental-kernel-memcg-notification", flagBool, "kernelMemcgNotification"}, // its name before 1.21
	{"fail-swap-on", flagBool, "failSwapOn"},
	{"feature-gates", flagGates, "featureGates"},
	{"file-check-frequency", flagText, "fileCheckFrequency"},
	{"hairpin-mode", flagText, "hairpinMode"},
	{"healthz-bind-address", flagText, "healthzBindAddress"},
	{"healthz-port", flagNumber, "healthzPort"},
	{"http-check-frequency", flagText, "httpCheckFrequency"},
	{"image-gc-high-threshold", flagNumber, "imageGCHighThresholdPercent"},
	{"image-gc-low-threshold", flagNumber, "imageGCLowThresholdPercent"},
	{"image-service-endpoint", flagText, "imageServiceEndpoint"},
	{"iptables-drop-bit", flagNumber, "iptablesDropBit"},
	{"iptables-masquerade-bit", flagNumber, "iptablesMasqueradeBit"},
	{"kernel-memcg-notification", flagBool, "kernelMemcgNotification"},
	{"kube-api-burst", flagNumber, "kubeAPIBurst"},
	{"kube-api-content-type", flagText, "contentType"},
	{"kube-api-qps", flagNumber, "kubeAPIQPS"},
	{"kube-reserved", flagPairs, "kubeReserved"},
	{"kube-reserved-cgroup", flagText, "kubeReservedCgroup"},
	{"kubelet-cgroups", flagText, "kubeletCgroups"},
	{"local-storage-capacity-isolation", flagBool, "localStorageCapacityIsolation"},
	{"log-flush-frequency", flagText, "logging.flushFrequency"},
	{"log-json-info-buffer-size", flagText, "logging.options.json.infoBufferSize"},
	{"log-json-split-stream", flagBool, "logging.options.json.splitStream"},
	{"log-text-info-buffer-size", flagText, "logging.options.text.infoBufferSize"},
	{"log-text-split-stream", flagBool, "logging.options.text.splitStream"},
	{"logging-format", flagText, "logging.format"},
	{"make-iptables-util-chains", flagBool, "makeIPTablesUtilChains"},
	{"manifest-url", flagText, "staticPodURL"},
	{"manifest-url-header", flagHeaders, "staticPodURLHeader"},
	{"max-open-files", flagNumber, "maxOpenFiles"},
	{"max-pods", flagNumber, "maxPods"},
	{"memory-manager-policy", flagText, "memoryManagerPolicy"},
	{"minimum-image-ttl-duration", flagText, "imageMinimumGCAge"},
	{"node-status-max-images", flagNumber, "nodeStatusMaxImages"},
	{"node-status-update-frequency", flagText, "nodeStatusUpdateFrequency"},
	{"oom-score-adj", flagNumber, "oomScoreAdj"},
	{"pod-cidr", flagText, "podCIDR"},
	{"pod-manifest-path", flagText, "staticPodPath"},
	{"pod-max-pids", flagNumber, "podPidsLimit"},
	{"pods-per-core", flagNumber, "podsPerCore"},
	{"port", flagNumber, "port"},
	{"protect-kernel-defaults", flagBool, "protectKernelDefaults"},
	{"provider-id", flagText, "providerID"},
	{"qos-reserved", flagPairs, "qosReserved"},
	{"read-only-port", flagNumber, "readOnlyPort"},
	{"register-node", flagBool, "registerNode"},
	{"register-with-taints", flagTaints, "registerWithTaints"},
	{"registry-burst", flagNumber, "registryBurst"},
	{"registry-qps", flagNumber, "registryPullQPS"},
	{"reserved-cpus", flagText, "reservedSystemCPUs"},
	{"reserved-memory", flagMemory, "reservedMemory"},
	{"resolv-conf", flagText, "resolvConf"},
	{"rotate-certificates", flagBool, "rotateCertificates"},
	{"rotate-server-certificates", flagBool, "serverTLSBootstrap"},
	{"runonce", flagBool, "runOnce"},
	{"runtime-request-timeout", flagText, "runtimeRequestTimeout"},
	{"seccomp-default", flagBool, "seccompDefault"},
	{"serialize-image-pulls", flagBool, "serializeImagePulls"},
	{"streaming-connection-idle-timeout", flagText, "streamingConnectionIdleTimeout"},
	{"sync-frequency", flagText, "syncFrequency"},
	{"system-cgroups", flagText, "systemCgroups"},
	{"system-reserved", flagPairs, "systemReserved"},
	{"system-reserved-cgroup", flagText, "systemReservedCgroup"},
	{"tls-cert-file", flagText, "tlsCertFile"},
	{"tls-cipher-suites", flagList, "tlsCipherSuites"},
	{"tls-min-version", flagText, "tlsMinVersion"},
	{"tls-private-key-file", flagText, "tlsPrivateKeyFile"},
	{"topology-manager-policy", flagText, "topologyManagerPolicy"},
	{"topology-manager-policy-options", flagPair, "topologyManagerPolicyOptions"},
	{"topology-manager-scope", flagText, "topologyManagerScope"},
	{"v", flagNumber, "logging.verbosity"},
	{"vmodule", flagModules, "logging.vmodule"},
	{"volume-plugin-dir", flagText, "volumePluginDir"},
	{"volume-stats-agg-period", flagText, "volumeStatsAggPeriod"},

	{"add-dir-header", flagBool, ""},
	{"allow-privileged", flagBool, ""},
	{"alsologtostderr", flagBool, ""},
	{"containerized", flagBool, ""},
	{"docker-only", flagBool, ""},
	{"docker-tls", flagBool, ""},
	{"enable-cadvisor-json-endpoints", flagBool, ""},
	{"enable-load-reader", flagBool, ""},
	{"exit-on-lock-contention", flagBool, ""},
	{"experimental-allocatable-ignore-eviction", flagBool, ""},
	{"experimental-check-node-capabilities-before-mount", flagBool, ""},
	{"help", flagBool, ""},
	{"keep-terminated-pod-volumes", flagBool, ""},
	{"log-cadvisor-usage", flagBool, ""},
	{"logtostderr", flagBool, ""},
	{"one-output", flagBool, ""},
	{"really-crash-for-testing", flagBool, ""},
	{"redirect-container-streaming", flagBool, ""},
	{"register-schedulable", flagBool, ""},
	{"require-kubeconfig", flagBool, ""},
	{"skip-headers", flagBool, ""},
	{"skip-log-headers", flagBool, ""},
	{"version", flagBool, ""},
}

func lookupKubeletFlag(name string) (kubeletFlag, bool) {
	i := slices.IndexFunc(kubeletFlags, func(f kubeletFlag) bool { return f.name == name })
	if i < 0 {
		return kubeletFlag{}, false
	}
	return kubeletFlags[i], true
}

// kubeletArg is one argument of the kubelet.
type kubeletArg struct {
	name, value string
	place       string // "" for the command line, else the file that it stands in
}

func (a kubeletArg) from() string {
	if a.place == "" {
		return "flag --" + a.name
	}
	return "flag --" + a.name + " in " + a.place
}

// argumentsOf leaves out the program's own name, and the name of the kubelet
// behind a wrapper or a program of many names ("hyperkube kubelet --…").
func argumentsOf(argv []string) []string {
	if len(argv) > 0 {
		argv = argv[1:]
	}
	if len(argv) > 0 && path.Base(argv[0]) == "kubelet" {
		argv = argv[1:]
	}
	return argv
}

// parseKubeletArgs splits words into arguments as github.com/spf13/pflag does:
// two dashes for a name, one for the letters v and h, "=" or the next word for a
// value, "_" for "-" in names. The kubelet takes no word that is not one of these.
func parseKubeletArgs(words []string) ([]kubeletArg, error) {
	var args []kubeletArg
	for i := 0; i < len(words); i++ {
		word := words[i]
		name, value, valued := strings.Cut(word, "=")
		switch {
		case len(name) > 2 && strings.HasPrefix(name, "--"):
			name = strings.ReplaceAll(name[2:], "_", "-")
		case name == "-v" || name == "-h":
			name = map[string]string{"-v": "v", "-h": "help"}[name]
		case strings.HasPrefix(name, "-v"):
			name, value, valued = "v", strings.TrimPrefix(word, "-v"), true
		default:
			return nil, fmt.Errorf("parsing kubelet arguments: %q belongs to no argument", word)
		}
		flag, known := lookupKubeletFlag(name)
		switch {
		case valued:
		case known && flag.kind == flagBool:
			value = "true"
		case i+1 == len(words):
			if known {
				return nil, fmt.Errorf("parsing kubelet arguments: %q has no value", word)
			}
		case known || !strings.HasPrefix(words[i+1], "--"):
			i++
			value = words[i]
		}
		args = append(args, kubeletArg{name: name, value: value})
	}
	return args, nil
}

// flagValue adds the value of one argument to what earlier ones of the same name gave.
func flagValue(kind flagKind, value string, earlier any) (any, error) {
	if value == redacted && kind != flagHeaders {
		return value, nil // it may not be known, and is no fault
	}
	words := strings.Split(value, ",")
	switch kind {
	case flagBool:
		return strconv.ParseBool(value)
	case flagNumber:
		n, err := strconv.ParseInt(value, 0, 64)
		if err != nil {
			return nil, fmt.Errorf("parsing %q: not a number", value)
		}
		return json.Number(strconv.FormatInt(n, 10)), nil
	case flagList:
		list, _ := earlier.([]any)
		list = slices.Clone(list)
		for _, w := range words {
			if value != "" {
				list = append(list, w)
			}
		}
		if list == nil {
			list = []any{}
		}
		return list, nil
	case flagPairs:
		return addPairs(words, "=", earlier, keepText)
	case flagPair:
		return addPairs([]string{value}, "=", earlier, keepText)
	case flagLess:
		return addPairs(words, "<", earlier, keepText)
	case flagGates:
		return addPairs(words, "=", earlier, func(s string) (any, error) { return strconv.ParseBool(s) })
	case flagHeaders:
		for i, w := range words {
			if w != "" && !strings.Contains(w, ":") {
				words[i] = redacted + ":" // taken out before it came here
			}
		}
		return addPairs(words, ":", earlier, func(string) (any, error) { return []any{redacted}, nil })
	case flagTaints:
		return eachWord(words, earlier, parseKubeletTaint)
	case flagModules:
		return eachWord(words, earlier, parseKubeletModule)
	case flagMemory:
		return eachWord(strings.Split(value, ";"), earlier, parseReservedMemory)
	case flagText:
	}
	return value, nil
}

func keepText(s string) (any, error) { return s, nil }

// addPairs adds "key<sep>value" words to the map that earlier arguments made.
func addPairs(words []string, sep string, earlier any, parse func(string) (any, error)) (any, error) {
	out := map[string]any{}
	if m, ok := earlier.(map[string]any); ok {
		for k, v := range m {
			out[k] = v
		}
	}
	for _, w := range words {
		if w == "" {
			continue
		}
		k, text, ok := strings.Cut(w, sep)
		if !ok {
			return nil, fmt.Errorf("parsing %q: not a pair with %q between", w, sep)
		}
		v, err := parse(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		out[strings.TrimSpace(k)] = v
	}
	return out, nil
}

func eachWord(words []string, earlier any, parse func(string) (any, error)) (any, error) {
	list, _ := earlier.([]any)
	list = slices.Clone(list)
	for _, w := range words {
		if w == "" {
			continue
		}
		v, err := parse(w)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	if list == nil {
		list = []any{}
	}
	return list, nil
}

// parseKubeletTaint reads "key=value:effect", "key:effect" or "key=value:".
func parseKubeletTaint(s string) (any, error) {
	pair, effect, ok := strings.Cut(s, ":")
	if !ok {
		return nil, fmt.Errorf("parsing taint %q: no effect", s)
	}
	key, value, valued := strings.Cut(pair, "=")
	taint := map[string]any{"key": key, "effect": effect}
	if valued {
		taint["value"] = value
	}
	return taint, nil
}

func parseKubeletModule(s string) (any, error) {
	pattern, level, ok := strings.Cut(s, "=")
	if _, err := strconv.ParseUint(level, 10, 31); !ok || err != nil {
		return nil, fmt.Errorf("parsing log level %q: not pattern=number", s)
	}
	return map[string]any{"filePattern": pattern, "verbosity": json.Number(level)}, nil
}

func parseReservedMemory(s string) (any, error) {
	numa, limits, ok := strings.Cut(s, ":")
	n, err := strconv.ParseUint(numa, 10, 31)
	if !ok || err != nil {
		return nil, fmt.Errorf("parsing reserved memory %q: no NUMA node", s)
	}
	m, err := addPairs(strings.Split(limits, ","), "=", nil, keepText)
	if err != nil {
		return nil, err
	}
	return map[string]any{"numaNode": json.Number(strconv.FormatUint(n, 10)), "limits": m}, nil
}

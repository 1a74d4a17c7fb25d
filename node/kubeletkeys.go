package node

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// kubeletKeys are the settings of kubelet.config.k8s.io/v1beta1 by dotted name,
// sorted. Maps and lists are one setting. Source: k8s.io/kubelet v0.37.2,
// config/v1beta1/types.go; a test compares.
var kubeletKeys = []string{
	"address",
	"allowedUnsafeSysctls",
	"authentication.anonymous.enabled",
	"authentication.webhook.cacheTTL",
	"authentication.webhook.enabled",
	"authentication.x509.clientCAFile",
	"authorization.mode",
	"authorization.webhook.cacheAuthorizedTTL",
	"authorization.webhook.cacheUnauthorizedTTL",
	"cgroupDriver",
	"cgroupRoot",
	"cgroupsPerQOS",
	"clusterDNS",
	"clusterDomain",
	"configMapAndSecretChangeDetectionStrategy",
	"containerLogMaxFiles",
	"containerLogMaxSize",
	"containerLogMaxWorkers",
	"containerLogMonitorInterval",
	"containerRuntimeEndpoint",
	"contentType",
	"cpuCFSQuota",
	"cpuCFSQuotaPeriod",
	"cpuManagerPolicy",
	"cpuManagerPolicyOptions",
	"cpuManagerReconcilePeriod",
	"crashLoopBackOff.maxContainerRestartPeriod",
	"defaultPodSysctls",
	"enableContentionProfiling",
	"enableControllerAttachDetach",
	"enableDebugFlagsHandler",
	"enableDebuggingHandlers",
	"enableProfilingHandler",
	"enableServer",
	"enableSystemLogHandler",
	"enableSystemLogQuery",
	"enforceNodeAllocatable",
	"eventBurst",
	"eventRecordQPS",
	"evictionHard",
	"evictionMaxPodGracePeriod",
	"evictionMinimumReclaim",
	"evictionPressureTransitionPeriod",
	"evictionSoft",
	"evictionSoftGracePeriod",
	"failCgroupV1",
	"failSwapOn",
	"featureGates",
	"fileCheckFrequency",
	"hairpinMode",
	"healthzBindAddress",
	"healthzPort",
	"httpCheckFrequency",
	"imageGCHighThresholdPercent",
	"imageGCLowThresholdPercent",
	"imageMaximumGCAge",
	"imageMinimumGCAge",
	"imagePullCredentialsVerificationPolicy",
	"imageServiceEndpoint",
	"iptablesDropBit",
	"iptablesMasqueradeBit",
	"kernelMemcgNotification",
	"kubeAPIBurst",
	"kubeAPIQPS",
	"kubeReserved",
	"kubeReservedCgroup",
	"kubeletCgroups",
	"localStorageCapacityIsolation",
	"logging.flushFrequency",
	"logging.format",
	"logging.options.json.infoBufferSize",
	"logging.options.json.splitStream",
	"logging.options.text.infoBufferSize",
	"logging.options.text.splitStream",
	"logging.verbosity",
	"logging.vmodule",
	"makeIPTablesUtilChains",
	"maxOpenFiles",
	"maxParallelImagePulls",
	"maxPods",
	"memoryManagerPolicy",
	"memoryReservationPolicy",
	"memorySwap.swapBehavior",
	"memoryThrottlingFactor",
	"mergeDefaultEvictionSettings",
	"nodeLeaseDurationSeconds",
	"nodeStatusMaxImages",
	"nodeStatusReportFrequency",
	"nodeStatusUpdateFrequency",
	"oomScoreAdj",
	"podCIDR",
	"podLogsDir",
	"podPidsLimit",
	"podsPerCore",
	"port",
	"preloadedImagesVerificationAllowlist",
	"protectKernelDefaults",
	"providerID",
	"qosReserved",
	"readOnlyPort",
	"registerNode",
	"registerWithTaints",
	"registryBurst",
	"registryPullQPS",
	"reservedMemory",
	"reservedSystemCPUs",
	"resolvConf",
	"rotateCertificates",
	"runOnce",
	"runtimeRequestTimeout",
	"seccompDefault",
	"serializeImagePulls",
	"serverTLSBootstrap",
	"showHiddenMetricsForVersion",
	"shutdownGracePeriod",
	"shutdownGracePeriodByPodPriority",
	"shutdownGracePeriodCriticalPods",
	"singleProcessOOMKill",
	"staticPodPath",
	"staticPodURL",
	"staticPodURLHeader",
	"streamingConnectionIdleTimeout",
	"syncFrequency",
	"systemCgroups",
	"systemReserved",
	"systemReservedCgroup",
	"tlsCertFile",
	"tlsCipherSuites",
	"tlsCurvePreferences",
	"tlsMinVersion",
	"tlsPrivateKeyFile",
	"topologyManagerPolicy",
	"topologyManagerPolicyOptions",
	"topologyManagerScope",
	"tracing.endpoint",
	"tracing.samplingRatePerMillion",
	"userNamespaces.idsPerPod",
	"volumePluginDir",
	"volumeStatsAggPeriod",
}

// isKubeletKey reports whether key is a setting, isKubeletGroup whether it holds
// settings.
func isKubeletKey(key string) bool {
	_, ok := slices.BinarySearch(kubeletKeys, key)
	return ok
}

func isKubeletGroup(key string) bool {
	i, _ := slices.BinarySearch(kubeletKeys, key+".")
	return i < len(kubeletKeys) && strings.HasPrefix(kubeletKeys[i], key+".")
}

// withoutNode replaces what differs between equal nodes by a placeholder, and
// what may be secret by another.
func withoutNode(key string, value any) any {
	text, _ := value.(string)
	switch key {
	case "podCIDR", "providerID":
		if text != "" {
			return "<node>"
		}
	case "address", "healthzBindAddress":
		if a, err := netip.ParseAddr(text); err == nil && !a.IsUnspecified() && !a.IsLoopback() {
			return "<node>"
		}
	case "staticPodURL":
		return withoutSecretURL(text)
	}
	return value
}

const redactedURL = "<redacted URL>"

// withoutSecretURL keeps scheme, host and path of a URL; user, query and fragment
// may hold a token. The port is dropped on a loopback address, where Talos serves
// static pods from one that changes at every boot.
func withoutSecretURL(s string) string {
	if s == "" || s == redactedURL {
		return s
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return redactedURL
	}
	host := u.Host
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && a.IsLoopback() {
		host = u.Hostname()
		if a.Is6() {
			host = "[" + host + "]"
		}
	}
	return (&url.URL{Scheme: u.Scheme, Host: host, Path: u.Path}).String()
}

package verify

import "slices"

var hostReachingDeclared = Check{
	ID:       "host-reaching-containers-declared",
	Rev:      1,
	Title:    "every container that can take over or watch the host is declared",
	Topic:    Runtime,
	Severity: High,
	Refs:     slices.Concat(containerRefs, []Ref{{sp80053, "CM-8"}}),
	Help: Help{
		Why: "A node is as safe as the weakest container that reaches it. Somebody has to be able to name each of them, and say why it does.",
		How: "This is the inventory: privileged capabilities, folders of the host, the kubelet's credentials, other pods' volumes, devices, and the host's process, network and memory namespaces, of every container, from its mount table, its status and its namespaces. Each must be named by the profile or a site overlay. Device nodes that the engine makes inside a container are no mounts and are not seen; such containers are privileged as a rule, and that is.",
		Remedy: map[string]string{
			"talos": "Take hostPath, hostNetwork, hostPID and privileged out of the workload, or add it with an owner to the site overlay; label the namespace pod-security.kubernetes.io/enforce: baseline so that Talos' default admission refuses the next.",
			"":      "Take what it does not need out of the workload's securityContext and volumes, or add \"POWER NAMESPACE/NAME\" with an owner to the site overlay.",
		},
	},
	Judge: reachJudge("undeclared", "containers reach the host and nobody has declared them", "no container reaches the host",
		powerPrivileged, powerRoot, powerKubelet, powerPodVolumes, powerDevices, powerPID, powerIPC, powerNetwork, powerPath),
}

var noUndeclaredPrivileged = Check{
	ID:       "no-undeclared-privileged-containers",
	Rev:      1,
	Title:    "no undeclared container has capabilities that make it root on the host",
	Topic:    Runtime,
	Severity: High,
	Refs:     slices.Concat(containerRefs, []Ref{{sp80053, "AC-6(1)"}, {cisKubernetes, "5.2.2"}}),
	Help: Help{
		Why: "With SYS_ADMIN, SYS_MODULE, SYS_RAWIO or DAC_READ_SEARCH a container leaves its walls without any flaw to exploit: it mounts the disk, loads a module, or opens the host's files by file handle.",
		How: "What a process of the container has permitted counts (CapPrm), and what a program with rights could give it (CapBnd) where no_new_privs is off. In a user namespace of its own neither counts. SYS_PTRACE counts together with the host's processes. MKNOD is in every container and is held by its devices cgroup.",
		Remedy: map[string]string{
			"": "Set privileged: false and capabilities: {drop: [ALL], add: [what it needs]} in its securityContext; hostUsers: false makes what is left harmless to the host.",
		},
	},
	Judge: reachJudge("privileged", "containers have capabilities that are the host's root", "no container has capabilities that are the host's root", powerPrivileged),
}

var noHostRoot = Check{
	ID:       "no-host-root-in-containers",
	Rev:      1,
	Title:    "no undeclared container has the host's root, /etc, /proc or programs mounted",
	Topic:    Runtime,
	Severity: High,
	Refs:     containerRefs,
	Help: Help{
		Why: "A container that has / or /etc of the host reads every secret there is, and where it may write it puts a unit, a key or a static pod that the host then runs.",
		How: "Each mount of the container is compared by file system and folder with what the host has mounted: /, /etc and /proc count read-only as well; /usr, /boot, /root, static pods, network plugins and the engines' storage count where they are writable. A mount brings what is mounted below it.",
		Remedy: map[string]string{
			"": "Mount the one file or folder that the workload reads, with readOnly: true, in place of / or /etc. What looks at the whole host for monitoring takes /proc and /sys with hostPID: false and no capability.",
		},
	},
	Judge: reachJudge("host-root", "containers have the host's own folders", "no container has the host's own folders", powerRoot),
}

var kubeletCredentialsUnreached = Check{
	ID:       "kubelet-credentials-unreached",
	Rev:      1,
	Title:    "no undeclared container has the kubelet's credentials mounted",
	Topic:    Runtime,
	Severity: High,
	Refs:     slices.Concat(containerRefs, []Ref{{sp80053, "IA-5"}}),
	Help: Help{
		Why: "With the kubelet's key a container is the node: it reads the secrets of every pod that is scheduled here and can say what it likes about its health.",
		How: "Mounts that lead to the kubelet's certificate folder, its kubeconfig, a bootstrap kubeconfig or the cluster's PKI, or to a folder above one: /var/lib/kubelet, /etc/kubernetes, /. The user that the container runs as is not considered, since one setuid program changes it.",
		Remedy: map[string]string{
			"": "A storage driver needs /var/lib/kubelet/pods and its folder below /var/lib/kubelet/plugins, not /var/lib/kubelet: narrow its hostPath, and declare the driver where its vendor insists.",
		},
	},
	Judge: reachJudge("credentials-reached", "containers have the credentials with which this node speaks to the cluster", "no container has the kubelet's credentials", powerKubelet),
}

var podVolumesUnreached = Check{
	ID:       "pod-volumes-unreached",
	Rev:      1,
	Title:    "no undeclared container has the volumes of other pods mounted",
	Topic:    Runtime,
	Severity: High,
	Refs:     slices.Concat(containerRefs, []Ref{{sp80053, "SC-4"}}),
	Help: Help{
		Why: "Below /var/lib/kubelet/pods lie the ServiceAccount token, the secrets and the data of every pod on the node.",
		How: "Mounts of /var/lib/kubelet/pods, of a folder above it, or of another pod's folder in it. The container's own pod is told by its cgroup and does not count.",
		Remedy: map[string]string{
			"": "Only storage drivers and what backs up volumes need this folder: run them in a namespace of their own, declare them, and give others a claim of their own in place of the hostPath.",
		},
	},
	Judge: reachJudge("volumes-reached", "containers have the volumes of other pods", "no container has the volumes of other pods", powerPodVolumes),
}

var hostDevicesUnreached = Check{
	ID:       "host-devices-unreached",
	Rev:      1,
	Title:    "no undeclared container has devices of the host mounted",
	Topic:    Runtime,
	Severity: High,
	Refs:     slices.Concat(containerRefs, []Ref{{sp80053, "AC-3"}}),
	Help: Help{
		Why: "Whoever opens the host's disk as a device reads and changes every file on it past all permissions, also those of an image that is mounted read-only.",
		How: "Mounts of /dev or of a device file in it, and file systems on a block device that the host itself has not mounted. null, random, the terminal, shared memory, fuse and tun are no devices here.",
		Remedy: map[string]string{
			"": "Let a device plugin hand out the one device (resources.limits: {vendor/device: 1}) in place of a hostPath of /dev; a volume with volumeMode: Block gives a disk and no other.",
		},
	},
	Judge: reachJudge("devices-reached", "containers have devices of the host", "no container has devices of the host", powerDevices),
}

var hostNamespacesUnshared = Check{
	ID:       "host-namespaces-unshared",
	Rev:      1,
	Title:    "no undeclared container shares the host's PID, IPC or network namespace",
	Topic:    Runtime,
	Severity: Medium,
	Refs:     slices.Concat(containerRefs, []Ref{{cisKubernetes, "5.2.3"}, {cisKubernetes, "5.2.4"}, {cisKubernetes, "5.2.5"}}),
	Help: Help{
		Why: "In the host's network a container reaches what listens on loopback and can read the traffic of others; among the host's processes it reads their environment and can signal them.",
		How: "The pid, ipc and net links below /proc/<pid>/ns of each container's first process are compared with those of process 1. Network plugins and proxies need the host's network: those of kubeadm are declared, others are a site's to declare. The cgroup and uts namespaces give no power and are not judged.",
		Remedy: map[string]string{
			"": "Set hostPID, hostIPC and hostNetwork to false; a hostPort or a Service publishes a port without the host's network.",
		},
	},
	Judge: reachJudge("shared", "containers are in namespaces of the host", "no container is in a namespace of the host", powerPID, powerIPC, powerNetwork),
}

var containersConfined = Check{
	ID:       "containers-confined",
	Rev:      1,
	Title:    "no undeclared container that reaches the host runs without seccomp",
	Topic:    Runtime,
	Severity: Medium,
	Refs:     []Ref{{sp80053, "SC-39"}, {sp80053, "AC-6"}, {sp800190, "4.4.3"}, {grundschutz, "SYS.1.6.A21"}, {iso27001, "8.9"}},
	Help: Help{
		Why: "A seccomp filter is what stands between a container that already reaches the host and the flaws of the kernel.",
		How: "Kubernetes leaves seccomp off unless a pod or the kubelet's seccompDefault asks for it, so an ordinary container without a filter is no finding here: the kubelet's checks speak of the default. A container fails that has no filter and has host-level capabilities, folders, devices or processes as well, or other pods' data. Seccomp in /proc/<pid>/status counts, of every process.",
		Remedy: map[string]string{
			"talos": "securityContext.seccompProfile.type: RuntimeDefault in the pod; Talos sets seccompDefault for the rest. privileged: true takes the filter away again.",
			"":      "securityContext.seccompProfile.type: RuntimeDefault in the pod, and no privileged: true, which takes the filter away. seccompDefault: true in the kubelet's configuration covers pods that say nothing.",
		},
	},
	Judge: reachJudge("unconfined", "containers reach the host and have no seccomp filter", "no container that reaches the host lacks a seccomp filter", powerUnconfined),
}

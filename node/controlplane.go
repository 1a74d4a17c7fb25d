package node

import (
	"context"
	"path"
	"slices"
	"strings"
)

// ControlPlaneState is whether a control plane of Kubernetes runs on this node.
type ControlPlaneState struct {
	// Runs is "yes", "no", or "unknown" where not everything could be looked at.
	Runs string `json:"runs"`
	// Parts are the components that were seen, sorted by name.
	Parts []ControlPlanePart `json:"parts"`
	// Proxy is how kube-proxy runs: "pod" (its folder in the container is a
	// ConfigMap or Secret of the cluster), "host" (outside containers, or with a
	// folder of the host), "absent" or "unknown".
	Proxy string `json:"proxy"`
}

// ControlPlanePart is a component and how it was seen.
type ControlPlanePart struct {
	Name string `json:"name"` // kube-apiserver, etcd, k3s server
	By   string `json:"by"`   // "process" (on the host or on its network) or the path of a static pod
}

// ControlPlane is told from processes and from the kubelet's folder of static
// pods. A process in a container counts only on the host's network: control
// planes of other clusters that run as pods have networks of their own.
var ControlPlane = Source[ControlPlaneState]{
	Name:  "control-plane",
	Doc:   "which parts of a Kubernetes control plane run on the node, and how kube-proxy does",
	Scope: Cohort,
	Every: Hour,
	Read: func(_ context.Context, h *Host) (ControlPlaneState, []Gap, error) {
		table, err := h.gathering.processes()
		if err != nil {
			return ControlPlaneState{}, nil, err
		}
		r := controlPlaneReading{state: ControlPlaneState{Proxy: "absent"}}
		// Commands have names also where executables cannot be seen.
		r.gaps = slices.DeleteFunc(slices.Clone(table.gaps), func(g Gap) bool { return g.What == unreadExecutables })
		for i := range table.processes {
			r.readProcess(h, table, &table.processes[i])
		}
		r.readStaticPods(h)
		return r.finish()
	},
}

// controlPlanePrograms are the components by the name of their command, of which
// the kernel keeps 15 characters.
var controlPlanePrograms = map[string]string{
	"kube-apiserver": "kube-apiserver", "kube-controller": "kube-controller-manager", "kube-scheduler": "kube-scheduler", "etcd": "etcd",
	"k3s-server": "k3s server", "kubelite": "kubelite",
}

type controlPlaneReading struct {
	state ControlPlaneState
	gaps  []Gap
}

func (r *controlPlaneReading) readProcess(h *Host, table *processTable, p *process) {
	if p.comm == "kube-proxy" {
		r.readProxy(table, p)
		return
	}
	name := controlPlanePrograms[p.comm]
	if embedder := embedderOf(*p); embedder != "" && len(p.args) > 0 {
		// k3s and RKE2: "k3s server", as a title or as arguments.
		if strings.HasSuffix(p.args[0], " server") || len(p.args) > 1 && p.args[1] == "server" {
			name = embedder + " server"
		}
	}
	if name == "" {
		return
	}
	if p.container != "" {
		shares, err := sharesHostNetwork(h, *p)
		if err != nil {
			r.gaps = append(r.gaps, GapOf("whether "+name+" in a container is on the host's network", err))
		}
		if !shares {
			return
		}
	}
	r.state.Parts = append(r.state.Parts, ControlPlanePart{name, "process"})
}

// readProxy looks where the folder /var/lib/kube-proxy of the process comes from:
// kubeadm's manifest mounts a ConfigMap there, GKE's a file of the host.
func (r *controlPlaneReading) readProxy(table *processTable, p *process) {
	how := "host"
	if p.container != "" {
		how = "unknown"
		ns := table.namespaces.of(p)
		if ns.err == nil {
			if mounts, err := parseMountinfo(ns.bytes); err == nil {
				how = proxyFolder(mounts)
			}
		} else {
			r.gaps = append(r.gaps, GapOf("the mounts of kube-proxy", ns.err).In("proxy"))
		}
	}
	if r.state.Proxy == "absent" || how == "host" {
		r.state.Proxy = how
	}
}

// proxyFolder says what the kubeconfig of a kube-proxy in a pod is: "pod" for a
// volume that the API server fills, "host" for a folder or file of the host.
func proxyFolder(mounts []mount) string {
	how := "unknown"
	for _, m := range mounts {
		switch {
		case strings.Contains(m.root, "/volumes/kubernetes.io~configmap/"), strings.Contains(m.root, "/volumes/kubernetes.io~projected/"),
			m.fstype == "tmpfs" && strings.HasPrefix(m.path, "/var/run/secrets/kubernetes.io"), m.fstype == "tmpfs" && strings.HasPrefix(m.path, "/run/secrets/kubernetes.io"):
			if how == "unknown" {
				how = "pod"
			}
		case strings.HasPrefix(m.path, "/var/lib/kube-proxy/") || strings.Contains(path.Base(m.path), "kubeconfig"):
			how = "host"
		}
	}
	return how
}

// maxStaticPods bounds a folder of static pods.
const maxStaticPods = 1000

// readStaticPods looks for the API server's manifest by its name, under which
// kubeadm, OpenShift and RKE2 write it.
func (r *controlPlaneReading) readStaticPods(h *Host) {
	for _, dir := range staticPodFolders(h) {
		entries, err := h.ReadDir(dir, maxStaticPods)
		if IsAbsent(err) {
			continue
		}
		if err != nil {
			r.gaps = append(r.gaps, GapOf("static pods in /"+dir, err))
			continue
		}
		for _, e := range entries {
			name, _, _ := strings.Cut(e.Name, ".")
			name = strings.TrimSuffix(name, "-pod")
			if slices.Contains([]string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"}, name) && e.Type != Directory {
				r.state.Parts = append(r.state.Parts, ControlPlanePart{name, "/" + path.Join(dir, e.Name)})
			}
		}
	}
}

// staticPodFolders are where the running kubelet takes static pods from, and
// where they lie by custom.
func staticPodFolders(h *Host) []string {
	dirs := []string{"etc/kubernetes/manifests", "var/lib/rancher/rke2/agent/pod-manifests"}
	if r, err := h.gathering.kubelet(); err == nil {
		if v, ok := r.settings.values["staticPodPath"]; ok {
			if dir, _ := v.value.(string); path.IsAbs(dir) {
				dirs = append(dirs, strings.TrimPrefix(path.Clean(dir), "/"))
			}
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

func (r *controlPlaneReading) finish() (ControlPlaneState, []Gap, error) {
	s := &r.state
	slices.SortFunc(s.Parts, func(a, b ControlPlanePart) int { return strings.Compare(a.Name+" "+a.By, b.Name+" "+b.By) })
	s.Parts = append([]ControlPlanePart{}, slices.Compact(s.Parts)...)
	open := slices.ContainsFunc(r.gaps, func(g Gap) bool { return g.Part == "" })
	switch {
	case len(s.Parts) > 0:
		s.Runs = "yes"
	case open:
		s.Runs = "unknown"
	default:
		s.Runs = "no"
	}
	return *s, r.gaps, nil
}

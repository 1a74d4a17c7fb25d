package node

import (
	"regexp"
	"strings"
)

// kubeletVersionPattern is a release of Kubernetes as version.gitVersion has it,
// with what distributions append.
var kubeletVersionPattern = regexp.MustCompile(`^v1\.[0-9]{1,3}\.[0-9]{1,3}([-+][0-9A-Za-z.+-]{1,64})?$`)

// readVersion asks the kubelet's executable which release it is. It is not run:
// Kubernetes tells its linker the version, and the linker keeps what it was told.
// An executable that process 1 would not find at the same path is not asked.
// Source: hack/lib/version.sh of Kubernetes, kube::version::ldflags;
// k3s, scripts/build.
func (r *kubeletReading) readVersion(h *Host, t *processTable, p process) {
	s := &r.state
	first, found := t.byPID(1)
	switch {
	case p.exe == "":
		s.VersionFrom = "the executable could not be seen"
		return
	case p.deleted:
		s.VersionFrom = p.exe + " was replaced since the kubelet started"
		return
	case !found || p.mntns == "" || first.mntns == "":
		s.VersionFrom = "whether the kubelet sees the mounts of process 1 could not be seen"
		return
	case p.mntns != first.mntns:
		s.VersionFrom = "the kubelet sees other mounts than process 1, so that " + quoteName(p.exe) + " may be another file"
		return
	}
	b, err := ask[GoBuild](h, AskGoBuild, strings.TrimPrefix(p.exe, "/"))
	if err != nil {
		s.VersionFrom = err.Error()
		return
	}
	s.Version, s.VersionFrom = kubeletVersionOf(b), "build information of "+quoteName(p.exe)
	if s.Version == "" {
		s.VersionFrom += ", which names no release of Kubernetes"
	}
}

// kubeletVersionOf is the release that build information names, or "". The
// version of the main module counts where Kubernetes itself is that module.
func kubeletVersionOf(b GoBuild) string {
	if kubeletVersionPattern.MatchString(b.Kubernetes) {
		return b.Kubernetes
	}
	if b.Module == "k8s.io/kubernetes" && kubeletVersionPattern.MatchString(b.Version) {
		return b.Version
	}
	return ""
}

package node

import (
	"context"
	"errors"
	"path"
	"strings"
)

// RuntimeSocket is a unix socket that gives power over the host's containers or
// over the host itself.
type RuntimeSocket struct {
	Engine string   `json:"engine"`         // "containerd", "crio", "docker", "podman", "buildkit", "nri", "bottlerocket-api", "talos-machined", …
	Path   string   `json:"path"`           // where it was found
	Link   string   `json:"link,omitempty"` // target, where Path is a symbolic link
	Type   FileType `json:"type"`           // of what Path leads to: "socket" where something may listen
	Mode   uint32   `json:"mode"`           // permission bits of the socket
	UID    uint32   `json:"uid"`
	GID    uint32   `json:"gid"`
	Label  string   `json:"label"` // SELinux context, "" where there is none
	// Parents are the folders above the socket, all links followed, from / down.
	Parents []Folder `json:"parents"`
}

// Folder is a directory above something that matters.
type Folder struct {
	Path string `json:"path"`
	Mode uint32 `json:"mode"`
	UID  uint32 `json:"uid"`
	GID  uint32 `json:"gid"`
}

// RuntimeSockets are the sockets of container engines and of OS APIs. None is ever opened.
var RuntimeSockets = Source[[]RuntimeSocket]{
	Name:  "runtime-sockets",
	Doc:   "sockets of container engines and of the system itself",
	Scope: Cohort,
	Every: Scan,
	Read: func(_ context.Context, h *Host) ([]RuntimeSocket, []Gap, error) {
		found, gaps := findSockets(h)
		out := []RuntimeSocket{}
		for _, s := range found {
			out = append(out, s.RuntimeSocket)
		}
		return out, gaps, nil
	},
}

// wellKnownSockets are where engines and systems have their sockets, relative to
// the root. A "*" stands for every user's number. A link to a socket that stands
// before it is left out: /run/dockershim.sock is often one to containerd's.
var wellKnownSockets = []struct{ engine, path string }{
	{"containerd", "run/containerd/containerd.sock"},
	{"containerd", "run/containerd/containerd.sock.ttrpc"},
	{"containerd", "run/containerd/debug.sock"},
	{"containerd", "run/docker/libcontainerd/docker-containerd.sock"}, // Flatcar: a link to the first
	{"containerd", "run/docker/containerd/containerd.sock"},           // the one that dockerd starts
	{"containerd", "run/k3s/containerd/containerd.sock"},
	{"containerd", "run/k3s/containerd/containerd.sock.ttrpc"},
	{"containerd", "run/k0s/containerd.sock"},
	{"containerd", "var/snap/microk8s/common/run/containerd.sock"},
	{"host-containerd", "run/host-containerd/containerd.sock"}, // Bottlerocket's host containers
	{"host-containerd", "run/host-containerd/containerd.sock.ttrpc"},
	{"system-containerd", "system/run/containerd/containerd.sock"}, // Talos' own services
	{"system-containerd", "system/run/containerd/containerd.sock.ttrpc"},
	{"crio", "run/crio/crio.sock"},
	{"docker", "run/docker.sock"},
	{"docker", "run/user/*/docker.sock"},
	{"cri-dockerd", "run/cri-dockerd.sock"},
	{"cri-dockerd", "run/k3s/cri-dockerd/cri-dockerd.sock"},
	{"dockershim", "run/dockershim.sock"},
	{"podman", "run/podman/podman.sock"},
	{"podman", "run/user/*/podman/podman.sock"},
	{"buildkit", "run/buildkit/buildkitd.sock"},
	{"buildkit", "run/user/*/buildkit/buildkitd.sock"},
	{"nri", "run/nri/nri.sock"},
	{"lxd", "var/snap/lxd/common/lxd/unix.socket"},
	{"incus", "var/lib/incus/unix.socket"},
	{"bottlerocket-api", "run/api.sock"},
	{"talos-machined", "system/run/machined/machine.sock"},
	{"talos-apid", "system/run/apid/apid.sock"},
	{"talos-apid", "system/run/apid/runtime.sock"}, // what apid and trustd read of machined
	{"talos-trustd", "system/run/trustd/runtime.sock"},
}

// foundSocket is a runtime socket and where it really is.
type foundSocket struct {
	RuntimeSocket
	real string // absolute, all links followed
	dev  string // major:minor of its file system
	ino  uint64
}

// findSockets looks at the well-known places; it opens nothing.
func findSockets(h *Host) ([]foundSocket, []Gap) {
	var found []foundSocket
	var gaps []Gap
	seen := map[string]bool{}
	folders := map[string]Folder{}
	for _, w := range socketPlaces(h, &gaps) {
		s, err := socketAt(h, w.engine, w.path)
		if IsAbsent(err) || err == nil && seen[s.real] {
			continue
		}
		if err == nil {
			seen[s.real] = true
			s.Parents, err = parents(h, s.real, folders)
		}
		if err != nil {
			gaps = append(gaps, GapOf("socket /"+w.path, err))
			if s.real == "" {
				continue
			}
		}
		found = append(found, s)
	}
	return found, gaps
}

// socketPlaces are the well-known places with users filled in, and again below
// /var/run where that is no link.
func socketPlaces(h *Host, gaps *[]Gap) []struct{ engine, path string } {
	var users []DirEntry
	if list, err := h.ReadDir("run/user", 1<<12); err == nil {
		users = list
	} else if !IsAbsent(err) {
		*gaps = append(*gaps, GapOf("sockets of users", err))
	}
	info, err := h.Lstat("var/run")
	folder := err == nil && info.Type != Symlink
	var out []struct{ engine, path string }
	for _, w := range wellKnownSockets {
		before, after, each := strings.Cut(w.path, "*")
		if !each {
			out = append(out, w)
			if folder && strings.HasPrefix(w.path, "run/") {
				out = append(out, struct{ engine, path string }{w.engine, "var/" + w.path})
			}
			continue
		}
		for _, u := range users {
			out = append(out, struct{ engine, path string }{w.engine, before + u.Name + after})
		}
	}
	return out
}

func socketAt(h *Host, engine, name string) (foundSocket, error) {
	s := foundSocket{RuntimeSocket: RuntimeSocket{Engine: engine, Path: "/" + name}}
	info, err := h.Lstat(name)
	if err != nil {
		return s, err
	}
	if info.Type == Symlink {
		if s.Link, err = h.ReadLink(name); err != nil {
			return s, err
		}
	}
	real, err := realPath(h, "/"+name)
	if err != nil {
		return s, err
	}
	if info, err = h.Lstat(real[1:]); err != nil {
		return s, err
	}
	s.real, s.dev, s.ino = real, info.Dev, info.Ino
	s.Type, s.Mode, s.UID, s.GID = info.Type, info.Mode, info.UID, info.GID
	label, err := h.Xattr(real[1:], "security.selinux")
	switch {
	case err == nil:
		s.Label = strings.TrimRight(string(label), "\x00")
	case !IsAbsent(err) && !isUnsupported(err):
		return s, err
	}
	return s, nil
}

// isUnsupported reports whether err says that the file system has no such thing.
func isUnsupported(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == Unsupported
}

// parents are the folders above the absolute path p, from / down. known keeps
// those that were looked at.
func parents(h *Host, p string, known map[string]Folder) ([]Folder, error) {
	var out []Folder
	for dir := path.Dir(p); ; dir = path.Dir(dir) {
		f, ok := known[dir]
		if !ok {
			name := strings.TrimPrefix(dir, "/")
			if name == "" {
				name = "."
			}
			info, err := h.Lstat(name)
			if err != nil {
				return nil, err
			}
			f = Folder{dir, info.Mode, info.UID, info.GID}
			known[dir] = f
		}
		out = append([]Folder{f}, out...)
		if dir == "/" {
			return out, nil
		}
	}
}

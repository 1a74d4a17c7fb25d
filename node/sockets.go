package node

import "context"

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
	// Parents are the folders above the socket, from / down.
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
	Read: func(_ context.Context, h *Host) (v []RuntimeSocket, gaps []Gap, err error) {
		return v, nil, &Error{"reading", "runtime-sockets", Unsupported, "not written yet"}
	},
}

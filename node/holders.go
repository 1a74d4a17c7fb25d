package node

import "context"

// SocketHolder is a container that can open a runtime socket.
type SocketHolder struct {
	Socket string `json:"socket"` // its path on the host
	Engine string `json:"engine"`
	// Container is the container's identifier, as far as its cgroup shows it.
	Container string `json:"container"`
	// Pod is "namespace/name", where the node's log folders name it, else the
	// pod's uid, else "".
	Pod     string `json:"pod"`
	Program string `json:"program"` // executable, as the container names it
	// By is the mount that leads to the socket: "socket" (the socket itself) or
	// the host folder that is mounted: "/run", "/".
	By string `json:"by"`
	At string `json:"at"` // where the container sees the socket
	// UID and GID are those of the process; As says which of the socket's rights
	// opens it: "root", "owner", "group", "other".
	UID uint32 `json:"uid"`
	GID uint32 `json:"gid"`
	As  string `json:"as"`
}

// SocketHolders are the containers that can open a runtime socket, found from mount tables and identities.
var SocketHolders = Source[[]SocketHolder]{
	Name:  "socket-holders",
	Doc:   "containers that can open a runtime socket",
	Scope: Node,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (v []SocketHolder, gaps []Gap, err error) {
		return v, nil, &Error{"reading", "socket-holders", Unsupported, "not written yet"}
	},
}

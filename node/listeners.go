package node

import "context"

// Listener is a socket that listens in the host's network namespace.
type Listener struct {
	Network string `json:"network"` // "tcp", "tcp6" or "unix"
	// Address is an IP address, "0.0.0.0" and "::" for every one; or the path of
	// a unix socket, with a leading @ for an abstract one.
	Address string `json:"address"`
	Port    int    `json:"port,omitempty"` // TCP only
	// Program is the executable of a process that holds the socket, "" where none
	// was found.
	Program string `json:"program"`
	// Container marks a socket that is held by a container's process.
	Container bool `json:"container,omitempty"`
	// Service is what listens there by convention: "kubelet", "kubelet-read-only",
	// "docker", "containerd-debug", …; "" for others.
	Service string `json:"service,omitempty"`
}

// Listeners are the sockets that listen on the host.
var Listeners = Source[[]Listener]{
	Name:  "listeners",
	Doc:   "TCP and unix sockets that listen, with their program",
	Scope: Node,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (v []Listener, gaps []Gap, err error) {
		return v, nil, &Error{"reading", "listeners", Unsupported, "not written yet"}
	},
}

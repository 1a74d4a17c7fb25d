package node

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
)

// SocketPeer is a program that is connected to a runtime socket.
type SocketPeer struct {
	Socket string `json:"socket"` // its path on the host; of containerd's shims with * for what is chosen at random
	Engine string `json:"engine"` // as in RuntimeSocket; "containerd-shim"
	// Program is what is connected: of a host process all that the fact processes
	// says of it, without On where that could not be read; of a container's the path
	// alone, as the container names it, and "" where all that is known is the pod.
	Program Program `json:"program"`
	// Container and Pod are those of SocketHolder; "" for a host process.
	Container string `json:"container"`
	Pod       string `json:"pod"`
	UID       uint32 `json:"uid"`
}

// SocketPeers are the programs that are connected to a runtime socket. The kernel
// names the end that the engine accepted after the socket that listens, and tells
// the inode of the other end, which a descriptor of the client leads to. Of
// several processes that hold one end the first is told. Both ends belong to the
// client's network namespace: in others than process 1's, which cannot be asked,
// the tables of sockets tell that there is a connection, and the client is a
// process there that sees the socket and holds a connected end without a name.
var SocketPeers = Source[[]SocketPeer]{
	Name:  "socket-peers",
	Doc:   "programs that are connected to a runtime socket",
	Scope: Node,
	Every: Hour,
	Read: func(_ context.Context, h *Host) ([]SocketPeer, []Gap, error) {
		t, err := h.gathering.processes()
		if err != nil {
			return nil, nil, err
		}
		if err := t.namespaces.hostErr; err != nil {
			return nil, nil, err
		}
		sockets, gaps := findSockets(h)
		if len(sockets) == 0 && len(gaps) == 0 && nobodyServes(h) {
			return []SocketPeer{}, nil, nil
		}
		table, network, err := hostUnixSockets(h)
		if err != nil {
			return nil, nil, err
		}
		gaps = append(gaps, t.gapsOfContainers()...)
		r := peerReader{
			h: h, t: t, sockets: sockets, names: map[string]servedSocket{},
			unread: tally{what: "programs connected to runtime sockets"},
			places: tally{what: "mounts that programs run from which are connected to runtime sockets"},
			known:  map[*process]Program{}, out: []SocketPeer{},
		}
		ends := r.endsIn(table)
		ends = append(ends, r.endsElsewhere(network)...)
		r.find(ends)
		for _, c := range []tally{r.unread, r.places} {
			gaps = append(gaps, c.gaps()...)
		}
		gaps = append(gaps, r.gaps...)
		gaps = append(gaps, withPodNames(h, r.out, func(p *SocketPeer) *string { return &p.Pod })...)
		slices.SortFunc(r.out, comparePeers)
		return slices.CompactFunc(r.out, func(a, b SocketPeer) bool { return comparePeers(a, b) == 0 }), gaps, nil
	},
}

// nobodyServes reports whether the host has no runtime socket at all that anybody
// could be connected to, also none whose file is gone.
func nobodyServes(h *Host) bool {
	all, err := h.gathering.listening()
	return err == nil && len(all.gaps) == 0 && !slices.ContainsFunc(all.sockets, func(l listening) bool {
		_, runtime := socketNamed(l.address)
		return l.network == "unix" && runtime
	})
}

func comparePeers(a, b SocketPeer) int {
	return cmp.Or(
		cmp.Compare(a.Socket, b.Socket), cmp.Compare(a.Engine, b.Engine), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Container, b.Container),
		comparePrograms(a.Program, b.Program), cmp.Compare(a.UID, b.UID),
	)
}

// hostUnixSockets asks for the unix sockets of process 1's network namespace. In
// another one this program sees only what is connected there, which is not nobody.
func hostUnixSockets(h *Host) (UnixSockets, string, error) {
	network, err := h.ReadLink("proc/1/ns/net")
	if err != nil {
		return UnixSockets{}, "", err
	}
	table, err := ask[UnixSockets](h, AskUnix, "")
	if err == nil && table.Namespace != network {
		err = &Error{"asking the kernel for", AskUnix, Unsupported, "this program is in another network namespace than process 1; as a service of the host it would not be"}
	}
	return table, network, err
}

// servedSocket is a runtime socket that something listens on.
type servedSocket struct {
	engine, path string
	real         string // path without links, "" for one that has no file now
}

// shimSockets are where containerd's shims listen, as stableSocket writes it:
// one request to a shim starts a process in its container, or stops it.
var shimSockets = []string{"/run/containerd/s/*", "/run/k3s/containerd/s/*", "@/containerd-shim/*"}

// socketNamed is the runtime socket that has this name by convention, whether a
// file is there still or not.
func socketNamed(name string) (servedSocket, bool) {
	if stable := stableSocket(name); slices.Contains(shimSockets, stable) {
		return servedSocket{engine: "containerd-shim", path: stable}, true
	}
	if !strings.HasPrefix(name, "/") {
		return servedSocket{}, false
	}
	name = path.Clean(name)
	if strings.HasPrefix(name, "/var/run/") {
		name = strings.TrimPrefix(name, "/var") // CRI-O calls its own /var/run/crio/crio.sock
	}
	for _, w := range wellKnownSockets {
		before, after, each := strings.Cut("/"+w.path, "*")
		rest, ok := strings.CutPrefix(name, before)
		user, ends := strings.CutSuffix(rest, after)
		_, err := number(user)
		if ok && ends && (each && err == nil || !each && rest == "") {
			return servedSocket{engine: w.engine, path: name}, true
		}
	}
	return servedSocket{}, false
}

// connection is a connection to a runtime socket.
type connection struct {
	to     servedSocket
	server uint64 // inode of the end that was accepted
	client uint64 // inode of the other end; 0 where the kernel cannot be asked for it
	// proven says that the file is the host's socket. A name alone may be that of an
	// engine that a container has for itself.
	proven bool
	in     *otherNetwork // nil for process 1's network namespace
}

// peerReader looks for the programs behind connections.
type peerReader struct {
	h       *Host
	t       *processTable
	sockets []foundSocket
	names   map[string]servedSocket // names that the host's sockets were bound to
	unread  tally
	places  tally
	known   map[*process]Program
	gaps    []Gap
	out     []SocketPeer
}

// endsIn are the connections to runtime sockets in a table of process 1's network
// namespace.
func (r *peerReader) endsIn(table UnixSockets) []connection {
	var out []connection
	for _, s := range table.Sockets {
		to, proven := r.servedFile(s)
		if proven {
			r.names[s.Name] = to
		} else {
			var ok bool
			if to, ok = socketNamed(s.Name); !ok {
				continue
			}
		}
		if s.State == UnixEstablished && s.Peer != 0 { // else the client has gone
			out = append(out, connection{to: to, server: s.Inode, client: s.Peer, proven: proven})
		}
	}
	return out
}

// servedFile is the runtime socket whose file a unix socket was bound to.
func (r *peerReader) servedFile(s UnixSocket) (servedSocket, bool) {
	for _, f := range r.sockets {
		if f.Type == Socket && s.Dev != "" && s.Dev == f.dev && s.File == uint32(f.ino) {
			return servedSocket{f.Engine, f.Path, f.real}, true
		}
	}
	return servedSocket{}, false
}

// find looks for the programs of connections, and counts those that have none.
func (r *peerReader) find(ends []connection) {
	wanted := map[uint64]bool{}
	for _, c := range ends {
		if c.client != 0 {
			wanted[c.client] = true
		}
		if !c.proven && c.server != 0 {
			wanted[c.server] = true
		}
	}
	holders, unread := r.t.findHolders(r.h, wanted, r.h.gathering.peers, anyNetwork)
	var lost []connection
	for _, c := range ends {
		server := holders[c.server]
		if !c.proven && server != nil && server.container != "" {
			continue // an engine inside a container, as Docker in Docker
		}
		r.unread.of++
		switch client := holders[c.client]; {
		case client != nil:
			r.add(c.to, client)
		case c.in == nil || server == nil:
			lost = append(lost, c)
		case !r.addFrom(c):
			lost = append(lost, c)
		}
	}
	for _, c := range r.stillThere(lost) {
		r.unread.count++
		if r.unread.count > 1 {
			continue
		}
		r.unread.code, r.unread.reason = unread.code, unread.reason
		if unread.count == 0 {
			r.unread.code, r.unread.reason = Failed, fmt.Sprintf("no process is seen to hold the other end of a connection to %s", c.to.path)
		}
	}
}

// stillThere are those of some connections that were not closed meanwhile.
func (r *peerReader) stillThere(lost []connection) []connection {
	if len(lost) == 0 {
		return nil
	}
	now := map[uint64]bool{}
	elsewhere := map[*otherNetwork]bool{}
	for _, c := range lost {
		if c.in != nil && !elsewhere[c.in] {
			elsewhere[c.in] = true
			lines, err := c.in.read(r.h)
			if err != nil && !vanished(err) {
				return lost
			}
			for _, l := range lines {
				now[l.inode] = true
			}
		}
	}
	table, err := ask[UnixSockets](r.h, AskUnix, "")
	if err != nil {
		return lost
	}
	for _, s := range table.Sockets {
		if s.State == UnixEstablished {
			now[s.Peer] = true
		}
	}
	return slices.DeleteFunc(lost, func(c connection) bool {
		if c.in != nil {
			return !now[c.server]
		}
		return !now[c.client]
	})
}

// add adds a process as a client.
func (r *peerReader) add(to servedSocket, p *process) {
	r.out = append(r.out, SocketPeer{to.path, to.engine, r.program(p), p.container, p.pod, p.uid})
}

// program is what the process runs, as far as it can be told.
func (r *peerReader) program(p *process) Program {
	if p.container != "" {
		return Program{Path: p.name()}
	}
	if v, ok := r.known[p]; ok {
		return v
	}
	scripts := tally{} // that its script was not read makes no interpreter a declared client
	r.places.of++
	v, err := Program{Path: p.name(), Unit: p.unit}, p.exeErr
	if err == nil {
		var prog Program
		if prog, err = r.t.program(r.h, p, unreadPrograms{&scripts, &tally{}}); err == nil {
			v = prog
		}
	}
	if err != nil && !vanished(err) {
		r.places.add(p.pid, err)
	}
	r.known[p] = v
	return v
}

package node

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// otherNetwork is a network namespace other than process 1's, and the processes in it.
type otherNetwork struct {
	processes []*process
	// clients are the inodes of connected unix sockets there that have no name.
	clients map[uint64]bool
}

// connectedUnix is SS_CONNECTED of include/uapi/linux/net.h, in /proc/<pid>/net/unix.
const connectedUnix = "03"

// read returns the connected sockets of the namespace, through the first process
// of it that is still there.
func (n *otherNetwork) read(h *Host) ([]unixLine, error) {
	var err error
	for _, p := range n.processes {
		name := p.dir + "/net/unix"
		var b []byte
		if b, err = h.ReadFile(name, maxSocketTable); vanished(err) {
			continue
		} else if err != nil {
			return nil, err
		}
		lines, err := parseUnixTable(b)
		if err != nil {
			return nil, &Error{"reading", "/" + name, Malformed, err.Error()}
		}
		return slices.DeleteFunc(lines, func(l unixLine) bool { return l.state != connectedUnix }), nil
	}
	return nil, err
}

// endsElsewhere are the connections to runtime sockets in all network namespaces
// but this one, by their names.
func (r *peerReader) endsElsewhere(network string) []connection {
	unread := tally{what: "unix sockets of other network namespaces"}
	others := map[string]*otherNetwork{}
	for i := range r.t.processes {
		p := &r.t.processes[i]
		ns, err := r.h.ReadLink(p.dir + "/ns/net")
		switch {
		case vanished(err) || err == nil && ns == network:
			continue
		case err != nil:
			unread.of++
			unread.add(p.pid, err)
			continue
		}
		if others[ns] == nil {
			others[ns] = &otherNetwork{clients: map[uint64]bool{}}
		}
		others[ns].processes = append(others[ns].processes, p)
	}
	var out []connection
	for _, ns := range slices.Sorted(maps.Keys(others)) {
		n := others[ns]
		unread.of++
		lines, err := n.read(r.h)
		if err != nil {
			if !vanished(err) {
				unread.add(n.processes[0].pid, err)
			}
			continue
		}
		for _, l := range lines {
			if l.name == "" {
				n.clients[l.inode] = true
				continue
			}
			to, ok := r.names[l.name]
			if !ok {
				to, ok = socketNamed(l.name)
			}
			if ok {
				out = append(out, connection{to: to, server: l.inode, in: n})
			}
		}
	}
	r.gaps = append(r.gaps, unread.gaps()...)
	return out
}

// addFrom adds the clients of a connection in another network namespace: who
// holds a connected end there and sees the socket; else who holds one; else the
// pod, whoever it is in it. It reports whether there was any.
func (r *peerReader) addFrom(c connection) bool {
	var holding, seeing []*process
	left := maxDescriptors
	for _, p := range c.in.processes {
		if !r.holdsOne(p, c.in.clients, &left) {
			continue
		}
		holding = append(holding, p)
		if r.sees(p, c.to) {
			seeing = append(seeing, p)
		}
	}
	if len(seeing) > 0 {
		holding = seeing
	}
	for _, p := range holding {
		r.add(c.to, p)
	}
	if len(holding) > 0 {
		return true
	}
	for _, p := range c.in.processes {
		if p.pod != "" {
			r.out = append(r.out, SocketPeer{Socket: c.to.path, Engine: c.to.engine, Pod: p.pod})
			return true
		}
	}
	return false
}

// holdsOne reports whether a descriptor of the process leads to one of the sockets.
func (r *peerReader) holdsOne(p *process, sockets map[uint64]bool, left *int) bool {
	fds, err := r.h.ReadDir(p.dir+"/fd", maxDescriptors)
	if err != nil {
		return false // counted where all descriptors are looked at
	}
	if *left -= len(fds); *left < 0 {
		return false
	}
	return slices.ContainsFunc(fds, func(fd DirEntry) bool {
		link, err := r.h.ReadLink(p.dir + "/fd/" + fd.Name)
		if err != nil {
			return false
		}
		number, ok := strings.CutPrefix(link, "socket:[")
		inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64)
		return ok && err == nil && sockets[inode]
	})
}

// sees reports whether the process sees the socket's file; where that cannot be
// told, it may.
func (r *peerReader) sees(p *process, to servedSocket) bool {
	found, err := r.t.namespaces.exposures(r.t.namespaces.of(p), r.sockets)
	return err != nil || slices.ContainsFunc(found, func(e exposure) bool { return e.socket.real == to.real || e.socket.Path == to.path })
}

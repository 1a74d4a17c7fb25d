package node

import (
	"cmp"
	"context"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Listener is a socket that listens in the host's network namespace.
type Listener struct {
	Network string `json:"network"` // "tcp", "tcp6" or "unix"
	// Address is an IP address, "0.0.0.0" and "::" for every one; or the path of
	// a unix socket, with a leading @ for an abstract one. What programs choose
	// at random in a path, and what belongs to one pod or user, is replaced.
	Address string `json:"address"`
	Port    int    `json:"port,omitempty"` // TCP only
	// Program is the executable of a process that holds the socket, "" where none
	// was found; it is not looked for where Address stands for many sockets.
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
	Read: func(_ context.Context, h *Host) ([]Listener, []Gap, error) {
		r, err := h.gathering.listening()
		if err != nil {
			return nil, nil, err
		}
		for name, b := range r.read {
			h.evidence.add("/"+name, b)
		}
		all, gaps := r.sockets, slices.Clone(r.gaps)
		t, err := h.gathering.processes()
		if err != nil {
			return nil, nil, err
		}
		wanted := map[uint64]bool{}
		for _, l := range all {
			if l.network != "unix" || stableSocket(l.address) == l.address {
				wanted[l.inode] = true
			}
		}
		holders, unread := t.findHolders(h, wanted, h.gathering.held, hostNetwork)
		out := []Listener{}
		for _, l := range all {
			v := Listener{Network: l.network, Address: l.address, Port: l.port, Service: serviceAt(l)}
			if l.network == "unix" {
				v.Address = quoteName(stableSocket(l.address))
			}
			if p, ok := holders[l.inode]; ok {
				v.Program, v.Container = p.name(), p.container != ""
			}
			out = append(out, v)
		}
		// What is held by nobody, with every descriptor read, the kernel holds (nfsd),
		// or it was closed meanwhile.
		if n := len(wanted) - len(holders); n > 0 && unread.count > 0 {
			gaps = append(gaps, Gap{What: "programs of listening sockets", Code: unread.code, Reason: unread.reason, Count: n, Of: len(wanted)})
		}
		slices.SortFunc(out, compareListeners)
		return slices.Compact(out), gaps, nil
	},
}

func compareListeners(a, b Listener) int {
	return cmp.Or(cmp.Compare(a.Network, b.Network), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Address, b.Address), cmp.Compare(a.Program, b.Program), compareBools(a.Container, b.Container))
}

const maxSocketTable = 64 << 20 // 150 bytes a line: some 400,000 connections

// listeningReading is what listens on the host, read once a gathering.
type listeningReading struct {
	sockets []listening
	gaps    []Gap
	read    map[string][]byte // by path relative to the root
}

// readListening reads the tables of process 1's network namespace. Without IPv6
// there is no tcp6. One table that cannot be read is a gap, none is an error.
func readListening(h *Host) (*listeningReading, error) {
	r := &listeningReading{read: map[string][]byte{}}
	var first error
	for _, network := range []string{"tcp", "tcp6", "unix"} {
		name := "proc/1/net/" + network
		b, err := h.ReadFile(name, maxSocketTable)
		if IsAbsent(err) && network == "tcp6" {
			continue
		}
		var some []listening
		if err == nil {
			if network == "unix" {
				some, err = parseUnix(b)
			} else {
				some, err = parseTCP(network, b)
			}
			if err != nil {
				err = &Error{"reading", "/" + name, Malformed, err.Error()}
			}
		}
		if err != nil {
			first = cmp.Or(first, err)
			r.gaps = append(r.gaps, GapOf("sockets of "+network, err))
			continue
		}
		r.read[name] = b
		r.sockets = append(r.sockets, some...)
	}
	if len(r.read) == 0 {
		return nil, first
	}
	return r, nil
}

// heldSockets are where processes were found to hold sockets. An agent looks
// there first, instead of at every descriptor of the node at every scan.
type heldSockets struct {
	mu sync.Mutex // against a source that was left behind
	at map[uint64]heldAt
	// nobody are sockets that no process held when every descriptor was read: the
	// kernel's own (nfsd), for the most part.
	nobody map[uint64]miss
}

// miss is how often nobody was found, and when last. Once may be the moment before
// a new process was listed.
type miss struct {
	times int
	last  time.Time
}

// without returns the sockets wanted but those that nobody held, twice, within the
// hour before at, and forgets what is not wanted.
func (s *heldSockets) without(wanted map[uint64]bool, at time.Time) map[uint64]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.nobody, func(inode uint64, m miss) bool { return !wanted[inode] || at.Sub(m.last) >= time.Hour })
	left := maps.Clone(wanted)
	for inode, m := range s.nobody {
		if m.times >= 2 {
			delete(left, inode)
		}
	}
	return left
}

// missed notes which of the sockets wanted nobody holds.
func (s *heldSockets) missed(wanted map[uint64]bool, found map[uint64]*process, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for inode := range wanted {
		if found[inode] == nil {
			if s.nobody == nil {
				s.nobody = map[uint64]miss{}
			}
			s.nobody[inode] = miss{s.nobody[inode].times + 1, at}
		}
	}
}

// heldAt is a descriptor of a process.
type heldAt struct {
	pid int
	fd  string
}

func (s *heldSockets) add(inode uint64, at heldAt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at[inode] = at
}

// take returns what is known of the sockets wanted and forgets all others.
func (s *heldSockets) take(wanted map[uint64]bool) map[uint64]heldAt {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := map[uint64]heldAt{}
	for inode, at := range s.at {
		if wanted[inode] {
			known[inode] = at
		}
	}
	s.at = maps.Clone(known)
	return known
}

// stillHeld are the processes that hold the sockets wanted where they held them
// at the last gathering. That a descriptor leads to the socket proves it, whoever
// has the pid now.
func (t *processTable) stillHeld(h *Host, wanted map[uint64]bool, held *heldSockets) map[uint64]*process {
	found := map[uint64]*process{}
	for inode, at := range held.take(wanted) {
		p, ok := t.byPID(at.pid)
		if !ok {
			continue
		}
		link, err := h.ReadLink(p.dir + "/fd/" + at.fd)
		if err == nil && link == "socket:["+strconv.FormatUint(inode, 10)+"]" {
			found[inode] = p
		}
	}
	return found
}

// maxDescriptors bounds how many descriptors are looked at for one scan.
const maxDescriptors = 50_000

// network says which processes may hold a socket.
type network int

const (
	hostNetwork network = iota // those in the network namespace of process 1
	anyNetwork                 // all: a program keeps its sockets when it changes its namespace
)

// findHolders looks for processes that hold the sockets wanted, first where they
// were held before: process 1 first, which holds the sockets of units that wait,
// then host processes, then containers. It ends when all are found, and counts the
// processes whose descriptors could not be read. What nobody held is not looked for
// again within the hour.
func (t *processTable) findHolders(h *Host, wanted map[uint64]bool, held *heldSockets, in network) (map[uint64]*process, tally) {
	wanted = held.without(wanted, h.gathering.at)
	found := t.stillHeld(h, wanted, held)
	unread := tally{}
	host := ""
	if in == hostNetwork {
		var err error
		if host, err = h.ReadLink("proc/1/ns/net"); err != nil && !vanished(err) {
			unread.add(1, err)
		}
	}
	order := slices.Collect(t.hostProcesses())
	for i := range t.processes {
		if p := &t.processes[i]; p.container != "" {
			order = append(order, p)
		}
	}
	left := maxDescriptors
	for _, p := range order {
		if len(found) == len(wanted) {
			break
		}
		// Where process 1's namespace is not known, all are looked at: the inode
		// of a socket is unique on the system.
		if in == hostNetwork {
			if ns, err := h.ReadLink(p.dir + "/ns/net"); vanished(err) || err == nil && host != "" && ns != host {
				continue
			}
		}
		unread.of++
		fds, err := h.ReadDir(p.dir+"/fd", maxDescriptors)
		if err != nil {
			if !vanished(err) {
				unread.add(p.pid, err)
			}
			continue
		}
		if left -= len(fds); left < 0 {
			unread.add(p.pid, &Error{"listing", "/proc/<pid>/fd", TooLarge, "more descriptors than are looked at"})
			break
		}
		for _, fd := range fds {
			if len(found) == len(wanted) {
				break
			}
			link, err := h.ReadLink(p.dir + "/fd/" + fd.Name)
			if err != nil {
				continue // closed meanwhile: the right to read one is that to list them
			}
			number, ok := strings.CutPrefix(link, "socket:[")
			if !ok {
				continue
			}
			inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64)
			if _, known := found[inode]; err == nil && wanted[inode] && !known {
				found[inode] = p
				held.add(inode, heldAt{p.pid, fd.Name})
			}
		}
	}
	if unread.count == 0 {
		held.missed(wanted, found, h.gathering.at)
	}
	return found, unread
}

// servicePorts are TCP ports by convention. Sources: kubernetes.io "Ports and
// Protocols" and pkg/cluster/ports; Docker "Protect the Docker daemon socket";
// CRI-O crio.conf(5); Talos "Network connectivity".
var servicePorts = map[int]string{
	2375:  "docker",
	2376:  "docker-tls",
	2379:  "etcd",
	2380:  "etcd-peer",
	4194:  "cadvisor",
	6443:  "kube-apiserver",
	9537:  "crio-metrics",
	10248: "kubelet-healthz",
	10249: "kube-proxy-metrics",
	10250: "kubelet",
	10255: "kubelet-read-only",
	10256: "kube-proxy-healthz",
	10257: "kube-controller-manager",
	10259: "kube-scheduler",
	50000: "talos-apid",
	50001: "talos-trustd",
}

func serviceAt(l listening) string {
	if l.network != "unix" {
		return servicePorts[l.port]
	}
	p := strings.TrimPrefix(strings.TrimPrefix(l.address, "/var/"), "/")
	if strings.HasSuffix(p, "/debug.sock") && strings.Contains(p, "containerd") {
		return "containerd-debug"
	}
	for _, w := range wellKnownSockets {
		if p == strings.TrimPrefix(w.path, "var/") {
			return w.engine
		}
	}
	return ""
}

var socketPatterns = []struct {
	pattern *regexp.Regexp
	to      string
}{
	{regexp.MustCompile(`^/run/containerd/s/.*`), "/run/containerd/s/*"}, // one a container: containerd's shims
	{regexp.MustCompile(`^@/containerd-shim/.*`), "@/containerd-shim/*"}, // the same before containerd 1.4
	{regexp.MustCompile(`^/var/lib/kubelet/pods/.*`), "/var/lib/kubelet/pods/*"},
	{regexp.MustCompile(`^/run/user/[0-9]+/.*`), "/run/user/*"},
	{regexp.MustCompile(`^(@?)/(tmp|var/tmp)/.*`), "$1/$2/*"},
	{regexp.MustCompile(`^@[0-9a-f]{5}@*$`), "@*"}, // a name that the kernel chose: unix(7), autobind
	{regexp.MustCompile(`[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`), "*"},
	{regexp.MustCompile(`[0-9a-f]{16,}`), "*"},
	{regexp.MustCompile(`[0-9]{4,}`), "*"}, // a pid, a time
}

// stableSocket replaces in a socket's name what another start of the same
// program would choose otherwise.
func stableSocket(name string) string {
	for _, s := range socketPatterns {
		name = s.pattern.ReplaceAllString(name, s.to)
	}
	return name
}

package node

import "context"

// Identification is which node this is and which boot of it.
type Identification struct {
	Name   string `json:"name"`   // kernel.hostname of process 1's UTS namespace, or else /etc/hostname
	BootID string `json:"bootID"` // changes with every boot
}

// Identity is the node's own name and boot. Source: proc_sys_kernel(5) and
// random(4). It is a claim of the node, not a proof.
var Identity = Source[Identification]{
	Name:  "identity",
	Doc:   "the node's name and its boot identifier",
	Scope: Volatile,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (Identification, []Gap, error) {
		var id Identification
		var gaps []Gap
		var err error
		if id.Name, err = nodeName(h); err != nil {
			gaps = append(gaps, GapOf("the node's name", err))
		}
		if id.BootID, err = readLine(h, "proc/sys/kernel/random/boot_id"); err != nil {
			gaps = append(gaps, GapOf("the boot identifier", err))
		}
		if len(gaps) == 2 {
			return id, nil, err
		}
		return id, gaps, nil
	},
}

// nodeName reads the name of the node and not that of a container which this
// program may run in: procfs shows the reader's own.
func nodeName(h *Host) (string, error) {
	name, err := readLine(h, "proc/sys/kernel/hostname")
	own, ownErr := h.ReadLink("proc/self/ns/uts")
	first, firstErr := h.ReadLink("proc/1/ns/uts")
	foreign := ownErr == nil && firstErr == nil && own != first
	if foreign || IsAbsent(err) { // a file tree may have no more than this
		name, err = readLine(h, "etc/hostname")
	}
	return name, err
}

package node

import "context"

// Identification is which node this is and which boot of it.
type Identification struct {
	Name   string `json:"name"`   // kernel.hostname, as process 1's UTS namespace has it where the agent shares it
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
		name, err := readLine(h, "proc/sys/kernel/hostname")
		if IsAbsent(err) { // a file tree may have only this
			name, err = readLine(h, "etc/hostname")
		}
		if err != nil {
			return id, nil, err
		}
		id.Name = name
		if id.BootID, err = readLine(h, "proc/sys/kernel/random/boot_id"); err != nil {
			gaps = append(gaps, GapOf("the boot identifier", err))
		}
		return id, gaps, nil
	},
}

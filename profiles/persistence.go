package profiles

// Persistence is what may start programs from outside the image.
type Persistence struct {
	// Units are unit files, links, drop-ins, timers and generators of systemd that
	// the system or what makes a node of it writes.
	Units []Place `json:"units"`
	// Startup are cron tables, scripts, rules and settings that do the same by other
	// means.
	Startup []Place `json:"startup"`
	// Interpreters are programs that the kernel may start for files of a format.
	Interpreters []Place `json:"interpreters"`
	// Network are configurations and plugins of CNI.
	Network []Place `json:"network"`
	// Kubelet are volume plugins, credential providers and the sockets of device
	// plugins.
	Kubelet []Place `json:"kubelet"`
	// BPF are eBPF programs: TYPE alone for one without a name, TYPE NAME, or TYPE
	// NAME TAG, the tag a digest of its instructions. What loads a program chooses its
	// name; a * at the end of NAME stands for anything.
	BPF []Place `json:"bpf"`
	// Pins are paths on file systems of type bpf.
	Pins []Place `json:"pins"`
}

// inherit adds what is common to all systems.
func (p *Persistence) inherit(c Persistence) {
	p.Units = append(p.Units, c.Units...)
	p.Startup = append(p.Startup, c.Startup...)
	p.Interpreters = append(p.Interpreters, c.Interpreters...)
	p.Network = append(p.Network, c.Network...)
	p.Kubelet = append(p.Kubelet, c.Kubelet...)
	p.BPF = append(p.BPF, c.BPF...)
	p.Pins = append(p.Pins, c.Pins...)
}

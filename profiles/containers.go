package profiles

import "slices"

// Containers are which containers may reach the host, and how.
type Containers struct {
	// Reaching are containers that may, as "POWER WHO": POWER is "privileged",
	// "host-root", "kubelet", "pod-volumes", "devices", "host-pid", "host-ipc",
	// "host-network", "host-path", "unconfined" or "*"; WHO is a pod
	// ("namespace/name") or a container that no pod has ("container:control"), and
	// a trailing * stands for anything.
	Reaching []Place `json:"reaching"`
	// Binaries are programs of engines and network plugins that may be on writable
	// storage.
	Binaries []Place `json:"binaries"`
	// Registries are registries that may be asked without a verified certificate.
	Registries []Place `json:"registries"`
	// NRIPlugins are plugins that the engine may start.
	NRIPlugins []Place `json:"nriPlugins"`
	// ImagePolicy says where this system keeps what images must be signed with,
	// where neither a file nor the engine shows it; "" where they do.
	ImagePolicy string `json:"imagePolicy"`
	// Agents are the products that count as security agents.
	Agents []SecurityAgent `json:"agents"`
	// AllowedAgents are products, by name, that may run here.
	AllowedAgents []Place `json:"allowedAgents"`
}

// SecurityAgent is a product that watches a host, by what it puts there.
type SecurityAgent struct {
	Name     string   `json:"name"`
	Kind     string   `json:"kind"`     // "antivirus", "sensor" or "scanner"
	Programs []string `json:"programs"` // names of executables
	Folders  []string `json:"folders"`  // where it is installed
}

// inherit adds what is common to all systems.
func (c *Containers) inherit(common Containers) {
	c.Reaching = slices.Concat(c.Reaching, common.Reaching)
	c.Agents = slices.Concat(c.Agents, common.Agents)
}

package profiles

// Access is how people may get onto a host of this system.
type Access struct {
	// SSH says that the system ships an SSH daemon that is on, and how it is used
	// there; "" where it ships none or none that is on.
	SSH string `json:"ssh"`
	// RootByKey says why root logs in over SSH with a key on this system as
	// shipped; "" where it should not.
	RootByKey string `json:"rootByKey"`
	// Accounts are the accounts with a shell, by name.
	Accounts []Place `json:"accounts"`
	// Keys are the public keys of people and machines that may log in, by
	// fingerprint: "SHA256:…".
	Keys []Place `json:"keys"`
	// KeyCommands are programs of AuthorizedKeysCommand whose keys this program
	// has read from their files.
	KeyCommands []Place `json:"keyCommands"`
	// Privileges are who may become root: "sudo %wheel" for a rule of sudoers,
	// "group docker core" for a member of a group.
	Privileges []Place `json:"privileges"`
	// HostContainers are containers for administration that may run, by name.
	HostContainers []Place `json:"hostContainers"`
	// API are ports of the system's own API that something in front of the node
	// guards: "tcp:50000".
	API []Place `json:"api"`
}

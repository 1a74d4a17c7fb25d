package profiles

// Extensions are additions to the OS image that belong to this system, and what
// of the host is not part of the image by design.
type Extensions struct {
	// Allowed are extension images by the path where they are offered or the one
	// that it leads to, with their SHA-256 where they do not change. Those of Talos
	// have no file: they are "/etc/extensions.yaml/NAME". An image that lies on the
	// OS image itself needs no entry.
	Allowed []Place `json:"allowed"`
	// Etc are paths below /etc that may differ from what the image brought.
	Etc []Place `json:"etc"`
	// Mounts are the options that file systems which anybody writes must have.
	Mounts []Restriction `json:"mounts"`
}

// Restriction is what a writable path must be mounted with.
type Restriction struct {
	Path    string   `json:"path"`
	Options []string `json:"options"` // "nosuid", "nodev", "noexec"
	Why     string   `json:"why"`
}

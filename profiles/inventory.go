package profiles

// Inventory is which executables may lie on storage that can be written, and what
// may run from there beside the programs that Processes names. Every list is of
// files outside the image.
type Inventory struct {
	// Allowed are executables, beside those that Processes.Allowed names.
	Allowed []Place `json:"allowed"`
	// Setuid are those that may have a setuid or setgid bit, and Capabilities those
	// that may have file capabilities.
	Setuid       []Place `json:"setuid"`
	Capabilities []Place `json:"capabilities"`
	// Mappings are libraries that host processes may map: paths, or "/memfd:NAME" of
	// what a program makes in memory.
	Mappings []Place `json:"mappings"`
	// Libraries are those that may be forced into programs (LD_PRELOAD, LD_AUDIT,
	// /etc/ld.so.preload), and folders that LD_LIBRARY_PATH may name.
	Libraries []Place `json:"libraries"`
}

package node

import "context"

// System is what the node says its operating system is. It is a claim: files
// can say anything, so it is compared with signals of other kinds.
type System struct {
	// Release holds the fields of os-release(5), unquoted.
	Release map[string]string `json:"release"`
	// Markers are the paths, of those in [MarkerPaths], that exist. Sorted.
	Markers []string `json:"markers"`
	// Init is the command name of process 1 (/proc/1/comm): "systemd", "init",
	// "sandboxd".
	Init string `json:"init"`
	// PIDNamespace says whether process 1 is that of the whole machine:
	// "initial", "other" (process 1 is a container's or a sandbox's) or
	// "unknown" where the program may not see it.
	PIDNamespace string `json:"pidNamespace"`
}

// MarkerPaths are paths that tell operating systems apart, without leading
// slash. The profiles' path signals are taken from here; a test compares them.
var MarkerPaths = []string{
	"run/ostree-booted",
}

// OS is the operating system by os-release(5) and other signals.
var OS = Source[System]{
	Name:  "os",
	Doc:   "what the node says its operating system is, and paths that only some systems have",
	Scope: Cohort,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (v System, gaps []Gap, err error) {
		return v, nil, &Error{"reading", "os", Unsupported, "not written yet"}
	},
}

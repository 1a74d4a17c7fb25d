package node

import "context"

// MountNamespace is a mount namespace, other than process 1's, that host
// processes run in, and what it has on image paths that process 1's has not.
// Namespaces that differ in nothing are left out; equal ones are one entry.
type MountNamespace struct {
	Programs []string `json:"programs"` // executables (or command names) of the host processes in it, sorted
	Mounts   []Mount  `json:"mounts"`   // visible mounts on or below image paths that process 1 lacks or has otherwise
}

// MountNamespaces are the distinct mount namespaces of host processes that differ from process 1 on image paths.
var MountNamespaces = Source[[]MountNamespace]{
	Name:  "mount-namespaces",
	Doc:   "what host processes see on image paths that process 1 does not",
	Scope: Cohort,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (v []MountNamespace, gaps []Gap, err error) {
		return v, nil, &Error{"reading", "mount-namespaces", Unsupported, "not written yet"}
	},
}

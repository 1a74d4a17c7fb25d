package node

import "context"

// SysctlValues are kernel parameters by dotted name.
type SysctlValues struct {
	Values map[string]string `json:"values"` // as the kernel prints them, blanks collapsed
	Absent []string          `json:"absent"` // names that this kernel does not have, sorted
}

// Sysctls are the kernel parameters of the hardening set.
var Sysctls = Source[SysctlValues]{
	Name:  "sysctls",
	Doc:   "kernel parameters of the hardening set (/proc/sys)",
	Scope: Cohort,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (v SysctlValues, gaps []Gap, err error) {
		return v, nil, &Error{"reading", "sysctls", Unsupported, "not written yet"}
	},
}

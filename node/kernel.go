package node

import "context"

// KernelState is the running kernel.
type KernelState struct {
	Release string `json:"release"` // /proc/sys/kernel/osrelease: "6.6.95-flatcar"
	Banner  string `json:"banner"`  // /proc/version: with compiler and build time
	// Taints are the bits of /proc/sys/kernel/tainted by letter and name.
	// Source: the kernel's Documentation/admin-guide/tainted-kernels.rst.
	Taints []Taint `json:"taints"`
	// Modules are the loaded modules by name, sorted. Source: /proc/modules.
	Modules []Module `json:"modules"`
	// SigEnforce is "on" (unsigned modules are refused), "off", or "absent" where
	// the kernel has no module signatures.
	// Source: /sys/module/module/parameters/sig_enforce.
	SigEnforce string `json:"sigEnforce"`
}

// Taint is one bit that taints the kernel.
type Taint struct {
	Letter string `json:"letter"` // "O"; "?" for a bit that this program does not know
	Name   string `json:"name"`   // "out-of-tree module"
	Bit    int    `json:"bit"`
}

// Module is one loaded kernel module.
type Module struct {
	Name  string `json:"name"`
	Taint string `json:"taint,omitempty"` // its letters: "OE"
}

// Kernel is the running kernel.
var Kernel = Source[KernelState]{
	Name:  "kernel",
	Doc:   "the running kernel, its taint and its modules",
	Scope: Cohort,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (v KernelState, gaps []Gap, err error) {
		return v, nil, &Error{"reading", "kernel", Unsupported, "not written yet"}
	},
}

package node

import "context"

// BootState is how the machine was booted and what the kernel holds itself to.
// Each field is what the kernel says, never what a configuration file wants.
type BootState struct {
	// Cmdline are the words of /proc/cmdline in order, secrets redacted.
	Cmdline []Word `json:"cmdline"`
	// Bootconfig are the "key = value" lines of /proc/bootconfig, redacted; nil
	// where the kernel has none.
	Bootconfig []string `json:"bootconfig"`
	// Firmware is "uefi", or "other" where the kernel has no EFI interface.
	Firmware string `json:"firmware"`
	// SecureBoot and SetupMode are "on", "off", or "absent" where the firmware
	// has no such variable. Source: the efivars of the UEFI specification, 3.3.
	SecureBoot string `json:"secureBoot"`
	SetupMode  string `json:"setupMode"`
	// Lockdown is "none", "integrity", "confidentiality", or "absent" where this
	// kernel does not offer it. Source: kernel_lockdown(7).
	Lockdown string `json:"lockdown"`
	// LSMs are the active Linux security modules in order; nil where securityfs
	// does not say.
	LSMs []string `json:"lsms"`
	// SELinux is "enforcing", "permissive" or "absent".
	SELinux string `json:"selinux"`
	// AppArmor is "enabled", "disabled" or "absent".
	AppArmor string `json:"appArmor"`
	// FIPS is "on", "off" or "absent".
	FIPS string `json:"fips"`
}

// Word is one word of the kernel command line. Source: the kernel's
// Documentation/admin-guide/kernel-parameters.rst and lib/cmdline.c: words are
// parted by blanks outside double quotes, and a quote may stand before the key.
type Word struct {
	Key   string `json:"key"`
	Value string `json:"value,omitempty"`
	// Valued tells "key=" from "key".
	Valued bool `json:"valued,omitempty"`
	// Redacted marks a value that is a secret and was replaced.
	Redacted bool `json:"redacted,omitempty"`
	// AfterDashes marks words after "--", which the kernel hands to process 1.
	AfterDashes bool `json:"afterDashes,omitempty"`
}

// Boot is how the machine was booted.
var Boot = Source[BootState]{
	Name:  "boot",
	Doc:   "kernel command line, Secure Boot, lockdown and security modules, as the kernel says them",
	Scope: Cohort,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (v BootState, gaps []Gap, err error) {
		return v, nil, &Error{"reading", "boot", Unsupported, "not written yet"}
	},
}

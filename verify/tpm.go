package verify

import (
	"slices"

	"github.com/seaworthy/seaworthy/node"
)

var tpmPresent = Check{
	ID: "tpm-present", Rev: 1, Topic: BootChain, Severity: Low,
	Title: "the node has a TPM 2.0 and the firmware's measurement log",
	Refs:  slices.Concat(bootRefs, []Ref{{sp80053, "SI-7(6)"}, {sp80053, "IA-9"}}),
	Help: Help{
		Why: "Only a chip that the node's root cannot command can say what was booted. Without one, disks can be sealed to nothing, and everything that a node says of its boot is its own claim.",
		How: "The kernel must have a TPM (/sys/class/tpm/tpm0) of version 2, and keep the log that the firmware wrote (binary_bios_measurements in securityfs). That is presence and no more: no measurement is read, replayed or compared, and this proves nothing about what booted.",
		Remedy: map[string]string{
			"cos":          "gcloud compute instances create with --shielded-vtpm; GKE: shielded nodes have one.",
			"bottlerocket": "Start the instance from an image registered with TPM support (NitroTPM), on a type that offers it.",
			"":             "Switch the TPM on in the firmware, or give the virtual machine one; a virtual one needs UEFI.",
		},
	},
	Judge: On(node.TPM, func(v node.TPMState, _ Given) Finding {
		switch {
		case v.Version == "absent":
			return fail("no-tpm", "the kernel has found no TPM")
		case v.Version == "1":
			return fail("version-1", "the TPM is of version 1.2, whose SHA-1 measurements can be forged")
		case v.Version != "2":
			return unsaid("whether it has a TPM")
		case v.EventLog == "absent":
			return fail("no-log", "there is a TPM 2.0, and the firmware left no log of what it measured into it")
		case v.EventLog != "present":
			return unsaid("whether the firmware left a log of its measurements")
		}
		return pass("present", "there is a TPM 2.0, and the firmware's log of what it measured")
	}),
}

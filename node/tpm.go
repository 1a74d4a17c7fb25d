package node

import (
	"context"
	"fmt"
)

// TPMState is the machine's TPM as far as its presence goes. Nothing here is a
// proof of what it measured.
type TPMState struct {
	// Version is "2" or "1", "absent" where the kernel has no TPM, or "" where it
	// could not be read. Source: the kernel's Documentation/ABI/stable/sysfs-class-tpm.
	Version string `json:"version"`
	// EventLog is "present" where the kernel keeps the firmware's list of what it
	// measured, "absent" where it has none, or "" where it could not be looked for.
	// Source: /sys/kernel/security/tpm0/binary_bios_measurements, the kernel's
	// Documentation/security/tpm/tpm_event_log.rst.
	EventLog string `json:"eventLog"`
}

// TPM is whether the machine has a TPM and the log of its measurements.
var TPM = Source[TPMState]{
	Name:  "tpm",
	Doc:   "whether there is a TPM, and the firmware's log of what it measured",
	Scope: Cohort,
	Every: Hour, // its driver may come after this program
	Read: func(_ context.Context, h *Host) (TPMState, []Gap, error) {
		var v TPMState
		var gaps []Gap
		var err error
		if v.Version, err = readTPMVersion(h); err != nil {
			return v, nil, err
		}
		if v.Version == "absent" {
			v.EventLog = "absent"
			return v, nil, nil
		}
		const log = "sys/kernel/security/tpm0/binary_bios_measurements"
		switch _, err := h.Stat(log); {
		case err == nil:
			v.EventLog = "present"
		case IsAbsent(err):
			// Only a securityfs that is mounted can say that there is none.
			if _, _, err := readSecurityFS(h, "sys/kernel/security/tpm0"); err != nil && !IsAbsent(err) && codeOf(err) != NotRegular {
				gaps = append(gaps, GapOf("the event log of the TPM", err).In("eventLog"))
				break
			}
			v.EventLog = "absent"
		default:
			gaps = append(gaps, GapOf("the event log of the TPM", err).In("eventLog"))
		}
		return v, gaps, nil
	},
}

// readTPMVersion reads the version of the first TPM. The file came with Linux
// 5.6; before it, or without a readable one, the version is not told.
func readTPMVersion(h *Host) (string, error) {
	const dir = "sys/class/tpm"
	if _, err := h.Stat(dir + "/tpm0"); IsAbsent(err) {
		if _, err := h.Stat("sys/class"); err != nil { // only a sysfs that is there can say so
			return "", err
		}
		return "absent", nil
	} else if err != nil {
		return "", err
	}
	line, err := readLine(h, dir+"/tpm0/tpm_version_major")
	if err != nil {
		return "", err
	}
	if line != "1" && line != "2" {
		return "", fmt.Errorf("reading /%s/tpm0/tpm_version_major: %.100q is no version of a TPM", dir, line)
	}
	return line, nil
}

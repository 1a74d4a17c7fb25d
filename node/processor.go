package node

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
)

// ProcessorState is what the processors offer and where they are known to be
// weak, as the kernel says it.
type ProcessorState struct {
	// NX is "on" where every processor can refuse to execute data, "off" where one
	// cannot, "built-in" on an architecture that knows no other way, or "" where it
	// could not be read. Source: the flags of /proc/cpuinfo (x86); on arm64 the
	// bits UXN and PXN are part of every page table.
	NX string `json:"nx"`
	// Vulnerabilities are the words of the kernel on each known flaw, by its name;
	// nil where the kernel has no such folder (before 4.15) or it was not read.
	// Source: the kernel's Documentation/ABI/testing/sysfs-devices-system-cpu.
	Vulnerabilities map[string]string `json:"vulnerabilities"`
}

// Processor is what the processors offer and where they are weak.
var Processor = Source[ProcessorState]{
	Name:  "processor",
	Doc:   "whether processors refuse to execute data, and what the kernel does about their flaws",
	Scope: Cohort,
	Every: Hour, // mitigations turn with SMT and with microcode
	Read:  readProcessor,
}

// maxCPUInfo bounds /proc/cpuinfo: 2 KiB for each of 8192 processors.
const maxCPUInfo = 16 << 20

func readProcessor(_ context.Context, h *Host) (ProcessorState, []Gap, error) {
	var v ProcessorState
	var gaps []Gap
	b, err := h.FS.ReadFile("proc/cpuinfo", maxCPUInfo, nil) // no evidence: it holds clock rates
	if err == nil {
		if v.NX, err = parseNX(b); err != nil {
			err = fmt.Errorf("reading /proc/cpuinfo: %w", err)
		}
	}
	if err != nil {
		gaps = append(gaps, GapOf("the processors' flags", err).In("nx"))
	}
	if v.Vulnerabilities, err = readVulnerabilities(h); err != nil {
		gaps = append(gaps, GapOf("the processors' flaws", err).In("vulnerabilities"))
	}
	return v, gaps, nil
}

// parseNX looks for the flag nx in /proc/cpuinfo: one block a processor, lines
// "key : value". x86 says "flags", arm64 "Features" and "CPU implementer".
func parseNX(b []byte) (string, error) {
	with, without, arm := 0, 0, false
	for line := range bytes.Lines(b) {
		key, value, ok := strings.Cut(string(line), ":")
		if !ok {
			continue
		}
		switch strings.TrimSpace(key) {
		case "flags":
			if slices.Contains(strings.Fields(value), "nx") {
				with++
			} else {
				without++
			}
		case "CPU implementer":
			arm = true
		}
	}
	switch {
	case without > 0:
		return "off", nil
	case with > 0:
		return "on", nil
	case arm:
		return "built-in", nil
	}
	return "", fmt.Errorf("%.60q says nothing of flags", b)
}

func readVulnerabilities(h *Host) (map[string]string, error) {
	const dir = "sys/devices/system/cpu/vulnerabilities"
	entries, err := h.ReadDir(dir, 256)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, e := range entries {
		line, err := readLine(h, dir+"/"+e.Name)
		if err != nil {
			return nil, err
		}
		if line == "" || strings.ContainsAny(line, "\n\x00") {
			return nil, &Error{"reading", "/" + dir + "/" + e.Name, Malformed, fmt.Sprintf("%.100q is not one line", line)}
		}
		out[e.Name] = line
	}
	return out, nil
}

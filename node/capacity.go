package node

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// readCapacity reads what the machine has, as the kubelet counts it. What could
// not be read is 0 and leaves a gap. hugePages are the bytes of memory that are
// set aside for huge pages.
func readCapacity(h *Host, k *kubeletReading) (c Resources, hugePages int64, gaps []Gap) {
	mem, err := readMeminfo(h)
	if err != nil {
		gaps = append(gaps, GapOf("the memory of the machine", err))
	}
	c.Memory, hugePages = mem["MemTotal"], hugePagesOf(mem)

	cpus, err := readCPUs(h)
	if err != nil {
		gaps = append(gaps, GapOf("the number of processors", err))
	}
	c.CPU = 1000 * cpus

	rootDir := k.rootDir()
	fs, err := ask[Statfs](h, AskStatfs, strings.TrimPrefix(rootDir, "/"))
	var e *Error
	switch {
	case err == nil:
		c.EphemeralStorage = fs.Size / mebibyte * mebibyte
	case errors.As(err, &e) && e.Code == NoKernel:
		// A file tree: it was not asked.
	case IsAbsent(err) && k.state.Found == "absent":
		// No kubelet, and nothing that it would store.
	default:
		gaps = append(gaps, GapOf("the size of the file system of "+rootDir, err))
	}

	if c.PIDs, err = readPIDLimit(h); err != nil {
		gaps = append(gaps, GapOf("the number of processes that the kernel allows", err))
	}
	return c, hugePages, gaps
}

const mebibyte = 1 << 20

func readMeminfo(h *Host) (map[string]int64, error) {
	b, err := h.ReadFile("proc/meminfo", 64<<10)
	if err != nil {
		return nil, err
	}
	return parseMeminfo(b)
}

// parseMeminfo reads proc_meminfo(5) into bytes, and counts where no unit is given.
func parseMeminfo(b []byte) (map[string]int64, error) {
	out := map[string]int64{}
	for line := range bytes.Lines(b) {
		text := strings.TrimSuffix(string(line), "\n")
		key, value, ok := strings.Cut(text, ":")
		value, kilo := strings.CutSuffix(strings.TrimSpace(value), " kB")
		n, err := strconv.ParseInt(value, 10, 64)
		if !ok || err != nil || n < 0 || n > 1<<52 {
			return nil, fmt.Errorf("parsing /proc/meminfo: line %.80q is no key and number", text)
		}
		if kilo {
			n *= 1024
		}
		out[key] = n
	}
	if out["MemTotal"] == 0 {
		return nil, errors.New("parsing /proc/meminfo: no MemTotal")
	}
	return out, nil
}

// hugePagesOf is the memory of all huge pages: Hugetlb since Linux 4.19, before
// that those of the default size.
func hugePagesOf(mem map[string]int64) int64 {
	if n, ok := mem["Hugetlb"]; ok {
		return n
	}
	total, size := mem["HugePages_Total"], mem["Hugepagesize"]
	if size == 0 {
		return 0
	}
	return min(total, mem["MemTotal"]/size) * size // never more than there is
}

// readCPUs counts processors that are online, by sysfs or, where that is not
// mounted, /proc/cpuinfo. Both tell of the machine, where the affinity of this
// process may be narrower.
func readCPUs(h *Host) (int64, error) {
	const online = "sys/devices/system/cpu/online"
	b, err := h.ReadFile(online, 64<<10)
	if err == nil {
		n, err := parseCPUList(strings.TrimSuffix(string(b), "\n"))
		if err != nil {
			return 0, fmt.Errorf("parsing /%s: %w", online, err)
		}
		return n, nil
	}
	if !IsAbsent(err) {
		return 0, err
	}
	b, err = h.ReadFile("proc/cpuinfo", 16<<20)
	if err != nil {
		return 0, err
	}
	n := int64(0)
	for line := range bytes.Lines(b) {
		if key, _, ok := bytes.Cut(line, []byte(":")); ok && string(bytes.TrimSpace(key)) == "processor" {
			n++
		}
	}
	if n == 0 {
		return 0, errors.New("parsing /proc/cpuinfo: no processor")
	}
	return n, nil
}

// parseCPUList counts the numbers of a list such as "0-3,7".
// Source: Documentation/core-api/printk-formats.rst, %*pbl.
func parseCPUList(s string) (int64, error) {
	seen := map[uint64]bool{}
	for part := range strings.SplitSeq(s, ",") {
		first, last, isRange := strings.Cut(part, "-")
		from, err := strconv.ParseUint(first, 10, 16)
		to := from
		if err == nil && isRange {
			to, err = strconv.ParseUint(last, 10, 16)
		}
		if err != nil || to < from {
			return 0, fmt.Errorf("%.80q is no list of processors", s)
		}
		for n := from; n <= to; n++ {
			seen[n] = true
		}
	}
	return int64(len(seen)), nil
}

// readPIDLimit is the smaller of kernel.pid_max and kernel.threads-max.
// Source: pkg/kubelet/stats/pidlimit.
func readPIDLimit(h *Host) (int64, error) {
	limit := int64(0)
	for _, file := range []string{"proc/sys/kernel/pid_max", "proc/sys/kernel/threads-max"} {
		b, err := h.ReadFile(file, 64)
		if err != nil {
			return 0, err
		}
		n, err := strconv.ParseInt(strings.TrimSuffix(string(b), "\n"), 10, 64)
		if err != nil || n <= 0 {
			return 0, fmt.Errorf("parsing /%s: %.40q is no count", file, b)
		}
		if limit == 0 || n < limit {
			limit = n
		}
	}
	return limit, nil
}

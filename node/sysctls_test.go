package node

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadSysctls(t *testing.T) {
	files := map[string]string{
		"proc/sys/kernel/kptr_restrict":          "2\n",
		"proc/sys/kernel/core_pattern":           "|/usr/lib/systemd/systemd-coredump %P %u\n",
		"proc/sys/kernel/yama/ptrace_scope":      "! denied",
		"proc/sys/net/core/dev_weight":           "64\n",
		"proc/sys/net/ipv4/conf/all/rp_filter":   "0\n",
		"proc/sys/vm/overcommit_memory":          "1 \t 2\n",
		"proc/sys/vm/unprivileged_userfaultfd":   "\xff\n",
		"proc/sys/net/ipv4/conf/eth0/rp_filter":  "1\n",
		"proc/sys/kernel/not_in_the_list_at_all": "1\n",
	}
	read := func() (SysctlValues, []Gap, error) {
		return Sysctls.Read(context.Background(), (&memHost{files: files}).host())
	}
	got, gaps, err := read()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"kernel.kptr_restrict": "2", "kernel.core_pattern": "|/usr/lib/systemd/systemd-coredump %P %u",
		"net.ipv4.conf.all.rp_filter": "0", "vm.overcommit_memory": "1 2",
	}
	if diff := cmp.Diff(want, got.Values); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"kernel.yama.ptrace_scope", "vm.unprivileged_userfaultfd"}, whats(gaps)); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	if n := len(SysctlNames) - len(want) - 2; len(got.Absent) != n || !slices.IsSorted(got.Absent) {
		t.Errorf("got %d absent names, want %d, sorted: %v", len(got.Absent), n, got.Absent)
	}

	// In another network namespace the kernel shows that one, and some names not at all.
	delete(files, "proc/sys/net/core/dev_weight")
	got, gaps, err = read()
	if _, ok := got.Values["net.ipv4.conf.all.rp_filter"]; ok || err != nil || whats(gaps)[0] != "parameters of the network" {
		t.Errorf("from another network namespace: got %v, gaps %v, error %v; want a gap and no value", got.Values, gaps, err)
	}
	if slices.Contains(got.Absent, "net.core.bpf_jit_harden") {
		t.Error("a parameter that cannot be seen from here is called absent")
	}

	if got, _, err := Sysctls.Read(context.Background(), (&memHost{files: map[string]string{"etc/x": ""}}).host()); err == nil {
		t.Errorf("without /proc: got %v, want an error", got)
	}
}

func TestSysctlNames(t *testing.T) {
	if !slices.IsSorted(SysctlNames) || len(slices.Compact(slices.Clone(SysctlNames))) != len(SysctlNames) {
		t.Error("the names are not sorted, or one stands twice")
	}
}

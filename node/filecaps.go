package node

import (
	"encoding/binary"
	"fmt"
)

// capabilityNames are those of capabilities(7), by number: the kernel's
// include/uapi/linux/capability.h.
var capabilityNames = []string{
	"cap_chown", "cap_dac_override", "cap_dac_read_search", "cap_fowner", "cap_fsetid", "cap_kill", "cap_setgid", "cap_setuid", "cap_setpcap",
	"cap_linux_immutable", "cap_net_bind_service", "cap_net_broadcast", "cap_net_admin", "cap_net_raw", "cap_ipc_lock", "cap_ipc_owner",
	"cap_sys_module", "cap_sys_rawio", "cap_sys_chroot", "cap_sys_ptrace", "cap_sys_pacct", "cap_sys_admin", "cap_sys_boot", "cap_sys_nice",
	"cap_sys_resource", "cap_sys_time", "cap_sys_tty_config", "cap_mknod", "cap_lease", "cap_audit_write", "cap_audit_control", "cap_setfcap",
	"cap_mac_override", "cap_mac_admin", "cap_syslog", "cap_wake_alarm", "cap_block_suspend", "cap_audit_read", "cap_perfmon", "cap_bpf",
	"cap_checkpoint_restore",
}

// readCapabilities reads the capabilities that a file gives to who runs it.
func readCapabilities(h *Host, name string) ([]string, error) {
	b, err := h.Xattr(name, "security.capability")
	switch {
	case IsAbsent(err), err != nil && codeOf(err) == Unsupported: // a file system without attributes has none
		return nil, nil
	case err != nil:
		return nil, err
	}
	caps, err := parseCapabilities(b)
	if err != nil {
		return nil, &Error{"reading attribute of", "/" + name, Malformed, err.Error()}
	}
	return caps, nil
}

// parseCapabilities decodes struct vfs_cap_data or vfs_ns_cap_data of the
// kernel's include/uapi/linux/capability.h, each capability as getcap(8) writes
// it: "cap_net_raw=ep".
func parseCapabilities(b []byte) ([]string, error) {
	e := binary.LittleEndian
	if len(b) < 4 {
		return nil, fmt.Errorf("file capabilities %x are cut", b)
	}
	magic := e.Uint32(b)
	words, size := 2, 20
	switch magic >> 24 {
	case 1:
		words, size = 1, 12
	case 2:
	case 3:
		size = 24
	default:
		return nil, fmt.Errorf("file capabilities %x are of no revision that is known", b)
	}
	if len(b) != size {
		return nil, fmt.Errorf("file capabilities %x are %d bytes, want %d", b, len(b), size)
	}
	if magic&0xfffffe != 0 {
		return nil, fmt.Errorf("file capabilities %x have flags that are not known", b)
	}
	within := ""
	if size == 24 && e.Uint32(b[20:]) != 0 {
		within = fmt.Sprintf(" [rootid=%d]", e.Uint32(b[20:]))
	}
	out := []string{}
	for n := range 32 * words {
		at := 4 + 8*(n/32)
		permitted, inheritable := e.Uint32(b[at:])>>(n%32)&1 == 1, e.Uint32(b[at+4:])>>(n%32)&1 == 1
		if !permitted && !inheritable {
			continue
		}
		text := fmt.Sprintf("cap_%d", n)
		if n < len(capabilityNames) {
			text = capabilityNames[n]
		}
		text += "="
		for _, flag := range []struct {
			set  bool
			name string
		}{{magic&1 == 1, "e"}, {inheritable, "i"}, {permitted, "p"}} {
			if flag.set {
				text += flag.name
			}
		}
		out = append(out, text+within)
	}
	return out, nil
}

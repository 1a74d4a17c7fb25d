package node

import (
	"encoding/binary"
	"fmt"
	"strings"
)

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
		if n < len(capabilities) {
			text = "cap_" + strings.ToLower(capabilities[n])
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

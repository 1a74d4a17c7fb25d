package hostfs

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seaworthy/seaworthy/node"
)

// maxBPF bounds the programs that are asked for.
const maxBPF = 10000

// bpfTypes are the types of programs by number: enum bpf_prog_type of the
// kernel's include/uapi/linux/bpf.h, in lower case, as bpftool-prog(8) has them.
var bpfTypes = []string{
	"unspec", "socket_filter", "kprobe", "sched_cls", "sched_act", "tracepoint", "xdp", "perf_event", "cgroup_skb", "cgroup_sock",
	"lwt_in", "lwt_out", "lwt_xmit", "sock_ops", "sk_skb", "cgroup_device", "sk_msg", "raw_tracepoint", "cgroup_sock_addr", "lwt_seg6local",
	"lirc_mode2", "sk_reuseport", "flow_dissector", "cgroup_sysctl", "raw_tracepoint_writable", "cgroup_sockopt", "tracing", "struct_ops", "ext", "lsm",
	"sk_lookup", "syscall", "netfilter",
}

// bpfPrograms asks for all programs that are loaded. Only commands that read are
// given to the kernel.
func bpfPrograms() ([]node.BPFProgram, error) {
	out := []node.BPFProgram{}
	err := eachBPF(func(info []byte) { out = append(out, bpfProgram(info)) })
	return out, err
}

// bpfProgram reads struct bpf_prog_info as far as it has been since Linux 4.15:
// type, id, tag, lengths and addresses of instructions, load time, uid, maps, name.
func bpfProgram(info []byte) node.BPFProgram {
	p := node.BPFProgram{
		Tag:  hex.EncodeToString(info[8:16]),
		UID:  binary.NativeEndian.Uint32(info[48:]),
		Name: unix.ByteSliceToString(info[64:80]),
	}
	if n := binary.NativeEndian.Uint32(info); int(n) < len(bpfTypes) {
		p.Type = bpfTypes[n]
	} else {
		p.Type = fmt.Sprintf("type %d", n)
	}
	return p
}

// eachBPF calls f with what the kernel says of each program.
func eachBPF(f func(info []byte)) error {
	for id, n := uint32(0), 0; ; n++ {
		if n == maxBPF {
			return &node.Error{Code: node.TooLarge, Detail: fmt.Sprintf("more than %d eBPF programs", maxBPF)}
		}
		attr := struct{ start, next, flags, pad uint32 }{start: id}
		_, err := bpf(unix.BPF_PROG_GET_NEXT_ID, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		if err != nil {
			return err
		}
		id = attr.next
		attr = struct{ start, next, flags, pad uint32 }{start: id}
		fd, err := bpf(unix.BPF_PROG_GET_FD_BY_ID, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
		if errors.Is(err, unix.ENOENT) { // it went away
			continue
		}
		if err != nil {
			return err
		}
		info, err := bpfInfo(fd)
		unix.Close(fd)
		if err != nil {
			return err
		}
		f(info)
	}
}

// bpfInfo asks what is behind a descriptor. An older kernel fills in less and
// leaves the rest zero.
func bpfInfo(fd int) ([]byte, error) {
	info := make([]byte, 128)
	var pin runtime.Pinner // its address is passed as a number
	pin.Pin(&info[0])
	defer pin.Unpin()
	attr := struct {
		fd, length uint32
		info       uint64
	}{uint32(fd), uint32(len(info)), uint64(uintptr(unsafe.Pointer(&info[0])))}
	_, err := bpf(unix.BPF_OBJ_GET_INFO_BY_FD, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	return info, err
}

func bpf(command uintptr, attr unsafe.Pointer, size uintptr) (int, error) {
	for {
		r, _, errno := unix.Syscall(unix.SYS_BPF, command, uintptr(attr), size)
		switch errno {
		case 0:
			return int(r), nil
		case unix.EINTR, unix.EAGAIN:
		case unix.ENOSYS:
			return -1, unsupported("this kernel has no bpf(2)")
		default:
			return -1, errno
		}
	}
}

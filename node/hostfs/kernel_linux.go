package hostfs

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seaworthy/seaworthy/node"
)

// kernel answers questions about the machine that a tree is the root of.
type kernel struct{ tree *tree }

const asking = "asking the kernel for"

func (k *kernel) Ask(q node.Question) (json.RawMessage, error) {
	var v any
	var err error
	switch q.Kind {
	case node.AskUname:
		v, err = uname()
	case node.AskStatfs:
		v, err = k.statfs(q.Of)
	case node.AskDM:
		v, err = k.dmTables()
	case node.AskSubvolume:
		v, err = k.subvolume(q.Of)
	case node.AskVerity:
		v, err = k.fileVerity(q.Of)
	case node.AskMeasure:
		v, err = k.measure(q.Of)
	case node.AskDeep:
		v = node.DeepAsked{Asked: "no"} // package deep answers where somebody asks
	case node.AskExe:
		v, err = k.executable(q.Of)
	case node.AskBPF:
		v, err = bpfPrograms()
	case node.AskSystemd:
		v = node.SystemdUnits{Asked: "no"} // package systemd answers where somebody asks
	case node.AskClock:
		v, err = clock()
	case node.AskKubelet:
		v, err = k.kubeletPort(q.Of)
	case node.AskGoBuild:
		v, err = k.goBuild(q.Of)
	case node.AskUnix:
		v, err = k.unixSockets()
	default:
		err = unix.ENOSYS
	}
	if err == nil {
		var b []byte
		if b, err = json.Marshal(v); err == nil {
			return b, nil
		}
	}
	e := refusal(asking, "", err)
	var own *node.Error
	if errors.As(err, &own) {
		e.Code, e.Detail = own.Code, own.Detail
	}
	e.Name = q.Name()
	return nil, e
}

// unsupported says why this kernel or file system has no answer.
func unsupported(why string) error { return &node.Error{Code: node.Unsupported, Detail: why} }

func uname() (node.Uname, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return node.Uname{}, err
	}
	return node.Uname{
		Release: unix.ByteSliceToString(u.Release[:]),
		Version: unix.ByteSliceToString(u.Version[:]),
		Machine: unix.ByteSliceToString(u.Machine[:]),
	}, nil
}

func (k *kernel) statfs(of string) (node.Statfs, error) {
	fd, err := k.tree.open(of, true, unix.O_PATH)
	if err != nil {
		return node.Statfs{}, err
	}
	defer unix.Close(fd)
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return node.Statfs{}, err
	}
	return node.Statfs{
		Type:   fmt.Sprintf("0x%x", uint32(st.Type)),
		Size:   int64(st.Blocks) * int64(st.Frsize),
		Inodes: int64(st.Files),
		FSID:   fmt.Sprintf("%08x%08x", uint32(st.Fsid.Val[0]), uint32(st.Fsid.Val[1])),
	}, nil
}

// btrfsSubvolGetFlags is BTRFS_IOC_SUBVOL_GETFLAGS, and btrfsSubvolReadOnly the
// flag BTRFS_SUBVOL_RDONLY, of the kernel's include/uapi/linux/btrfs.h.
const (
	btrfsSubvolGetFlags = 0x80089419
	btrfsSubvolReadOnly = 1 << 1
)

func (k *kernel) subvolume(of string) (node.Subvolume, error) {
	fd, err := k.tree.open(of, true, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK)
	if err != nil {
		return node.Subvolume{}, err
	}
	defer unix.Close(fd)
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return node.Subvolume{}, err
	}
	if uint32(st.Type) != unix.BTRFS_SUPER_MAGIC {
		return node.Subvolume{}, unsupported("not on btrfs")
	}
	var flags uint64
	err = ioctl(fd, btrfsSubvolGetFlags, unsafe.Pointer(&flags))
	if errors.Is(err, unix.EINVAL) {
		return node.Subvolume{}, unsupported("not the root of a subvolume")
	}
	return node.Subvolume{ReadOnly: flags&btrfsSubvolReadOnly != 0}, err
}

func (k *kernel) fileVerity(of string) (node.FileVerity, error) {
	fd, err := k.tree.open(of, true, unix.O_PATH)
	if err != nil {
		return node.FileVerity{}, err
	}
	defer unix.Close(fd)
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_BASIC_STATS, &st); err != nil {
		return node.FileVerity{}, err
	}
	// Without the bit in the mask nothing is said. Some kernels set it for every file
	// system, and where fs-verity cannot be, it is off.
	if st.Attributes_mask&unix.STATX_ATTR_VERITY == 0 {
		return node.FileVerity{}, unsupported("this file system does not say")
	}
	return node.FileVerity{Enabled: st.Attributes&unix.STATX_ATTR_VERITY != 0}, nil
}

func ioctl(fd int, request uint, arg unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(arg))
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}

// executable follows the link exe of a process's folder, which opens nothing:
// the kernel looks at the file that it has open. AT_STATX_DONT_SYNC keeps it from
// asking a server or a FUSE daemon. Source: statx(2).
func (k *kernel) executable(of string) (node.Executable, error) {
	fd, err := k.tree.open(of, true, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return node.Executable{}, err
	}
	defer unix.Close(fd)
	if !isOf(fd, []int64{unix.PROC_SUPER_MAGIC}) {
		return node.Executable{}, unsupported("not the folder of a process")
	}
	var st unix.Statx_t
	if err := unix.Statx(fd, "exe", unix.AT_STATX_DONT_SYNC|unix.AT_NO_AUTOMOUNT, unix.STATX_MNT_ID, &st); err != nil {
		return node.Executable{}, err
	}
	e := node.Executable{Dev: fmt.Sprintf("%d:%d", st.Dev_major, st.Dev_minor)}
	if st.Mask&unix.STATX_MNT_ID != 0 { // since Linux 5.8
		e.Mount = st.Mnt_id
	}
	return e, nil
}

// mountID is the number of the mount that a descriptor is on, as in
// proc_pid_mountinfo(5). Source: statx(2), STATX_MNT_ID, since Linux 5.8.
func mountID(fd int) (string, error) {
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_MNT_ID, &st); err != nil {
		return "", err
	}
	if st.Mask&unix.STATX_MNT_ID == 0 {
		return "", unsupported("this kernel does not tell on which mount a file is")
	}
	return strconv.FormatUint(st.Mnt_id, 10), nil
}

package hostfs

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seaworthy/seaworthy/node"
)

const (
	// dmBuffer is what a question starts with, and maxDMBuffer what it may grow to.
	dmBuffer    = 16 << 10
	maxDMBuffer = 4 << 20
	maxDMs      = 10000
	dmTries     = 8 // to read one device's table and status of one moment
)

// dmTables asks the device mapper for all its devices.
func (k *kernel) dmTables() ([]node.DMTable, error) {
	// Where the module is not loaded, opening the control device would load it.
	if _, err := k.tree.Stat("sys/class/misc/device-mapper"); err != nil {
		if node.IsAbsent(err) {
			return nil, &node.Error{Code: node.Absent, Detail: "this kernel runs no device mapper"}
		}
		return nil, err
	}
	control, err := k.openDMControl()
	if err != nil {
		return nil, err
	}
	defer unix.Close(control)
	list, err := dmAsk(control, unix.DM_LIST_DEVICES, 0, "")
	if err != nil {
		return nil, err
	}
	names, err := parseDMNames(list)
	if err != nil {
		return nil, err
	}
	if len(names) > maxDMs {
		return nil, &node.Error{Code: node.TooLarge, Detail: fmt.Sprintf("more than %d devices", maxDMs)}
	}
	out := []node.DMTable{}
	for _, name := range names {
		t, err := askDMTable(control, name)
		if errors.Is(err, unix.ENXIO) { // it went away since it was listed
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// askDMTable asks for the table and the status of one device, again where it got
// another table in between: what comes and goes beside a verified image must not
// leave that unknown.
func askDMTable(control int, name string) (node.DMTable, error) {
	for try := 1; ; try++ {
		table, err := dmAsk(control, unix.DM_TABLE_STATUS, dmStatusTable, name)
		if err != nil {
			return node.DMTable{}, err
		}
		status, err := dmAsk(control, unix.DM_TABLE_STATUS, 0, name)
		if err != nil {
			clear(table) // a key may be in it
			return node.DMTable{}, err
		}
		t, err := dmTable(table, status)
		clear(table)
		if !errors.Is(err, errDMChanged) || try == dmTries {
			return t, err
		}
	}
}

// openDMControl opens /dev/mapper/control after it was seen to be that.
func (k *kernel) openDMControl() (int, error) {
	at, err := k.tree.open("dev/mapper/control", true, unix.O_PATH)
	if err != nil {
		return -1, err
	}
	defer unix.Close(at)
	var st unix.Stat_t
	if err := unix.Fstat(at, &st); err != nil {
		return -1, err
	}
	// MISC_MAJOR and MAPPER_CTRL_MINOR of the kernel's include/linux/miscdevice.h.
	if st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != unix.Mkdev(10, 236) {
		return -1, errors.New("/dev/mapper/control is not the control device 10:236")
	}
	return reopen(at, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
}

// dmAsk makes one request, again with a larger buffer where the answer was cut.
func dmAsk(control int, request uint, flags uint32, name string) ([]byte, error) {
	for size := dmBuffer; size <= maxDMBuffer; size *= 4 {
		b := dmRequest(size, flags|dmNoFlush|dmSecureData, name)
		if err := ioctl(control, request, unsafe.Pointer(&b[0])); err != nil {
			return nil, err
		}
		h, err := parseDMHead(b)
		if err != nil {
			return nil, err
		}
		if h.flags&dmBufferFull == 0 {
			return b, nil
		}
		clear(b)
	}
	return nil, &node.Error{Code: node.TooLarge, Detail: fmt.Sprintf("more than %d bytes", maxDMBuffer)}
}

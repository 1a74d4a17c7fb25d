package hostfs

import (
	"golang.org/x/sys/unix"

	"github.com/seaworthy/seaworthy/node"
)

// clock reads the state of the system clock. With no mode set adjtimex(2)
// changes nothing and needs no right.
func clock() (node.Clock, error) {
	const staNano = 0x2000 // STA_NANO of the kernel's include/uapi/linux/timex.h
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return node.Clock{}, err
	}
	offset := int64(t.Offset)
	if t.Status&staNano != 0 {
		offset /= 1000
	}
	return node.Clock{State: state, Status: int(t.Status), Offset: offset, MaximumError: int64(t.Maxerror), EstimatedError: int64(t.Esterror)}, nil
}

package hostfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/seaworthy/seaworthy/node"
)

// Layout of the device-mapper ioctls. Source: the kernel's
// include/uapi/linux/dm-ioctl.h.
const (
	dmHeadSize   = 312 // struct dm_ioctl
	dmTargetSize = 40  // struct dm_target_spec
	dmNameSize   = 128 // dm_ioctl.name
	dmUUIDSize   = 129 // dm_ioctl.uuid

	dmStatusTable = 1 << 4  // DM_STATUS_TABLE_FLAG: the table, not its status
	dmBufferFull  = 1 << 8  // DM_BUFFER_FULL_FLAG
	dmNoFlush     = 1 << 11 // DM_NOFLUSH_FLAG: a status must not wait for writes
	dmSecureData  = 1 << 15 // DM_SECURE_DATA_FLAG: the kernel wipes its own copy
)

// dmHead is struct dm_ioctl without its version.
type dmHead struct {
	size, start uint32 // of the whole buffer, and where its data starts
	targets     uint32
	flags       uint32
	dev         uint64
	name, uuid  string
}

// dmRequest is a buffer of size bytes that asks about the device called name.
func dmRequest(size int, flags uint32, name string) []byte {
	b := make([]byte, size)
	e := binary.NativeEndian
	e.PutUint32(b[0:], 4) // the version of the interface; minor 0 works with all
	e.PutUint32(b[12:], uint32(size))
	e.PutUint32(b[16:], dmHeadSize)
	e.PutUint32(b[28:], flags)
	copy(b[48:48+dmNameSize-1], name)
	return b
}

func parseDMHead(b []byte) (dmHead, error) {
	if len(b) < dmHeadSize {
		return dmHead{}, fmt.Errorf("a device-mapper answer of %d bytes is cut", len(b))
	}
	e := binary.NativeEndian
	h := dmHead{
		size: e.Uint32(b[12:]), start: e.Uint32(b[16:]), targets: e.Uint32(b[20:]), flags: e.Uint32(b[28:]), dev: e.Uint64(b[40:]),
	}
	var err error
	if h.name, err = cString(b[48 : 48+dmNameSize]); err != nil {
		return dmHead{}, fmt.Errorf("device-mapper name: %w", err)
	}
	if h.uuid, err = cString(b[176 : 176+dmUUIDSize]); err != nil {
		return dmHead{}, fmt.Errorf("device-mapper uuid: %w", err)
	}
	if h.start < dmHeadSize || int64(h.size) > int64(len(b)) {
		return dmHead{}, fmt.Errorf("device-mapper data at %d to %d of %d bytes", h.start, h.size, len(b))
	}
	return h, nil
}

// data is what follows the head in b. Without any, and where it did not fit, the
// kernel counts less than the head.
func (h dmHead) data(b []byte) []byte {
	if h.size < h.start {
		return nil
	}
	return b[h.start:h.size]
}

// parseDMNames parses the answer to DM_LIST_DEVICES: a chain of struct dm_name_list.
func parseDMNames(b []byte) ([]string, error) {
	h, err := parseDMHead(b)
	if err != nil {
		return nil, err
	}
	const head = 12 // dev, next
	e := binary.NativeEndian
	data := h.data(b)
	var names []string
	if len(data) >= 8 && e.Uint64(data) == 0 { // no device at all: one empty entry
		return nil, nil
	}
	for at := 0; len(data) > 0; {
		if len(data)-at < head {
			return nil, fmt.Errorf("device-mapper name at byte %d is cut", at)
		}
		next := int(e.Uint32(data[at+8:]))
		end := len(data)
		if next != 0 {
			if next < head || next > len(data)-at {
				return nil, fmt.Errorf("device-mapper name at byte %d is followed by one at %d of %d", at, at+next, len(data))
			}
			end = at + next
		}
		name, err := cString(data[at+head : end])
		if err != nil {
			return nil, fmt.Errorf("device-mapper name at byte %d: %w", at, err)
		}
		names = append(names, name)
		if next == 0 {
			break
		}
		at += next
	}
	return names, nil
}

// parseDMTargets parses the answer to DM_TABLE_STATUS: struct dm_target_spec,
// each followed by text. The text becomes Params.
func parseDMTargets(b []byte) (dmHead, []node.DMTarget, error) {
	h, err := parseDMHead(b)
	if err != nil {
		return h, nil, err
	}
	e := binary.NativeEndian
	data := h.data(b)
	targets := []node.DMTarget{}
	for at, n := 0, uint32(0); n < h.targets; n++ {
		if len(data)-at < dmTargetSize {
			return h, nil, fmt.Errorf("device-mapper target %d of %d is cut", n+1, h.targets)
		}
		spec := data[at : at+dmTargetSize]
		typ, err := cString(spec[24:])
		if err != nil {
			return h, nil, fmt.Errorf("type of device-mapper target %d: %w", n+1, err)
		}
		// next counts from the start of the data here, not from this target. It is
		// aligned to 8 bytes and the size of the answer is not, so that behind the
		// last target it may lie beyond: retrieve_status in drivers/md/dm-ioctl.c.
		next, end := int64(e.Uint32(spec[20:])), int64(len(data))
		if n == h.targets-1 && next > end && next < end+8 {
			next = end
		}
		if next < int64(at+dmTargetSize) || next > end {
			return h, nil, fmt.Errorf("device-mapper target %d at %d is followed by one at %d of %d", n+1, at, next, end)
		}
		text, err := cString(data[at+dmTargetSize : next])
		if err != nil {
			return h, nil, fmt.Errorf("text of device-mapper target %d: %w", n+1, err)
		}
		targets = append(targets, node.DMTarget{Start: e.Uint64(spec[0:]), Length: e.Uint64(spec[8:]), Type: typ, Params: text})
		at = int(next)
	}
	return h, targets, nil
}

var errDMChanged = errors.New("changed while it was read")

// dmTable puts together what the kernel said of one device: its table, then its
// status. Both must be of one table.
func dmTable(table, status []byte) (node.DMTable, error) {
	h, targets, err := parseDMTargets(table)
	if err != nil {
		return node.DMTable{}, err
	}
	of, states, err := parseDMTargets(status)
	if err != nil {
		return node.DMTable{}, err
	}
	if h.dev != of.dev || h.name != of.name || h.uuid != of.uuid || len(targets) != len(states) {
		return node.DMTable{}, fmt.Errorf("device-mapper device %q %w", h.name, errDMChanged)
	}
	for i, s := range states {
		t := &targets[i]
		if s.Start != t.Start || s.Length != t.Length || s.Type != t.Type {
			return node.DMTable{}, fmt.Errorf("the table of device-mapper device %q %w", h.name, errDMChanged)
		}
		t.Status = s.Params
		if !slices.Contains(openTargets, t.Type) {
			t.Params = "<redacted>"
		}
	}
	return node.DMTable{Name: h.name, UUID: h.uuid, Dev: devNumber(h.dev), Targets: targets}, nil
}

// openTargets are the targets whose tables hold no key. Those of crypt and
// integrity do, and whoever may ask for them gets it in the clear.
var openTargets = []string{
	"cache", "clone", "delay", "dust", "era", "error", "flakey", "linear", "log-writes", "mirror", "multipath", "raid",
	"snapshot", "snapshot-merge", "snapshot-origin", "striped", "switch", "thin", "thin-pool", "unstriped", "vdo", "verity",
	"writecache", "zero", "zoned",
}

// devNumber decodes new_encode_dev of the kernel's include/linux/kdev_t.h.
func devNumber(d uint64) string {
	return fmt.Sprintf("%d:%d", d>>8&0xfff, d&0xff|d>>12&0xfff00)
}

// cString returns the text before the first NUL, which must be there.
func cString(b []byte) (string, error) {
	text, _, ok := bytes.Cut(b, []byte{0})
	if !ok {
		return "", fmt.Errorf("%.100q has no end", b)
	}
	return string(text), nil
}

package node

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// RemovableState is what somebody at the machine could plug in.
type RemovableState struct {
	// Driver says whether a driver for USB storage is there: "yes" (loaded or part
	// of the kernel), "no" (none is now; plugging something in may load one), or
	// "no-usb" where the kernel has no USB at all; "" where it could not be read.
	Driver string `json:"driver"`
	// Disks are the block devices that are on USB, by what they say they are,
	// sorted; empty ones (a slot without a card) are left out.
	Disks []RemovableDisk `json:"disks"`
}

// RemovableDisk is a disk on USB.
type RemovableDisk struct {
	Kind string `json:"kind"` // "sd", "sr", "mmcblk": the name without its number
	Size int64  `json:"size"` // bytes
}

// Removable is what of removable storage is there. Source: the kernel's
// Documentation/ABI/testing/sysfs-block and sysfs-bus-usb.
var Removable = Source[RemovableState]{
	Name:  "removable-media",
	Doc:   "storage on USB, and whether the kernel has a driver for it",
	Scope: Node,
	Every: Hour,
	Read: func(_ context.Context, h *Host) (RemovableState, []Gap, error) {
		v := RemovableState{Disks: []RemovableDisk{}}
		list, err := h.ReadDir("sys/block", 1<<14)
		if err != nil {
			return v, nil, err
		}
		var gaps []Gap
		for _, e := range list {
			to, err := h.ReadLink("sys/block/" + e.Name)
			if err != nil {
				if !IsAbsent(err) {
					gaps = append(gaps, GapOf("block devices", err).In("disks"))
				}
				continue
			}
			if !usbPath.MatchString(to) {
				continue
			}
			line, err := readLine(h, path.Join("sys/block", to, "size"))
			if IsAbsent(err) {
				continue // pulled out meanwhile
			}
			var sectors int64
			if err == nil {
				sectors, err = parseSectors(line)
			}
			if err != nil {
				gaps = append(gaps, GapOf("the size of a disk on USB", err).In("disks"))
			}
			if err != nil || sectors > 0 {
				v.Disks = append(v.Disks, RemovableDisk{strings.TrimRight(diskLetters.ReplaceAllString(e.Name, "sd"), "0123456789"), sectors * 512})
			}
		}
		slices.SortFunc(v.Disks, func(a, b RemovableDisk) int {
			if c := strings.Compare(a.Kind, b.Kind); c != 0 {
				return c
			}
			return int(min(max(a.Size-b.Size, -1), 1))
		})
		v.Driver, err = usbStorage(h)
		if err != nil {
			gaps = append(gaps, GapOf("the drivers of USB", err).In("driver"))
		}
		return v, gaps, nil
	},
}

var (
	usbPath     = regexp.MustCompile(`/usb[0-9]+/`)
	diskLetters = regexp.MustCompile(`^sd[a-z]+$`)
)

// usbDrivers are where the kernel shows drivers of USB storage.
var usbDrivers = []string{"sys/bus/usb/drivers/usb-storage", "sys/bus/usb/drivers/uas"}

func usbStorage(h *Host) (string, error) {
	if _, err := h.Stat("sys/bus/usb/drivers"); IsAbsent(err) {
		if _, err := h.Stat("sys/bus"); err != nil {
			return "", err
		}
		return "no-usb", nil
	} else if err != nil {
		return "", err
	}
	for _, d := range usbDrivers {
		if _, err := h.Stat(d); err == nil {
			return "yes", nil
		} else if !IsAbsent(err) {
			return "", err
		}
	}
	return "no", nil
}

// parseSectors parses a size in sectors of 512 bytes.
func parseSectors(line string) (int64, error) {
	n, err := ParseQuantity(line)
	if err != nil || strings.Trim(line, "0123456789") != "" {
		return 0, fmt.Errorf("size %.40q is no number", line)
	}
	return n.Value(), nil
}

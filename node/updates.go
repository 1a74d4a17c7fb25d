package node

import "context"

// UpdateState is what files say about an update that waits for a reboot.
type UpdateState struct {
	// Waiting are the markers of [updateMarkers] that are there, by path.
	Waiting []string `json:"waiting"`
}

// updateMarkers are files that a system makes when it has prepared an update, or
// when a package asks for a reboot, and that are gone after one. What waits in
// the other slot of a system with two (Flatcar, COS, Bottlerocket, Talos) no file
// tells. Sources: ostree's src/libostree/ostree-sysroot-private.h (staged
// deployments), openSUSE's transactional-update and zypper (reboot-needed), Debian's
// update-notifier (reboot-required).
var updateMarkers = []string{
	"run/ostree/staged-deployment",
	"run/reboot-needed",
	"run/reboot-required",
}

// Updates is whether an update waits for a reboot, as far as files tell.
var Updates = Source[UpdateState]{
	Name:  "updates",
	Doc:   "markers of an update that waits for a reboot (/run/ostree/staged-deployment, /run/reboot-needed)",
	Scope: Node, // nodes of a cohort update one after the other
	Every: Hour,
	Read: func(_ context.Context, h *Host) (UpdateState, []Gap, error) {
		v := UpdateState{Waiting: []string{}}
		if _, err := h.Stat("run"); err != nil {
			return v, nil, err
		}
		var gaps []Gap
		for _, name := range updateMarkers {
			switch _, err := h.Lstat(name); {
			case err == nil:
				v.Waiting = append(v.Waiting, "/"+name)
			case !IsAbsent(err):
				gaps = append(gaps, GapOf("the marker /"+name, err).In("waiting"))
			}
		}
		return v, gaps, nil
	},
}

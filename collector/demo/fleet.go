package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/seaworthy/seaworthy/node/capture"
)

// Node is one node of the demo's fleet.
type Node struct {
	Cluster, Name string
	Tape          *capture.Tape
	// Before is what it was until Changed ago; nil where it was always so.
	Before  *capture.Tape
	Changed time.Duration
	// Silent is for how long it has not reported, 0 for one that does.
	Silent time.Duration
}

// place is a node of the fleet and the capture that it has.
type place struct {
	cluster, name, capture string
	silent                 time.Duration
	note                   string // beside that of the capture
	edit                   *edit
}

// edit is one change of a copy of a capture.
type edit struct {
	ago  time.Duration
	make func(*capture.Tape) error
}

// fleet lists the nodes of three clusters. What was recorded off real machines
// joins the last of them.
var fleet = []place{
	{cluster: "prod-eu", name: "control-1", capture: "composed-talos"},
	{cluster: "prod-eu", name: "control-2", capture: "composed-talos"},
	{cluster: "prod-eu", name: "control-3", capture: "composed-talos"},
	{cluster: "prod-eu", name: "worker-1", capture: "composed-flatcar"},
	{cluster: "prod-eu", name: "worker-2", capture: "composed-flatcar"},
	{cluster: "prod-eu", name: "worker-3", capture: "composed-flatcar"},
	{cluster: "prod-eu", name: "worker-4", capture: "composed-flatcar", edit: &usrOverlaid,
		note: "A copy of worker-1 with one edit: an overlay with an upper directory was mounted over /usr."},
	{cluster: "prod-eu", name: "worker-5", capture: "composed-flatcar-2020",
		note: "Its kernel is of December 2020. Whether it is patched is unknown: this version compares kernels with nothing yet."},
	{cluster: "prod-us", name: "gke-default-pool-a", capture: "composed-cos"},
	{cluster: "prod-us", name: "gke-default-pool-b", capture: "composed-cos"},
	{cluster: "prod-us", name: "eks-system-1", capture: "composed-bottlerocket"},
	{cluster: "prod-us", name: "eks-system-2", capture: "composed-bottlerocket"},
	{cluster: "prod-us", name: "eks-system-3", capture: "composed-bottlerocket", silent: time.Hour},
	{cluster: "prod-us", name: "ocp-worker-1", capture: "composed-rhcos"},
	{cluster: edge, name: "store-berlin", capture: "composed-microos"},
	{cluster: edge, name: "store-lyon", capture: "composed-microos"},
	{cluster: edge, name: "store-oslo", capture: "composed-fedora-coreos"},
	{cluster: edge, name: "store-porto", capture: "composed-fedora-coreos-before-composefs"},
}

const edge = "edge"

// usrOverlaid makes /usr writable, as somebody would who wants to change programs.
var usrOverlaid = edit{
	ago: 12 * time.Minute,
	make: func(tape *capture.Tape) error {
		const table = "proc/1/mountinfo"
		b, err := tape.Host().ReadFile(table, 1<<20)
		if err != nil {
			return err
		}
		usr := ""
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 4 && f[4] == "/usr" {
				usr = f[0] // its number, which is the parent of what is mounted over it
			}
		}
		if usr == "" {
			return fmt.Errorf("nothing is mounted on /usr")
		}
		tape.Content(table, string(b)+"9000 "+usr+" 0:900 / /usr rw,relatime - overlay overlay rw,lowerdir=/usr,upperdir=/var/lib/usr/upper,workdir=/var/lib/usr/work\n")
		return nil
	},
}

// Fleet makes the nodes of the demo: one of them changed a while ago, and one
// has stopped reporting. The notes of their captures say how each was made.
func Fleet() ([]Node, error) {
	places, err := withRecorded(fleet)
	if err != nil {
		return nil, err
	}
	var out []Node
	for _, p := range places {
		n := Node{Cluster: p.cluster, Name: p.name, Silent: p.silent}
		if n.Tape, err = Tape(p.capture); err != nil {
			return nil, err
		}
		if p.edit != nil {
			if n.Before, err = Tape(p.capture); err != nil {
				return nil, err
			}
			if err := p.edit.make(n.Tape); err != nil {
				return nil, fmt.Errorf("changing the recorded node %q: %w", p.capture, err)
			}
			n.Changed = p.edit.ago
		}
		n.Tape.Header.Note = strings.TrimSpace(p.note + " " + n.Tape.Header.Note)
		out = append(out, n)
	}
	return out, nil
}

// withRecorded adds the nodes that were recorded off real machines.
func withRecorded(places []place) ([]place, error) {
	names, err := Names()
	if err != nil {
		return nil, err
	}
	places = places[:len(places):len(places)]
	for _, name := range names {
		if short, ok := strings.CutPrefix(name, string(capture.Recorded)+"-"); ok {
			places = append(places, place{cluster: edge, name: short, capture: name})
		}
	}
	return places, nil
}

package verify

import (
	"cmp"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// Beyond lists what a node shows that its profile does not explain, by the kinds
// of a site overlay ([profiles.Kinds]), each sorted by path. What could not be
// read is not in it, and neither is what no overlay can declare.
func Beyond(facts node.Facts, p *profiles.Profile) map[string][]profiles.Place {
	out := map[string][]profiles.Place{}
	add := func(kind string, place profiles.Place) {
		if !slices.Contains(out[kind], place) {
			out[kind] = append(out[kind], place)
		}
	}
	mounts, _, missing := node.Mounts.Of(facts)
	if programs, _, unread := node.Processes.Of(facts); unread == nil && missing == nil {
		for _, program := range programs {
			known := len(program.On.Options) > 0 && !program.Memory && !program.Detached && !program.OwnRoot && !program.Deleted
			if known && !fromImage(program, mounts) && !placeDeclared(program, p.Processes.Allowed) {
				add("executables", profiles.Place{Path: program.Path, Script: program.Script})
			}
		}
	}
	if missing == nil && p.Image.Writable != nil {
		for _, m := range mounts {
			if writablePlace(m, p) && !writableByDesign(m, p) {
				add("mounts", profiles.Place{Path: m.Path})
			}
		}
	}
	if holders, _, unread := node.SocketHolders.Of(facts); unread == nil {
		for _, h := range holders {
			if who := holderName(h.Pod, h.Container); !holderDeclared(h.Socket, who, p.Runtime.Holders) {
				add("holders", profiles.Place{Path: h.Socket + " " + who})
			}
		}
	}
	if peers, _, unread := node.SocketPeers.Of(facts); unread == nil {
		for _, c := range peers {
			who := holderName(c.Pod, c.Container)
			switch state := peerState(c, p); {
			case state != peerUndeclared:
			case who != "":
				add("holders", profiles.Place{Path: c.Socket + " " + who})
			case strings.HasPrefix(c.Program.Path, "/") && !strings.Contains(c.Program.Path, " ") && !c.Program.Memory && !c.Program.Detached && !c.Program.Deleted:
				add("clients", profiles.Place{Path: c.Engine + " " + c.Program.Path})
			}
		}
	}
	for _, places := range out {
		slices.SortFunc(places, func(a, b profiles.Place) int {
			return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Script, b.Script))
		})
	}
	return out
}

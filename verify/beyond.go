package verify

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// Beyond lists what a node shows that its profile does not explain, by the kinds
// of a site overlay ([profiles.Kinds]), each sorted by path. What could not be
// read is not in it, and neither is what no overlay can declare.
func Beyond(facts node.Facts, p *profiles.Profile) map[string][]profiles.Place {
	b := beyond{}
	mounts, _, missing := node.Mounts.Of(facts)
	if missing != nil {
		return b // where anything lies cannot be told
	}
	b.stored(facts, mounts, p)
	b.programs(facts, mounts, p)
	b.mounts(mounts, p)
	b.extensions(facts, mounts, p)
	b.holders(facts, p)
	b.peers(facts, p)
	b.containers(facts, p)
	b.listeners(facts, p)
	b.definitions(facts, mounts, p)
	for _, places := range b {
		slices.SortFunc(places, func(a, b profiles.Place) int {
			return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Script, b.Script))
		})
	}
	return b
}

// beyond are places by kind.
type beyond map[string][]profiles.Place

// add adds a place unless one of the same path is there, which may say more.
func (b beyond) add(kind string, place profiles.Place) {
	same := func(p profiles.Place) bool { return p.Path == place.Path && p.Script == place.Script }
	if !slices.ContainsFunc(b[kind], same) {
		b[kind] = append(b[kind], place)
	}
}

// stored are the executables that stay on storage that can be written, with
// their digests. Those in memory are gone after a boot.
func (b beyond) stored(facts node.Facts, mounts []node.Mount, p *profiles.Profile) {
	inventory, _, missing := node.StoredExecutables.Of(facts)
	if missing != nil {
		return
	}
	for _, f := range newWritable(inventory.Files, mounts).files {
		if f.can("noexec") && f.SHA256 != "" && standingOf(f.Path, f.SHA256, executablePlaces(p)) == isUndeclared {
			b.add("executables", profiles.Place{Path: f.Path, SHA256: f.SHA256})
		}
	}
}

func (b beyond) programs(facts node.Facts, mounts []node.Mount, p *profiles.Profile) {
	programs, _, missing := node.Processes.Of(facts)
	if missing != nil {
		return
	}
	for _, program := range programs {
		known := len(program.On.Options) > 0 && !program.Memory && !program.Detached && !program.OwnRoot && !program.Deleted
		if known && !fromImage(program, mounts) && !placeDeclared(program, p.Processes.Allowed) {
			b.add("executables", profiles.Place{Path: program.Path, Script: program.Script})
		}
	}
}

func (b beyond) mounts(mounts []node.Mount, p *profiles.Profile) {
	for _, m := range mounts {
		if p.Image.Writable != nil && writablePlace(m, p) && !writableByDesign(m, p) {
			b.add("mounts", profiles.Place{Path: m.Path})
		}
	}
}

func (b beyond) extensions(facts node.Facts, mounts []node.Mount, p *profiles.Profile) {
	offered, _, missing := node.Extensions.Of(facts)
	if missing != nil {
		return
	}
	for _, x := range offered {
		_, declared := extensionPlace(x, p.Extensions.Allowed)
		off := x.Real == "/dev/null" || x.Kept == "gone" || x.Kind == "talos" && x.Name == "schematic"
		switch {
		case declared || off || x.Real != "" && imageMount(mountOf(mounts, x.Real)):
		case x.Kind == "talos":
			b.add("extensions", profiles.Place{Path: x.Path + "/" + x.Name})
		default:
			b.add("extensions", profiles.Place{Path: x.Path, SHA256: x.SHA256})
		}
	}
}

func (b beyond) holders(facts node.Facts, p *profiles.Profile) {
	holders, _, missing := node.SocketHolders.Of(facts)
	if missing != nil {
		return
	}
	for _, h := range holders {
		if who := holderName(h.Pod, h.Container); !holderDeclared(h.Socket, who, p.Runtime.Holders) {
			b.add("holders", profiles.Place{Path: h.Socket + " " + anyCopy(who)})
		}
	}
}

// peers are who is connected to a runtime socket.
func (b beyond) peers(facts node.Facts, p *profiles.Profile) {
	peers, _, missing := node.SocketPeers.Of(facts)
	if missing != nil {
		return
	}
	for _, c := range peers {
		known := strings.HasPrefix(c.Program.Path, "/") && !strings.Contains(c.Program.Path, " ") && !c.Program.Memory && !c.Program.Detached && !c.Program.Deleted
		switch who := holderName(c.Pod, c.Container); {
		case peerState(c, p) != peerUndeclared:
		case who != "":
			b.add("holders", profiles.Place{Path: c.Socket + " " + anyCopy(who)})
		case known:
			b.add("clients", profiles.Place{Path: c.Engine + " " + c.Program.Path})
		}
	}
}

func (b beyond) containers(facts node.Facts, p *profiles.Profile) {
	state, _, missing := node.Containers.Of(facts)
	if missing != nil {
		return
	}
	for _, c := range state.Reaching {
		for _, power := range powersOf(c) {
			if c.Pod != "" && !powerDeclared(c, power.name, p.Containers.Reaching) {
				b.add("containers", profiles.Place{Path: power.name + " " + anyCopy(c.Pod)})
			}
		}
	}
}

func (b beyond) listeners(facts node.Facts, p *profiles.Profile) {
	listeners, _, missing := node.Listeners.Of(facts)
	if missing != nil || p.Network.Listen == nil {
		return
	}
	for _, l := range beyondLoopback(listeners) {
		if l.Program == "" || listenDeclared(l, p.Network.Listen) {
			continue
		}
		b.add("listeners", profiles.Place{Path: fmt.Sprintf("%s %d", listenerProgram(l), l.Port)})
	}
}

// definitions are what starts programs after a boot.
func (b beyond) definitions(facts node.Facts, mounts []node.Mount, p *profiles.Profile) {
	add := func(kind string, places []profiles.Place, list ...node.Definition) {
		for _, d := range list {
			if originOf(d, mounts, places) == foreign {
				b.add(kind, profiles.Place{Path: d.Path, SHA256: d.SHA256})
			}
		}
	}
	if u, _, missing := node.Units.Of(facts); missing == nil {
		for _, file := range slices.Concat(u.Units, u.Timers, u.DropIns, u.Generators) {
			if file.Origin == "" { // what was made for this boot is gone after it
				add("units", p.Persistence.Units, file.Definition)
			}
		}
	}
	if s, _, missing := node.Startup.Of(facts); missing == nil {
		add("startup", p.Persistence.Startup, slices.Concat(s.Cron, s.Boot, s.Udev, s.Modules, s.Login, s.Libraries, s.Binfmt)...)
		add("networkPlugins", p.Persistence.Network, s.Network...)
		add("kubeletPlugins", p.Persistence.Kubelet, s.KubeletPlugins...)
	}
}

// generated is what Kubernetes appends to the names of pods: the hash of a
// ReplicaSet, and five letters. Source: k8s.io/apimachinery pkg/util/rand.
var generated = regexp.MustCompile(`(-[bcdfghjklmnpqrstvwxz2456789]{8,10})?-[bcdfghjklmnpqrstvwxz2456789]{5}$`)

// anyCopy is the name of a pod as one for all pods of its owner.
func anyCopy(name string) string {
	if owner := generated.ReplaceAllString(name, ""); owner != name && !strings.HasSuffix(owner, "/") {
		return owner + "-*"
	}
	return name
}

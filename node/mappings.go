package node

import (
	"cmp"
	"context"
	"slices"
	"strings"
)

// Mapping is a file from which host processes have mapped memory that they may
// execute: their executables and libraries, outside containers.
type Mapping struct {
	// Path is as the kernel names the file (proc_pid_maps(5)), without
	// " (deleted)". A path that is not UTF-8 is quoted as in Go.
	Path string `json:"path"`
	// On is the mount that it is on; empty where it is Detached.
	On Mount `json:"on"`
	// Deleted marks a file that has no name any more.
	Deleted bool `json:"deleted,omitempty"`
	// Memory marks what is in memory only: memfd_create(2), shared memory.
	Memory bool `json:"memory,omitempty"`
	// Detached marks a file that is on none of the mounts that Path is on.
	Detached bool `json:"detached,omitempty"`
	// OwnRoot marks a file of a mount namespace that has another at Path than
	// process 1 has.
	OwnRoot bool `json:"ownRoot,omitempty"`
	// Programs are the executables of the processes that map it. They are left out
	// where the file system is read-only and the file has its name: most of what
	// runs maps the same few libraries.
	Programs []string `json:"programs,omitempty"`
	// SHA256 is of an executable that runs from a file system that is not
	// read-only, in hexadecimal; "" for libraries, and where what is at Path by now
	// could not be shown to be what runs.
	SHA256 string `json:"sha256,omitempty"`
}

// Mappings are the files whose code host processes run.
var Mappings = Source[[]Mapping]{
	Name:  "mappings",
	Doc:   "files that host processes have mapped to be executed: executables and libraries outside containers",
	Scope: Cohort,
	Every: Hour,
	Read: func(ctx context.Context, h *Host) ([]Mapping, []Gap, error) {
		t, err := h.gathering.processes()
		if err != nil {
			return nil, nil, err
		}
		if err := t.namespaces.hostErr; err != nil {
			return nil, nil, err
		}
		r := mappingReader{h: h, t: t, found: map[mappingKey]*Mapping{}, files: map[mappingKey]uint64{}, places: map[placeKey]placeAt{}}
		maps := tally{what: "memory maps of host processes"}
		places := tally{what: "mounts of what host processes map"}
		var text strings.Builder
		for p := range t.hostProcesses() {
			maps.of++
			b, err := h.readMemory(p, "maps", func(name string) ([]byte, error) { return h.FS.ReadFile(name, maxMaps, redactMaps) })
			if err == nil {
				text.Write(b)
				var m []codeMap
				if m, err = parseMaps(b); err == nil {
					r.add(p, m, &places)
					continue
				}
				err = &Error{"reading", "/" + p.dir + "/maps", Malformed, err.Error()}
			}
			if !vanished(err) {
				maps.add(p.pid, err)
			}
		}
		h.evidence.add("/proc/<pid>/maps", []byte(text.String()))
		digests := tally{what: "executables that run from storage that can be written"}
		out := r.mappings(&digests)
		gaps := slices.Concat(t.gaps, maps.gaps(), places.gaps())
		for _, g := range digests.gaps() {
			gaps = append(gaps, g.In("sha256"))
		}
		return out, gaps, nil
	},
}

// maxMaps bounds the memory map of one process: 65,530 mappings (vm.max_map_count)
// of 250 bytes.
const maxMaps = 16 << 20

type mappingKey struct {
	m     codeMap
	place place
}

type placeKey struct {
	namespace, dev, path string
}

type placeAt struct {
	place place
	err   error
}

type mappingReader struct {
	h      *Host
	t      *processTable
	found  map[mappingKey]*Mapping
	files  map[mappingKey]uint64 // inode of what is the executable of a process
	places map[placeKey]placeAt
}

func (r *mappingReader) add(p *process, maps []codeMap, unread *tally) {
	for _, m := range maps {
		k := mappingKey{m: m}
		if !m.inMemory() {
			at := r.placeOf(p, m)
			unread.of++
			if at.err != nil {
				if !vanished(at.err) {
					unread.add(p.pid, at.err)
				}
				continue
			}
			k.place = at.place
		}
		v := r.found[k]
		if v == nil {
			v = r.mapping(k)
			r.found[k] = v
		}
		if name := programName(p); !slices.Contains(v.Programs, name) {
			v.Programs = append(v.Programs, name)
		}
		if m.path == p.exe && !m.deleted {
			r.files[k] = m.ino
		}
	}
}

// programName is the executable as facts name it: without what is made up anew for
// each.
func programName(p *process) string {
	if isMemory(p.exe) {
		return memoryName.ReplaceAllString(p.name(), "<id>")
	}
	return stableName(p.name())
}

// placeOf is the mount that a mapped file is on: the one that its path leads to
// for the process, or another on the way that is of its file system, as the /usr
// is that an extension image was mounted over since.
func (r *mappingReader) placeOf(p *process, m codeMap) placeAt {
	k := placeKey{p.key(), m.dev, m.path}
	at, known := r.places[k]
	if !known {
		at.place, at.err = r.t.mountAt(p, m.path)
		if at.err == nil {
			at.place = at.place.withDevice(m)
		}
		r.places[k] = at
	}
	return at
}

// withDevice is the place itself where it is of the file's device, another mount
// that the path is on where that one is, and none else. Files of btrfs and of an
// overlay show another device than their mounts do.
func (on place) withDevice(m codeMap) place {
	own := on.table.mounts[on.index]
	if own.dev == m.dev || slices.Contains([]string{"btrfs", "overlay", "bcachefs"}, own.fstype) {
		return on
	}
	for i, other := range on.table.mounts {
		if _, inside := below(other.path, m.path); inside && other.dev == m.dev {
			return place{on.table, i}
		}
	}
	return place{}
}

func (r *mappingReader) mapping(k mappingKey) *Mapping {
	v := &Mapping{Path: stableName(quoteName(k.m.path)), Deleted: k.m.deleted}
	switch {
	case k.m.inMemory():
		v.Path = memoryName.ReplaceAllString(quoteName(k.m.path), "<id>")
		v.Memory, v.On = true, inMemory()
	case k.place.table == nil:
		v.Detached = true
	default:
		v.OwnRoot = r.t.namespaces.ownFile(k.place, k.m.path)
		v.On = r.t.namespaces.view(r.h, k.place.table, k.place.index)
	}
	return v
}

// mappings are those that were found, each once.
func (r *mappingReader) mappings(unread *tally) []Mapping {
	out := make([]Mapping, 0, len(r.found))
	for k, v := range r.found {
		if ino, runs := r.files[k]; runs && !v.Memory && !v.Detached && !v.OwnRoot && !v.On.SuperReadOnly() {
			unread.of++
			sum, err := r.digest(k.m.path, ino)
			if err != nil && !IsAbsent(err) {
				unread.add(0, err)
			}
			v.SHA256 = sum
		}
		out = append(out, *v)
	}
	slices.SortFunc(out, compareMappings)
	merged := out[:0]
	for _, v := range out {
		if n := len(merged); n > 0 && compareMappings(merged[n-1], v) == 0 {
			merged[n-1].Programs = append(merged[n-1].Programs, v.Programs...)
			continue
		}
		merged = append(merged, v)
	}
	for i := range merged {
		v := &merged[i]
		if v.On.SuperReadOnly() && !v.Deleted && !v.Memory && !v.OwnRoot {
			v.Programs = nil
			continue
		}
		slices.Sort(v.Programs)
		v.Programs = slices.Compact(v.Programs)
	}
	return merged
}

// digest is the SHA-256 of what is at the path, where that is the file that runs.
func (r *mappingReader) digest(p string, ino uint64) (string, error) {
	info, err := r.h.Lstat(p[1:])
	if err != nil || info.Ino != ino {
		return "", err
	}
	return r.h.FS.Digest(p[1:], defaultLimits.file)
}

func compareMappings(a, b Mapping) int {
	return cmp.Or(
		cmp.Compare(a.Path, b.Path), compareMounts(a.On, b.On), compareBools(a.Deleted, b.Deleted), compareBools(a.Memory, b.Memory),
		compareBools(a.Detached, b.Detached), compareBools(a.OwnRoot, b.OwnRoot), cmp.Compare(a.SHA256, b.SHA256),
	)
}

package node

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// RuntimeBinary is a program that a container engine runs as root.
type RuntimeBinary struct {
	Path string `json:"path"` // all links followed
	Role string `json:"role"` // "engine", "shim", "oci-runtime", "network-plugin"
	// SHA256 is in hexadecimal, of files on writable mounts alone; what is on a
	// read-only one the image answers for.
	SHA256 string `json:"sha256,omitempty"`
}

const (
	maxRuntimeBinary   = 256 << 20 // bytes of one file that is hashed
	maxRuntimeBinaries = 1 << 30   // bytes of all
)

// ociRuntimes are the programs that make containers, by their usual names.
var ociRuntimes = []string{"runc", "crun", "youki", "runsc", "kata-runtime", "containerd-shim-runc-v2", "conmon", "conmonrs"}

// programFolders are where engines look for them: the PATH of their services.
var programFolders = []string{"/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/opt/bin", "/bin", "/sbin"}

// runtimeBinaries finds the programs: those that run from the processes, the
// others in the folders where engines look.
func runtimeBinaries(h *Host, t *processTable, v RuntimeState, gaps *[]Gap) []RuntimeBinary {
	r := binaryReader{h: h, t: t, gaps: gaps, left: maxRuntimeBinaries, unread: tally{what: "programs of container engines"}, out: []RuntimeBinary{}}
	folders := slices.Clone(programFolders)
	for p := range t.hostProcesses() {
		name := path.Base(p.exe)
		switch {
		case p.exe == "" || p.deleted:
		case configuredEngines[name] != "":
			r.add("engine", p.exe)
			if dir := path.Dir(p.exe); !slices.Contains(folders, dir) {
				folders = append(folders, dir)
			}
		case strings.HasPrefix(name, "containerd-shim") || name == "conmon" || name == "conmonrs":
			r.add("shim", p.exe)
		}
	}
	if len(v.Engines) == 0 {
		return r.out
	}
	for _, dir := range folders {
		for _, name := range ociRuntimes {
			r.add("oci-runtime", path.Join(dir, name))
		}
	}
	plugins := v.folders("cri.cni.bin_dirs", "", "containerd")
	plugins = append(plugins, v.folders("cri.cni.bin_dir", "/opt/cni/bin", "containerd", "crio")...)
	for _, dir := range plugins {
		if dir == "" {
			continue
		}
		list, err := h.ReadDir(strings.TrimPrefix(path.Clean(dir), "/"), maxConfigFiles)
		if err != nil && !IsAbsent(err) {
			*gaps = append(*gaps, GapOf("network plugins in "+dir, err).In("binaries"))
		}
		for _, e := range list {
			if e.Type == Regular || e.Type == Symlink {
				r.add("network-plugin", path.Join(dir, e.Name))
			}
		}
	}
	for _, g := range r.unread.gaps() {
		*gaps = append(*gaps, g.In("binaries"))
	}
	slices.SortFunc(r.out, func(a, b RuntimeBinary) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Role, b.Role))
	})
	return r.out
}

type binaryReader struct {
	h      *Host
	t      *processTable
	gaps   *[]Gap
	left   int64
	unread tally
	out    []RuntimeBinary
}

// add adds the program at a path, where there is one.
func (r *binaryReader) add(role, name string) {
	real, err := realPath(r.h, name)
	if IsAbsent(err) {
		return
	}
	var info FileInfo
	if err == nil {
		info, err = r.h.Lstat(real[1:])
	}
	if IsAbsent(err) || err == nil && info.Type != Regular {
		return
	}
	b := RuntimeBinary{Path: quoteName(real), Role: role}
	if err == nil && slices.ContainsFunc(r.out, func(o RuntimeBinary) bool { return o.Path == b.Path }) {
		return
	}
	r.unread.of++
	if err == nil && r.writable(real) {
		if r.left -= info.Size; r.left < 0 {
			err = &Error{"hashing", real, TooLarge, "stopped after 1 GiB of programs"}
		} else {
			b.SHA256, err = r.h.Digest(real[1:], maxRuntimeBinary)
		}
	}
	if err != nil {
		r.unread.add(0, err)
	}
	r.out = append(r.out, b)
}

// writable reports whether the file is on a mount that is not read-only.
func (r *binaryReader) writable(name string) bool {
	host := r.t.namespaces.host
	if host == nil {
		return true
	}
	i := host.lookup(name)
	return i < 0 || host.mounts[i].options[0] != "ro" && host.mounts[i].super[0] != "ro"
}

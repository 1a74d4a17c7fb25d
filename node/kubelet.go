package node

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// KubeletState is the kubelet as it was started and configured. Defaults are
// not filled in: package verify knows them.
type KubeletState struct {
	// Found is "process" (a kubelet runs), "embedded" (inside k3s, RKE2 or
	// another supervisor), or "absent".
	Found string `json:"found"`
	// Program is the executable that is or embeds the kubelet.
	Program string `json:"program"`
	// Embedder is "k3s", "rke2" or another program's name where Found is "embedded".
	Embedder string `json:"embedder,omitempty"`
	// Version is the release of Kubernetes that runs ("v1.31.2"), "" where it could
	// not be told. VersionFrom is where that was read, or why it could not be told,
	// which is no gap: what depends on it says so.
	Version     string `json:"version"`
	VersionFrom string `json:"versionFrom"`
	// Config is the file that --config names, ConfigDir the folder that
	// --config-dir names; "" where the argument is not there.
	Config    string `json:"config"`
	ConfigDir string `json:"configDir"`
	// Files are the files that the arguments and the configuration name.
	Files []KubeletFile `json:"files"`
	// Credential is how the kubelet proves to the API server who it is: "exec" (a
	// program fetches it), "certificate-file", "certificate-data" (inside the
	// kubeconfig), "token", "auth-provider", "none"; "absent" where the kubeconfig is
	// not there, "unknown" where it could not be read, "" where none is named.
	Credential string `json:"credential"`
	// Values are the effective settings by dotted v1beta1 name
	// ("authentication.anonymous.enabled"), merged as the kubelet merges them.
	Values map[string]KubeletValue `json:"values"`
	// Overridden are settings that stood in an earlier place and lost.
	Overridden []KubeletOverride `json:"overridden"`
	// Unknown are keys that this program does not know, with their place.
	Unknown []string `json:"unknown"`
	// Unread are the gaps that are places of settings. What is not in Values may
	// stand there, and what comes from a file may be overridden there. One in part
	// "values" is a file, so that Flags are all that there are.
	Unread []Gap `json:"unread"`
	// Flags are the names of the arguments, sorted, without values.
	Flags []string `json:"flags"`
}

// KubeletValue is one setting and where it came from.
type KubeletValue struct {
	JSON string `json:"json"` // the value as compact JSON: true, "Webhook", {"cpu":"100m"}
	// From is "flag --anonymous-auth" or "file /etc/kubernetes/kubelet.yaml";
	// several, joined by ", ", where they were merged.
	From string `json:"from"`
}

// KubeletOverride is a setting that a later place replaced.
type KubeletOverride struct {
	Key  string `json:"key"`
	JSON string `json:"json"`
	From string `json:"from"`
}

// KubeletFile is a file that matters to the kubelet. Its content is not kept.
type KubeletFile struct {
	// Role is "config", "drop-in", "kubeconfig", "bootstrap-kubeconfig", "client-ca",
	// "serving-certificate" or "serving-key"; of other sources "static-pods",
	// "manifest", "unit" or "environment".
	Role string `json:"role"`
	Path string `json:"path"`
	// Found is "yes", "no", or "unknown" where the program may not see it.
	Found string `json:"found"`
	Mode  uint32 `json:"mode"`
	UID   uint32 `json:"uid"`
	GID   uint32 `json:"gid"`
}

// Kubelet is how the kubelet was started and configured.
var Kubelet = Source[KubeletState]{
	Name:  "kubelet",
	Doc:   "how the kubelet was started and configured, each value with its place",
	Scope: Cohort,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (KubeletState, []Gap, error) {
		r, err := h.gathering.kubelet()
		if err != nil {
			return KubeletState{}, nil, err
		}
		for name, b := range r.read {
			h.evidence.add("/"+name, b)
		}
		return r.state, r.gaps, nil
	},
}

// kubeletReading is the kubelet's state with its gaps, read once a gathering.
type kubeletReading struct {
	state KubeletState
	gaps  []Gap
	// settings and args are what state was made from, for the sources that need
	// values rather than text.
	settings *kubeletSettings
	args     []kubeletArg
	cgroup   string            // of the process
	read     map[string][]byte // by path relative to the root
}

// unreadExecutables is what the gap of a process table is about whose processes
// are known by the names of their commands alone.
const unreadExecutables = "executables of host processes"

const (
	maxKubeletConfig  = 1 << 20 // etcd would not take more in a ConfigMap
	maxKubeletDropIns = 200

	kubeletPort = 10250 // pkg/cluster/ports
)

// readKubelet finds the kubelet among the processes and reads what its arguments
// name.
func readKubelet(h *Host) (*kubeletReading, error) {
	table, err := h.gathering.processes()
	if err != nil {
		return nil, err
	}
	r := &kubeletReading{settings: newKubeletSettings(), read: map[string][]byte{}}
	p, found := findKubelet(h, table)
	r.state.Found = found.how
	switch found.how {
	case "absent":
		// One that could not be seen may run. Where the executable alone could not
		// be read, the command's name has told that it is none.
		for _, g := range table.gaps {
			if g.What != unreadExecutables {
				r.gaps = append(r.gaps, g)
			}
		}
		if all, err := h.gathering.listening(); err == nil && slices.ContainsFunc(all.sockets, func(l listening) bool { return l.port == kubeletPort }) {
			r.gaps = append(r.gaps, GapOf("the kubelet", &Error{"looking for", "the kubelet", Failed, fmt.Sprintf("something listens on its port, %d, and no process that goes by its name was found", kubeletPort)}))
		}
		if ns := pidNamespace(h); ns != "initial" {
			r.gaps = append(r.gaps, GapOf("the kubelet", &Error{"looking for", "the kubelet", Failed, "process 1 is not known to be that of the whole machine, and what runs outside its namespace was not seen"}))
		}
		if found.unseen != nil {
			r.gaps = append(r.gaps, GapOf("whether a kubelet in a container is the node's", found.unseen))
		}
		return r.finish(), nil
	case "embedded":
		r.state.Embedder = found.embedder
	}
	r.state.Program = p.exe
	if p.exe == "" {
		r.state.Program = p.comm
	}
	r.cgroup = p.cgroup
	r.readVersion(h, table, p)
	if found.others > 0 {
		r.unread("other kubelets of this node", &Error{"choosing", "kubelet", Failed, "several kubelets run with different arguments; the one with the lowest process number was read"})
	}
	if p.args == nil {
		why := p.exeErr // without the executable it is not known whether they are a kubelet's
		if why == nil {
			why = &Error{"reading", "arguments of " + r.state.Program, Failed, "they could not be read"}
		}
		r.unread("the arguments of "+path.Base(r.state.Program), why)
	}
	words := argumentsOf(p.args)
	if found.how == "embedded" {
		r.readEmbedder(h, found.embedder, p.args)
		words = nil // they are the supervisor's own
	}
	args, err := parseKubeletArgs(words)
	if err != nil {
		r.unread("the arguments of "+path.Base(r.state.Program), err)
	}
	r.args = append(r.args, args...)
	r.readPlaces(h)
	return r.finish(), nil
}

// unread notes a place of arguments that could not be read, and therefore of
// settings and of files that are named; unreadFile one of settings alone.
func (r *kubeletReading) unread(what string, err error) { r.note(GapOf(what, err)) }

func (r *kubeletReading) unreadFile(what string, err error) { r.note(GapOf(what, err).In("values")) }

func (r *kubeletReading) note(g Gap) {
	r.state.Unread = append(r.state.Unread, g)
	r.gaps = append(r.gaps, g)
}

// arg is the last value of an argument.
func (r *kubeletReading) arg(name string) string {
	for _, a := range slices.Backward(r.args) {
		if a.name == name {
			return a.value
		}
	}
	return ""
}

// readPlaces reads the files that the arguments name and adds everything up:
// --config, then the drop-ins of --config-dir, then the arguments.
func (r *kubeletReading) readPlaces(h *Host) {
	r.state.Config, r.state.ConfigDir = r.arg("config"), r.arg("config-dir")
	if r.state.Config != "" {
		r.readConfig(h, "config", r.state.Config)
	}
	if dir := r.state.ConfigDir; dir != "" {
		r.readDropIns(h, dir)
	}
	if dir := r.arg("dynamic-config-dir"); dir != "" {
		// Removed in 1.24: the API server could replace the whole configuration.
		r.unreadFile("the dynamic configuration in "+dir, &Error{"reading", dir, Unsupported, "dynamic kubelet configuration is not followed"})
	}
	for _, err := range r.settings.mergeArgs(r.args) {
		r.unreadFile("an argument of the kubelet", err)
	}
	r.addFile(h, "kubeconfig", r.arg("kubeconfig"))
	r.readCredential(h, r.arg("kubeconfig"))
	for _, name := range []string{"bootstrap-kubeconfig", "experimental-bootstrap-kubeconfig"} {
		r.addFile(h, "bootstrap-kubeconfig", r.arg(name))
	}
	r.addFile(h, "client-ca", r.place("authentication.x509.clientCAFile"))
	r.addFile(h, "serving-certificate", r.place("tlsCertFile"))
	r.addFile(h, "serving-key", r.place("tlsPrivateKeyFile"))
}

// place is the path that a setting names, "" where it names none. The kubelet
// resolves the paths in its files against the folder of that file.
// Source: pkg/kubelet/kubeletconfig/configfiles.
func (r *kubeletReading) place(key string) string {
	s, ok := r.settings.values[key]
	if !ok {
		return ""
	}
	name, _ := s.value.(string)
	if name != "" && !path.IsAbs(name) && strings.HasPrefix(s.from[0], "file ") {
		return path.Join(path.Dir(strings.TrimPrefix(s.from[0], "file ")), name)
	}
	return name
}

func (r *kubeletReading) readConfig(h *Host, role, name string) {
	what := "kubelet configuration " + name
	if !path.IsAbs(name) {
		r.unreadFile(what, &Error{"reading", name, Unsupported, "the path is relative to the kubelet's working directory, which is not known"})
		return
	}
	r.addFile(h, role, name)
	rel := strings.TrimPrefix(path.Clean(name), "/")
	b, err := h.ReadSecret(rel, maxKubeletConfig, redactKubeletConfig)
	if err != nil {
		r.unreadFile(what, err)
		return
	}
	r.read[rel] = b
	config, err := parseKubeletConfig(b)
	if err == nil {
		err = r.settings.mergeFile(config, "file "+path.Clean(name))
	}
	if err != nil {
		r.unreadFile(what, err)
	}
}

// readDropIns reads the *.conf files of dir and of the folders in it, in the
// order of filepath.WalkDir, which is what the kubelet uses: it follows no link to
// a folder, not even dir itself.
func (r *kubeletReading) readDropIns(h *Host, dir string) {
	what := "kubelet configuration folder " + dir
	if !path.IsAbs(dir) {
		r.unreadFile(what, &Error{"listing", dir, Unsupported, "the path is relative to the kubelet's working directory, which is not known"})
		return
	}
	top := strings.TrimPrefix(path.Clean(dir), "/")
	info, err := h.Lstat(top)
	if err != nil {
		r.unreadFile(what, err)
		return
	}
	if info.Type != Directory && !strings.HasSuffix(dir, "/") {
		return
	}
	left := maxKubeletDropIns
	var walk func(name string, depth int)
	walk = func(name string, depth int) {
		entries, err := h.ReadDir(name, maxKubeletDropIns)
		if err == nil && depth > 8 {
			err = &Error{"listing", "/" + name, TooLarge, "more than 8 folders deep"}
		}
		if err != nil {
			r.unreadFile(what, err)
			return
		}
		for _, e := range entries {
			inner := path.Join(name, e.Name)
			switch {
			case e.Type == Directory:
				walk(inner, depth+1)
			case path.Ext(e.Name) != ".conf":
			case left == 0:
				r.unreadFile(what, &Error{"reading", "/" + name, TooLarge, "more than 200 files"})
				return
			default:
				left--
				r.readConfig(h, "drop-in", "/"+inner)
			}
		}
	}
	walk(top, 0)
}

// addFile notes mode and owner of a file. A path that does not begin with / is
// relative to a directory that is not known.
func (r *kubeletReading) addFile(h *Host, role, name string) {
	if name == "" {
		return
	}
	f, _ := kubeletFile(h, role, name)
	r.state.Files = append(r.state.Files, f)
}

// kubeletFile is mode and owner of what a path leads to, and why they are not
// known.
func kubeletFile(h *Host, role, name string) (KubeletFile, error) {
	f := KubeletFile{Role: role, Path: name, Found: "unknown"}
	if !path.IsAbs(name) {
		return f, nil
	}
	f.Path = path.Clean(name)
	info, err := h.Stat(strings.TrimPrefix(f.Path, "/"))
	switch {
	case err == nil:
		f.Found, f.Mode, f.UID, f.GID = "yes", info.Mode, info.UID, info.GID
	case IsAbsent(err):
		f.Found = "no"
	}
	return f, err
}

// finish makes the state out of the settings, without a nil list in it.
func (r *kubeletReading) finish() *kubeletReading {
	s := &r.state
	s.Values = make(map[string]KubeletValue, len(r.settings.values))
	for key, v := range r.settings.values {
		s.Values[key] = KubeletValue{compactJSON(v.value), strings.Join(v.from, ", ")}
	}
	names := map[string]bool{}
	for _, a := range r.args {
		names[a.name] = true
	}
	s.Flags = slices.AppendSeq([]string{}, maps.Keys(names))
	slices.Sort(s.Flags)
	s.Files = append([]KubeletFile{}, s.Files...)
	s.Overridden = append([]KubeletOverride{}, r.settings.overridden...)
	s.Unknown = append([]string{}, r.settings.unknown...)
	s.Unread = append([]Gap{}, s.Unread...)
	return r
}

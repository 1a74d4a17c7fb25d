package node

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
)

const (
	maxCredentialFile    = 1 << 20
	maxCredentialFiles   = 5000 // looked at, in all folders together
	maxCredentialEntries = 2000 // in one folder
	maxCredentialDepth   = 6
	maxCredentialHomes   = 1000
)

// credentialReading is what has been found so far.
type credentialReading struct {
	h       *Host
	state   CredentialState
	gaps    []Gap
	homes   []string
	seen    map[string]bool // by path relative to the root
	folders map[string]Folder
	configs map[string]bool // files that the kubelet reads as its configuration
	left    int             // of maxCredentialFiles
}

func newCredentialReading(h *Host) *credentialReading {
	r := &credentialReading{h: h, seen: map[string]bool{}, folders: map[string]Folder{}, configs: map[string]bool{}, left: maxCredentialFiles}
	r.homes = []string{"root"}
	for _, dir := range []string{"home", "var/home"} {
		if info, err := h.Lstat(dir); err == nil && info.Type == Symlink {
			continue // the other of the two
		}
		entries, err := h.ReadDir(dir, maxCredentialHomes)
		if err != nil && !IsAbsent(err) {
			for _, list := range []string{"homes", "cloud", "registry"} {
				r.gap(list, "home directories in /"+dir, err)
			}
		}
		for _, e := range entries {
			if e.Type == Directory {
				r.homes = append(r.homes, path.Join(dir, e.Name))
			}
		}
	}
	return r
}

func (r *credentialReading) gap(list, what string, err error) {
	r.gaps = append(r.gaps, GapOf(what, err).In(list))
}

func (r *credentialReading) list(name string) *[]CredentialFile {
	s := &r.state
	return map[string]*[]CredentialFile{
		"kubelet": &s.Kubelet, "cluster": &s.Cluster, "system": &s.System, "homes": &s.Homes, "cloud": &s.Cloud,
		"registry": &s.Registry, "userData": &s.UserData, "staticPods": &s.StaticPods, "cni": &s.CNI, "etcd": &s.Etcd,
	}[name]
}

// readKubelet looks at what the running kubelet names.
func (r *credentialReading) readKubelet() {
	k, err := r.h.gathering.kubelet()
	if err != nil {
		for _, list := range []string{"kubelet", "registry", "staticPods"} {
			r.gap(list, "the files that the kubelet names", err)
		}
		return
	}
	for name := range k.read {
		r.configs[name] = true
	}
	for _, g := range k.state.Unread { // which may name another folder of static pods
		r.gaps = append(r.gaps, g.In("kubelet"), g.In("staticPods"))
	}
	for _, f := range k.state.Files {
		kind := map[string]string{"kubeconfig": "kubeconfig", "bootstrap-kubeconfig": "bootstrap-kubeconfig", "client-ca": "pem"}[f.Role]
		if kind != "" {
			r.readNamed("kubelet", f.Path, kind)
		}
	}
	for _, key := range []string{"tlsCertFile", "tlsPrivateKeyFile"} {
		if v, ok := k.settings.values[key]; ok {
			name, _ := v.value.(string)
			r.readNamed("kubelet", name, "pem")
		}
	}
	root := cmp.Or(k.arg("root-dir"), "/var/lib/kubelet")
	dir := cmp.Or(k.arg("cert-dir"), path.Join(root, "pki"))
	if path.IsAbs(dir) {
		r.look(dir)
		r.walk("kubelet", strings.TrimPrefix(path.Clean(dir), "/"), 0)
	}
	if root != "/var/lib/kubelet" && path.IsAbs(root) {
		r.readNamed("registry", path.Join(root, "config.json"), "settings")
	}
	for _, dir := range staticPodFolders(r.h) {
		r.look("/" + dir)
		r.readFolder("staticPods", dir, "static-pod")
	}
}

func (r *credentialReading) look(p string) { r.state.Looked = append(r.state.Looked, p) }

// readNamed looks at a file that is named by an absolute path; its name may be a link.
func (r *credentialReading) readNamed(list, name, kind string) {
	switch {
	case name == "":
	case !path.IsAbs(name):
		r.gap(list, "file "+name, &Error{"looking at", name, Unsupported, "the path is relative to the kubelet's working directory, which is not known"})
	default:
		r.look(path.Clean(name))
		r.readFile(list, strings.TrimPrefix(path.Clean(name), "/"), kind)
	}
}

func (r *credentialReading) readPlace(p credentialPlace) {
	r.look(p.name())
	names := []string{p.path}
	if rest, ok := strings.CutPrefix(p.path, "~/"); ok {
		names = names[:0]
		for _, home := range r.homes {
			names = append(names, path.Join(home, rest))
		}
	}
	for _, name := range names {
		switch p.kind {
		case "walk":
			r.walk(p.list, name, 0)
		case "cni":
			r.readFolder(p.list, name, p.kind)
		default:
			r.readFile(p.list, name, p.kind)
		}
	}
}

// readFolder looks at the files in one folder, whatever they are called.
func (r *credentialReading) readFolder(list, dir, kind string) {
	entries, err := r.h.ReadDir(dir, maxCredentialEntries)
	if err != nil {
		if !IsAbsent(err) {
			r.gap(list, "folder /"+dir, err)
		}
		return
	}
	for _, e := range entries {
		if e.Type != Directory && r.spend(dir) {
			r.readFile(list, path.Join(dir, e.Name), kind)
		}
	}
}

// walk looks at the files at and below dir whose names say that they hold a
// credential. It follows no link to a folder.
func (r *credentialReading) walk(list, dir string, depth int) {
	if dir == "etc/kubernetes/manifests" || strings.HasSuffix(dir, "cni/net.d") {
		return // in lists of their own
	}
	entries, err := r.h.ReadDir(dir, maxCredentialEntries)
	if err == nil && depth > maxCredentialDepth {
		err = &Error{"listing", "/" + dir, TooLarge, fmt.Sprintf("more than %d folders deep", maxCredentialDepth)}
	}
	if err != nil {
		if !IsAbsent(err) {
			r.gap(list, "folder /"+dir, err)
		}
		return
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name)
		if !r.spend(dir) {
			return
		}
		if e.Type == Directory {
			r.walk(list, name, depth+1)
		} else if kind := credentialKind(name); kind != "" && !r.configs[name] {
			r.readFile(list, name, kind)
		}
	}
}

// spend takes one file off the budget. When it is used up, a gap says so once.
func (r *credentialReading) spend(dir string) bool {
	if r.left--; r.left == -1 {
		r.gaps = append(r.gaps, GapOf("files with credentials", &Error{"listing", "/" + dir, TooLarge, fmt.Sprintf("stopped after %d files", maxCredentialFiles)}))
	}
	return r.left >= 0
}

// readFile adds a file to a list, by the path without links of its folder, and
// what may be said of its content. Of a link it adds what that leads to as well.
func (r *credentialReading) readFile(list, name, kind string) {
	info, err := r.h.Lstat(name)
	if IsAbsent(err) {
		return
	}
	if err == nil {
		// The folder is a link on many systems: /root on Fedora CoreOS, /var/run.
		var dir string
		if dir, err = realPath(r.h, "/"+path.Dir(name)); err == nil {
			name = strings.TrimPrefix(path.Join(dir, path.Base(name)), "/")
		}
	}
	if r.seen[name] {
		return
	}
	r.seen[name] = true
	if err != nil {
		r.gap(list, "file /"+name, err)
		return
	}
	f := CredentialFile{Path: quoteName("/" + name), Kind: kind, Type: info.Type, Mode: info.Mode, UID: info.UID, GID: info.GID}
	switch info.Type {
	case Symlink:
		if f.Link, err = realPath(r.h, "/"+name); err != nil {
			if !IsAbsent(err) {
				r.gap(list, "what /"+name+" leads to", err)
			}
			f.Link = ""
			break
		}
		r.readFile(list, f.Link[1:], kind)
		f.Link = quoteName(f.Link)
	case Regular:
		f.Size = info.Size
		if err := r.readContent(list, name, &f); err != nil {
			f.Content = "unread"
			r.gap(list, "content of /"+name, err)
		}
	default: // folders, and what is never opened
	}
	if _, err := parents(r.h, "/"+name, r.folders); err != nil && !IsAbsent(err) {
		r.gap(list, "folders above /"+name, err)
	}
	*r.list(list) = append(*r.list(list), f)
}

// readContent reads what a kind of file may be asked, through what takes the rest
// out of it.
func (r *credentialReading) readContent(list, name string, f *CredentialFile) error {
	switch f.Kind {
	case "pem":
		b, err := readPEM(r.h, name)
		if err != nil {
			return err
		}
		content, err := parsePEM(b)
		if err != nil {
			return err
		}
		if content.unparsed > 0 {
			return fmt.Errorf("%d blocks say CERTIFICATE and hold none", content.unparsed)
		}
		f.Content, f.Keys, f.Certificates = "read", content.keys, content.certificates
		if len(f.Keys)+len(f.Certificates) == 0 {
			return nil
		}
		sum, err := r.h.Digest(name, maxCredentialFile)
		if err != nil {
			return err
		}
		f.Digest = sum[:min(16, len(sum))]
	case "kubeconfig", "bootstrap-kubeconfig":
		if r.configs[name] {
			return nil
		}
		b, err := r.h.readOnce(name, maxKubeletConfig, redactKubeconfig)
		if err != nil {
			return err
		}
		var c kubeconfigCredential
		if err := json.Unmarshal(b, &c); err != nil {
			return err
		}
		f.Content, f.Credential = "read", c.Credential
		if c.NotAfter != nil {
			f.Certificate = &Certificate{NotAfter: c.NotAfter.UTC(), Class: c.Class}
		}
		if c.Certificate != "" {
			// Relative ones are resolved against the file's folder: client-go, ResolveLocalPaths.
			to := c.Certificate
			if !path.IsAbs(to) {
				to = path.Join("/", path.Dir(name), to)
			}
			to = path.Clean(to)
			r.readFile(list, to[1:], "pem")
			if real, err := realPath(r.h, to); err == nil {
				to = real
			}
			f.CertificateFile = quoteName(to)
		}
	case "settings":
		b, err := r.h.ReadSecret(name, maxCredentialFile, redactSettings)
		if err != nil {
			return err
		}
		var s heldSettings
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		f.Content, f.Holds = "read", s.Holds
	}
	return nil
}

func (r *credentialReading) finish() (CredentialState, []Gap, error) {
	s := &r.state
	for _, name := range []string{"kubelet", "cluster", "system", "homes", "cloud", "registry", "userData", "staticPods", "cni", "etcd"} {
		files := r.list(name)
		slices.SortFunc(*files, func(a, b CredentialFile) int { return strings.Compare(a.Path, b.Path) })
		*files = append([]CredentialFile{}, *files...)
	}
	s.Folders = []Folder{}
	for _, f := range r.folders {
		f.Path = quoteName(f.Path)
		s.Folders = append(s.Folders, f)
	}
	slices.SortFunc(s.Folders, func(a, b Folder) int { return strings.Compare(a.Path, b.Path) })
	slices.Sort(s.Looked)
	s.Looked = slices.Compact(s.Looked)
	return *s, r.gaps, nil
}

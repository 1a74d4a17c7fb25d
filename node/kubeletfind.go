package node

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// foundKubelet says how a kubelet was found.
type foundKubelet struct {
	how      string // as in KubeletState.Found
	unseen   error  // why a kubelet in a container could not be told from the node's; nil where all could
	embedder string
	others   int // kubelets with other arguments
}

// findKubelet looks for the node's kubelet: a process called kubelet outside
// containers, else one in a container that shares the host's network (Talos runs
// it so, and RKE1), else a program that has one inside.
func findKubelet(h *Host, t *processTable) (process, foundKubelet) {
	var named, called, inside []process
	var unseen error
	for _, p := range t.processes {
		ours := p.container == "" || strings.HasPrefix(p.cgroup, "/podruntime/kubelet")
		if isQuestion(p.args) {
			continue
		}
		switch {
		case isKubeletExe(p):
			if ours {
				named = append(named, p)
			} else if shares, err := sharesHostNetwork(h, p); shares {
				inside = append(inside, p)
			} else if err != nil {
				unseen = err
			}
		case p.comm == "kubelet" && ours:
			called = append(called, p) // a script, or a kubelet whose executable cannot be seen
		}
	}
	for _, candidates := range [][]process{named, called, inside} {
		if len(candidates) == 0 {
			continue
		}
		found := foundKubelet{how: "process"}
		for _, p := range candidates[1:] {
			if !slices.Equal(p.args, candidates[0].args) {
				found.others++
			}
		}
		return candidates[0], found
	}
	for _, p := range t.processes {
		if name := embedderOf(p); name != "" && p.container == "" {
			return p, foundKubelet{how: "embedded", embedder: name}
		}
	}
	return process{}, foundKubelet{how: "absent", unseen: unseen}
}

// sharesHostNetwork reports whether a process is in the network namespace of
// process 1. One that vanished meanwhile is in none.
func sharesHostNetwork(h *Host, p process) (bool, error) {
	own, err := h.ReadLink(p.dir + "/ns/net")
	if vanished(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	host, err := h.ReadLink("proc/1/ns/net")
	return err == nil && own == host, err
}

// isKubeletExe reports whether a process runs a kubelet: the program itself, one
// of many names that was asked for it, or OpenShift's wrapper before it turns
// into the kubelet.
func isKubeletExe(p process) bool {
	switch kubeletName(p.exe) {
	case "kubelet":
		return true
	case "hyperkube", "kubenswrapper":
		return len(p.args) > 1 && path.Base(p.args[1]) == "kubelet"
	}
	return false
}

// isQuestion reports whether the arguments only ask a kubelet what it is.
func isQuestion(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool {
		return a == "--version" || strings.HasPrefix(a, "--version=") || a == "--help" || a == "-h"
	})
}

// embedderOf names the supervisor that has a kubelet inside: k3s and RKE2 as
// server or agent, kubelite of MicroK8s. Their executables go by other names too
// (the k3s file is also kubectl and ctr), so the command name decides.
func embedderOf(p process) string {
	switch p.comm {
	case "k3s-server", "k3s-agent":
		return "k3s"
	case "kubelite":
		return "kubelite"
	case "k3s", "rke2":
		if len(p.args) > 1 && (p.args[1] == "server" || p.args[1] == "agent") || len(p.args) == 1 && titled(p.args[0]) {
			return p.comm
		}
	}
	return ""
}

// titled recognizes the one word that k3s and RKE2 leave of their arguments.
func titled(arg string) bool {
	return strings.HasSuffix(arg, " server") || strings.HasSuffix(arg, " agent")
}

// readEmbedder adds the arguments that a supervisor gives its kubelet, as far as
// they can be seen.
func (r *kubeletReading) readEmbedder(h *Host, name string, argv []string) {
	if name == "kubelite" {
		r.readKubelite(h, argv)
		return
	}
	// k3s writes over its arguments ("k3s server") and makes those of its kubelet
	// inside the process. RKE2 starts a process, which was not seen.
	why := "they are made inside the process and cannot be seen from outside"
	if name == "rke2" {
		why = "no kubelet that it started was seen"
	}
	r.unread("the arguments that "+name+" gives its kubelet", &Error{"reading", "arguments of the kubelet in " + name, Unsupported, why})
	config := r.readRancher(h, name)
	for i, word := range argv {
		flag, value, valued := strings.Cut(word, "=")
		if !valued && i+1 < len(argv) {
			value = argv[i+1]
		}
		switch flag {
		case "--kubelet-arg":
			config.args = append(config.args, rancherArg{value, ""})
		case "--data-dir", "-d":
			config.dataDir = value
		}
	}
	for _, a := range config.args {
		key, value, valued := strings.Cut(a.text, "=")
		if !valued {
			value = "true"
		}
		r.args = append(r.args, kubeletArg{strings.TrimPrefix(key, "--"), value, a.place})
	}
	dropIns := path.Join(config.dataDir, "agent/etc/kubelet.conf.d")
	if _, err := h.Stat(strings.TrimPrefix(dropIns, "/")); !IsAbsent(err) && r.arg("config-dir") == "" {
		r.args = append(r.args, kubeletArg{"config-dir", dropIns, "the defaults of " + name})
	}
	if r.arg("kubeconfig") == "" {
		r.args = append(r.args, kubeletArg{"kubeconfig", path.Join(config.dataDir, "agent/kubelet.kubeconfig"), "the defaults of " + name})
	}
}

type rancherConfig struct {
	dataDir string
	args    []rancherArg
}

type rancherArg struct{ text, place string }

// readRancher reads the configuration of k3s or RKE2: config.yaml, then the
// files of config.yaml.d in order. A list under "key+" is added to the earlier
// one. Source: docs.k3s.io/installation/configuration.
func (r *kubeletReading) readRancher(h *Host, name string) rancherConfig {
	config := rancherConfig{dataDir: "/var/lib/rancher/" + name}
	base := "etc/rancher/" + name + "/config.yaml"
	files := []string{base}
	entries, err := h.ReadDir(base+".d", maxKubeletDropIns)
	if err != nil && !IsAbsent(err) {
		r.unread("the configuration folder of "+name, err)
	}
	for _, e := range entries {
		if ext := path.Ext(e.Name); e.Type != Directory && (ext == ".yaml" || ext == ".yml") {
			files = append(files, base+".d/"+e.Name)
		}
	}
	for _, file := range files {
		b, err := h.ReadSecret(file, maxKubeletConfig, redactRancher)
		if IsAbsent(err) {
			continue
		}
		if err == nil {
			r.read[file] = b
			err = config.merge(b, "/"+file)
		}
		if err != nil {
			r.unread("the configuration of "+name+" in /"+file, err)
		}
	}
	return config
}

func (c *rancherConfig) merge(b []byte, place string) error {
	m, err := parseYAMLMap(b)
	if err != nil {
		return err
	}
	if dir, ok := m["data-dir"].(string); ok && dir != "" {
		c.dataDir = dir
	}
	for _, key := range []string{"kubelet-arg", "kubelet-arg+"} {
		var list []any
		switch v := m[key].(type) {
		case nil:
			continue
		case []any:
			list = v
		default:
			list = []any{v}
		}
		if key == "kubelet-arg" {
			c.args = nil
		}
		for _, v := range list {
			if text, ok := v.(string); ok {
				c.args = append(c.args, rancherArg{text, place})
			}
		}
	}
	return nil
}

// redactRancher keeps of a k3s or RKE2 configuration what this program reads; the
// rest holds tokens.
func redactRancher(b []byte) []byte {
	m, err := parseYAMLMap(b)
	if err != nil {
		return []byte("[" + redacted + "]")
	}
	kept := map[string]any{}
	if dir, ok := m["data-dir"].(string); ok {
		kept["data-dir"] = dir
	}
	for _, key := range []string{"kubelet-arg", "kubelet-arg+"} {
		switch v := m[key].(type) {
		case []any:
			list := make([]any, len(v))
			for i, arg := range v {
				list[i] = keepRancherArg(arg)
			}
			kept[key] = list
		case nil:
		default:
			kept[key] = keepRancherArg(v)
		}
	}
	return []byte(compactJSON(kept))
}

// keepRancherArg is an argument for the kubelet, "max-pods=110", without a value
// that may be secret.
func keepRancherArg(v any) string {
	text, _ := v.(string)
	return keepValue("kubelet-arg", strings.TrimLeft(text, "-"))
}

// readKubelite reads the arguments file of MicroK8s' kubelet: words separated by
// white space, with variables of the snap.
func (r *kubeletReading) readKubelite(h *Host, argv []string) {
	file := ""
	for i, word := range argv {
		name, value, valued := strings.Cut(word, "=")
		if name == "--kubelet-args-file" && valued {
			file = value
		} else if name == "--kubelet-args-file" && i+1 < len(argv) {
			file = argv[i+1]
		}
	}
	const what = "the arguments file of kubelite"
	if !path.IsAbs(file) {
		r.unread(what, &Error{"reading", "arguments of kubelite", Malformed, "--kubelet-args-file names no absolute path"})
		return
	}
	rel := strings.TrimPrefix(path.Clean(file), "/")
	b, err := h.ReadSecret(rel, maxKubeletConfig, redactKubelite)
	if err != nil {
		r.unread(what, err)
		return
	}
	r.read[rel] = b
	data := path.Dir(path.Dir(path.Clean(file))) // $SNAP_DATA/args/kubelet
	text := strings.NewReplacer("${SNAP_DATA}", data, "$SNAP_DATA", data).Replace(string(b))
	args, err := parseKubeletArgs(strings.Fields(text))
	if err != nil {
		r.unread(what, err)
		return
	}
	for _, a := range args {
		a.place = "/" + rel
		if strings.Contains(a.value, "$") {
			r.unread("argument --"+a.name+" of kubelite", &Error{"reading", "/" + rel, Unsupported, "its value holds a variable"})
			continue
		}
		r.args = append(r.args, a)
	}
}

var kubeliteSecret = regexp.MustCompile(`(--?manifest[-_]url(?:[-_]header)?)(?:=|\s+)\S+`)

// redactKubelite takes out the arguments that may hold a token.
func redactKubelite(b []byte) []byte {
	return kubeliteSecret.ReplaceAll(b, []byte("$1="+redacted))
}

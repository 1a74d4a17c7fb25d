package profiles

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Overlay is what one team has declared beyond the vendor's profile: a file in
// its own git. It adds to the lists of what is expected and changes limits of
// kernel parameters. It holds nothing that a level rests on.
type Overlay struct {
	Name         string
	Expectations []Expectation
	Digest       string // SHA-256 of the file, in hexadecimal
}

// Expectation is one declaration, with who answers for it.
type Expectation struct {
	For    Selector
	Owner  string
	Reason string
	Review time.Time // the day from which it has to be looked at again, UTC
	// Places are what is declared, by kind (see Kinds).
	Places map[string][]Place
	// Sysctls are limits of kernel parameters, as in a profile.
	Sysctls map[string]string
}

// Selector says which nodes an expectation is for. An empty field stands for all.
type Selector struct {
	Profile string
	Cluster string
	Pool    string
	Labels  map[string]string // all of them have to be there
}

// Where is what is known of a node beside its facts. What is not known is
// empty, and matches no selector that asks for it.
type Where struct {
	Cluster string
	Pool    string
	Labels  map[string]string
}

func (s Selector) holds(profile string, w Where) bool {
	for name, value := range s.Labels {
		if have, ok := w.Labels[name]; !ok || have != value {
			return false
		}
	}
	return (s.Profile == "" || s.Profile == profile) && (s.Cluster == "" || s.Cluster == w.Cluster) && (s.Pool == "" || s.Pool == w.Pool)
}

// Kind is one list of places that an overlay may add to.
type Kind struct {
	Name string
	Doc  string // what a path is in it
	// list is the list of a profile that it adds to.
	list func(*Profile) *[]Place
	// check says what is wrong with a path, or "".
	check func(string) string
}

// Kinds are the lists that an overlay may add to. None of them is read by a check
// that a level rests on.
func Kinds() []Kind {
	return []Kind{
		{"executables", "program or script outside the image, with its SHA-256 where it does not change", func(p *Profile) *[]Place { return &p.Processes.Allowed }, absolute},
		{"setuid", "executable that may have a setuid or setgid bit", func(p *Profile) *[]Place { return &p.Inventory.Setuid }, absolute},
		{"capabilities", "executable that may have file capabilities", func(p *Profile) *[]Place { return &p.Inventory.Capabilities }, absolute},
		{"mappings", "library that host processes may map, or /memfd:NAME", func(p *Profile) *[]Place { return &p.Inventory.Mappings }, absolute},
		{"libraries", "library that may be forced into programs, or folder that LD_LIBRARY_PATH may name", func(p *Profile) *[]Place { return &p.Inventory.Libraries }, absolute},
		{"mounts", "mount point that is writable and executable", func(p *Profile) *[]Place { return &p.Image.Writable }, outsideImage},
		{"extensions", "extension of the image, by path, with its SHA-256; of Talos: /etc/extensions.yaml/NAME", func(p *Profile) *[]Place { return &p.Extensions.Allowed }, absolute},
		{"etc", "path below /etc that may differ from what the image brought", func(p *Profile) *[]Place { return &p.Extensions.Etc }, belowEtc},
		{"containers", "pod that may reach the host: POWER NAMESPACE/NAME; a trailing * stands for anything", func(p *Profile) *[]Place { return &p.Containers.Reaching }, twoWords},
		{"runtimePrograms", "program of an engine or network plugin on writable storage", func(p *Profile) *[]Place { return &p.Containers.Binaries }, absolute},
		{"registries", "registry that may be asked without a verified certificate", func(p *Profile) *[]Place { return &p.Containers.Registries }, named},
		{"nriPlugins", "plugin that the engine may start", func(p *Profile) *[]Place { return &p.Containers.NRIPlugins }, absolute},
		{"agents", "security agent that may run, by the name of the product", func(p *Profile) *[]Place { return &p.Containers.AllowedAgents }, named},
		{"holders", "pod that may reach a runtime socket: SOCKET NAMESPACE/NAME", func(p *Profile) *[]Place { return &p.Runtime.Holders }, holder},
		{"units", "unit, link, drop-in, timer or generator of systemd, with the SHA-256 of a file", func(p *Profile) *[]Place { return &p.Persistence.Units }, absolute},
		{"startup", "cron table, script, rule or setting that acts at boot or at a login", func(p *Profile) *[]Place { return &p.Persistence.Startup }, absolute},
		{"interpreters", "program that the kernel may start for a file format", func(p *Profile) *[]Place { return &p.Persistence.Interpreters }, absolute},
		{"networkPlugins", "plugin or configuration of CNI", func(p *Profile) *[]Place { return &p.Persistence.Network }, absolute},
		{"kubeletPlugins", "volume plugin, credential provider or socket of a device plugin", func(p *Profile) *[]Place { return &p.Persistence.Kubelet }, absolute},
		{"bpfPrograms", "eBPF program: TYPE NAME, or TYPE NAME TAG", func(p *Profile) *[]Place { return &p.Persistence.BPF }, programWords},
		{"bpfPins", "path on a file system of type bpf", func(p *Profile) *[]Place { return &p.Persistence.Pins }, absolute},
		{"clients", "host program that may be connected to a runtime socket: ENGINE PATH", func(p *Profile) *[]Place { return &p.Containers.Clients }, client},
		{"listeners", "what may listen beyond loopback: PROGRAM PORT", func(p *Profile) *[]Place { return &p.Network.Listen }, twoWords},
		{"staticPods", "manifest of a static pod", func(p *Profile) *[]Place { return &p.Kubelet.StaticPods }, absolute},
		{"credentials", "key, token or kubeconfig that belongs on these nodes", func(p *Profile) *[]Place { return &p.Credentials.Allowed }, absolute},
		{"accounts", "account with a shell, by name", func(p *Profile) *[]Place { return &p.Access.Accounts }, named},
		{"sshKeys", "public key that may log in: SHA256:FINGERPRINT", func(p *Profile) *[]Place { return &p.Access.Keys }, named},
		{"privileges", "who may become root: sudo %GROUP, or group NAME MEMBER", func(p *Profile) *[]Place { return &p.Access.Privileges }, named},
		{"hostContainers", "container for administration, by name", func(p *Profile) *[]Place { return &p.Access.HostContainers }, named},
	}
}

func absolute(p string) string {
	dir := strings.TrimSuffix(p, "/*")
	switch {
	case !strings.HasPrefix(p, "/") || path.Clean(p) != p:
		return "it is not an absolute path without . and .."
	case strings.Contains(dir, "*"):
		return "a * may only stand at the end, as /*"
	case dir == "" || dir == "/":
		return "it would declare everything"
	}
	return ""
}

// imageDirs are the directories that hold programs of an OS image.
var imageDirs = []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/sysroot", "/ostree", "/boot"}

// outsideImage refuses mounts that a level rests on.
func outsideImage(p string) string {
	if why := absolute(p); why != "" {
		return why
	}
	for _, dir := range imageDirs {
		if p == dir || strings.HasPrefix(p, dir+"/") && !strings.HasPrefix(p, "/usr/local") {
			return "it belongs to the OS image, which a level rests on: no overlay makes it writable"
		}
	}
	return ""
}

func belowEtc(p string) string {
	if !strings.HasPrefix(p, "/etc/") || p == "/etc/*" {
		return "it is not one path below /etc"
	}
	return absolute(p)
}

// named refuses what would stand for everything.
func named(p string) string {
	if strings.TrimSpace(p) != p || strings.Trim(p, "*/ :") == "" {
		return "it would declare everything"
	}
	return ""
}

func twoWords(p string) string {
	if len(strings.Fields(p)) != 2 {
		return "it is not two words"
	}
	return named(p)
}

func holder(p string) string {
	if f := strings.Fields(p); len(f) != 2 || !strings.HasPrefix(f[0], "/") || !strings.Contains(f[1], "/") && !strings.HasPrefix(f[1], "container:") {
		return `it is not "SOCKET NAMESPACE/NAME" or "SOCKET container:NAME"`
	}
	return ""
}

func programWords(p string) string {
	if f := strings.Fields(p); len(f) < 2 || len(f) > 3 || f[1] == "*" || strings.Contains(f[0], "*") {
		return `it is not "TYPE NAME" or "TYPE NAME TAG"`
	}
	return ""
}

func client(p string) string {
	f := strings.Fields(p)
	if len(f) != 2 || strings.Contains(f[0], "*") || absolute(f[1]) != "" {
		return `it is not "ENGINE PATH"`
	}
	return ""
}

// Mistake is what is wrong with an overlay, and where: line and column from 1.
type Mistake struct {
	Line, Column int
	Text         string
}

func (m Mistake) String() string { return fmt.Sprintf("%d:%d: %s", m.Line, m.Column, m.Text) }

// Mistakes are all that is wrong with one overlay.
type Mistakes []Mistake

func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, one := range m {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// ParseOverlay reads a site overlay. Every error is of type [Mistakes].
func ParseOverlay(b []byte) (*Overlay, error) {
	sum := sha256.Sum256(b)
	r := overlayReader{}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return nil, Mistakes{syntaxMistake(err)}
	}
	o := &Overlay{Digest: hex.EncodeToString(sum[:])}
	if len(doc.Content) == 0 {
		return nil, Mistakes{{1, 1, "the file is empty: it needs a name and expectations"}}
	}
	top := r.fields(doc.Content[0], "name", "expectations")
	o.Name = r.text(doc.Content[0], top, "name")
	for _, n := range r.list(top["expectations"]) {
		o.Expectations = append(o.Expectations, r.expectation(n))
	}
	if top["expectations"] == nil {
		r.add(doc.Content[0], "expectations is missing")
	}
	if len(r.mistakes) > 0 {
		slices.SortStableFunc(r.mistakes, func(a, b Mistake) int { return (a.Line-b.Line)<<16 + a.Column - b.Column })
		return nil, r.mistakes
	}
	return o, nil
}

// yamlLine is how go.yaml.in/yaml/v3 begins an error that has a place.
var yamlLine = regexp.MustCompile(`line (\d+): (.*)`)

func syntaxMistake(err error) Mistake {
	m := Mistake{1, 1, strings.TrimPrefix(err.Error(), "yaml: ")}
	if f := yamlLine.FindStringSubmatch(err.Error()); f != nil {
		if line, err := strconv.Atoi(f[1]); err == nil {
			m.Line, m.Text = line, f[2]
		}
	}
	return m
}

// overlayReader walks the nodes of an overlay and notes every mistake.
type overlayReader struct{ mistakes Mistakes }

func (r *overlayReader) add(n *yaml.Node, format string, args ...any) {
	r.mistakes = append(r.mistakes, Mistake{n.Line, n.Column, fmt.Sprintf(format, args...)})
}

// fields are the values of a mapping by key; what is not in known is a mistake.
func (r *overlayReader) fields(n *yaml.Node, known ...string) map[string]*yaml.Node {
	out := map[string]*yaml.Node{}
	if n.Kind != yaml.MappingNode {
		r.add(n, "this is not a mapping with the keys %s", strings.Join(known, ", "))
		return out
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case !slices.Contains(known, key.Value):
			r.add(key, "there is no key %q here: there are %s", key.Value, strings.Join(known, ", "))
		case out[key.Value] != nil:
			r.add(key, "the key %q stands twice", key.Value)
		default:
			out[key.Value] = value
		}
	}
	return out
}

// text is a field that must be there and hold text.
func (r *overlayReader) text(in *yaml.Node, fields map[string]*yaml.Node, key string) string {
	n := fields[key]
	switch {
	case n == nil:
		r.add(in, "%s is missing", key)
	case n.Kind != yaml.ScalarNode || strings.TrimSpace(n.Value) == "" || n.Tag == "!!null":
		r.add(n, "%s is empty or no text", key)
	default:
		return n.Value
	}
	return ""
}

func (r *overlayReader) optional(in *yaml.Node, fields map[string]*yaml.Node, key string) string {
	if fields[key] == nil {
		return ""
	}
	return r.text(in, fields, key)
}

func (r *overlayReader) list(n *yaml.Node) []*yaml.Node {
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		r.add(n, "this is not a list")
		return nil
	}
	return n.Content
}

// words is a mapping of text to text.
func (r *overlayReader) words(n *yaml.Node) map[string]string {
	out := map[string]string{}
	if n == nil {
		return out
	}
	if n.Kind != yaml.MappingNode {
		r.add(n, "this is not a mapping of names to values")
		return out
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if value.Kind != yaml.ScalarNode {
			r.add(value, "the value of %q is no text", key.Value)
			continue
		}
		if _, twice := out[key.Value]; twice {
			r.add(key, "the key %q stands twice", key.Value)
		}
		out[key.Value] = value.Value
	}
	return out
}

func (r *overlayReader) expectation(n *yaml.Node) Expectation {
	known := []string{"for", "owner", "reason", "review"}
	for _, k := range Kinds() {
		known = append(known, k.Name)
	}
	f := r.fields(n, append(known, "sysctls")...)
	e := Expectation{Owner: r.text(n, f, "owner"), Reason: r.text(n, f, "reason"), Places: map[string][]Place{}}
	if day := r.text(n, f, "review"); day != "" {
		t, err := time.Parse(time.DateOnly, day)
		if err != nil {
			r.add(f["review"], "review: %q is no date like 2027-03-01", day)
		}
		e.Review = t
	}
	if f["for"] != nil {
		s := r.fields(f["for"], "profile", "cluster", "pool", "labels")
		e.For = Selector{
			Profile: r.optional(n, s, "profile"), Cluster: r.optional(n, s, "cluster"), Pool: r.optional(n, s, "pool"), Labels: r.words(s["labels"]),
		}
	}
	site := &Site{Owner: e.Owner, Review: e.Review}
	declared := 0
	for _, k := range Kinds() {
		for _, item := range r.list(f[k.Name]) {
			e.Places[k.Name] = append(e.Places[k.Name], r.place(item, k, e.Reason, site))
			declared++
		}
	}
	e.Sysctls = r.words(f["sysctls"])
	for name, want := range e.Sysctls {
		if !limitPattern.MatchString(want) {
			// "any" would make a pass of a parameter that could not be read.
			r.add(f["sysctls"], "sysctls: %s: %q is not one of == X, >= N, <= N", name, want)
		}
		declared++
	}
	if declared == 0 {
		r.add(n, "this declares nothing: it needs one of %s, sysctls", strings.Join(known[4:], ", "))
	}
	return e
}

var (
	limitPattern  = regexp.MustCompile(`^(== \S.*|[<>]= -?[0-9]+)$`)
	sha256Pattern = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func (r *overlayReader) place(n *yaml.Node, k Kind, reason string, site *Site) Place {
	p := Place{Why: reason + " (" + site.Owner + ")", Site: site}
	f := r.fields(n, "path", "sha256", "script")
	if p.Path = r.text(n, f, "path"); p.Path != "" {
		if why := k.check(p.Path); why != "" {
			r.add(f["path"], "%s: %q: %s", k.Name, p.Path, why)
		}
	}
	if p.SHA256 = r.optional(n, f, "sha256"); p.SHA256 != "" && !sha256Pattern.MatchString(p.SHA256) {
		r.add(f["sha256"], "sha256: %q is no SHA-256 in 64 hexadecimal digits", p.SHA256)
	}
	if p.Script = r.optional(n, f, "script"); p.Script != "" {
		if why := absolute(p.Script); why != "" {
			r.add(f["script"], "script: %q: %s", p.Script, why)
		}
	}
	return p
}

// With is the profile with what the overlay declares for such a node. The
// overlay's digest is noted whether or not an expectation is for the node.
func (p *Profile) With(o *Overlay, w Where) *Profile {
	if o == nil {
		return p
	}
	out := *p
	out.Overlay = o.Digest
	out.Declared = nil
	out.Sysctls = maps.Clone(p.Sysctls)
	for _, k := range Kinds() {
		list := k.list(&out)
		*list = slices.Clone(*list)
	}
	for _, e := range o.Expectations {
		if !e.For.holds(p.Name, w) {
			continue
		}
		out.Declared = append(out.Declared, e)
		for _, k := range Kinds() {
			list := k.list(&out)
			*list = append(*list, e.Places[k.Name]...)
		}
		for name, want := range e.Sysctls {
			if out.Sysctls == nil {
				out.Sysctls = map[string]string{}
			}
			out.Sysctls[name] = want
		}
	}
	return &out
}

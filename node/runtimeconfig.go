package node

import (
	"cmp"
	"context"
	"path"
	"slices"
	"strings"
)

// EngineConfig is how one container engine that runs is configured.
type EngineConfig struct {
	Engine  string `json:"engine"`  // "containerd", "crio", "docker"
	Program string `json:"program"` // its executable
	// Named says that the engine's own arguments name the configuration; otherwise
	// it is looked for where the engine does by default.
	Named bool         `json:"named"`
	Files []ConfigFile `json:"files"` // those that are there, in the order in which they count
	// Settings are what the files and arguments say, by the engine's own words
	// (for containerd without the name of a plugin: "cri.stream_server_address").
	// Of settings of one name the last counts.
	Settings   []Setting  `json:"settings"`
	Registries []Registry `json:"registries"` // those that are not asked by TLS with a verified certificate
	// Unjudged are the names of further keys, without values, sorted.
	Unjudged []string `json:"unjudged"`
}

// Setting is one value of a configuration, and where it comes from.
type Setting struct {
	Key   string `json:"key"`
	Value string `json:"value"` // as text; a list has one setting for each of its values
	From  string `json:"from"`  // a file, or "arguments"
}

// Registry is a registry of images that a man in the middle can be.
type Registry struct {
	Host  string `json:"host"`
	Fault string `json:"fault"` // "plain-http", "skip-verify", "insecure" (either)
	From  string `json:"from"`
}

// ConfigFile is a file that decides what runs as root: who may write to it.
type ConfigFile struct {
	Path    string   `json:"path"`
	Mode    uint32   `json:"mode"`
	UID     uint32   `json:"uid"`
	GID     uint32   `json:"gid"`
	Parents []Folder `json:"parents"` // the folders above, all links followed, from / down
}

// RuntimeState is how the container engines that run are configured.
type RuntimeState struct {
	Engines []EngineConfig `json:"engines"`
	// Policy is the signature policy of CRI-O and Podman
	// (/etc/containers/policy.json): containers-policy.json(5).
	Policy SignaturePolicy `json:"policy"`
	// Verifiers are the programs that containerd asks before it pulls an image.
	Verifiers []string `json:"verifiers"`
	// NRIPlugins are the programs that containerd or CRI-O starts as plugins.
	NRIPlugins []string `json:"nriPlugins"`
	// Binaries are the programs of engines that run, of their shims and OCI
	// runtimes, and the network plugins.
	Binaries []RuntimeBinary `json:"binaries"`
}

// SignaturePolicy is which signatures images need.
type SignaturePolicy struct {
	State   string   `json:"state"`   // "absent", "present"; "" where it was not looked for or could not be read
	Default []string `json:"default"` // the types of the requirements for whatever no scope names
	Scopes  []string `json:"scopes"`  // "transport scope: type", sorted
}

// RuntimeConfig reads the configuration of engines that run. Sources:
// containerd-config.toml(5) and docs/cri/config.md, versions 1 to 3; crio.conf(5)
// and crio.conf.d(5); dockerd(8); containers-registries.conf(5);
// docs/hosts.md of containerd.
var RuntimeConfig = Source[RuntimeState]{
	Name:  "runtime-config",
	Doc:   "how the container engines that run are configured",
	Scope: Cohort,
	Every: Hour,
	Read: func(_ context.Context, h *Host) (RuntimeState, []Gap, error) {
		v := RuntimeState{Engines: []EngineConfig{}, Verifiers: []string{}, NRIPlugins: []string{}, Binaries: []RuntimeBinary{}}
		t, err := h.gathering.processes()
		if err != nil {
			return v, nil, err
		}
		var gaps []Gap
		for _, g := range t.gaps {
			if !strings.HasPrefix(g.What, "arguments") {
				gaps = append(gaps, g)
			}
		}
		for p := range t.hostProcesses() {
			c := engineConfig{h: h, gaps: &gaps, folders: map[string]Folder{}}
			c.Engine, c.Program = configuredEngines[path.Base(p.exe)], quoteName(p.exe)
			if c.Engine == "" {
				continue
			}
			c.Files, c.Settings, c.Registries, c.Unjudged = []ConfigFile{}, []Setting{}, []Registry{}, []string{}
			if err := c.read(p); vanished(err) {
				continue
			} else if err != nil {
				gaps = append(gaps, GapOf("the configuration of "+c.Engine, err))
			}
			slices.Sort(c.Unjudged)
			c.Unjudged = slices.Compact(c.Unjudged)
			v.Engines = append(v.Engines, c.EngineConfig)
		}
		slices.SortFunc(v.Engines, func(a, b EngineConfig) int {
			return cmp.Or(cmp.Compare(a.Engine, b.Engine), cmp.Compare(a.Program, b.Program), compareFiles(a.Files, b.Files))
		})
		v.Engines = slices.CompactFunc(v.Engines, func(a, b EngineConfig) bool {
			return a.Program == b.Program && compareFiles(a.Files, b.Files) == 0 && slices.Equal(a.Settings, b.Settings)
		})
		if v.Policy, err = readSignaturePolicy(h); err != nil {
			gaps = append(gaps, GapOf("/etc/containers/policy.json", err).In("policy"))
		}
		v.Verifiers = programsIn(h, v.folders("image-verifier.bin_dir", "/opt/containerd/image-verifier/bin", "containerd"), &gaps, "verifiers")
		v.NRIPlugins = programsIn(h, v.folders("nri.plugin_path", "/opt/nri/plugins", "containerd", "crio"), &gaps, "nriPlugins")
		v.Binaries = runtimeBinaries(h, t, v, &gaps)
		return v, gaps, nil
	},
}

func compareFiles(a, b []ConfigFile) int {
	return slices.CompareFunc(a, b, func(x, y ConfigFile) int { return cmp.Compare(x.Path, y.Path) })
}

// configuredEngines are the programs whose configuration is read.
var configuredEngines = map[string]string{"containerd": "containerd", "crio": "crio", "dockerd": "docker", "dockerd-current": "docker"}

// folders are the values of a setting of the engines, each with its default.
func (v RuntimeState) folders(key, otherwise string, engines ...string) []string {
	var out []string
	for _, e := range v.Engines {
		if !slices.Contains(engines, e.Engine) {
			continue
		}
		dir := otherwise
		for _, s := range e.Settings {
			if s.Key == key && s.Value != "" {
				dir = s.Value
			}
		}
		if !slices.Contains(out, dir) {
			out = append(out, dir)
		}
	}
	return out
}

// programsIn lists the names in folders; a folder that is not there has none.
func programsIn(h *Host, dirs []string, gaps *[]Gap, part string) []string {
	out := []string{}
	for _, dir := range dirs {
		list, err := h.ReadDir(strings.TrimPrefix(path.Clean(dir), "/"), maxConfigFiles)
		if err != nil && !IsAbsent(err) {
			*gaps = append(*gaps, GapOf("programs in "+dir, err).In(part))
		}
		for _, e := range list {
			out = append(out, path.Join(dir, quoteName(e.Name)))
		}
	}
	slices.Sort(out)
	return out
}

const (
	maxConfig      = 1 << 20 // bytes of one file
	maxConfigFiles = 1 << 10 // of one folder
)

// engineConfig is an EngineConfig that is being read.
type engineConfig struct {
	EngineConfig
	h       *Host
	gaps    *[]Gap
	folders map[string]Folder
}

func (c *engineConfig) read(p *process) error {
	b, err := c.h.readMemory(p, "cmdline", func(name string) ([]byte, error) { return c.h.ReadSecret(name, maxArgs, redactEngineArgs) })
	if err != nil {
		return err
	}
	flags := engineFlags(splitArgs(b))
	named := func(otherwise string, names ...string) string {
		for _, f := range flags {
			if slices.Contains(names, f.Key) {
				c.Named = true
				otherwise = f.Value
			}
		}
		return otherwise
	}
	switch c.Engine {
	case "containerd":
		c.containerd(named("/etc/containerd/config.toml", "config", "c"), 0)
		c.certs()
	case "crio":
		main, dropIns := named("/etc/crio/crio.conf", "config", "c"), named("/etc/crio/crio.conf.d", "config-dir", "d")
		// Since CRI-O 1.19 what the distribution ships counts first: crio.conf(5).
		c.crio("/usr/share/containers/crio.conf")
		c.crioDropIns("/usr/share/containers/crio.conf.d")
		c.crio(main)
		c.crioDropIns(dropIns)
		c.registriesConf()
	case "docker":
		c.docker(named("/etc/docker/daemon.json", "config-file"))
	}
	for _, f := range flags {
		if key, ok := engineFlagSettings[f.Key]; ok {
			c.Settings = append(c.Settings, Setting{key, f.Value, "arguments"})
		}
	}
	return nil
}

// engineFlagSettings are the flags that say the same as a setting of a file.
var engineFlagSettings = map[string]string{
	"host": "hosts", "H": "hosts", "insecure-registry": "insecure-registries", "seccomp-profile": "seccomp-profile", "tlsverify": "tlsverify",
	"stream-address": "stream_address", "stream-enable-tls": "stream_enable_tls", "metrics-host": "metrics_host", "enable-metrics": "enable_metrics",
	"apparmor-profile": "apparmor_profile", "selinux": "selinux", "signature-policy": "signature_policy", "enable-nri": "enable_nri",
}

// file reads a file of the configuration and notes who may change it. It is nil
// where there is none.
func (c *engineConfig) file(name string, redact func([]byte) []byte) []byte {
	gap := func(err error) { *c.gaps = append(*c.gaps, GapOf("the configuration "+name, err)) }
	if !strings.HasPrefix(name, "/") {
		gap(&Error{"reading", name, Unsupported, "it is relative to a folder that is not known"})
		return nil
	}
	b, err := c.h.ReadSecret(name[1:], maxConfig, redact)
	switch {
	case IsAbsent(err):
		return nil
	case err != nil:
		gap(err)
		return nil
	}
	f, err := configFile(c.h, name, c.folders)
	if err != nil {
		gap(err)
	}
	c.Files = append(c.Files, f)
	return b
}

func configFile(h *Host, name string, folders map[string]Folder) (ConfigFile, error) {
	f := ConfigFile{Path: quoteName(name), Parents: []Folder{}}
	real, err := realPath(h, name)
	if err != nil {
		return f, err
	}
	info, err := h.Lstat(real[1:])
	if err != nil {
		return f, err
	}
	f.Mode, f.UID, f.GID = info.Mode, info.UID, info.GID
	f.Parents, err = parents(h, real, folders)
	return f, err
}

// names are the names in a folder with the ending, sorted.
func (c *engineConfig) names(dir, ending string) []string {
	if !strings.HasPrefix(dir, "/") {
		return nil
	}
	list, err := c.h.ReadDir(dir[1:], maxConfigFiles)
	if err != nil && !IsAbsent(err) {
		*c.gaps = append(*c.gaps, GapOf("the configuration in "+dir, err))
	}
	var out []string
	for _, e := range list {
		if strings.HasSuffix(e.Name, ending) && e.Type != Directory {
			out = append(out, path.Join(dir, e.Name))
		}
	}
	return out
}

func (c *engineConfig) malformed(name string, err error) {
	*c.gaps = append(*c.gaps, GapOf("the configuration "+name, &Error{"reading", name, Malformed, err.Error()}))
}

// containerd reads a file and those that it imports, which count after it:
// containerd-config.toml(5), imports.
func (c *engineConfig) containerd(name string, depth int) {
	if depth > 8 || slices.ContainsFunc(c.Files, func(f ConfigFile) bool { return f.Path == name }) {
		return
	}
	b := c.file(name, redactTOML)
	if b == nil {
		return
	}
	parsed, err := parseContainerd(b)
	if err != nil {
		c.malformed(name, err)
		return
	}
	c.add(name, parsed)
	for _, pattern := range parsed.imports {
		if !strings.HasPrefix(pattern, "/") {
			pattern = path.Join(path.Dir(name), pattern)
		}
		dir, last := path.Split(pattern)
		if strings.ContainsAny(dir, "*?[") {
			*c.gaps = append(*c.gaps, GapOf("the imports "+pattern, &Error{"reading", pattern, Unsupported, "a pattern in the name of a folder"}))
			continue
		}
		if !strings.ContainsAny(last, "*?[") {
			c.containerd(pattern, depth+1)
			continue
		}
		for _, found := range c.names(path.Clean(dir), "") {
			if ok, err := path.Match(last, path.Base(found)); ok && err == nil {
				c.containerd(found, depth+1)
			}
		}
	}
}

func (c *engineConfig) add(name string, parsed parsedConfig) {
	for _, s := range parsed.settings {
		s.From = name
		c.Settings = append(c.Settings, s)
	}
	for _, r := range parsed.registries {
		r.From = name
		c.Registries = append(c.Registries, r)
	}
	c.Unjudged = append(c.Unjudged, parsed.unjudged...)
}

// certs reads hosts.toml of every registry below the folders that containerd
// names in config_path: docs/hosts.md.
func (c *engineConfig) certs() {
	for _, s := range slices.Clone(c.Settings) {
		if s.Key != "cri.registry.config_path" {
			continue
		}
		for dir := range strings.SplitSeq(s.Value, ":") {
			if !strings.HasPrefix(dir, "/") {
				continue
			}
			list, err := c.h.ReadDir(dir[1:], maxConfigFiles)
			if err != nil && !IsAbsent(err) {
				*c.gaps = append(*c.gaps, GapOf("registries in "+dir, err).In("registries"))
			}
			for _, e := range list {
				if e.Type == Regular {
					continue
				}
				name := path.Join(dir, e.Name, "hosts.toml")
				b := c.file(name, redactTOML)
				if b == nil {
					continue
				}
				parsed, err := parseHosts(e.Name, b)
				if err != nil {
					c.malformed(name, err)
					continue
				}
				c.add(name, parsed)
			}
		}
	}
}

func (c *engineConfig) crio(name string) {
	b := c.file(name, redactTOML)
	if b == nil {
		return
	}
	parsed, err := parseCrio(b)
	if err != nil {
		c.malformed(name, err)
		return
	}
	c.add(name, parsed)
}

func (c *engineConfig) crioDropIns(dir string) {
	for _, name := range c.names(dir, "") {
		c.crio(name)
	}
}

// registriesConf reads what CRI-O and Podman share: containers-registries.conf(5)
// and containers-registries.conf.d(5).
func (c *engineConfig) registriesConf() {
	for _, name := range append([]string{"/etc/containers/registries.conf"}, c.names("/etc/containers/registries.conf.d", ".conf")...) {
		b := c.file(name, redactTOML)
		if b == nil {
			continue
		}
		parsed, err := parseRegistries(b)
		if err != nil {
			c.malformed(name, err)
			continue
		}
		c.add(name, parsed)
	}
}

func (c *engineConfig) docker(name string) {
	b := c.file(name, redactJSON)
	if b == nil {
		return
	}
	parsed, err := parseDaemon(b)
	if err != nil {
		c.malformed(name, err)
		return
	}
	c.add(name, parsed)
}

func readSignaturePolicy(h *Host) (SignaturePolicy, error) {
	const name = "etc/containers/policy.json"
	b, err := h.ReadSecret(name, maxConfig, redactJSON)
	switch {
	case IsAbsent(err):
		return SignaturePolicy{State: "absent", Default: []string{}, Scopes: []string{}}, nil
	case err != nil:
		return SignaturePolicy{Default: []string{}, Scopes: []string{}}, err
	}
	p, err := parsePolicy(b)
	if err != nil {
		return SignaturePolicy{Default: []string{}, Scopes: []string{}}, &Error{"reading", "/" + name, Malformed, err.Error()}
	}
	return p, nil
}

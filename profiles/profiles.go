// Package profiles holds what a node of each operating system must look like:
// data, one file per system, and its strict loader.
package profiles

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// Generic is the profile of a host that no other profile matches: it expects
// nothing.
const Generic = "generic"

// Profile is what a node of one operating system must look like. A nil or
// empty field means that nothing is expected, not that nothing is allowed.
type Profile struct {
	Name   string `json:"name"`   // the file's name: "flatcar"
	Title  string `json:"title"`  // for people: "Flatcar Container Linux"
	Detect Detect `json:"detect"` // how a node shows that it is one

	// Ordinary marks the profile of hosts that are no container-optimized
	// system: the hardening list of common.yaml is not held against them.
	Ordinary bool `json:"ordinary"`

	Image     Image     `json:"image"`
	Boot      Boot      `json:"boot"`
	Processes Processes `json:"processes"`
	Runtime   Runtime   `json:"runtime"`
	Kubelet   Kubelet   `json:"kubelet"`

	Extensions  Extensions  `json:"extensions"`
	Kernel      Kernel      `json:"kernel"`
	Containers  Containers  `json:"containers"`
	Inventory   Inventory   `json:"inventory"`
	Persistence Persistence `json:"persistence"`
	Credentials Credentials `json:"credentials"`
	Access      Access      `json:"access"`
	Network     Network     `json:"network"`
	Audit       Audit       `json:"audit"`

	Sysctls map[string]string `json:"sysctls"` // name → ">= 1", "== 0", or "any": over common.yaml
	// Severities override those of checks.
	Severities map[string]string `json:"severities"`
	// Words are the text of a not-applicable verdict, by check; the judge still
	// has to see the fact that proves it.
	Words map[string]string `json:"words"`
	// Sources cite, by dotted field name, where an expectation was read.
	Sources map[string]string `json:"sources"`

	// Unsettled says, of the profile that detection fell back to, what could not
	// be read that might have told the system; "" where nothing is open. What such
	// a profile does not expect proves nothing.
	Unsettled string `json:"-"`

	// Digest is the SHA-256 of the data that the profile was made from.
	Digest string `json:"-"`
	// Overlay is the digest of the site overlay that is laid over it, and Declared
	// what that declares for such a node; "" and nil where there is none.
	Overlay  string        `json:"-"`
	Declared []Expectation `json:"-"`
}

// Detect says how a node shows that it runs this system. One of OSRelease must
// match, and at least one of Signals must be seen: no single string decides.
type Detect struct {
	// OSRelease lists conjunctions of os-release fields. A value "*" demands a
	// non-empty field, a trailing "*" a prefix, "-" an absent or empty field.
	OSRelease []map[string]string `json:"osRelease"`
	// Signals are independent of os-release; see verify.Detect for their kinds.
	Signals []Signal `json:"signals"`
}

// Signal is one thing other than os-release that tells a system.
type Signal struct {
	KernelSuffix string `json:"kernelSuffix"` // end of uname -r
	Cmdline      string `json:"cmdline"`      // a key, or "key=value", on the kernel command line
	Path         string `json:"path"`         // a path that exists on such systems and on no other
	Mount        string `json:"mount"`        // "PATH TYPE" of a mount, TYPE optional
	DM           string `json:"dm"`           // name of a device-mapper device
	Not          bool   `json:"not"`          // the signal excludes this system instead
}

// Image is what the OS image of such a system is.
type Image struct {
	// Level is the highest level that the system offers as shipped.
	Level int `json:"level"`
	// Verity says that released images are always checked on read by the kernel,
	// with a root hash on the command line.
	Verity bool `json:"verity"`
	// Anchor names how the image's hash is fixed by a signed boot chain where
	// Secure Boot is on: "uki" (the image is inside it), "signed-kernel" or
	// "signed-config" (its root hash is), or "" where it never is.
	Anchor string `json:"anchor"`
	// Shadows are mounts over protected paths that the system makes itself.
	Shadows []Shadow `json:"shadows"`
	// Writable are mounts that the system has writable and executable by design.
	Writable []Place `json:"writable"`
	// Namespaces are programs of the system that see an image path writable in a
	// mount namespace of their own, by design.
	Namespaces []Private `json:"namespaces"`
}

// Private is a program that has a path otherwise than process 1, by design.
type Private struct {
	Program string `json:"program"` // executable or command name
	Path    string `json:"path"`    // mount point; a trailing "/*" means everything below
	Why     string `json:"why"`
}

// Shadow is a mount over a protected path that is expected.
type Shadow struct {
	Path string `json:"path"` // mount point; a trailing "/*" means everything below
	Type string `json:"type"` // file system type, empty for any
	// Lower lists directories; every lower directory of an overlay must be one of
	// them or below one. Empty for any.
	Lower []string `json:"lower"`
	Upper bool     `json:"upper"` // whether the overlay may have an upper directory
	Why   string   `json:"why"`
}

// Place is a path on the node and why something is expected there.
type Place struct {
	Path   string `json:"path"` // a trailing "/*" means everything below
	Script string `json:"script,omitempty"`
	// SHA256 is what the file must hold, in hexadecimal; "" for any.
	SHA256 string `json:"sha256,omitempty"`
	Why    string `json:"why"`
	// Site is who declared the place in a site overlay; nil for the vendor's own.
	Site *Site `json:"-"`
}

// Site is who declared an expectation in a site overlay.
type Site struct {
	Owner  string    `json:"owner"`
	Review time.Time `json:"review"` // the day from which it has to be looked at again
}

// Boot is what the kernel and its command line must say.
type Boot struct {
	SecureBoot string   `json:"secureBoot"` // "required" or "" (reported where the firmware has it)
	Lockdown   string   `json:"lockdown"`   // "required", "secure-boot" (only with Secure Boot), "not-offered" or ""
	SigEnforce string   `json:"sigEnforce"` // "required", "lockdown" (lockdown does it), or ""
	MAC        string   `json:"mac"`        // "selinux", "apparmor" (enforcing), "selinux-permissive" (permissive is stock), or ""
	Taints     []string `json:"taints"`     // taint letters that are no finding
	Required   []string `json:"required"`   // words that must stand on the command line: "key" or "key=value"
	// Forbidden are words that must not stand there ("key" or "key=value") and why.
	Forbidden map[string]string `json:"forbidden"`
	Allowed   []string          `json:"allowed"` // words that common.yaml forbids and that are stock here
}

// Processes is what host processes may run from outside the image.
type Processes struct {
	Allowed []Place `json:"allowed"`
}

// Runtime is which container engines belong here.
type Runtime struct {
	Engines []string `json:"engines"` // containerd, crio, docker, podman, host-containerd, system-containerd
	// Holders are pods ("SOCKET NAMESPACE/NAME") and containers that no pod has
	// ("SOCKET container:NAME") that may reach a runtime socket; a trailing *
	// stands for anything.
	Holders []Place `json:"holders"`
	// SocketGroups are groups by number that may own a socket, by socket path.
	SocketGroups map[string]uint32 `json:"socketGroups"`
	// SocketOwners are users by number, other than root, that may own a socket
	// and the folders above it, by socket path.
	SocketOwners map[string]uint32 `json:"socketOwners"`
}

// Kubelet is where this system keeps the kubelet and how it is run.
type Kubelet struct {
	Standalone string `json:"standalone"` // words for a kubelet without a cluster, where the system offers it
	// NoKubeReserved explains why the system sets only systemReserved (or the reverse).
	NoKubeReserved   string `json:"noKubeReserved"`
	NoSystemReserved string `json:"noSystemReserved"`
	// HostnameOverride explains why the system gives the kubelet a name of its own
	// choice (--hostname-override).
	HostnameOverride string `json:"hostnameOverride"`
	// StaticPods are manifests, by path, and web addresses, without port, from which
	// the kubelet may make pods.
	StaticPods []Place `json:"staticPods"`
}

// Common is what is expected of every container-optimized system.
type Common struct {
	Sysctls   map[string]string `json:"sysctls"`
	Forbidden map[string]string `json:"forbidden"` // command line word → why
	Config    map[string]string `json:"config"`    // build option of the kernel → value
	Etc       []Place           `json:"etc"`       // paths below /etc that differ on every node
	Listen    []Place           `json:"listen"`    // before Network.Listen

	Containers Containers `json:"containers"`

	// Persistence is what systemd, Kubernetes and its networks do on every system.
	Persistence Persistence `json:"persistence"`
}

//go:embed *.yaml
var files embed.FS

// Load returns every embedded profile, sorted by name, and what is common to them.
func Load() ([]*Profile, *Common, error) { return LoadFS(files) }

// LoadFS reads profiles from the yaml files at the root of fsys. Unknown keys
// are refused.
func LoadFS(fsys fs.FS) ([]*Profile, *Common, error) {
	names, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, nil, fmt.Errorf("listing profiles: %w", err)
	}
	common := &Common{}
	commonBytes, err := fs.ReadFile(fsys, "common.yaml")
	if err != nil {
		return nil, nil, fmt.Errorf("reading the common profile: %w", err)
	}
	if err := yaml.UnmarshalStrict(commonBytes, common); err != nil {
		return nil, nil, fmt.Errorf("decoding common.yaml: %w", err)
	}
	var out []*Profile
	for _, name := range slices.Sorted(slices.Values(names)) {
		if name == "common.yaml" {
			continue
		}
		b, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, nil, fmt.Errorf("reading profile %s: %w", name, err)
		}
		p := &Profile{}
		if err := yaml.UnmarshalStrict(b, p); err != nil {
			return nil, nil, fmt.Errorf("decoding profile %s: %w", name, err)
		}
		if want := strings.TrimSuffix(path.Base(name), ".yaml"); p.Name != want {
			return nil, nil, fmt.Errorf("profile %s calls itself %q", name, p.Name)
		}
		p.inherit(common)
		h := sha256.New()
		h.Write(commonBytes)
		h.Write(b)
		p.Digest = hex.EncodeToString(h.Sum(nil))
		out = append(out, p)
	}
	return out, common, nil
}

// inherit adds what is common to all profiles, unless the profile says otherwise.
func (p *Profile) inherit(c *Common) {
	if p.Boot.Forbidden == nil {
		p.Boot.Forbidden = map[string]string{}
	}
	for word, why := range c.Forbidden {
		if _, ok := p.Boot.Forbidden[word]; !ok && !slices.Contains(p.Boot.Allowed, word) {
			p.Boot.Forbidden[word] = why
		}
	}
	p.Containers.inherit(c.Containers)
	p.Persistence.inherit(c.Persistence)
	if p.Ordinary {
		return
	}
	p.Network.Listen = slices.Concat(c.Listen, p.Network.Listen)
	p.Sysctls = over(c.Sysctls, p.Sysctls)
	p.Kernel.Config = over(c.Config, p.Kernel.Config)
	if p.Extensions.Etc != nil { // nil: nobody has said what may differ
		p.Extensions.Etc = slices.Concat(p.Extensions.Etc, c.Etc)
	}
}

// over is what is common to all, and the profile's own values in its place.
func over(common, own map[string]string) map[string]string {
	if common == nil && own == nil {
		return nil
	}
	out := map[string]string{}
	maps.Copy(out, common)
	maps.Copy(out, own)
	return out
}

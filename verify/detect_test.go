package verify

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

func TestDetect(t *testing.T) {
	all, _, err := profiles.Load()
	if err != nil {
		t.Fatal(err)
	}
	release := func(fields ...string) map[string]string {
		m := map[string]string{}
		for _, f := range fields {
			k, v, _ := strings.Cut(f, "=")
			m[k] = v
		}
		return m
	}
	kernel := func(r string) node.Fact { return node.Fact{Value: node.KernelState{Release: r}} }
	boot := func(line string) node.Fact { return node.Fact{Value: node.BootState{Cmdline: cmdline(line)}} }
	ostree := []string{"run/ostree-booted"}
	tests := []struct {
		name    string
		release map[string]string
		markers []string
		facts   node.Facts
		want    string
		seen    string // of what is seen, in part
	}{
		{"Talos on its own kernel", release("ID=talos", "VERSION_ID=v1.13.9"), nil, node.Facts{"kernel": kernel("6.18.44-talos")}, "talos", "kernel 6.18.44-talos"},
		{"Talos in a container, whose machine.sock is there as well", release("ID=talos"), []string{"system/run/machined/machine.sock"},
			node.Facts{"kernel": kernel("6.8.0-49-generic"), "boot": boot("root=UUID=x")}, "generic", "nothing else speaks for talos"},
		{"Talos in a container on a Talos kernel that says so", release("ID=talos"), nil,
			node.Facts{"kernel": kernel("6.18.44-talos"), "boot": boot("talos.platform=container")}, "generic", "talos.platform=container"},
		{"Talos with a kernel of one's own, by another name", release("ID=talos"), nil,
			node.Facts{"kernel": kernel("6.18.44-ours"), "boot": boot("talos.platform=metal slab_nomerge pti=on")}, "talos", "command line talos.platform"},
		{"a kernel that was not read speaks for nothing", release("ID=talos"), nil, nil, "generic", "nothing else speaks"},
		{"Flatcar", release("ID=flatcar"), []string{"usr/share/flatcar/release"}, nil, "flatcar", "path /usr/share/flatcar/release"},
		{"CoreOS Container Linux is no Flatcar", release("ID=coreos"), []string{"usr/share/coreos/release"}, node.Facts{"kernel": kernel("4.19.0-coreos")}, "generic", "no profile knows"},
		{"an ordinary host that claims to be Flatcar", release("ID=flatcar"), nil, node.Facts{"kernel": kernel("6.1.0-31-amd64"), "boot": boot("root=/dev/sda1")}, "generic", "nothing else speaks for flatcar"},
		{"Bottlerocket has no suffix in its kernel's release", release("ID=bottlerocket"), []string{"x86_64-bottlerocket-linux-gnu"}, node.Facts{"kernel": kernel("6.12.40")}, "bottlerocket", "path /x86_64-bottlerocket-linux-gnu"},
		{"Fedora CoreOS", release("ID=fedora", "VARIANT_ID=coreos"), ostree, nil, "fedora-coreos", "VARIANT_ID=coreos"},
		{"Fedora is not Fedora CoreOS", release("ID=fedora", "VARIANT_ID=silverblue"), ostree, nil, "generic", "ID=fedora"},
		{"the live medium is no installed system", release("ID=fedora", "VARIANT_ID=coreos"), []string{"run/ostree-booted", "run/ostree-live"}, nil, "generic", "run/ostree-live"},
		{"RHCOS 4.12 has no variant", release("ID=rhcos", "VERSION_ID=4.12"), ostree, nil, "fedora-coreos", "ID=rhcos"},
		{"RHCOS from 4.19 on says rhel", release("ID=rhel", "VARIANT_ID=coreos", "OPENSHIFT_VERSION=4.20"), ostree, nil, "fedora-coreos", "ID=rhel"},
		{"SCOS", release("ID=scos"), ostree, nil, "fedora-coreos", "ID=scos"},
		{"SCOS 10 says centos", release("ID=centos", "VARIANT_ID=coreos", "IMAGE_VERSION=10.0.20260614-0"), ostree, nil, "fedora-coreos", "ID=centos"},
		{"RHEL AI is on ostree and no RHCOS", release("ID=rhel", "VARIANT_ID=rhel_ai", "OSTREE_VERSION=9.20240630.0"), ostree, nil, "generic", "ID=rhel"},
		{"MicroOS", release("ID=opensuse-microos"), []string{"usr/sbin/transactional-update"}, nil, "microos", "transactional-update"},
		{"SLE Micro 5", release("ID=sle-micro"), []string{"usr/sbin/tukit"}, nil, "microos", "ID=sle-micro"},
		{"SL Micro 6.0", release("ID=sl-micro"), []string{"usr/lib/tukit"}, nil, "microos", "ID=sl-micro"},
		{"SL Micro 6.2 says sles", release("ID=sles", "VARIANT_ID=transactional", "SUSE_SUPPORT_PRODUCT=SUSE Linux Micro"), []string{"usr/sbin/transactional-update"}, nil, "microos", "VARIANT_ID=transactional"},
		{"SLES 16 is no SL Micro", release("ID=sles", "VARIANT_ID=server"), []string{"usr/sbin/transactional-update"}, nil, "generic", "ID=sles"},
		{"Leap Micro", release("ID=opensuse-leap-micro"), []string{"usr/sbin/transactional-update"}, nil, "microos", "opensuse-leap-micro"},
		{"MicroOS by its mount of snapshots", release("ID=opensuse-microos"), nil,
			node.Facts{"mounts": {Value: []node.Mount{{Path: "/.snapshots", Type: "btrfs"}}}}, "microos", "mount /.snapshots btrfs"},
		{"snapshots of another type say nothing", release("ID=opensuse-microos"), nil,
			node.Facts{"mounts": {Value: []node.Mount{{Path: "/.snapshots", Type: "tmpfs"}}}}, "generic", "nothing else speaks"},
		{"Tumbleweed with snapper is no MicroOS", release("ID=opensuse-tumbleweed"), nil,
			node.Facts{"mounts": {Value: []node.Mount{{Path: "/.snapshots", Type: "btrfs"}}}}, "generic", "no profile knows"},
		{"COS", release("ID=cos", "BUILD_ID=18613.164.98"), nil, node.Facts{"verity": {Value: node.VerityState{Devices: []node.DMDevice{{Name: "vroot"}}}}}, "cos", "device vroot"},
		{"COS without a build is none", release("ID=cos"), nil, node.Facts{"kernel": kernel("6.12.94+")}, "generic", "ID=cos"},
		{"COS by the + of its kernel", release("ID=cos", "BUILD_ID=1"), nil, node.Facts{"kernel": kernel("6.12.94+")}, "cos", "kernel 6.12.94+"},
		{"a word that goes to process 1 is no word of the kernel's", release("ID=cos", "BUILD_ID=1"), nil,
			node.Facts{"boot": {Value: node.BootState{Cmdline: []node.Word{{Key: "cros_efi", AfterDashes: true}}}}}, "generic", "nothing else speaks"},
		{"Debian", release("ID=debian"), nil, nil, "generic", "ID=debian, which no profile knows"},
		{"no os-release fields", nil, ostree, nil, "generic", "no profile knows"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			facts := node.Facts{"os": {Value: node.System{Release: tt.release, Markers: tt.markers}}}
			for name, f := range tt.facts {
				facts[name] = f
			}
			p, seen := Detect(facts, all)
			if p.Name != tt.want {
				t.Errorf("got profile %s, want %s; seen %q", p.Name, tt.want, seen)
			}
			if !strings.Contains(strings.Join(seen, "; "), tt.seen) {
				t.Errorf("seen is %q, want it to say %q", seen, tt.seen)
			}
		})
	}
}

func TestDetectWithoutOSRelease(t *testing.T) {
	all, _, err := profiles.Load()
	if err != nil {
		t.Fatal(err)
	}
	facts := node.Facts{
		"os":     {Missing: &node.Missing{Code: node.Denied, Reason: "reading /etc/os-release: permission denied"}},
		"kernel": {Value: node.KernelState{Release: "6.18.44-talos"}},
	}
	p, seen := Detect(facts, all)
	if p.Name != profiles.Generic || len(seen) != 1 || !strings.Contains(seen[0], "permission denied") {
		t.Errorf("got %s, seen %q; want generic because permission was denied", p.Name, seen)
	}
}

// TestDetectTwo: nobody knows what to expect of a node that is two systems.
func TestDetectTwo(t *testing.T) {
	one := &profiles.Profile{Name: "one", Detect: profiles.Detect{OSRelease: []map[string]string{{"ID": "x"}}, Signals: []profiles.Signal{{Path: "a"}}}}
	two := &profiles.Profile{Name: "two", Detect: profiles.Detect{OSRelease: []map[string]string{{"ID": "x*", "VARIANT_ID": "-"}}, Signals: []profiles.Signal{{Path: "a"}}}}
	other := &profiles.Profile{Name: profiles.Generic}
	facts := node.Facts{"os": {Value: node.System{Release: map[string]string{"ID": "x"}, Markers: []string{"a"}}}}
	p, seen := Detect(facts, []*profiles.Profile{one, two, other})
	want := []string{"os-release: ID=x", "path /a", "os-release: ID=x VARIANT_ID=", "path /a", "more than one profile matches: one, two"}
	if p != other || !slices.Equal(seen, want) {
		t.Errorf("got %s, seen %s", p.Name, cmp.Diff(want, seen))
	}
	facts["os"] = node.Fact{Value: node.System{Release: map[string]string{"ID": "x", "VARIANT_ID": "v"}, Markers: []string{"a"}}}
	if p, _ := Detect(facts, []*profiles.Profile{one, two, other}); p != one {
		t.Errorf("with a variant: got %s, want one", p.Name)
	}
}

// TestProfilesFitTheRest holds the profiles to what other packages know.
func TestProfilesFitTheRest(t *testing.T) {
	all, _, err := profiles.Load()
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, c := range Checks() {
		ids[c.ID] = true
		for name := range c.Help.Remedy {
			if name != "" && !slices.ContainsFunc(all, func(p *profiles.Profile) bool { return p.Name == name }) {
				t.Errorf("check %s has a remedy for %q, which is no profile", c.ID, name)
			}
		}
	}
	for _, p := range all {
		for _, s := range p.Detect.Signals {
			if s.Path != "" && !slices.Contains(node.MarkerPaths, s.Path) {
				t.Errorf("%s: no source looks for the path %s", p.Name, s.Path)
			}
		}
		for name := range p.Sysctls {
			if !slices.Contains(node.SysctlNames, name) {
				t.Errorf("%s: no source reads the kernel parameter %s", p.Name, name)
			}
		}
		for name := range p.Kernel.Config {
			if !slices.Contains(node.KernelOptions, name) {
				t.Errorf("%s: no source reads the build option %s", p.Name, name)
			}
		}
		for id, severity := range p.Severities {
			if !ids[id] {
				t.Errorf("%s gives a severity to %s, which is no check", p.Name, id)
			}
			if !slices.Contains([]Severity{Critical, High, Medium, Low}, Severity(severity)) {
				t.Errorf("%s: there is no severity %q", p.Name, severity)
			}
		}
		for id := range p.Words {
			if !ids[id] {
				t.Errorf("%s has words for %s, which is no check", p.Name, id)
			}
		}
	}
}

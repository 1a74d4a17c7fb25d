package verify

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

func TestBeyond(t *testing.T) {
	root := node.Mount{Path: "/", Visible: true, Type: "erofs", Options: []string{"ro"}, Super: []string{"ro"}}
	opt := node.Mount{Path: "/opt", Visible: true, Type: "ext4", Options: []string{"rw"}, Super: []string{"rw"}}
	const sum = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
	facts := withFact(nil, node.Mounts, []node.Mount{root, opt})
	facts = withFact(facts, node.StoredExecutables, node.Inventory{Files: []node.StoredExecutable{
		{Path: "/opt/driver", SHA256: sum}, {Path: "/opt/declared", SHA256: sum}, {Path: "/opt/unhashed"}, {Path: "/usr/bin/env", SHA256: sum},
	}})
	facts = withFact(facts, node.Processes, []node.Program{
		{Path: "/opt/driver", On: opt}, {Path: "/opt/other", On: opt}, {Path: "/opt/gone", On: opt, Deleted: true}, {Path: "/usr/bin/env", On: root},
	})
	facts = withFact(facts, node.Extensions, []node.OfferedExtension{
		{Extension: node.Extension{Kind: "sysext", Name: "gpu", Path: "/etc/extensions/gpu.raw"}, Real: "/opt/gpu.raw", Kept: "file", SHA256: sum},
		{Extension: node.Extension{Kind: "sysext", Name: "off", Path: "/etc/extensions/off.raw"}, Real: "/dev/null", Kept: "file"},
	})
	facts = withFact(facts, node.SocketHolders, []node.SocketHolder{{Socket: "/run/containerd/containerd.sock", Pod: "kube-system/agent-x7k2p"}})
	facts = withFact(facts, node.Listeners, []node.Listener{
		{Network: "tcp", Address: "0.0.0.0", Port: 9100, Program: "/bin/node_exporter", Container: true},
		{Network: "tcp", Address: "127.0.0.1", Port: 9101, Program: "/opt/other"},
		{Network: "tcp", Address: "0.0.0.0", Port: 10250, Program: "/usr/bin/kubelet"},
	})
	facts = withFact(facts, node.Units, node.UnitFiles{Units: []node.UnitFile{
		{Definition: node.Definition{Path: "/etc/systemd/system/driver.service", SHA256: sum}},
		{Definition: node.Definition{Path: "/etc/systemd/system/masked.service", Link: "/dev/null", Target: "/dev/null"}},
		{Definition: node.Definition{Path: "/run/systemd/transient/run-uN.service"}, Origin: "transient"},
	}})
	facts = withFact(facts, node.Startup, node.StartupFiles{
		Udev: []node.Definition{{Path: "/etc/udev/rules.d/99-driver.rules", SHA256: sum}}, Network: []node.Definition{{Path: "/opt/cni/bin/mesh", SHA256: sum}},
	})
	facts = withFact(facts, node.Mounts, []node.Mount{root, opt, {Path: "/etc", Visible: true, Type: "ext4", Options: []string{"rw", "noexec"}, Super: []string{"rw"}}})
	p := &profiles.Profile{
		Image:     profiles.Image{Writable: []profiles.Place{{Path: "/var"}}},
		Processes: profiles.Processes{Allowed: []profiles.Place{{Path: "/opt/declared"}}},
		Network:   profiles.Network{Listen: []profiles.Place{{Path: "kubelet 10250"}}},
	}
	want := map[string][]profiles.Place{
		"executables":    {{Path: "/opt/driver", SHA256: sum}, {Path: "/opt/other"}},
		"mounts":         {{Path: "/opt"}},
		"extensions":     {{Path: "/etc/extensions/gpu.raw", SHA256: sum}},
		"holders":        {{Path: "/run/containerd/containerd.sock kube-system/agent-*"}},
		"listeners":      {{Path: "container:node_exporter 9100"}},
		"units":          {{Path: "/etc/systemd/system/driver.service", SHA256: sum}},
		"startup":        {{Path: "/etc/udev/rules.d/99-driver.rules", SHA256: sum}},
		"networkPlugins": {{Path: "/opt/cni/bin/mesh", SHA256: sum}},
	}
	if diff := cmp.Diff(want, Beyond(facts, p)); diff != "" {
		t.Errorf("beyond the profile (-want +got):\n%s", diff)
	}
	if got := Beyond(lacking(facts, node.Mounts, node.Denied, "no mounts"), p); len(got) > 0 {
		t.Errorf("without mounts: got %v", got)
	}
}

func TestAnyCopy(t *testing.T) {
	for name, want := range map[string]string{
		"kube-system/kube-proxy-x7k2p":         "kube-system/kube-proxy-*",
		"kube-system/coredns-5d78c9869d-4xk2p": "kube-system/coredns-*",
		"default/web-0":                        "default/web-0",
		"kube-system/etcd-control-1":           "kube-system/etcd-control-1",
		"container:control":                    "container:control",
	} {
		if got := anyCopy(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

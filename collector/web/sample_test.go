package web

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

var epoch = time.Date(2026, 11, 25, 3, 12, 0, 0, time.UTC)

// sampleSite has one check of each kind that pages treat differently.
func sampleSite(t testing.TB) *Site {
	t.Helper()
	refs := []verify.Ref{{Standard: "NIST SP 800-53 r5", ID: "SC-34"}, {Standard: "CIS Kubernetes 1.11", ID: "4.2.6"}}
	check := func(id, title string, topic verify.Topic, severity verify.Severity, remedy map[string]string) verify.Check {
		return verify.Check{
			ID: id, Rev: 1, Title: title, Topic: topic, Severity: severity, Refs: refs,
			Help: verify.Help{
				Why:    "Whoever can write here owns the node after its next start.",
				How:    "Every layer of every mount on a protected path is looked at: the superblock as well as the mount's own flag.",
				Remedy: remedy,
			},
			Judge: verify.On(node.Mounts, func([]node.Mount, verify.Given) verify.Finding { return verify.Finding{} }),
		}
	}
	s := &Site{
		Version: "v0.1.0",
		Profiles: []*profiles.Profile{
			{Name: "flatcar", Title: "Flatcar Container Linux"}, {Name: "generic", Title: "Linux host", Ordinary: true}, {Name: "talos", Title: "Talos Linux"},
		},
		Checks: []verify.Check{
			check("image-read-only", "every file system of the OS image is read-only", verify.Immutability, verify.Critical, map[string]string{"": "reboot the node; if the path is writable again, replace the image"}),
			check("image-unwritable", "the file system of the image cannot be written while it runs", verify.Immutability, verify.High, nil),
			check("image-verified", "the kernel verifies the image on every read", verify.Immutability, verify.High, nil),
			check("image-anchored", "the hash of the image is fixed by a signed boot chain", verify.Immutability, verify.Medium, nil),
			check("image-attested", "a TPM quote proves the boot chain", verify.Immutability, verify.Low, nil),
			check("secure-boot", "Secure Boot is on", verify.BootChain, verify.Medium, map[string]string{"flatcar": "enrol the vendor's keys in the firmware and switch Secure Boot on"}),
			check("kernel-patched", "the kernel has every fix that the baseline knows", verify.KernelTopic, verify.High, nil),
			check("runtime-socket-closed", "no undeclared container reaches a runtime socket", verify.Runtime, verify.Critical, map[string]string{"": "remove the hostPath mount from the pod, or declare the pod in a site overlay"}),
			check("kube-reserved-set", "kubeReserved is set and covers what the system uses", verify.Reservation, verify.Medium, map[string]string{"": "set kubeReserved in the kubelet configuration"}),
		},
	}
	for i := range s.Checks {
		s.Checks[i].ImageOnly = strings.HasPrefix(s.Checks[i].ID, "image-")
	}
	if err := s.Parse(); err != nil {
		t.Fatal(err)
	}
	return s
}

// sample is a sound Flatcar node; changes make another of it.
func sample(s *Site, cluster, name string, changes ...func(*Node)) Node {
	n := Node{
		Cluster: cluster, Name: name, Agent: "v0.1.0", Interval: time.Minute,
		FirstSeen: epoch.Add(-72 * time.Hour), LastSeen: epoch.Add(-20 * time.Second), Gathered: epoch.Add(-20 * time.Second),
		OS: "Flatcar Container Linux by Kinvolk 4230.2.1 (Oklo)", Kernel: "6.6.95-flatcar",
		Report: verify.Report{
			Version: "v0.1.0", Node: name, Witness: verify.Agent, Profile: verify.ProfileRef{Name: "flatcar"}, OS: verify.OSRef{ID: "flatcar", Version: "4230.2.1"},
			Level: verify.Level{
				Number: 3, Claimed: 3, Name: "verified", Reasons: []string{"Secure Boot is off, so nothing fixes the image's hash"},
				Unprotected: []string{"/ ext4, writable, exec", "/opt ext4, writable, exec", "/var/lib/containerd ext4, writable, exec"},
			},
			Facts: node.Facts{
				"mounts": {
					Value:    []node.Mount{{Path: "/usr", Visible: true, Root: "/", Type: "btrfs", Source: "/dev/mapper/usr", Device: node.Device{Kind: "dm", Name: "usr"}, Options: []string{"ro", "relatime"}, Super: []string{"ro"}}},
					Evidence: []node.Evidence{{What: "/proc/1/mountinfo", SHA256: strings.Repeat("7f3c91d2", 8)}},
				},
				"kernel": {
					Value:    node.KernelState{Release: "6.6.95-flatcar", SigEnforce: "on"},
					Gaps:     []node.Gap{{What: "the taint of modules", Code: node.Denied, Reason: "reading /sys/module: permission denied", Count: 12, Of: 300}},
					Evidence: []node.Evidence{},
				},
				"verity":   {Missing: &node.Missing{Code: node.Denied, Reason: "asking the kernel for the device-mapper tables: permission denied"}},
				"identity": {Value: node.Identification{Name: name, BootID: "b"}},
			},
		},
		Digests: map[string]string{"mounts": strings.Repeat("0123456789abcdef", 4), "kernel": strings.Repeat("ab", 32), "verity": strings.Repeat("cd", 32)},
		History: []Span{
			{Cohort: strings.Repeat("1a", 32), Node: strings.Repeat("2b", 32), Since: epoch.Add(-time.Hour)},
			{Cohort: strings.Repeat("3c", 32), Node: strings.Repeat("2b", 32), Since: epoch.Add(-72 * time.Hour), Until: epoch.Add(-time.Hour)},
		},
	}
	for _, c := range s.Checks {
		n.Report.Findings = append(n.Report.Findings, verify.Finding{
			Check: c.ID, Rev: c.Rev, Topic: c.Topic, Severity: c.Severity, Verdict: verify.Pass, Code: "as-expected",
			Reason: c.Title, Reads: []string{"mounts"}, Items: []string{},
		})
	}
	set(&n, "image-anchored", verify.NotApplicable, "no-secure-boot", "Flatcar without Secure Boot does not anchor its image")
	set(&n, "image-attested", verify.NotApplicable, "reserved", "nothing is attested yet")
	for _, change := range changes {
		change(&n)
	}
	n.Report.Summary = verify.Summary{}
	for _, f := range n.Report.Findings {
		switch f.Verdict {
		case verify.Fail:
			n.Report.Summary.Fail++
		case verify.Pass:
			n.Report.Summary.Pass++
		case verify.NotApplicable:
			n.Report.Summary.NotApplicable++
		default:
			n.Report.Summary.Unknown++
		}
	}
	return n
}

func set(n *Node, id string, v verify.Verdict, code, reason string, items ...string) {
	for i := range n.Report.Findings {
		if f := &n.Report.Findings[i]; f.Check == id {
			f.Verdict, f.Code, f.Reason, f.Items = v, code, reason, items
		}
	}
}

func gone(n *Node) { n.Silent, n.LastSeen = true, epoch.Add(-5*time.Hour) }

func unpatched(n *Node) {
	set(n, "kernel-patched", verify.Unknown, "baseline-old", "the baseline is of 2026-08-21; nothing can be said about later fixes")
}

func holder(n *Node) {
	set(n, "runtime-socket-closed", verify.Fail, "holder", "container docker-gc (pod kube-system/docker-gc-x7) can open /run/containerd/containerd.sock by hostPath /run and gid 0",
		"/run/containerd/containerd.sock docker-gc", "/run/containerd/containerd.sock.ttrpc docker-gc")
}

func unreserved(n *Node) {
	set(n, "kube-reserved-set", verify.Fail, "not-set", "kubeReserved is not set; the system slices peaked at 612 MiB since boot")
}

func mutable(n *Node) {
	n.Report.Level = verify.Level{Number: 0, Claimed: 0, Name: "mutable", Reasons: []string{"/usr is writable: the superblock of /dev/vda3 is rw"}}
	set(n, "image-read-only", verify.Fail, "writable-superblock", "/usr is writable", "/usr", "/usr/local")
	set(n, "image-verified", verify.Unknown, "table-denied", "the device-mapper table cannot be read without CAP_SYS_ADMIN; the systemd unit has it")
}

// sampleFleet is three clusters with every kind of node.
func sampleFleet(s *Site) []Node {
	var all []Node
	for i := range 24 {
		all = append(all, sample(s, "prod-eu", fmt.Sprintf("node-%d", i)))
	}
	return append(all,
		sample(s, "prod-eu", "node-30", holder, unreserved, unpatched),
		sample(s, "prod-eu", "node-31", unreserved),
		sample(s, "prod-us", "talos-a1", mutable),
		sample(s, "prod-us", "talos-a2", gone),
		sample(s, "prod-us", "talos-a3", unpatched),
		sample(s, "prod-us", "talos-a4", unpatched),
		sample(s, "staging", "ip-10-0-12-7.eu-central-1.compute.internal"),
	)
}

package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

var update = flag.Bool("update", false, "accept the output as golden")

// golden compares got with a file in testdata; -update accepts it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// flatcar is a made-up report with the shape of the one in the documentation.
func flatcar() verify.Report {
	findings := []verify.Finding{
		{Check: "image-verified", Rev: 1, Topic: verify.Immutability, Severity: verify.High, Verdict: verify.Pass, Code: "verified",
			Reason: "/usr is checked by the kernel on every read (dm-verity, root hash 7f3c91…, status V)", Items: []string{"/usr"}, Reads: []string{"mounts", "verity"}},
		{Check: "kernel-branch", Rev: 1, Topic: verify.KernelTopic, Severity: verify.High, Verdict: verify.Unknown, Code: "no-baseline",
			Reason: "the baseline is of 2026-08-21; nothing can be said about later fixes", Items: []string{}, Reads: []string{"kernel"}},
		{Check: "runtime-socket-closed", Rev: 2, Topic: verify.Runtime, Severity: verify.Critical, Verdict: verify.Fail, Code: "undeclared-holder",
			Reason: "container docker-gc (pod kube-system/docker-gc-x7) can open /run/containerd/containerd.sock by hostPath /run and gid 0",
			Items:  []string{"/run/containerd/containerd.sock by docker-gc"}, Reads: []string{"socket-holders"}},
		{Check: "kube-reserved-set", Rev: 1, Topic: verify.Reservation, Severity: verify.Medium, Verdict: verify.Fail, Code: "not-set",
			Reason: "kubeReserved is not set; the system slices peaked at 612 MiB since boot", Items: []string{"kubeReserved"}, Reads: []string{"reservation", "kubelet"}},
		{Check: "secure-boot-on", Rev: 1, Topic: verify.BootChain, Severity: verify.Medium, Verdict: verify.NotApplicable, Code: "no-firmware",
			Reason: "this machine has no UEFI firmware", Items: []string{}, Reads: []string{"boot"}},
		{Check: "processes-from-image", Rev: 1, Topic: verify.Processes, Severity: verify.Critical, Verdict: verify.Pass, Code: "declared",
			Reason: "41 programs run from the image, 1 programs from places that the profile declares: /opt/bin/kubelet", Items: []string{"/opt/bin/kubelet"}, Reads: []string{"processes", "os"}},
	}
	return verify.Report{
		Node: "node-7", OS: verify.OSRef{ID: "flatcar", Version: "4230.2.1"}, Profile: verify.ProfileRef{Name: "flatcar"},
		Level: verify.Level{Number: 3, Claimed: 3, Name: "verified", Reasons: []string{"Secure Boot is off, so nothing signed fixes the root hash"},
			Unprotected: []string{"/ (ext4, writable, exec)", "/opt (writable, exec)", "/var/lib/containerd (writable, exec)", "/etc (overlay, writable)"}},
		Findings: findings,
		Facts: node.Facts{
			"os":     {Value: node.System{Release: map[string]string{"ID": "flatcar", "PRETTY_NAME": "Flatcar Container Linux by Kinvolk 4230.2.1 (Oklo)"}}},
			"kernel": {Value: node.KernelState{Release: "6.6.95-flatcar"}, Evidence: []node.Evidence{{What: "/proc/version", SHA256: strings.Repeat("ab", 32)}}},
			"mounts": {Value: []node.Mount{}, Evidence: []node.Evidence{{What: "/proc/1/mountinfo", SHA256: strings.Repeat("cd", 32)}},
				Gaps: []node.Gap{{What: "the parents of /boot", Code: node.Denied, Reason: "reading /boot: permission denied"}}},
			"verity": {Missing: &node.Missing{Code: node.Denied, Reason: "reading /sys/block: permission denied"}},
		},
	}
}

func lists() []verify.Check {
	return []verify.Check{
		{ID: "image-verified", Topic: verify.Immutability, ImageOnly: true},
		{ID: "kernel-branch", Topic: verify.KernelTopic, ImageOnly: true},
		{ID: "runtime-socket-closed", Topic: verify.Runtime},
		{ID: "kube-reserved-set", Topic: verify.Reservation},
		{ID: "secure-boot-on", Topic: verify.BootChain},
		{ID: "processes-from-image", Topic: verify.Processes, ImageOnly: true},
	}
}

func TestTable(t *testing.T) {
	container := &profiles.Profile{Name: "flatcar"}
	ordinary := &profiles.Profile{Name: "generic", Ordinary: true}
	denied := flatcar()
	denied.Findings[1].Code, denied.Findings[1].Reason = "fact-denied", "reading /proc/1/mountinfo: permission denied"
	hostile := flatcar()
	hostile.Node = "node\x1b[2J\u202e-7"
	hostile.Findings[2].Reason = "a line\nbreak and \x07 a bell"
	many := flatcar()
	for _, id := range []string{"anonymous-off", "webhook-authorization", "read-only-port-closed", "client-ca-set", "rotation-on"} {
		f := many.Findings[3]
		f.Check, f.Topic, f.Severity = id, verify.KubeletTopic, verify.High
		many.Findings = append(many.Findings, f)
	}
	undeclared := flatcar()
	last := &undeclared.Findings[len(undeclared.Findings)-1]
	last.Verdict, last.Code, last.Items = verify.Fail, "outside-image", []string{"/opt/a", "/opt/b", "/opt/c", "/tmp/x", "/tmp/y"}
	last.Reason = "5 programs run from outside the image and from no declared place: /opt/a; /opt/b; /opt/c; /tmp/x; /tmp/y"
	sound := flatcar()
	sound.Findings = sound.Findings[:1]
	mutable := flatcar()
	mutable.Level = verify.Level{Number: 0, Name: "mutable", Reasons: []string{"/ is ext4 and writable", "Secure Boot is off"}}
	claimed := flatcar()
	claimed.Level = verify.Level{Number: 2, Claimed: 3, Name: "image", Reasons: []string{"the device-mapper table cannot be read without CAP_SYS_ADMIN"}}

	unread := flatcar()
	for i := range 12 {
		f := unread.Findings[1]
		f.Check, f.Topic, f.Code = fmt.Sprintf("kubelet-setting-%d", i+1), verify.KubeletTopic, "gap-denied"
		f.Reason = "1 of 46 executables of host processes could not be read: reading link /proc/<pid>/exe: permission denied"
		unread.Findings = append(unread.Findings, f)
	}
	unreadHost := unread
	unreadHost.Findings = slices.Clone(unread.Findings)
	unreadHost.Findings[len(unreadHost.Findings)-1].Reason += "; and 1 more"
	unreadHost.Level = mutable.Level
	long := undeclared
	long.Findings = slices.Clone(undeclared.Findings)
	long.Findings[5].Reason = "40 programs run from outside the image: " + strings.Join(slices.Repeat([]string{"/opt/vendor/bin/program sha256:7f3c91d2"}, 40), "; ")

	busy := many
	busy.Level = mutable.Level

	for _, row := range []struct {
		golden string
		report verify.Report
		table  table
	}{
		{"wide.txt", flatcar(), table{style: style{width: 100, unicode: true}, profile: container}},
		{"terminal-of-80-columns.txt", flatcar(), table{style: style{width: 80, unicode: true}, profile: container}},
		{"terminal-of-60-columns.txt", flatcar(), table{style: style{width: 60, unicode: true}, profile: container}},
		{"ascii.txt", flatcar(), table{style: style{width: 100}, profile: container}},
		{"colour.txt", flatcar(), table{style: style{width: 100, unicode: true, colour: true}, profile: container}},
		{"verbose.txt", flatcar(), table{style: style{width: 100, unicode: true}, profile: container, verbose: true}},
		{"ordinary-host.txt", mutable, table{style: style{width: 100, unicode: true}, profile: ordinary}},
		{"ordinary-host-with-many-failures.txt", busy, table{style: style{width: 100, unicode: true}, profile: ordinary}},
		{"without-root.txt", denied, table{style: style{width: 100, unicode: true}, profile: container, settles: "sudo"}},
		{"names-that-steer-a-terminal.txt", hostile, table{style: style{width: 100, unicode: true}, profile: container}},
		{"many-failures.txt", many, table{style: style{width: 100, unicode: true}, profile: container}},
		{"many-unknown-for-one-reason.txt", unread, table{style: style{width: 100, unicode: true}, profile: container}},
		{"ordinary-host-with-one-gap.txt", unreadHost, table{style: style{width: 100, unicode: true}, profile: ordinary}},
		{"long-list.txt", long, table{style: style{width: 80, unicode: true}, profile: container}},
		{"undeclared-programs.txt", undeclared, table{style: style{width: 100, unicode: true}, profile: container}},
		{"nothing-wrong.txt", sound, table{style: style{width: 100, unicode: true}, profile: container}},
		{"claimed-and-not-proven.txt", claimed, table{style: style{width: 100, unicode: true}, profile: container}},
	} {
		t.Run(strings.TrimSuffix(row.golden, ".txt"), func(t *testing.T) {
			row.table.checks = lists()
			got := row.table.render(row.report)
			golden(t, row.golden, got)
			if row.table.colour {
				return
			}
			for line := range strings.Lines(got) {
				line = strings.TrimSuffix(line, "\n")
				if length(line) > row.table.width && strings.Contains(strings.TrimSpace(line), " ") {
					t.Errorf("got a line of %d columns, want at most %d: %q", length(line), row.table.width, line)
				}
				if strings.HasSuffix(line, " ") {
					t.Errorf("got a line that ends with a blank: %q", line)
				}
			}
		})
	}
}

func TestTableWithoutAnyFact(t *testing.T) {
	got := table{style: style{width: 80, unicode: true}, profile: &profiles.Profile{Name: "generic"}}.render(
		verify.Report{Profile: verify.ProfileRef{Name: "generic"}})
	if want := "a host without a name · an unknown system · profile generic\n"; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want it to begin with %q", got, want)
	}
}

// Colours must not be the only sign of anything.
func TestColourAddsNothing(t *testing.T) {
	profile := &profiles.Profile{Name: "flatcar"}
	colourless := table{style: style{width: 100, unicode: true}, profile: profile}.render(flatcar())
	got := table{style: style{width: 100, unicode: true, colour: true}, profile: profile}.render(flatcar())
	for {
		before, rest, ok := strings.Cut(got, "\x1b[")
		if !ok {
			break
		}
		_, after, _ := strings.Cut(rest, "m")
		got = before + after
	}
	if diff := cmp.Diff(colourless, got); diff != "" {
		t.Errorf("without its colours the table differs (-want +got):\n%s", diff)
	}
}

func TestPlain(t *testing.T) {
	r := flatcar()
	r.Findings[3].Reason = "a tab\tand a line\nbreak"
	want := "fail\truntime-socket-closed\tcritical\tcontainer docker-gc (pod kube-system/docker-gc-x7) can open /run/containerd/containerd.sock by hostPath /run and gid 0\n" +
		"fail\tkube-reserved-set\tmedium\ta tab\\x09and a line\\x0abreak\n" +
		"unknown\tkernel-branch\thigh\tthe baseline is of 2026-08-21; nothing can be said about later fixes\n" +
		"pass\timage-verified\thigh\t/usr is checked by the kernel on every read (dm-verity, root hash 7f3c91…, status V)\n" +
		"pass\tprocesses-from-image\tcritical\t41 programs run from the image, 1 programs from places that the profile declares: /opt/bin/kubelet\n" +
		"not-applicable\tsecure-boot-on\tmedium\tthis machine has no UEFI firmware\n"
	if diff := cmp.Diff(want, plain(r)); diff != "" {
		t.Errorf("plain (-want +got):\n%s", diff)
	}
}

func TestWriteJSONKeepsSigns(t *testing.T) {
	var b bytes.Buffer
	if err := writeJSON(&b, map[string]string{"want": ">= 1 & <2"}); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "{\n  \"want\": \">= 1 & <2\"\n}\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

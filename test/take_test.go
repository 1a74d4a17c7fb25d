package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
)

// The functions of this file say how what a sample shows becomes what a node
// would answer, where no source reads the sample as it is.

// labFile reads a file in a folder of the lab.
func (s sample) labFile(name string) (string, error) {
	b, err := os.ReadFile(filepath.Join(corpusDir, s.name, name))
	return string(b), err
}

// takeLab takes files of a lab guest.
func takeLab(files ...string) func(*capture.Tape, sample) error {
	return func(tape *capture.Tape, s sample) error {
		return putLab(tape, strings.TrimPrefix(s.name, "lab/"), files...)
	}
}

// takeMounts takes the mounts that a sample shows and want accepts, beside those
// that are there already.
func takeMounts(want func(mountLine) bool) func(*capture.Tape, sample) error {
	return func(tape *capture.Tape, s sample) error {
		have, _ := tape.Host().ReadFile("proc/1/mountinfo", 1<<20) // none yet for the first
		mounts := slices.DeleteFunc(s.mountsOf(), func(m mountLine) bool { return !want(m) })
		if len(mounts) == 0 {
			return fmt.Errorf("it shows no such mount")
		}
		tape.File("proc/1/mountinfo", string(have)+mountinfoFrom(bytes.Count(have, []byte("\n")), mounts))
		return nil
	}
}

// takeMountsOn takes the mount table of a sample, whose device is the one with
// this number in sysfs.
func takeMountsOn(device, majmin string) func(*capture.Tape, sample) error {
	return func(tape *capture.Tape, s sample) error {
		mounts := s.mountsOf()
		i := slices.IndexFunc(mounts, func(m mountLine) bool { return m.Source == device })
		if i < 0 {
			return fmt.Errorf("no mount is on %s", device)
		}
		mounts[i].MajMin = majmin
		tape.File("proc/1/mountinfo", mountinfo(mounts))
		return nil
	}
}

func takeTaint(tape *capture.Tape, s sample) error {
	taint, _ := s.facts["taint"].(map[string]any)
	tape.File("proc/sys/kernel/tainted", fmt.Sprintf("%v\n", taint["value"]))
	return nil
}

func takeUname(tape *capture.Tape, s sample) error {
	uname, _ := s.facts["uname"].(map[string]any)
	tape.File("proc/sys/kernel/osrelease", str(uname["release"])+"\n")
	return nil
}

// takeReleaseAbove takes what stands before a mark as os-release.
func takeReleaseAbove(mark string) func(*capture.Tape, sample) error {
	return func(tape *capture.Tape, s sample) error {
		text, _, ok := strings.Cut(s.raw, mark)
		if !ok {
			return fmt.Errorf("it has no %q", mark)
		}
		tape.File("etc/os-release", text)
		return nil
	}
}

// takeSysroot takes from a list of processes that Bottlerocket's folder of
// programs is there.
func takeSysroot(tape *capture.Tape, s sample) error {
	const dir = "x86_64-bottlerocket-linux-gnu"
	if !strings.Contains(s.raw, " /"+dir+"/") {
		return fmt.Errorf("no process runs from /%s", dir)
	}
	tape.Info(dir, node.FileInfo{Type: node.Directory, Mode: 0o755, Dev: "0:1"})
	return nil
}

// takeSubvolume takes from what happened in the lab that the subvolume on / has
// the read-only property: after a remount, a write to btrfs fails for no other
// reason.
func takeSubvolume(tape *capture.Tape, s sample) error {
	tried, err := s.labFile("write-attempts")
	if err != nil {
		return err
	}
	_, after, ok := strings.Cut(tried, "remount rw /: 0\n")
	if !ok || !strings.HasPrefix(after, "touch: /lab-w: Read-only file system\n") {
		return fmt.Errorf("it does not show that a write fails after a remount: %q", tried)
	}
	tape.Answer(node.Question{Kind: node.AskSubvolume, Of: "."}, node.Subvolume{ReadOnly: true})
	return nil
}

// takeTalosRelease makes os-release out of Talos' template (OSReleaseTemplate in
// pkg/machinery/constants/constants.go) and the version that a sample is of.
func takeTalosRelease(tape *capture.Tape, s sample) error {
	version, _, _ := strings.Cut(s.OSVersion, " ")
	tape.Header.Sources = append(tape.Header.Sources, "siderolabs/talos:pkg/machinery/constants/constants.go, OSReleaseTemplate")
	tape.File("etc/os-release", fmt.Sprintf("NAME=\"Talos\"\nID=talos\nVERSION_ID=%s\nPRETTY_NAME=\"Talos (%s)\"\n", version, version))
	return nil
}

// takeSELinux takes the mode out of Talos' SecurityState.
func takeSELinux(tape *capture.Tape, s sample) error {
	if !strings.Contains(s.raw, "enabled, permissive") {
		return fmt.Errorf("it does not say that SELinux is permissive")
	}
	tape.File("sys/fs/selinux/enforce", "0")
	return nil
}

// takeKubelet takes the arguments of a kubelet.
func takeKubelet(pid int, exe string) func(*capture.Tape, sample) error {
	return func(tape *capture.Tape, s sample) error {
		args := strs(s.facts["kubelet_args"])
		if len(args) == 0 {
			return fmt.Errorf("it has no arguments of a kubelet")
		}
		putProcess(tape, pid, exe, args)
		return nil
	}
}

func takeTalosKubelet(tape *capture.Tape, s sample) error {
	list, _ := s.facts["processes"].([]any)
	for _, e := range list {
		p, _ := e.(map[string]any)
		if exe := str(p["exe"]); path.Base(exe) == "kubelet" {
			pid, _ := p["pid"].(float64)
			putProcess(tape, int(pid), exe, append([]string{exe}, strs(p["args"])...))
			return nil
		}
	}
	return fmt.Errorf("it has no kubelet")
}

// takeJournalKubelet takes a kubelet from the fields that journald adds.
func takeJournalKubelet(tape *capture.Tape, s sample) error {
	_, exe, _ := strings.Cut(s.raw, `"_EXE":"`)
	exe, rest, _ := strings.Cut(exe, `"`)
	_, line, ok := strings.Cut(rest, `"_CMDLINE":"`)
	if !ok {
		return fmt.Errorf("it has no _EXE and _CMDLINE")
	}
	putProcess(tape, 1142, exe, strings.Fields(line))
	return nil
}

// takeUnitKubelet takes a kubelet from systemctl status, which cuts its line.
func takeUnitKubelet(tape *capture.Tape, s sample) error {
	_, group, _ := strings.Cut(s.raw, "CGroup: ")
	group, rest, _ := strings.Cut(group, "\n")
	args := strings.Fields(rest)
	if i := slices.Index(args, "kubelet"); i > 0 && strings.HasSuffix(args[len(args)-1], ">") {
		tape.Header.Sources = append(tape.Header.Sources, "openshift/machine-config-operator:templates/worker/01-worker-kubelet/_base/units/kubelet.service.yaml (the executable)")
		putProcess(tape, 1613, "/usr/bin/kubelet", args[i:len(args)-1])
		putCgroup(tape, 1613, "1:name=systemd:"+group)
		return nil
	}
	return fmt.Errorf("it does not show a kubelet")
}

// takeKubeletConfig takes the configuration file of a kubelet.
func takeKubeletConfig(name string) func(*capture.Tape, sample) error {
	return func(tape *capture.Tape, s sample) error {
		text := s.raw
		if text == "" {
			b, err := json.MarshalIndent(s.facts["kubelet_config"], "", "  ")
			if err != nil {
				return err
			}
			text = string(b) + "\n"
		}
		tape.Content(name, text) // the samples do not say who may read it
		return nil
	}
}

// takeCgroup takes a control group from a tree that Talos prints.
func takeCgroup(pid int, group ...string) func(*capture.Tape, sample) error {
	return func(tape *capture.Tape, s sample) error {
		at := s.raw
		for _, name := range group {
			_, below, ok := strings.Cut(at, "──"+name+" ")
			if !ok {
				return fmt.Errorf("it has no %s", name)
			}
			at = below
		}
		putCgroup(tape, pid, "0::/"+path.Join(group...))
		return nil
	}
}

// takeLabCgroup takes the control group that systemd gave to a unit in the lab.
func takeLabCgroup(pid int, unit string) func(*capture.Tape, sample) error {
	return func(tape *capture.Tape, s sample) error {
		list, err := s.labFile("kubecgroups")
		if err != nil {
			return err
		}
		for line := range strings.Lines(list) {
			if group, ok := strings.CutPrefix(strings.TrimSpace(line), "/sys/fs/cgroup"); ok && path.Base(group) == unit {
				putCgroup(tape, pid, "0::"+group)
				return nil
			}
		}
		return fmt.Errorf("it has no %s", unit)
	}
}

// putProcess puts one process of root's. That process 1 is listed and not
// recorded makes the table one with a gap. Of the status only the name is
// known: the rest is what it says of most programs of root's.
func putProcess(tape *capture.Tape, pid int, exe string, args []string) {
	dir := fmt.Sprintf("proc/%d", pid)
	tape.Dir("proc", node.DirEntry{Name: "1", Type: node.Directory}, node.DirEntry{Name: fmt.Sprint(pid), Type: node.Directory})
	tape.File(dir+"/status", fmt.Sprintf("Name:\t%.15s\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t\nVmSize:\t1 kB\nThreads:\t1\nCapPrm:\t000001ffffffffff\n", path.Base(exe)))
	tape.Link(dir+"/exe", exe)
	tape.File(dir+"/cmdline", strings.Join(args, "\x00")+"\x00")
}

func putCgroup(tape *capture.Tape, pid int, line string) {
	tape.File(fmt.Sprintf("proc/%d/cgroup", pid), line+"\n")
}

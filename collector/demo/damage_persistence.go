package demo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
)

// evilUnit is a unit that starts a program from writable storage.
const evilUnit = "[Service]\nExecStart=/var/lib/x/agent\n[Install]\nWantedBy=multi-user.target\n"

var persistenceDamages = []Damage{
	starts("units-from-image", "a unit was added", "etc/systemd/system/agent.service", evilUnit),
	starts("timers-from-image", "a timer was added", "etc/systemd/system/agent.timer", "[Timer]\nOnBootSec=60\n"),
	starts("drop-ins-declared", "a drop-in starts another program in place of containerd", "etc/systemd/system/containerd.service.d/10-x.conf", "[Service]\nExecStart=\nExecStart=/var/lib/x/containerd\n"),
	starts("generators-from-image", "a generator was added", "etc/systemd/system-generators/x-generator", "#!/bin/sh\n"),
	{Check: "units-agree", Node: labNode, What: "the file of a unit was removed after it was started", Sound: soundStart, Do: func(t *capture.Tape) {
		t.Answer(node.Question{Kind: node.AskSystemd}, node.SystemdUnits{Asked: "yes", Units: []node.LoadedUnit{
			{Name: "agent.service", Fragment: "/etc/systemd/system/agent.service", DropIns: []string{}, State: "", Starts: []string{"/var/lib/x/agent"}, Stale: true},
		}})
	}},
	starts("no-cron-jobs", "a line was put into a table of cron", "etc/cron.d/agent", "@reboot root /var/lib/x/agent\n"),
	starts("no-boot-scripts", "rc.local was written", "etc/rc.local", "#!/bin/sh\n/var/lib/x/agent &\n"),
	starts("udev-rules-from-image", "a rule starts a program for every device", "etc/udev/rules.d/99-x.rules", "ACTION==\"add\", RUN+=\"/var/lib/x/agent\"\n"),
	starts("module-loading-declared", "a program is started in place of a module", "etc/modprobe.d/x.conf", "install usb_storage /var/lib/x/agent\n"),
	starts("login-hooks-from-image", "a program is started at each login, and gets the password", "etc/pam.d/sshd", "auth optional pam_exec.so expose_authtok /var/lib/x/agent\n"),
	starts("library-folders-from-image", "a folder of libraries was added", "etc/ld.so.conf.d/x.conf", "/var/lib/x\n"),
	{Check: "binfmt-handlers-known", Node: labNode, What: "a program was registered for a format", Sound: soundStart, Do: func(t *capture.Tape) {
		const dir = "proc/sys/fs/binfmt_misc"
		t.Content("proc/filesystems", "nodev\tsysfs\nnodev\tbinfmt_misc\n")
		t.Dir(dir, node.DirEntry{Name: "register", Type: node.Regular}, node.DirEntry{Name: "status", Type: node.Regular}, node.DirEntry{Name: "x", Type: node.Regular})
		t.File(dir+"/x", "enabled\ninterpreter /var/lib/x/agent\nflags: C\noffset 0\nmagic 2321\n")
	}},
	starts("network-plugins-known", "a network plugin was added", "opt/cni/bin/x", "\x7fELF"),
	{Check: "kubelet-plugins-known", Node: kubeletNode, What: "a device plugin registered itself", Sound: soundKubeletStart, Do: func(t *capture.Tape) {
		t.Dir("var/lib/kubelet/device-plugins", node.DirEntry{Name: "kubelet.sock", Type: node.Socket}, node.DirEntry{Name: "x.sock", Type: node.Socket})
		folders(t, "var/lib/kubelet/device-plugins")
		t.Info("var/lib/kubelet/device-plugins/x.sock", node.FileInfo{Type: node.Socket, Mode: 0o755, Dev: "0:1"})
	}},
	{Check: "bpf-programs-known", Node: labNode, What: "a program that sees every system call was loaded", Sound: soundStart, Do: func(t *capture.Tape) {
		t.Answer(node.Question{Kind: node.AskBPF}, []node.BPFProgram{{Name: "on_enter", Type: "raw_tracepoint", Tag: "6deef7357e7b4530"}})
	}},
}

// starts is the damage of a file that starts something.
func starts(check, what, name, content string) Damage {
	return Damage{Check: check, Node: labNode, What: what, Sound: soundStart, Do: func(t *capture.Tape) { startFile(t, name, content) }}
}

// startFile puts a file alone into its folder.
func startFile(t *capture.Tape, name, content string) {
	folders(t, path.Dir(name))
	for at := name; path.Dir(at) != "."; at = path.Dir(at) {
		kind := node.Directory
		if at == name {
			kind = node.Regular
		}
		t.Dir(path.Dir(at), node.DirEntry{Name: path.Base(at), Type: kind})
	}
	t.File(name, content)
	sum := sha256.Sum256([]byte(content))
	t.Digest(name, hex.EncodeToString(sum[:]))
}

// soundStart puts a host on the tape whose systemd starts what the image has, and
// nothing else.
func soundStart(t *capture.Tape) {
	t.Content("proc/1/comm", "systemd\n")
	t.Content("proc/filesystems", "nodev\tsysfs\n")
	t.Answer(node.Question{Kind: node.AskSystemd}, node.SystemdUnits{Asked: "yes", Units: []node.LoadedUnit{}})
	t.Answer(node.Question{Kind: node.AskBPF}, []node.BPFProgram{})
	folders(t, "run/systemd/system", "etc")
	t.Dir("etc")
	t.Dir("run/systemd/system")
	nothingElse(t)
}

// soundKubeletStart is soundStart for a node with a kubelet. The mounts that were
// published of it lack those on which files of the kubelet lie.
func soundKubeletStart(t *capture.Tape) {
	soundKubelet(t)
	const table = "proc/1/mountinfo"
	mounts, err := t.Host().FS.ReadFile(table, 1<<20, nil)
	if err != nil {
		panic(err) // a mistake in this file: the damages of the kubelet have the same node
	}
	t.Content(table, string(mounts)+"901 20 0:901 / /etc rw,relatime - tmpfs tmpfs rw\n902 20 259:3 / /var rw,relatime - ext4 /dev/nvme1n1p1 rw\n")
	soundStart(t)
}

// nothingElse says of all that is looked for and that the tape is silent about,
// in folders from which something can be started, that it is not there.
func nothingElse(t *capture.Tape) {
	h := t.Host()
	silent := &silences{FS: h.FS}
	h.FS = silent
	node.Gather(context.Background(), h, t.Header.At)
	for _, name := range silent.names {
		if slices.ContainsFunc([]string{"etc/", "home/", "opt/", "root/", "run/", "sys/fs/bpf", "usr/", "var/"}, func(dir string) bool { return strings.HasPrefix(name, dir) }) {
			t.Absent(name)
		}
	}
}

// silences notes what a tape has no answer to.
type silences struct {
	node.FS
	names []string
}

func (s *silences) note(name string, err error) {
	var e *node.Error
	if errors.As(err, &e) && e.Code == node.NotRecorded {
		s.names = append(s.names, name)
	}
}

func (s *silences) ReadDir(name string, limit int) ([]node.DirEntry, error) {
	list, err := s.FS.ReadDir(name, limit)
	s.note(name, err)
	return list, err
}

func (s *silences) Lstat(name string) (node.FileInfo, error) {
	info, err := s.FS.Lstat(name)
	s.note(name, err)
	return info, err
}

func (s *silences) Stat(name string) (node.FileInfo, error) {
	info, err := s.FS.Stat(name)
	s.note(name, err)
	return info, err
}

package demo

import (
	"fmt"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
)

// runtimeNode is where runtime damages are done: a machine that was recorded
// whole, with no container and no engine, so that each brings its own.
const runtimeNode = "recorded-lab-flatcar"

var runtimeDamages = []Damage{
	{Check: "runtime-socket-closed", Node: runtimeNode, What: "chmod 666 containerd.sock", Sound: containerdSocket(0o660), Do: containerdSocket(0o666)},
	{Check: "runtime-not-on-network", Node: runtimeNode, What: "something listens on Docker's port", Sound: all(noDescriptors, listen("0100007F:0947")), Do: listen("00000000:0947")},
	{Check: "runtime-socket-unreached", Node: runtimeNode, What: "a pod mounts the socket of containerd", Sound: all(containerdSocket(0o660), container(aPod{})), Do: container(aPod{mounts: "62 60 0:24 /containerd/containerd.sock /x.sock rw - tmpfs tmpfs rw\n"})},
	{Check: "runtime-socket-peers-declared", Node: runtimeNode, What: "ctr is connected to containerd", Sound: connected("/usr/bin/kubelet"), Do: connected("/usr/bin/ctr")},
	{Check: "single-engine", Node: runtimeNode, What: "docker.socket was started beside containerd", Sound: containerdSocket(0o660), Do: socketAt("run/docker.sock", 0o660)},

	{Check: "host-reaching-containers-declared", Node: runtimeNode, What: "a pod mounts the folder of all logs", Sound: container(aPod{}), Do: container(aPod{mounts: hostFolder("/var/log")})},
	{Check: "no-undeclared-privileged-containers", Node: runtimeNode, What: "a pod is privileged", Sound: container(aPod{}), Do: container(aPod{privileged: true})},
	{Check: "no-host-root-in-containers", Node: runtimeNode, What: "a pod mounts /etc", Sound: container(aPod{}), Do: container(aPod{mounts: hostFolder("/etc")})},
	{Check: "kubelet-credentials-unreached", Node: runtimeNode, What: "a pod mounts the kubelet's folder", Sound: container(aPod{}), Do: container(aPod{mounts: hostFolder("/var/lib/kubelet")})},
	{Check: "pod-volumes-unreached", Node: runtimeNode, What: "a pod mounts the volumes of all pods", Sound: container(aPod{}), Do: container(aPod{mounts: hostFolder("/var/lib/kubelet/pods")})},
	{Check: "host-devices-unreached", Node: runtimeNode, What: "a pod mounts the node's disk", Sound: container(aPod{}), Do: container(aPod{mounts: "62 60 0:6 /vdb /dev/vdb rw - devtmpfs dev rw\n"})},
	{Check: "host-namespaces-unshared", Node: runtimeNode, What: "a pod is among the host's processes", Sound: container(aPod{}), Do: container(aPod{hostPID: true})},
	{Check: "containers-confined", Node: runtimeNode, What: "a privileged pod has no seccomp filter", Sound: container(aPod{}), Do: container(aPod{privileged: true})},
	{Check: "user-namespaces-policy", Node: runtimeNode, What: "everybody may make user namespaces", Sound: all(container(aPod{}), sysctl("user/max_user_namespaces", "0")), Do: sysctl("user/max_user_namespaces", "2741")},

	{Check: "runtime-config-no-network", Node: runtimeNode, What: "containerd serves its API on TCP", Sound: engine, Do: containerdConfig("[grpc]\ntcp_address = \"0.0.0.0:7777\"\n", 0o644)},
	{Check: "runtime-streams-local", Node: runtimeNode, What: "containerd serves streams on every address", Sound: engine, Do: containerdConfig("[plugins.cri]\nstream_server_address = \"0.0.0.0\"\n", 0o644)},
	{Check: "runtime-defaults-confined", Node: runtimeNode, What: "containerd gives containers no seccomp filter", Sound: engine, Do: containerdConfig("[plugins.cri]\nunset_seccomp_profile = \"unconfined\"\n", 0o644)},
	{Check: "no-insecure-registries", Node: runtimeNode, What: "a registry's certificate is not verified", Sound: engine, Do: containerdConfig("[plugins.cri.registry.configs.\"registry.example\".tls]\ninsecure_skip_verify = true\n", 0o644)},
	{Check: "runtime-config-closed", Node: runtimeNode, What: "everybody may write containerd's configuration", Sound: engine, Do: containerdConfig("", 0o666)},
	{Check: "nri-closed", Node: runtimeNode, What: "a plugin was installed", Sound: engine, Do: func(t *capture.Tape) {
		t.Dir("opt/nri/plugins", node.DirEntry{Name: "10-x", Type: node.Regular})
	}},
	{Check: "image-policy-present", Node: runtimeNode, What: "the image verifier was removed", Sound: engine, Do: func(t *capture.Tape) {
		t.Absent("opt/containerd/image-verifier/bin")
	}},
	{Check: "runtime-binaries-verified", Node: runtimeNode, What: "another runc lies in /opt/bin", Sound: engine, Do: func(t *capture.Tape) {
		t.Dir("opt")
		t.Dir("opt/bin")
		t.File("opt/bin/runc", "")
		t.Digest("opt/bin/runc", strings.Repeat("ab", 32))
	}},

	{Check: "no-antivirus-agent", Node: runtimeNode, What: "a pod runs clamd over the host's root", Sound: all(noAgents, container(aPod{})), Do: container(aPod{exe: "/usr/sbin/clamd", mounts: hostFolder("/")})},
	{Check: "security-agents-contained", Node: runtimeNode, What: "Falco may load modules", Sound: all(noAgents, container(aPod{exe: "/usr/bin/falco"})), Do: container(aPod{exe: "/usr/bin/falco", privileged: true})},
}

// sysctl sets a kernel parameter by its path below /proc/sys.
func sysctl(name, value string) func(*capture.Tape) {
	return func(t *capture.Tape) { t.File("proc/sys/"+name, value+"\n") }
}

func containerdSocket(mode uint32) func(*capture.Tape) {
	return socketAt("run/containerd/containerd.sock", mode)
}

// socketAt puts a socket of root's and the folders above it.
func socketAt(name string, mode uint32) func(*capture.Tape) {
	return func(t *capture.Tape) {
		for _, dir := range []string{".", "run", "run/containerd"} {
			t.Info(dir, node.FileInfo{Type: node.Directory, Mode: 0o755, Dev: "0:24"})
		}
		t.Info(name, node.FileInfo{Type: node.Socket, Mode: mode, Dev: "0:24"})
		t.Attribute(name, "security.selinux", "")
	}
}

// listen puts a listener on TCP, with its address as /proc/net/tcp has it, that
// no process is seen to hold.
func listen(address string) func(*capture.Tape) {
	return func(t *capture.Tape) {
		t.File("proc/1/net/tcp", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"+
			"   0: "+address+" 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0\n")
	}
}

// noDescriptors says of the processes of runtimeNode that they have none open, and
// are in the host's network namespace.
func noDescriptors(t *capture.Tape) {
	for _, e := range t.Exchanges() {
		if m := executableLink.FindStringSubmatch(e.What); m != nil && e.Op == "readlink" && e.Err == nil {
			t.Dir(m[1] + "/fd")
			t.Link(m[1]+"/ns/net", hostNamespaces["net"])
		}
	}
}

// connected puts a program of the image on the node that is connected to containerd.
func connected(exe string) func(*capture.Tape) {
	return func(t *capture.Tape) {
		containerdSocket(0o660)(t)
		noDescriptors(t)
		hostProcess(t, exe, "/system.slice/kubelet.service")
		t.Dir(addedProcess+"fd", node.DirEntry{Name: "3", Type: node.Symlink})
		t.Link(addedProcess+"fd/3", "socket:[4712]")
		t.Answer(node.Question{Kind: node.AskUnix}, node.UnixSockets{Namespace: hostNamespaces["net"], Sockets: []node.UnixSocket{
			{Inode: 4711, Peer: 4712, Name: "/run/containerd/containerd.sock", State: node.UnixEstablished, Dev: "0:24"},
		}})
	}
}

// hostProcess puts a program of the image on the node, in a cgroup.
func hostProcess(t *capture.Tape, exe, cgroup string) {
	addProcess(t)
	status(t, "CapPrm:\t000001ffffffffff\nCapBnd:\t000001ffffffffff\nNoNewPrivs:\t0\nSeccomp:\t0\n")
	t.Link(addedProcess+"exe", exe)
	t.File(addedProcess+"cmdline", exe+"\x00")
	t.File(addedProcess+"cgroup", "0::"+cgroup+"\n")
	for ns, link := range hostNamespaces {
		t.Link(addedProcess+"ns/"+ns, link)
	}
	t.Answer(node.Question{Kind: node.AskExe, Of: "proc/" + addedPID}, node.Executable{Mount: 32, Dev: "253:0"})
}

// The process that these damages add, and the pod and container that it is in.
const (
	addedPID     = "900"
	addedPod     = "3264ac14-1050-41c2-9c23-2af518447ed3"
	addedID      = "167008f24c56b9e8e95f1da9edc965f489f6f0a74ef814eabf4fcc05461f715d"
	addedProcess = "proc/" + addedPID + "/"
)

// aPod is a pod of one container; what it does not say is as it should be.
type aPod struct {
	exe        string
	mounts     string // further lines of its mount table; its root is mount 60
	privileged bool
	hostPID    bool
}

// hostFolder is a hostPath in a pod's mount table.
func hostFolder(path string) string {
	return "62 60 254:16 " + path + " /host rw - ext4 /dev/vdb rw\n"
}

// container puts a pod on the node.
func container(p aPod) func(*capture.Tape) {
	return func(t *capture.Tape) {
		addProcess(t)
		capabilities, seccomp := "00000000a80425fb", 2
		if p.privileged {
			capabilities, seccomp = "000001ffffffffff", 0
		}
		status(t, fmt.Sprintf("CapPrm:\t%[1]s\nCapEff:\t%[1]s\nCapBnd:\t%[1]s\nNoNewPrivs:\t0\nSeccomp:\t%[2]d\n", capabilities, seccomp))
		exe := p.exe
		if exe == "" {
			exe = "/app"
		}
		t.Link(addedProcess+"exe", exe)
		t.File(addedProcess+"cgroup", "0::/kubepods/besteffort/pod"+addedPod+"/"+addedID+"\n")
		t.File(addedProcess+"mountinfo", "60 50 0:90 / / rw,relatime - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w\n61 60 0:91 / /proc rw - proc proc rw\n"+p.mounts)
		t.File(addedProcess+"uid_map", "         0          0 4294967295\n")
		t.File(addedProcess+"gid_map", "         0          0 4294967295\n")
		for _, ns := range []string{"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"} {
			own := ns + ":[4026532500]"
			if ns == "user" || ns == "pid" && p.hostPID {
				own = hostNamespaces[ns]
			}
			t.Link(addedProcess+"ns/"+ns, own)
		}
		t.Dir("var/log/pods", node.DirEntry{Name: "default_agent_" + addedPod, Type: node.Directory})
	}
}

// hostNamespaces are those of process 1, as the kernel numbers them:
// include/linux/proc_ns.h and fs/namespace.c.
var hostNamespaces = map[string]string{
	"cgroup": "cgroup:[4026531835]", "ipc": "ipc:[4026531839]", "mnt": "mnt:[4026531841]", "net": "net:[4026531840]",
	"pid": "pid:[4026531836]", "user": "user:[4026531837]", "uts": "uts:[4026531838]",
}

// addProcess lists the process 900, and says in which namespaces process 1 is.
func addProcess(t *capture.Tape) {
	list, err := t.Host().FS.ReadDir("proc", 1<<20)
	if err != nil {
		return // then no check passes, and the test of damages says so
	}
	out := []node.DirEntry{}
	for _, e := range list {
		if e.Name != addedPID {
			out = append(out, e)
		}
	}
	at := len(out)
	for i, e := range out {
		if e.Name > addedPID {
			at = i
			break
		}
	}
	out = append(out[:at:at], append([]node.DirEntry{{Name: addedPID, Type: node.Directory}}, out[at:]...)...)
	t.Dir("proc", out...)
	for ns, link := range hostNamespaces {
		t.Link("proc/1/ns/"+ns, link)
	}
	t.Link(addedProcess+"root", "/")
	t.Dir(addedProcess + "fd")
	t.File(addedProcess+"stat", addedPID+" (app) S 1 900 900 0 -1 4194560 1 0 0 0 10 5 0 0 20 0 1 0 100 1000 1 18446744073709551615\n")
}

func status(t *capture.Tape, more string) {
	t.File(addedProcess+"status", "Name:\tapp\nState:\tS (sleeping)\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t \nVmSize:\t 1000 kB\nVmRSS:\t 500 kB\nThreads:\t1\n"+more)
}

// engine puts a containerd of the image on the node that is set up as it should
// be, with an empty configuration.
func engine(t *capture.Tape) {
	hostProcess(t, "/usr/bin/containerd", "/system.slice/containerd.service")
	for _, dir := range []string{".", "etc", "etc/containerd", "usr", "usr/bin"} {
		t.Info(dir, node.FileInfo{Type: node.Directory, Mode: 0o755, Dev: "254:16"})
	}
	t.File("usr/bin/containerd", "")
	t.File("usr/bin/runc", "")
	t.Absent("usr/bin/crun", "usr/bin/youki", "usr/bin/runsc", "usr/bin/kata-runtime", "usr/bin/containerd-shim-runc-v2", "usr/bin/conmon", "usr/bin/conmonrs")
	t.Absent("usr/sbin", "usr/local", "opt", "bin", "sbin", "opt/cni/bin", "opt/nri/plugins", "etc/containers/policy.json", "run/nri/nri.sock")
	t.Dir("opt/containerd/image-verifier/bin", node.DirEntry{Name: "verifier", Type: node.Regular})
	containerdConfig("", 0o644)(t)
}

func containerdConfig(text string, mode uint32) func(*capture.Tape) {
	return func(t *capture.Tape) {
		t.Content("etc/containerd/config.toml", text)
		t.Info("etc/containerd/config.toml", node.FileInfo{Type: node.Regular, Mode: mode, Dev: "254:16"})
	}
}

// noAgents says that no security agent is installed.
func noAgents(t *capture.Tape) {
	for _, dir := range node.AgentFolders {
		t.Absent(dir[1:])
	}
}

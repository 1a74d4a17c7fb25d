package verify

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// reaching are facts of a node where these containers reach the host.
func reaching(list ...node.Container) node.Facts {
	if list == nil {
		list = []node.Container{}
	}
	return withFact(onHost(), node.Containers, node.ContainerState{Present: true, Reaching: list, UserNamespaces: []string{}})
}

// agentPod is a container that is confined and reaches nothing, with changes.
func agentPod(edit func(*node.Container)) node.Container {
	c := node.Container{
		ID: "167008f24c56", Pod: "default/agent", Program: "/app", Root: true, UserNamespace: "initial",
		Shares: []string{}, Capabilities: []string{}, Bounding: []string{}, Seccomp: "on", NoNewPrivs: "on", Mounts: []node.HostMount{},
	}
	edit(&c)
	return c
}

func withMount(host string, writable bool) node.Container {
	return agentPod(func(c *node.Container) {
		c.Mounts = []node.HostMount{{Host: host, At: "/host", Writable: writable}}
	})
}

func declaring(places ...string) profiles.Profile {
	p := profiles.Profile{}
	for _, path := range places {
		p.Containers.Reaching = append(p.Containers.Reaching, profiles.Place{Path: path})
	}
	return p
}

// reachRows are the rows that all checks of containers have in common: bad is a
// container that must fail with the code.
func reachRows(code, power string, bad node.Container) []judgedRow {
	inPart := withFact(inSandbox(), node.Containers, node.ContainerState{Present: true, Reaching: []node.Container{}, UserNamespaces: []string{}})
	return []judgedRow{
		{name: "nothing reaches the host", facts: reaching(), want: "pass none"},
		{name: "one does", facts: reaching(bad), want: "fail " + code},
		{name: "one does and is declared", profile: declaring(power + " default/agent"), facts: reaching(bad), want: "pass declared"},
		{name: "any power of its namespace is declared", profile: declaring("* default/*"), facts: reaching(bad), want: "pass declared"},
		{name: "another pod is declared", profile: declaring(power + " default/agents"), facts: reaching(bad), want: "fail " + code},
		{name: "another power is declared", profile: declaring("uts default/agent"), facts: reaching(bad), want: "fail " + code},
		{name: "a program's name declares nothing", profile: declaring(power + " /app"), facts: reaching(bad), want: "fail " + code},
		{name: "no container at all", facts: withFact(onHost(), node.Containers, node.ContainerState{Reaching: []node.Container{}}), want: "not-applicable no-container"},
		{name: "only a sandbox was seen", facts: inPart, want: "unknown part-of-machine"},
		{name: "nothing was said", facts: withFact(onHost(), node.Containers, node.ContainerState{}), want: "unknown unread"},
		{name: "no process table", facts: lacking(onHost(), node.Containers, node.Denied, "listing /proc: permission denied"), want: "unknown fact-denied"},
		{name: "mounts of some could not be read", facts: withFact(onHost(), node.Containers, node.ContainerState{Present: true, Reaching: []node.Container{}}, deniedGap), want: "unknown gap-denied"},
		{name: "a gap hides no failure", facts: withFact(onHost(), node.Containers, node.ContainerState{Present: true, Reaching: []node.Container{bad}}, deniedGap), want: "fail " + code},
	}
}

func TestHostReachingDeclared(t *testing.T) {
	testJudge(t, hostReachingDeclared, append(reachRows("undeclared", "host-pid", agentPod(func(c *node.Container) { c.Shares = []string{"pid"} })), []judgedRow{
		{name: "the root is named once", facts: reaching(withMount("/", false)), want: "fail undeclared", items: []string{"pod default/agent (/app): / at /host, read-only"}},
		{name: "a socket's folder", facts: reaching(withMount("/run", false)), want: "fail undeclared", items: []string{"pod default/agent (/app): /run at /host, read-only"}},
		{name: "the log folder", facts: reaching(withMount("/var/log", false)), want: "fail undeclared"},
		{name: "the time zone", facts: reaching(withMount("/etc/localtime", false)), want: "pass none"},
		{name: "a disk of the team", facts: reaching(withMount("/mnt/data", true)), want: "pass none"},
		{name: "the cgroup namespace, which every container shares on version 1", facts: reaching(agentPod(func(c *node.Container) { c.Shares = []string{"cgroup"} })), want: "pass none"},
		{name: "a host container is named by its identifier", profile: declaring("* container:control"), facts: reaching(agentPod(func(c *node.Container) { c.Pod, c.ID, c.Shares = "", "control", []string{"net"} })), want: "pass declared"},
	}...))
}

func TestNoUndeclaredPrivileged(t *testing.T) {
	capable := func(namespace, nnp string, shares, permitted, bounding []string) node.Facts {
		return reaching(agentPod(func(c *node.Container) {
			c.UserNamespace, c.NoNewPrivs, c.Shares, c.Capabilities, c.Bounding = namespace, nnp, shares, permitted, bounding
		}))
	}
	admin := []string{"SYS_ADMIN"}
	testJudge(t, noUndeclaredPrivileged, append(reachRows("privileged", "privileged", agentPod(func(c *node.Container) { c.Capabilities = admin })), []judgedRow{
		{name: "in a user namespace of its own", facts: capable("own", "off", nil, admin, nil), want: "pass none"},
		{name: "the user namespace is not known: the worse holds", facts: capable("", "on", nil, admin, nil), want: "fail privileged"},
		{name: "NET_ADMIN in a network of its own", facts: capable("initial", "off", nil, []string{"NET_ADMIN"}, nil), want: "pass none"},
		{name: "privileged, as another user: a setuid program gives it", facts: capable("initial", "off", nil, nil, admin), want: "fail privileged", items: []string{"pod default/agent (/app): capabilities SYS_ADMIN"}},
		{name: "the same with no_new_privs", facts: capable("initial", "on", nil, nil, admin), want: "pass none"},
		{name: "ptrace among its own processes", facts: capable("initial", "off", []string{}, []string{"SYS_PTRACE"}, nil), want: "pass none"},
		{name: "ptrace among the host's", facts: capable("initial", "off", []string{"pid"}, []string{"SYS_PTRACE"}, nil), want: "fail privileged"},
	}...))
}

func TestHostFolders(t *testing.T) {
	testJudge(t, noHostRoot, append(reachRows("host-root", "host-root", withMount("/", false)), []judgedRow{
		{name: "/etc read-only", facts: reaching(withMount("/etc", false)), want: "fail host-root", items: []string{"pod default/agent (/app): /etc at /host, read-only"}},
		{name: "the root of process 1", facts: reaching(withMount("/proc/1/root", false)), want: "fail host-root"},
		{name: "modules read-only, as kube-proxy has them", facts: reaching(withMount("/usr/lib/modules", false)), want: "pass none"},
		{name: "network plugins writable, as their installers have them", facts: reaching(withMount("/opt/cni/bin", true)), want: "fail host-root"},
		{name: "a unit's folder read-only", facts: reaching(withMount("/etc/systemd/system", false)), want: "pass none"},
	}...))
	testJudge(t, kubeletCredentialsUnreached, append(reachRows("credentials-reached", "kubelet", withMount("/var/lib/kubelet", false)), []judgedRow{
		{name: "the key itself", facts: reaching(withMount("/var/lib/kubelet/pki/kubelet-client-current.pem", false)), want: "fail credentials-reached"},
		{name: "the host's root holds it", facts: reaching(withMount("/", false)), want: "fail credentials-reached"},
		{name: "the folder of device plugins does not", facts: reaching(withMount("/var/lib/kubelet/device-plugins", true)), want: "pass none"},
	}...))
	testJudge(t, podVolumesUnreached, append(reachRows("volumes-reached", "pod-volumes", withMount("/var/lib/kubelet/pods", true)), []judgedRow{
		{name: "one volume of another pod", facts: reaching(withMount("/var/lib/kubelet/pods/cda75904-5813-4bb8-8194-19333bf60fb2/volumes/kubernetes.io~secret/db", false)), want: "fail volumes-reached"},
		{name: "a folder above", facts: reaching(withMount("/var", false)), want: "fail volumes-reached"},
		{name: "plugins", facts: reaching(withMount("/var/lib/kubelet/plugins/csi", true)), want: "pass none"},
	}...))
	testJudge(t, hostDevicesUnreached, append(reachRows("devices-reached", "devices", withMount("/dev", true)), []judgedRow{
		{name: "a disk", facts: reaching(withMount("/dev/vda", true)), want: "fail devices-reached"},
		{name: "a file system that the host has not mounted", facts: reaching(withMount("device vda9", true)), want: "fail devices-reached"},
		{name: "null, as in a user namespace", facts: reaching(withMount("/dev/null", true)), want: "pass none"},
		{name: "a tunnel", facts: reaching(withMount("/dev/net/tun", true)), want: "pass none"},
	}...))
}

func TestHostNamespacesUnshared(t *testing.T) {
	shares := func(names ...string) node.Container {
		return agentPod(func(c *node.Container) { c.Shares = names })
	}
	testJudge(t, hostNamespacesUnshared, append(reachRows("shared", "host-pid", shares("pid")), []judgedRow{
		{name: "network", facts: reaching(shares("net", "uts")), want: "fail shared", items: []string{"pod default/agent (/app): the host's network"}},
		{name: "memory", facts: reaching(shares("ipc")), want: "fail shared"},
		{name: "network is declared, processes are not", profile: declaring("host-network default/agent"), facts: reaching(shares("net", "pid")), want: "fail shared", items: []string{"pod default/agent (/app): the host's processes"}},
		{name: "names of hosts give no power", facts: reaching(shares("uts", "cgroup")), want: "pass none"},
	}...))
}

func TestContainersConfined(t *testing.T) {
	bad := agentPod(func(c *node.Container) { c.Seccomp, c.Capabilities = "off", []string{"SYS_ADMIN"} })
	testJudge(t, containersConfined, append(reachRows("unconfined", "unconfined", bad), []judgedRow{
		{name: "an ordinary container without a filter: the default of Kubernetes", facts: reaching(agentPod(func(c *node.Container) { c.Seccomp = "off" })), want: "pass none"},
		{name: "the host's network alone", facts: reaching(agentPod(func(c *node.Container) { c.Seccomp, c.Shares = "off", []string{"net"} })), want: "pass none"},
		{name: "the host's processes", facts: reaching(agentPod(func(c *node.Container) { c.Seccomp, c.Shares = "off", []string{"pid"} })), want: "fail unconfined"},
		{name: "with a filter", facts: reaching(agentPod(func(c *node.Container) { c.Capabilities = []string{"SYS_ADMIN"} })), want: "pass none"},
	}...))
}

// The containers that kubeadm puts on every node are no finding.
func TestCommonProfileKnowsKubeadm(t *testing.T) {
	all, _, err := profiles.Load()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(p *profiles.Profile) bool { return p.Name == "flatcar" })
	proxy := agentPod(func(c *node.Container) {
		c.Pod, c.Program, c.Shares, c.Capabilities, c.Seccomp = "kube-system/kube-proxy-x7k2p", "/usr/local/bin/kube-proxy", []string{"net", "uts"}, []string{"SYS_ADMIN"}, "off"
		c.Mounts = []node.HostMount{{Host: "/run/xtables.lock", At: "/run/xtables.lock", Writable: true}, {Host: "/usr/lib/modules", At: "/lib/modules"}}
	})
	agent := withMount("/", false)
	agent.Pod, agent.ID = "", "self"
	staticPod := func(name string, mounts ...node.HostMount) node.Container {
		return agentPod(func(c *node.Container) {
			c.Pod, c.Program, c.Shares = "kube-system/"+name+"-control-1", "/usr/local/bin/"+name, []string{"net", "uts"}
			c.Mounts = mounts
		})
	}
	pki := node.HostMount{Host: "/etc/kubernetes/pki", At: "/etc/kubernetes/pki"}
	roots := node.HostMount{Host: "/etc/ssl/certs", At: "/etc/ssl/certs"}
	pods := reaching(proxy, agent,
		staticPod("kube-apiserver", pki, roots),
		staticPod("kube-controller-manager", pki, roots, node.HostMount{Host: "/etc/kubernetes/controller-manager.conf", At: "/etc/kubernetes/controller-manager.conf"},
			node.HostMount{Host: "/usr/libexec/kubernetes/kubelet-plugins/volume/exec", At: "/usr/libexec/kubernetes/kubelet-plugins/volume/exec", Writable: true}),
		staticPod("kube-scheduler", node.HostMount{Host: "/etc/kubernetes/scheduler.conf", At: "/etc/kubernetes/scheduler.conf"}),
		staticPod("etcd", node.HostMount{Host: "/etc/kubernetes/pki/etcd", At: "/etc/kubernetes/pki/etcd", Writable: true}, node.HostMount{Host: "/var/lib/etcd", At: "/var/lib/etcd", Writable: true}))
	checks := []Check{hostReachingDeclared, noUndeclaredPrivileged, noHostRoot, kubeletCredentialsUnreached, podVolumesUnreached, hostDevicesUnreached, hostNamespacesUnshared, containersConfined}
	for _, f := range Run(checks, pods, Given{Profile: all[i]}) {
		if f.Verdict != Pass {
			t.Errorf("%s: got %s %s: %s", f.Check, f.Verdict, f.Code, f.Reason)
		}
	}
}

func TestUserNamespacesPolicy(t *testing.T) {
	facts := func(sysctls map[string]string, pods ...string) node.Facts {
		f := withFact(onHost(), node.Containers, node.ContainerState{Present: true, Reaching: []node.Container{}, UserNamespaces: pods})
		return withFact(f, node.Sysctls, node.SysctlValues{Values: sysctls})
	}
	most := map[string]string{"user.max_user_namespaces": "15334"}
	other := func(name, value string) map[string]string {
		m := maps.Clone(most)
		m[name] = value
		return m
	}
	sandbox := withFact(facts(most), node.OS, node.System{Init: "sandboxd", PIDNamespace: "other"})
	gap := facts(map[string]string{"user.max_user_namespaces": "0"})
	testJudge(t, userNamespacesPolicy, []judgedRow{
		{name: "nobody can", facts: facts(map[string]string{"user.max_user_namespaces": "0"}), want: "pass off"},
		{name: "everybody can, and no pod needs it", facts: facts(most), want: "fail open", items: []string{"user.max_user_namespaces"}},
		{name: "a pod has hostUsers: false", facts: facts(most, "default/app"), want: "not-applicable in-use", items: []string{"default/app"}},
		{name: "Debian: root alone", facts: facts(other("kernel.unprivileged_userns_clone", "0")), want: "pass root-only"},
		{name: "Ubuntu: who AppArmor lets", facts: facts(other("kernel.apparmor_restrict_unprivileged_userns", "1")), want: "pass root-only"},
		{name: "a kernel without them", facts: withFact(facts(nil), node.Sysctls, node.SysctlValues{Absent: []string{"user.max_user_namespaces"}}), want: "pass no-namespaces"},
		{name: "a namespace could not be read: it may be a pod's own", facts: withFact(facts(most), node.Containers, node.ContainerState{Present: true, Reaching: []node.Container{}}, deniedGap.In("shares")), want: "unknown gap-denied"},
		{name: "not every pod was seen", facts: sandbox, want: "unknown part-of-machine"},
		{name: "the parameter was not read", facts: facts(nil), want: "unknown unread"},
		{name: "no parameter at all", facts: lacking(facts(most), node.Sysctls, node.Denied, "denied"), want: "unknown fact-denied"},
		{name: "a gap", facts: withFact(gap, node.Sysctls, node.SysctlValues{Values: map[string]string{"user.max_user_namespaces": "0"}}, deniedGap), want: "unknown gap-denied"},
	})
}

// engineFacts are facts of a node with one engine.
func engineFacts(e node.EngineConfig) node.Facts {
	return withFact(onHost(), node.RuntimeConfig, node.RuntimeState{Engines: []node.EngineConfig{e}})
}

func containerd(settings ...string) node.EngineConfig { return engine("containerd", settings...) }

// engine has settings "key=value".
func engine(name string, settings ...string) node.EngineConfig {
	e := node.EngineConfig{Engine: name, Program: "/usr/bin/" + name}
	for _, s := range settings {
		key, value, _ := strings.Cut(s, "=")
		e.Settings = append(e.Settings, node.Setting{Key: key, Value: value, From: "/etc/" + name})
	}
	return e
}

// engineRows are the rows that all checks of engines' configuration have in common.
func engineRows(code string, good, bad node.EngineConfig) []judgedRow {
	named := good
	named.Named, named.Files = true, nil
	return []judgedRow{
		{name: "good", facts: engineFacts(good), want: "pass safe"},
		{name: "bad", facts: engineFacts(bad), want: "fail " + code},
		{name: "no engine", facts: withFact(onHost(), node.RuntimeConfig, node.RuntimeState{Engines: []node.EngineConfig{}}), want: "not-applicable no-engine"},
		{name: "its file is gone: nothing is known of its settings", facts: engineFacts(named), want: "unknown file-missing"},
		{name: "the file of one is gone, and another is bad", facts: withFact(onHost(), node.RuntimeConfig, node.RuntimeState{Engines: []node.EngineConfig{named, bad}}), want: "fail " + code},
		{name: "only a sandbox was seen", facts: withFact(inSandbox(), node.RuntimeConfig, node.RuntimeState{Engines: []node.EngineConfig{good}}), want: "unknown part-of-machine"},
		{name: "nothing was said", facts: withFact(onHost(), node.RuntimeConfig, node.RuntimeState{}), want: "unknown unread"},
		{name: "no process table", facts: lacking(onHost(), node.RuntimeConfig, node.Denied, "listing /proc: permission denied"), want: "unknown fact-denied"},
		{name: "a file could not be read", facts: withFact(onHost(), node.RuntimeConfig, node.RuntimeState{Engines: []node.EngineConfig{good}}, deniedGap), want: "unknown gap-denied"},
	}
}

func TestRuntimeConfigNoNetwork(t *testing.T) {
	testJudge(t, runtimeConfigNoNetwork, append(engineRows("on-network", containerd(), containerd("grpc.tcp_address=0.0.0.0:7777")), []judgedRow{
		{name: "a unix socket for debugging", facts: engineFacts(containerd("debug.address=/run/containerd/debug.sock")), want: "pass safe"},
		{name: "metrics on loopback are named", facts: engineFacts(containerd("metrics.address=127.0.0.1:1338")), want: "pass safe", items: []string{`metrics.address = "127.0.0.1:1338" (/etc/containerd)`}},
		{name: "metrics on the node's address", facts: engineFacts(containerd("metrics.address=[2001:db8::1]:1338")), want: "fail on-network"},
		{name: "a port on every address", facts: engineFacts(containerd("metrics.address=:1338")), want: "fail on-network"},
		{name: "the last file counts", facts: engineFacts(containerd("metrics.address=:1338", "metrics.address=")), want: "pass safe"},
		{name: "CRI on TCP", facts: engineFacts(containerd("cri.disable_tcp_service=false")), want: "fail on-network"},
		{name: "docker on TCP", facts: engineFacts(engine("docker", "hosts=unix:///run/docker.sock", "hosts=tcp://0.0.0.0:2375")), want: "fail on-network", items: []string{`hosts = "tcp://0.0.0.0:2375" (/etc/docker)`}},
		{name: "CRI-O's metrics are off", facts: engineFacts(engine("crio", "metrics_host=0.0.0.0")), want: "pass safe"},
		{name: "CRI-O's metrics are on", facts: engineFacts(engine("crio", "enable_metrics=true", "metrics_host=0.0.0.0")), want: "fail on-network"},
	}...))
}

func TestRuntimeStreamsLocal(t *testing.T) {
	testJudge(t, runtimeStreamsLocal, append(engineRows("streams-open", containerd("cri.stream_server_address=127.0.0.1"), containerd("cri.stream_server_address=0.0.0.0")), []judgedRow{
		{name: "the default", facts: engineFacts(containerd()), want: "pass safe"},
		{name: "empty is the host's address", facts: engineFacts(containerd("cri.stream_server_address=")), want: "fail streams-open"},
		{name: "TLS", facts: engineFacts(engine("crio", "stream_address=0.0.0.0", "stream_enable_tls=true")), want: "pass safe"},
		{name: "CRI-O without", facts: engineFacts(engine("crio", "stream_address=192.0.2.7")), want: "fail streams-open"},
		{name: "docker has no such server", facts: engineFacts(engine("docker")), want: "pass safe"},
	}...))
}

func TestRuntimeDefaultsConfined(t *testing.T) {
	selinux := profiles.Profile{Boot: profiles.Boot{MAC: "selinux"}}
	testJudge(t, runtimeDefaultsConfined, append(engineRows("unconfined", containerd("cri.unset_seccomp_profile="), containerd("cri.unset_seccomp_profile=unconfined")), []judgedRow{
		{name: "AppArmor off", facts: engineFacts(containerd("cri.disable_apparmor=true")), want: "fail unconfined"},
		{name: "AppArmor off where SELinux confines", profile: selinux, facts: engineFacts(containerd("cri.disable_apparmor=true", "cri.enable_selinux=true")), want: "pass safe"},
		{name: "SELinux enforces and containerd does not use it", profile: selinux, facts: engineFacts(containerd("cri.sandbox_image=pause")), want: "fail unconfined", items: []string{"/usr/bin/containerd does not set cri.enable_selinux"}},
		{name: "a containerd that serves no Kubernetes", profile: selinux, facts: engineFacts(containerd()), want: "pass safe"},
		{name: "CRI-O leaves seccomp to the pod", facts: engineFacts(engine("crio", "seccomp_use_default_when_empty=false")), want: "fail unconfined"},
	}...))
}

func TestNoInsecureRegistries(t *testing.T) {
	with := func(host, fault string) node.EngineConfig {
		e := containerd()
		e.Registries = []node.Registry{{Host: host, Fault: fault, From: "/etc/containerd/certs.d/x/hosts.toml"}}
		return e
	}
	declared := profiles.Profile{Containers: profiles.Containers{Registries: []profiles.Place{{Path: "registry.lab*"}}}}
	testJudge(t, noInsecureRegistries, append(engineRows("insecure-registry", containerd(), with("registry.lab:5000", "plain-http")), []judgedRow{
		{name: "declared", profile: declared, facts: engineFacts(with("registry.lab:5000", "skip-verify")), want: "pass safe"},
		{name: "a cache on the node", facts: engineFacts(with("127.0.0.1:30020/v2", "plain-http")), want: "pass safe"},
		{name: "a name that begins like loopback", facts: engineFacts(with("localhost.example:80", "plain-http")), want: "fail insecure-registry"},
	}...))
}

func TestRuntimeConfigClosed(t *testing.T) {
	with := func(mode, uid, folder uint32) node.EngineConfig {
		e := containerd()
		e.Files = []node.ConfigFile{{Path: "/etc/containerd/config.toml", Mode: mode, UID: uid, Parents: []node.Folder{{Path: "/etc/containerd", Mode: folder}}}}
		return e
	}
	testJudge(t, runtimeConfigClosed, append(engineRows("config-open", with(0o644, 0, 0o755), with(0o666, 0, 0o755)), []judgedRow{
		{name: "its group is root's", facts: engineFacts(with(0o664, 0, 0o775)), want: "pass safe"},
		{name: "another owner", facts: engineFacts(with(0o644, 1000, 0o755)), want: "fail config-open", items: []string{"/etc/containerd/config.toml: user 1000 owns it"}},
		{name: "its folder is open", facts: engineFacts(with(0o644, 0, 0o777)), want: "fail config-open"},
		{name: "a folder with the sticky bit", facts: engineFacts(with(0o644, 0, 0o1777)), want: "pass safe"},
	}...))
}

func TestNRIClosed(t *testing.T) {
	facts := func(socket bool, plugins ...string) node.Facts {
		f := withFact(onHost(), node.RuntimeConfig, node.RuntimeState{Engines: []node.EngineConfig{containerd()}, NRIPlugins: plugins})
		sockets := []node.RuntimeSocket{}
		if socket {
			sockets = append(sockets, node.RuntimeSocket{Engine: "nri", Path: "/run/nri/nri.sock", Type: node.Socket})
		}
		return withFact(f, node.RuntimeSockets, sockets)
	}
	declared := profiles.Profile{Containers: profiles.Containers{NRIPlugins: []profiles.Place{{Path: "/opt/nri/plugins/10-topology"}}}}
	testJudge(t, nriClosed, []judgedRow{
		{name: "off", facts: facts(false), want: "pass off"},
		{name: "on without plugins, as containerd 2 ships it", facts: facts(true), want: "pass no-plugin"},
		{name: "a plugin", facts: facts(true, "/opt/nri/plugins/10-x"), want: "fail undeclared-plugins", items: []string{"/opt/nri/plugins/10-x"}},
		{name: "a plugin that waits", facts: facts(false, "/opt/nri/plugins/10-x"), want: "fail plugins-waiting"},
		{name: "a declared plugin", profile: declared, facts: facts(true, "/opt/nri/plugins/10-topology"), want: "pass declared"},
		{name: "docker alone", facts: withFact(facts(false), node.RuntimeConfig, node.RuntimeState{Engines: []node.EngineConfig{engine("docker")}}), want: "not-applicable no-engine"},
		{name: "nothing was said", facts: withFact(facts(false), node.RuntimeConfig, node.RuntimeState{}), want: "unknown unread"},
		{name: "no sockets", facts: lacking(facts(false), node.RuntimeSockets, node.Denied, "denied"), want: "unknown fact-denied"},
		{name: "the folder could not be listed", facts: withFact(facts(false), node.RuntimeConfig, node.RuntimeState{Engines: []node.EngineConfig{containerd()}}, deniedGap.In("nriPlugins")), want: "unknown gap-denied"},
		{name: "another part could not be read", facts: withFact(facts(false), node.RuntimeConfig, node.RuntimeState{Engines: []node.EngineConfig{containerd()}}, deniedGap.In("policy")), want: "pass off"},
	})
}

func TestImagePolicyPresent(t *testing.T) {
	state := func(e node.EngineConfig, policy node.SignaturePolicy, verifiers ...string) node.RuntimeState {
		return node.RuntimeState{Engines: []node.EngineConfig{e}, Policy: policy, Verifiers: verifiers}
	}
	facts := func(s node.RuntimeState, gaps ...node.Gap) node.Facts {
		return withFact(onHost(), node.RuntimeConfig, s, gaps...)
	}
	reject := node.SignaturePolicy{State: "present", Default: []string{"reject"}}
	testJudge(t, imagePolicyPresent, []judgedRow{
		{name: "containerd with a verifier", facts: facts(state(containerd(), node.SignaturePolicy{}, "/opt/containerd/image-verifier/bin/v")), want: "pass present"},
		{name: "containerd without", facts: facts(state(containerd(), reject)), want: "fail no-policy"},
		{name: "containerd whose folder of verifiers could not be listed", facts: facts(state(containerd(), reject), deniedGap.In("verifiers")), want: "unknown gap-denied"},
		{name: "Talos, whose rules no file shows", profile: profiles.Profile{Containers: profiles.Containers{ImagePolicy: "in the machine configuration"}}, facts: facts(state(containerd(), reject)), want: "unknown elsewhere"},
		{name: "CRI-O that rejects", facts: facts(state(engine("crio"), reject)), want: "pass present"},
		{name: "CRI-O as shipped", facts: facts(state(engine("crio"), node.SignaturePolicy{State: "present", Default: []string{"insecureAcceptAnything"}})), want: "fail no-policy"},
		{name: "CRI-O without a file", facts: facts(state(engine("crio"), node.SignaturePolicy{State: "absent"})), want: "fail no-policy"},
		{name: "CRI-O whose file is elsewhere", facts: facts(state(engine("crio", "signature_policy=/etc/x.json"), reject)), want: "unknown elsewhere"},
		{name: "the policy was not read", facts: facts(state(engine("crio"), node.SignaturePolicy{})), want: "unknown unread"},
		{name: "docker", facts: facts(state(engine("docker"), reject)), want: "fail no-policy"},
		{name: "no engine", facts: facts(node.RuntimeState{Engines: []node.EngineConfig{}}), want: "not-applicable no-engine"},
		{name: "no process table", facts: lacking(onHost(), node.RuntimeConfig, node.Denied, "denied"), want: "unknown fact-denied"},
		{name: "a gap", facts: facts(state(engine("crio"), reject), deniedGap.In("policy")), want: "unknown gap-denied"},
	})
}

func TestRuntimeBinariesVerified(t *testing.T) {
	mounts := []node.Mount{mounted("/", "ext4", "/dev/vda9", "rw", "rw"), mounted("/usr", "squashfs", "/dev/mapper/usr", "ro", "ro")}
	facts := func(binaries ...node.RuntimeBinary) node.Facts {
		f := withFact(onHost(), node.RuntimeConfig, node.RuntimeState{Engines: []node.EngineConfig{containerd()}, Binaries: binaries})
		return withFact(f, node.Mounts, mounts)
	}
	sum := strings.Repeat("ab", 32)
	runc := node.RuntimeBinary{Path: "/usr/bin/runc", Role: "oci-runtime"}
	plugin := node.RuntimeBinary{Path: "/opt/cni/bin/bridge", Role: "network-plugin", SHA256: sum}
	place := func(path, digest string) profiles.Profile {
		return profiles.Profile{Containers: profiles.Containers{Binaries: []profiles.Place{{Path: path, SHA256: digest}}}}
	}
	testJudge(t, runtimeBinariesVerified, []judgedRow{
		{name: "all of the image", facts: facts(runc), want: "pass from-image"},
		{name: "a network plugin on writable storage", facts: facts(runc, plugin), want: "fail outside-image", items: []string{"network-plugin /opt/cni/bin/bridge (sha256 " + sum + ")"}},
		{name: "its folder is declared", profile: place("/opt/cni/bin/*", ""), facts: facts(runc, plugin), want: "pass declared"},
		{name: "declared by digest", profile: place("/opt/cni/bin/bridge", sum), facts: facts(runc, plugin), want: "pass declared"},
		{name: "declared by another digest", profile: place("/opt/cni/bin/bridge", strings.Repeat("cd", 32)), facts: facts(runc, plugin), want: "fail outside-image"},
		{name: "declared by digest and not hashed", profile: place("/opt/cni/bin/bridge", sum), facts: facts(node.RuntimeBinary{Path: plugin.Path, Role: plugin.Role}), want: "unknown not-hashed"},
		{name: "its mount is not known", facts: withFact(facts(runc), node.Mounts, []node.Mount{}), want: "unknown mount-unknown"},
		{name: "none was found", facts: facts(), want: "unknown unread"},
		{name: "no engine", facts: withFact(facts(), node.RuntimeConfig, node.RuntimeState{Engines: []node.EngineConfig{}}), want: "not-applicable no-engine"},
		{name: "no mounts", facts: lacking(facts(runc), node.Mounts, node.Denied, "denied"), want: "unknown fact-denied"},
		{name: "the budget was spent", facts: withFact(facts(runc), node.RuntimeConfig, node.RuntimeState{Engines: []node.EngineConfig{containerd()}, Binaries: []node.RuntimeBinary{runc}}, deniedGap.In("binaries")), want: "unknown gap-denied"},
	})
}

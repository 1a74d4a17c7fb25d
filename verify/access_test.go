package verify

import (
	"testing"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// accessFacts are facts by their type; lists that no value gives are there and
// hold nothing, and a program runs.
func accessFacts(values ...any) node.Facts {
	facts := node.Facts{
		node.LoginServices.Name:  {Value: node.LoginServiceState{Programs: []node.LoginProgram{}, Units: []node.LoginUnit{}}},
		node.Processes.Name:      {Value: []node.Program{{Path: "/usr/lib/systemd/systemd", Unit: "/init.scope"}}},
		node.Listeners.Name:      {Value: []node.Listener{}},
		node.OS.Name:             {Value: node.System{Init: "systemd", PIDNamespace: "initial"}},
		node.SSH.Name:            {Value: node.SSHState{}},
		node.Accounts.Name:       {Value: node.AccountState{Accounts: []node.Account{}, Groups: []node.AccountGroup{}, Sudo: []node.SudoRule{}}},
		node.Consoles.Name:       {Value: []node.Console{}},
		node.Boot.Name:           {Value: node.BootState{Cmdline: []node.Word{{Key: "quiet"}}}},
		node.Sessions.Name:       {Value: node.SessionState{Logind: "yes"}},
		node.Management.Name:     {Value: node.ManagementState{}},
		node.RuntimeSockets.Name: {Value: []node.RuntimeSocket{}},
		node.Removable.Name:      {Value: node.RemovableState{Driver: "no", Disks: []node.RemovableDisk{}}},
	}
	for _, v := range values {
		name := ""
		switch v.(type) {
		case node.LoginServiceState:
			name = node.LoginServices.Name
		case []node.Program:
			name = node.Processes.Name
		case []node.Listener:
			name = node.Listeners.Name
		case node.System:
			name = node.OS.Name
		case node.SSHState:
			name = node.SSH.Name
		case node.AccountState:
			name = node.Accounts.Name
		case []node.Console:
			name = node.Consoles.Name
		case node.BootState:
			name = node.Boot.Name
		case node.SessionState:
			name = node.Sessions.Name
		case node.ManagementState:
			name = node.Management.Name
		case []node.RuntimeSocket:
			name = node.RuntimeSockets.Name
		case node.RemovableState:
			name = node.Removable.Name
		}
		facts[name] = node.Fact{Value: v}
	}
	return facts
}

// sandbox is what Talos 1.14 shows from inside the sandbox of its workloads.
var sandbox = node.System{Init: "sandboxd", PIDNamespace: "other"}

func place(path string) profiles.Place { return profiles.Place{Path: path, Why: "declared"} }

func accessProfile(a profiles.Access) *profiles.Profile { return &profiles.Profile{Access: a} }

func TestNoSSHDaemon(t *testing.T) {
	sshd := node.LoginServiceState{Programs: []node.LoginProgram{{Name: "sshd", Path: "/usr/sbin/sshd"}}, Units: []node.LoginUnit{}}
	unit := func(masked bool) node.LoginServiceState {
		v := sshd
		v.Units = []node.LoginUnit{{Unit: "sshd.socket", Link: "/usr/lib/systemd/system/sockets.target.wants/sshd.socket", Masked: masked}}
		return v
	}
	runs := []node.Program{{Path: "/usr/lib/systemd/systemd"}, {Path: "/usr/sbin/sshd", Unit: "/system.slice/sshd.service"}}
	runJudged(t, noSSHDaemon, nil, []judged{
		{"Talos: nothing to be found", accessFacts(), "not-applicable no-executable", "no such executable", nil},
		{"there, and off", accessFacts(sshd), "pass off", "/usr/sbin/sshd", nil},
		{"Flatcar: socket-activated", accessFacts(unit(false)), "fail ssh-on", "sshd.socket is enabled", nil},
		{"masked", accessFacts(unit(true)), "pass off", "", nil},
		{"runs", accessFacts(sshd, runs), "fail ssh-on", "", []string{"/usr/sbin/sshd runs in /system.slice/sshd.service"}},
		{"dropbear from /opt", accessFacts([]node.Program{{Path: "/opt/bin/dropbear", Unit: "/x.service"}}), "fail ssh-on", "dropbear", nil},
		{"Bottlerocket's admin container listens", accessFacts([]node.Listener{{Network: "tcp", Address: "0.0.0.0", Port: 22, Program: "/usr/sbin/sshd", Container: true}}), "fail ssh-on", "port 22", nil},
		{"systemd holds the socket", accessFacts([]node.Listener{{Network: "tcp6", Address: "::", Port: 22, Program: "/usr/lib/systemd/systemd"}}), "fail ssh-on", "port 22", nil},
		{"sshd on another port", accessFacts([]node.Listener{{Network: "tcp", Address: "10.0.0.1", Port: 2222, Program: "/usr/sbin/sshd"}}), "fail ssh-on", "port 2222", nil},
		{"a unix socket has no port", accessFacts([]node.Listener{{Network: "unix", Address: "/run/x"}}), "not-applicable no-executable", "", nil},
		{"tailscaled is told", accessFacts(node.LoginServiceState{Programs: []node.LoginProgram{{Name: "tailscaled", Path: "/opt/bin/tailscaled"}}, Units: []node.LoginUnit{}}), "pass no-ssh", "/opt/bin/tailscaled", nil},
		{"from a sandbox nothing is proven", accessFacts(sandbox), "unknown part-of-machine", "", nil},
		{"no process was seen", accessFacts([]node.Program{}), "unknown unread", "", nil},
		{"gap", gapped(accessFacts(sshd)), "unknown gap-denied", "", nil},
		{"a gap does not hide what runs", gapped(accessFacts(sshd, runs)), "fail ssh-on", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
	runJudged(t, noSSHDaemon, accessProfile(profiles.Access{SSH: "Flatcar starts sshd"}), []judged{
		{"as shipped is told", accessFacts(sshd, runs), "fail ssh-on", "as shipped: Flatcar starts sshd", nil},
	})
}

// ssh is a daemon with these settings: keyword, value, keyword, value, …
func ssh(settings ...string) node.Facts {
	s := node.SSHState{Config: "/etc/ssh/sshd_config", Settings: []node.SSHSetting{}, Keys: []node.SSHKey{}}
	for i := 0; i < len(settings); i += 2 {
		s.Settings = append(s.Settings, node.SSHSetting{Keyword: settings[i], Value: settings[i+1], From: s.Config})
	}
	return sshFacts(s)
}

func sshFacts(s node.SSHState) node.Facts {
	return accessFacts(s, node.LoginServiceState{Programs: []node.LoginProgram{{Name: "sshd", Path: "/usr/sbin/sshd"}}, Units: []node.LoginUnit{}})
}

// matched makes the last setting one of a Match block.
func matched(facts node.Facts) node.Facts {
	s := facts[node.SSH.Name].Value.(node.SSHState)
	s.Settings[len(s.Settings)-1].Conditional = true
	return facts
}

func TestSSHKeysOnly(t *testing.T) {
	const password, keyboard = "passwordauthentication", "kbdinteractiveauthentication"
	runJudged(t, sshKeysOnly, nil, []judged{
		{"both off", ssh(password, "no", keyboard, "no"), "pass keys-only", "", nil},
		{"the first counts", ssh(password, "no", keyboard, "no", password, "yes"), "pass keys-only", "", nil},
		{"upper case", ssh(password, "No", keyboard, "NO"), "pass keys-only", "", nil},
		{"nothing written", ssh(), "fail passwords", "sshd's default", nil},
		{"PAM asks by keyboard", ssh(password, "no"), "fail passwords", "KbdInteractiveAuthentication", nil},
		{"passwords for some", matched(ssh(keyboard, "no", password, "no", password, "yes")), "fail passwords", "some connections", nil},
		{"no for some does not help", matched(ssh(keyboard, "no", password, "no")), "fail passwords", "sshd's default", nil},
		{"no sshd", accessFacts(), "not-applicable no-executable", "", nil},
		{"sshd without its file", sshFacts(node.SSHState{}), "unknown no-configuration", "etc/ssh/sshd_config", nil},
		{"gap", gapped(ssh(password, "no", keyboard, "no")), "unknown gap-denied", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
}

func TestSSHRootLoginOff(t *testing.T) {
	const key = "permitrootlogin"
	rows := []judged{
		{"no", ssh(key, "no"), "pass off", "", nil},
		{"yes", ssh(key, "yes"), "fail root-by-password", "", nil},
		{"yes for some", matched(ssh(key, "no", key, "yes")), "fail root-by-password", "", nil},
		{"no sshd", accessFacts(), "not-applicable no-executable", "", nil},
		{"gap", gapped(ssh(key, "no")), "unknown gap-denied", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	}
	runJudged(t, sshRootLoginOff, nil, append(rows, []judged{
		{"the default lets root in by key", ssh(), "fail root-by-key", "sshd's default", nil},
		{"without-password, its older name", ssh(key, "without-password"), "fail root-by-key", "", nil},
	}...))
	runJudged(t, sshRootLoginOff, accessProfile(profiles.Access{RootByKey: "root is the only account"}), append(rows, []judged{
		{"MicroOS as shipped", ssh(), "pass by-key-as-shipped", "root is the only account", nil},
	}...))
}

func TestSSHKeysDeclared(t *testing.T) {
	const print = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
	keys := func(settings ...string) node.Facts {
		facts := ssh(settings...)
		s := facts[node.SSH.Name].Value.(node.SSHState)
		s.Keys = []node.SSHKey{{User: "core", File: "/home/core/.ssh/authorized_keys", Type: "ssh-ed25519", Fingerprint: print, Options: []string{"from"}}}
		facts[node.SSH.Name] = node.Fact{Value: s}
		return facts
	}
	const item = "ssh-ed25519 " + print + " of core in /home/core/.ssh/authorized_keys (from)"
	const command, program = "authorizedkeyscommand", "/usr/libexec/ssh-key-dir"
	runJudged(t, sshKeysDeclared, nil, []judged{
		{"no keys", ssh(), "pass no-keys", "", nil},
		{"a key that nobody has declared", keys(), "fail undeclared-key", "", []string{item}},
		{"a program answers", ssh(command, program), "unknown keys-elsewhere", program, nil},
		{"none is no program", ssh(command, "none"), "pass no-keys", "", nil},
		{"an authority signs keys", ssh("trustedusercakeys", "/etc/ssh/ca.pub"), "unknown keys-elsewhere", "/etc/ssh/ca.pub", nil},
		{"no sshd", accessFacts(), "not-applicable no-executable", "", nil},
		{"gap", gapped(ssh()), "unknown gap-denied", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
	runJudged(t, sshKeysDeclared, accessProfile(profiles.Access{Keys: []profiles.Place{place(print)}, KeyCommands: []profiles.Place{place(program)}}), []judged{
		{"declared", keys(), "pass declared", "", []string{item}},
		{"a program whose files were read", keys(command, program), "pass declared", "", nil},
	})
}

func accounts(list ...node.Account) node.Facts {
	return accessFacts(node.AccountState{Accounts: append([]node.Account{}, list...), Groups: []node.AccountGroup{}, Sudo: []node.SudoRule{}})
}

func root(password string) node.Account {
	return node.Account{Name: "root", Home: "/root", Shell: "/bin/bash", ShellFound: "yes", Password: password, From: "/etc/passwd"}
}

func TestNoPasswordAccounts(t *testing.T) {
	core := node.Account{Name: "core", UID: 500, Shell: "/bin/bash", ShellFound: "yes", Password: "password", Hash: "yescrypt"}
	runJudged(t, noPasswordAccounts, nil, []judged{
		{"locked", accounts(root("locked")), "pass none", "", nil},
		{"no entry in shadow", accounts(root("none")), "pass none", "", nil},
		{"a password", accounts(root("locked"), core), "fail password", "yescrypt", []string{"core has a password (yescrypt)"}},
		{"none is asked for", accounts(root("empty")), "fail password", "", []string{"root is not asked for a password"}},
		{"shadow was not readable", accounts(root("unknown")), "unknown password-unseen", "root", nil},
		{"no database at all", accounts(), "not-applicable no-accounts", "/etc", nil},
		{"gap", gapped(accounts(root("locked"))), "unknown gap-denied", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
}

func TestNoLoginShellsBeyondProfile(t *testing.T) {
	shell := func(name, shell, found string) node.Account {
		return node.Account{Name: name, UID: 1000, Shell: shell, ShellFound: found, Password: "locked"}
	}
	profile := accessProfile(profiles.Access{Accounts: []profiles.Place{place("root")}})
	runJudged(t, noLoginShells, profile, []judged{
		{"declared", accounts(root("locked"), shell("daemon", "/usr/sbin/nologin", "yes")), "pass declared", "root (/bin/bash)", nil},
		{"one more", accounts(root("locked"), shell("admin", "/bin/bash", "yes")), "fail shell", "", []string{"admin (/bin/bash)"}},
		{"no shell written is /bin/sh", accounts(shell("admin", "", "yes")), "fail shell", "", []string{"admin (/bin/sh)"}},
		{"a shell that is not there", accounts(shell("admin", "/bin/zsh", "no")), "pass none", "", nil},
		{"a shell that could not be looked at", accounts(shell("admin", "/bin/zsh", "unknown")), "unknown shell-unseen", "", nil},
		{"no database at all", accounts(), "not-applicable no-accounts", "", nil},
		{"gap", gapped(accounts(root("locked"))), "unknown gap-denied", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
	runJudged(t, noLoginShells, &profiles.Profile{Ordinary: true}, []judged{
		{"an ordinary host", accounts(root("locked")), "not-applicable nothing-expected", "", nil},
	})
}

func TestSingleSuperuser(t *testing.T) {
	toor := node.Account{Name: "toor", From: "/etc/passwd", Password: "locked"}
	runJudged(t, singleSuperuser, nil, []judged{
		{"one", accounts(root("locked"), node.Account{Name: "core", UID: 500}), "pass one", "", nil},
		{"root in two databases is one", accounts(root("locked"), root("locked")), "pass one", "", nil},
		{"toor", accounts(root("locked"), toor), "fail second-root", "", []string{"toor in /etc/passwd"}},
		{"no database at all", accounts(), "not-applicable no-accounts", "", nil},
		{"gap", gapped(accounts(root("locked"))), "unknown gap-denied", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
}

func TestPrivilegeEscalationDeclared(t *testing.T) {
	facts := func(groups []node.AccountGroup, rules ...node.SudoRule) node.Facts {
		return accessFacts(node.AccountState{Accounts: []node.Account{}, Groups: append([]node.AccountGroup{}, groups...), Sudo: append([]node.SudoRule{}, rules...)})
	}
	wheel := node.SudoRule{Who: "%wheel", NoPassword: true, All: true, From: "/etc/sudoers"}
	docker := []node.AccountGroup{{Name: "docker", Members: []string{"core"}}}
	rows := []judged{
		{"nobody", facts(nil), "pass nobody", "", nil},
		{"root may", facts([]node.AccountGroup{{Name: "root", Members: []string{"root"}}}, node.SudoRule{Who: "root", All: true}), "pass nobody", "", nil},
		{"a member of docker", facts(docker), "fail undeclared", "", []string{"core is in group docker"}},
		{"two users in one rule", facts(nil, node.SudoRule{Who: "a,b", From: "/f"}), "fail undeclared", "", []string{"sudo for a (/f)", "sudo for b (/f)"}},
		{"gap", gapped(facts(nil)), "unknown gap-denied", "", nil},
		{"accounts that could not be read may have docker as their first group", withFact(facts(nil), node.Accounts, node.AccountState{Accounts: []node.Account{}, Groups: []node.AccountGroup{}, Sudo: []node.SudoRule{}}, deniedGap.In("accounts")), "unknown gap-denied", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	}
	runJudged(t, privilegeEscalationDeclared, nil, append(rows, judged{"a rule", facts(nil, wheel), "fail undeclared", "without a password", nil}))
	runJudged(t, privilegeEscalationDeclared, accessProfile(profiles.Access{Privileges: []profiles.Place{place("sudo %wheel")}}),
		append(rows, judged{"a declared rule", facts(nil, wheel), "pass declared", "every command", nil}))
	runJudged(t, privilegeEscalationDeclared, accessProfile(profiles.Access{Privileges: []profiles.Place{place("group docker core")}}),
		[]judged{{"a declared member", facts(docker), "pass declared", "", nil}})
	runJudged(t, privilegeEscalationDeclared, &profiles.Profile{Ordinary: true}, []judged{
		{"an ordinary host", facts(docker), "not-applicable nothing-expected", "", nil},
	})
}

func TestConsoles(t *testing.T) {
	words := func(w ...node.Word) node.BootState { return node.BootState{Cmdline: w} }
	auto := []node.Console{{Unit: "serial-getty@ttyS0.service", Kind: "autologin", User: "core", File: "/etc/systemd/system/serial-getty@ttyS0.service.d/autologin-core.conf", Active: true}}
	debug := func(active bool) []node.Console {
		return []node.Console{{Unit: "debug-shell.service", Kind: "debug-shell", File: "/etc/systemd/system/sysinit.target.wants/debug-shell.service", Active: active}}
	}
	runJudged(t, noConsoleAutologin, nil, []judged{
		{"none", accessFacts(), "pass none", "", nil},
		{"a drop-in", accessFacts(auto), "fail autologin", "logs in core", nil},
		{"a shell for a getty", accessFacts([]node.Console{{Unit: "getty@tty1.service", Kind: "shell", File: "/f"}}), "fail autologin", "starts a shell", nil},
		{"a debug shell is another check's", accessFacts(debug(true)), "pass none", "", nil},
		{"Flatcar's word", accessFacts(words(node.Word{Key: "flatcar.autologin"})), "fail autologin", "flatcar.autologin", nil},
		{"Flatcar's word for one console", accessFacts(words(node.Word{Key: "flatcar.autologin", Value: "ttyS0", Valued: true})), "fail autologin", "", nil},
		{"no command line", accessFacts(words()), "unknown unread", "", nil},
		{"gap", gapped(accessFacts()), "unknown gap-denied", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
	runJudged(t, noDebugShell, nil, []judged{
		{"none", accessFacts(), "pass none", "", nil},
		{"wanted", accessFacts(debug(true)), "fail debug-shell", "sysinit.target.wants", nil},
		{"wanted and masked", accessFacts(debug(false)), "pass none", "", nil},
		{"runs", accessFacts([]node.Program{{Path: "/usr/bin/bash", Unit: "/system.slice/debug-shell.service"}}), "fail debug-shell", "", nil},
		{"Talos' word", accessFacts(words(node.Word{Key: "talos.debugshell"})), "fail debug-shell", "", nil},
		{"systemd's word", accessFacts(words(node.Word{Key: "systemd.debug_shell", Value: "1", Valued: true})), "fail debug-shell", "", nil},
		{"the word with no", accessFacts(words(node.Word{Key: "systemd.debug-shell", Value: "0", Valued: true})), "pass none", "", nil},
		{"from a sandbox nothing is proven", accessFacts(sandbox), "unknown part-of-machine", "", nil},
		{"no command line", accessFacts(words()), "unknown unread", "", nil},
		{"gap", gapped(accessFacts()), "unknown gap-denied", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
}

func TestSessions(t *testing.T) {
	shell := func(unit, terminal string) node.SessionState {
		return node.SessionState{Logind: "yes", Shells: []node.Shell{{Program: "/usr/bin/bash", Unit: unit, Terminal: terminal}}}
	}
	const pod, service = "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod<uuid>.slice/cri-containerd-<id>.scope", "/system.slice/x.service"
	debugPod := func(running bool) node.SessionState {
		return node.SessionState{Logind: "yes", DebugPods: []node.DebugPod{{Pod: "default/node-debugger-n-x", Running: running}}}
	}
	runJudged(t, nobodyLoggedIn, nil, []judged{
		{"nobody", accessFacts(), "pass nobody", "", nil},
		{"Talos: no logind", accessFacts(node.SessionState{Logind: "absent"}), "pass nobody", "does not run here", nil},
		{"over SSH", accessFacts(node.SessionState{Logind: "yes", Sessions: []node.Session{{User: "core", Type: "tty", Service: "sshd", Remote: "yes"}}}), "fail logged-in", "", []string{"core (sshd, from elsewhere)"}},
		{"at the console, by utmp", accessFacts(node.SessionState{Logind: "absent", Logins: []node.Login{{User: "root", Line: "tty1"}}}), "fail logged-in", "", []string{"root on tty1"}},
		{"Bottlerocket: sheltie", accessFacts(shell("/default/admin", "yes")), "fail logged-in", "a shell on a terminal", nil},
		{"a service that runs sh -c", accessFacts(shell(service, "no")), "pass nobody", "", nil},
		{"the terminal was not readable", accessFacts(shell(service, "unknown")), "unknown shell-unseen", "", nil},
		{"a pod's shell is another check's", accessFacts(shell(pod, "yes")), "pass nobody", "", nil},
		{"from a sandbox nothing is proven", accessFacts(sandbox), "unknown part-of-machine", "", nil},
		{"logind could not be read", accessFacts(node.SessionState{}), "unknown unread", "", nil},
		{"gap", gapped(accessFacts()), "unknown gap-denied", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
	runJudged(t, noDebugSession, nil, []judged{
		{"none", accessFacts(), "pass none", "", nil},
		{"runs", accessFacts(debugPod(true)), "fail debugged", "which runs", nil},
		{"has ended", accessFacts(debugPod(false)), "fail debugged", "still there", nil},
		{"chroot /host in a pod", accessFacts(shell(pod, "yes")), "fail debugged", "a shell on a terminal", nil},
		{"an agent that runs a script on the host", accessFacts(shell(pod, "no")), "pass none", "", nil},
		{"the terminal was not readable", accessFacts(shell(pod, "unknown")), "unknown shell-unseen", "", nil},
		{"a login is another check's", accessFacts(shell("/user.slice/user-N.slice/session-N.scope", "yes")), "pass none", "", nil},
		{"gap", gapped(accessFacts()), "unknown gap-denied", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
	both := node.SessionState{Logind: "absent", HostContainers: []string{"admin", "control"}}
	runJudged(t, noAdminContainer, accessProfile(profiles.Access{HostContainers: []profiles.Place{place("control")}}), []judged{
		{"none", accessFacts(), "pass none", "", nil},
		{"control is declared", accessFacts(node.SessionState{Logind: "absent", HostContainers: []string{"control"}}), "pass declared", "", nil},
		{"admin is not", accessFacts(both), "fail admin-container", "", []string{"host container admin"}},
		{"a toolbox", accessFacts(node.SessionState{Logind: "yes", Toolboxes: []node.Toolbox{{Name: "core-toolbox", Kind: "machine"}}}), "fail admin-container", "", []string{"toolbox core-toolbox (machine)"}},
		{"what a toolbox left", accessFacts(node.SessionState{Logind: "yes", Toolboxes: []node.Toolbox{{Name: "root-x", Kind: "left"}}}), "pass none", "/var/lib/toolbox/root-x", nil},
		{"gap", gapped(accessFacts()), "unknown gap-denied", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
}

func TestManagementAPIContained(t *testing.T) {
	apid := []node.Listener{{Network: "tcp6", Address: "::", Port: 50000, Program: "/apid"}}
	talos := func(change func(*node.ManagementState)) node.ManagementState {
		v := node.ManagementState{Config: "/system/state/config.yaml", RBAC: "on", ClusterAccess: "off", ClusterRoles: []string{}, Ingress: "accept", Rules: []node.IngressRule{}}
		if change != nil {
			change(&v)
		}
		return v
	}
	block := func(r node.IngressRule) func(*node.ManagementState) {
		return func(v *node.ManagementState) { v.Ingress, v.Rules = "block", []node.IngressRule{r} }
	}
	socket := func(mode uint32) []node.RuntimeSocket {
		return []node.RuntimeSocket{{Engine: "bottlerocket-api", Path: "/run/api.sock", Type: node.Socket, Mode: mode, GID: 274}}
	}
	runJudged(t, managementAPIContained, nil, []judged{
		{"Flatcar has none", accessFacts(), "not-applicable no-api", "", nil},
		{"Talos as shipped: what stands in front is not seen", accessFacts(apid, talos(nil)), "unknown network-unseen", "port 50000", nil},
		{"a rule for a network", accessFacts(apid, talos(block(node.IngressRule{Ports: "50000", Protocol: "tcp", Subnets: 1}))), "pass contained", "1 rules", nil},
		{"a range", accessFacts(apid, talos(block(node.IngressRule{Ports: "50000-50001", Protocol: "tcp", Subnets: 2}))), "pass contained", "", nil},
		{"a rule for everyone", accessFacts(apid, talos(block(node.IngressRule{Ports: "50000", Protocol: "tcp", Subnets: 1, Anyone: true}))), "fail open", "everyone", nil},
		{"a rule for another port", accessFacts(apid, talos(block(node.IngressRule{Ports: "10250", Protocol: "tcp", Subnets: 1, Anyone: true}))), "pass contained", "0 rules", nil},
		{"RBAC off", accessFacts(apid, talos(func(v *node.ManagementState) { v.RBAC = "off" })), "fail open", "rbac", nil},
		{"pods may be administrators", accessFacts(apid, talos(func(v *node.ManagementState) { v.ClusterAccess, v.ClusterRoles = "on", []string{"os:admin"} })), "fail open", "os:admin", nil},
		{"pods may read", accessFacts([]node.Listener{}, talos(func(v *node.ManagementState) { v.ClusterAccess, v.ClusterRoles = "on", []string{"os:reader"} })), "pass contained", "", nil},
		{"roles that are switched off", accessFacts(talos(func(v *node.ManagementState) { v.ClusterRoles = []string{"os:admin"} })), "pass contained", "", nil},
		{"on loopback alone", accessFacts([]node.Listener{{Network: "tcp", Address: "127.0.0.1", Port: 50000, Program: "/apid"}}, talos(nil)), "pass contained", "", nil},
		{"no configuration to be read", accessFacts(apid), "unknown no-configuration", "/system/state/config.yaml", nil},
		{"Bottlerocket as shipped", accessFacts(socket(0o660)), "pass contained", "0660", nil},
		{"Bottlerocket in 2019", accessFacts(socket(0o777)), "fail open", "0777", nil},
		{"from a sandbox nothing is proven", accessFacts(sandbox), "unknown part-of-machine", "", nil},
		{"gap", gapped(accessFacts()), "unknown gap-denied", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
	runJudged(t, managementAPIContained, accessProfile(profiles.Access{API: []profiles.Place{place("tcp:50000")}}), []judged{
		{"declared", accessFacts(apid, talos(nil)), "pass contained", "what is declared", nil},
		{"what is declared does not cover RBAC", accessFacts(apid, talos(func(v *node.ManagementState) { v.RBAC = "off" })), "fail open", "rbac", nil},
	})
}

func TestNoRemovableMedia(t *testing.T) {
	runJudged(t, noRemovableMedia, nil, []judged{
		{"none", accessFacts(), "pass none", "no driver", nil},
		{"a driver is no failure", accessFacts(node.RemovableState{Driver: "yes", Disks: []node.RemovableDisk{}}), "pass none", "has a driver", nil},
		{"a stick", accessFacts(node.RemovableState{Driver: "yes", Disks: []node.RemovableDisk{{Kind: "sd", Size: 16 << 30}}}), "fail removable", "", []string{"sd on USB of 16384 MiB"}},
		{"udisks", accessFacts([]node.Program{{Path: "/usr/libexec/udisks2/udisksd"}}), "fail removable", "udisksd runs", nil},
		{"from a sandbox nothing is proven", accessFacts(sandbox), "unknown part-of-machine", "", nil},
		{"no process was seen", accessFacts([]node.Program{}), "unknown unread", "", nil},
		{"gap", gapped(accessFacts()), "unknown gap-denied", "", nil},
		{"no fact", node.Facts{}, "unknown fact-not-recorded", "", nil},
	})
}

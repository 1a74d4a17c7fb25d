package demo

import (
	"encoding/binary"
	"path"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
)

// labNode is a guest with the shape of Flatcar, recorded as root.
const labNode = "recorded-lab-flatcar"

var accessDamages = []Damage{
	{Check: "no-ssh-daemon", Node: labNode, What: "sshd is started on the first connection", Sound: soundAccess(sshdThere), Do: func(t *capture.Tape) {
		const wants = "usr/lib/systemd/system/sockets.target.wants"
		t.Dir(wants, node.DirEntry{Name: "sshd.socket", Type: node.Symlink})
	}},
	{Check: "ssh-keys-only", Node: labNode, What: "a drop-in that sorts first allows passwords", Sound: soundAccess(sshdThere), Do: func(t *capture.Tape) {
		dropIn(t, "PasswordAuthentication yes\n")
	}},
	{Check: "ssh-root-login-off", Node: labNode, What: "a drop-in lets root in", Sound: soundAccess(sshdThere), Do: func(t *capture.Tape) {
		dropIn(t, "PermitRootLogin yes\n")
	}},
	{Check: "ssh-keys-declared", Node: labNode, What: "a key was added to root's", Sound: soundAccess(sshdThere), Do: func(t *capture.Tape) {
		// As the redactor leaves it; the key itself is on no tape.
		t.File("root/.ssh/authorized_keys", "fingerprint\tssh-ed25519\tSHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\t\n")
	}},
	{Check: "no-password-accounts", Node: labNode, What: "core was given a password", Sound: soundAccess(), Do: func(t *capture.Tape) {
		t.File("etc/shadow", "root:<locked>\ncore:<password yescrypt>\n")
	}},
	{Check: "no-login-shells-beyond-profile", Node: labNode, What: "an account was added", Sound: soundAccess(), Do: func(t *capture.Tape) {
		t.File("etc/passwd", labPasswd+"support:<shadow>:1001:1001::/home/support:/bin/bash\n")
		t.Absent("home/support")
	}},
	{Check: "single-superuser", Node: labNode, What: "a second root was added", Sound: soundAccess(), Do: func(t *capture.Tape) {
		t.File("etc/passwd", labPasswd+"toor:<shadow>:0:0::/root:/bin/bash\n")
	}},
	{Check: "privilege-escalation-declared", Node: labNode, What: "an account was put into the group of docker", Sound: soundAccess(), Do: func(t *capture.Tape) {
		t.File("etc/group", "docker::233:support\n")
	}},
	{Check: "no-console-autologin", Node: labNode, What: "the serial console logs core in", Sound: soundAccess(), Do: func(t *capture.Tape) {
		const unit = "etc/systemd/system/serial-getty@ttyS0.service.d"
		t.Dir("etc/systemd/system", node.DirEntry{Name: path.Base(unit), Type: node.Directory})
		t.Dir(unit, node.DirEntry{Name: "autologin.conf", Type: node.Regular})
		t.File(unit+"/autologin.conf", "[Service]\nExecStart=\nExecStart=/sbin/agetty --autologin core\n")
	}},
	{Check: "no-debug-shell", Node: labNode, What: "debug-shell.service was enabled", Sound: soundAccess(), Do: func(t *capture.Tape) {
		const wants = "etc/systemd/system/sysinit.target.wants"
		t.Dir("etc/systemd/system", node.DirEntry{Name: path.Base(wants), Type: node.Directory})
		t.Dir(wants, node.DirEntry{Name: "debug-shell.service", Type: node.Symlink})
		for _, dir := range node.UnitFolders {
			t.Absent(dir + "/debug-shell.service")
		}
	}},
	{Check: "nobody-logged-in", Node: labNode, What: "somebody logged in over SSH", Sound: soundAccess(), Do: func(t *capture.Tape) {
		t.Dir("run/systemd/sessions", node.DirEntry{Name: "4", Type: node.Regular})
		t.File("run/systemd/sessions/4", "USER=core\nSTATE=active\nREMOTE=1\nTYPE=tty\nCLASS=user\nSERVICE=sshd\n")
	}},
	{Check: "nobody-logged-in", Node: labNode, What: "somebody logged in at the console of a system without logind", Sound: soundAccess(), Do: func(t *capture.Tape) {
		entry := make([]byte, 384) // utmp(5): type, process, line, user
		binary.NativeEndian.PutUint16(entry, 7)
		binary.NativeEndian.PutUint32(entry[4:], 1)
		copy(entry[8:], "tty1")
		copy(entry[44:], "root")
		t.File("run/utmp", string(entry))
	}},
	{Check: "no-debug-session", Node: labNode, What: "kubectl debug node was run", Sound: soundAccess(), Do: func(t *capture.Tape) {
		t.Dir("var/log/pods", node.DirEntry{Name: "default_node-debugger-guest-x7k2p_0a1b2c3d-0000-4000-8000-000000000001", Type: node.Directory})
	}},
	{Check: "no-admin-container", Node: labNode, What: "a toolbox was started", Sound: soundAccess(), Do: func(t *capture.Tape) {
		t.Dir("run/systemd/machines", node.DirEntry{Name: "core-toolbox", Type: node.Regular})
	}},
	{Check: "management-api-contained", Node: "recorded-lab-talos", What: "RBAC of the Talos API was switched off", Sound: soundAccess(func(t *capture.Tape) {
		t.File(node.TalosConfig, `{"config":"","rbac":"on","clusterAccess":"off","clusterRoles":[],"ingress":"accept","rules":[]}`)
	}), Do: func(t *capture.Tape) {
		t.File(node.TalosConfig, `{"config":"","rbac":"off","clusterAccess":"off","clusterRoles":[],"ingress":"accept","rules":[]}`)
	}},
	{Check: "no-removable-media", Node: labNode, What: "a stick was plugged in", Sound: soundAccess(func(t *capture.Tape) { t.Dir("sys/block") }), Do: func(t *capture.Tape) {
		const at = "devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host2/target2:0:0/2:0:0:0/block/sdb"
		t.Dir("sys/block", node.DirEntry{Name: "sdb", Type: node.Symlink})
		t.Link("sys/block/sdb", "../"+at)
		t.File("sys/"+at+"/size", "31116288\n")
	}},
}

// labPasswd are the accounts of Flatcar, as the redactor leaves them.
const labPasswd = "root:<shadow>:0:0::/root:/bin/bash\ncore:<shadow>:500:500::/home/core:/bin/bash\n"

// soundAccess puts a host on the tape that nobody can get onto, and more.
func soundAccess(more ...func(*capture.Tape)) func(*capture.Tape) {
	return func(t *capture.Tape) {
		folders(t, "etc", "run/systemd", "sys/bus/usb/drivers", "root/.ssh", "var")
		for _, name := range node.LoginPrograms {
			folders(t, path.Dir(name))
			t.Absent(name)
		}
		for _, dir := range node.ConsoleFolders {
			folders(t, dir)
			t.Dir(dir)
			for _, wants := range node.WantFolders {
				t.Absent(dir + "/" + wants)
			}
			t.Absent(dir+"/sshd.service", dir+"/sshd.socket")
		}
		for _, dir := range node.AccountFiles {
			t.Absent(dir+"/passwd", dir+"/shadow", dir+"/group")
		}
		t.Absent(node.SudoFiles...)
		t.Absent(node.SSHConfigs...)
		t.File("etc/passwd", labPasswd)
		t.File("etc/shadow", "root:<locked>\ncore:<locked>\n")
		t.File("bin/bash", "")
		t.Absent("etc/userdb", "run/userdb", "home/core", "run/systemd/sessions", "run/systemd/machines", "run/utmp", "var/lib/toolbox", "var/log/pods", node.TalosConfig)
		t.Absent("root/.ssh/authorized_keys", "root/.ssh/authorized_keys2", "root/.ssh/authorized_keys.d")
		t.Absent("sys/bus/usb/drivers/usb-storage", "sys/bus/usb/drivers/uas")
		for _, f := range more {
			f(t)
		}
	}
}

// sshdThere puts an sshd on the tape that is off and takes keys alone.
func sshdThere(t *capture.Tape) {
	t.File("usr/sbin/sshd", "")
	t.File("etc/ssh/sshd_config", "include /etc/ssh/sshd_config.d/*.conf\npermitrootlogin no\npasswordauthentication no\nkbdinteractiveauthentication no\n")
	folders(t, "etc/ssh/sshd_config.d")
	t.Dir("etc/ssh/sshd_config.d")
}

// dropIn puts one beside the configuration of sshd.
func dropIn(t *capture.Tape, text string) {
	t.Dir("etc/ssh/sshd_config.d", node.DirEntry{Name: "00-x.conf", Type: node.Regular})
	t.File("etc/ssh/sshd_config.d/00-x.conf", text)
}

// folders puts directories of root's, and those above them.
func folders(t *capture.Tape, names ...string) {
	for _, name := range names {
		for ; name != "."; name = path.Dir(name) {
			t.Info(name, node.FileInfo{Type: node.Directory, Mode: 0o755, Dev: "0:1"})
		}
		t.Info(".", node.FileInfo{Type: node.Directory, Mode: 0o755, Dev: "0:1"})
	}
}

package verify

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

var accountRefs = slices.Concat(accessRefs, []Ref{{sp80053, "AC-2"}, {pciDSS, "8.2.2"}, {iso27001, "8.5"}})

// onAccounts makes a judge of the accounts. A machine whose user database is not
// there has none, which was seen.
func onAccounts(f func(node.AccountState, Given) Finding) Judge {
	return On(node.Accounts.Parts("accounts"), func(v node.AccountState, g Given) Finding {
		if v.Accounts == nil {
			return unsaid("which accounts it has")
		}
		if len(v.Accounts) == 0 {
			return notApplicable("no-accounts", "there is no database of accounts: none of /"+strings.Join(node.AccountFiles, "/passwd, /")+"/passwd is there")
		}
		return f(v, g)
	})
}

var noPasswordAccounts = Check{
	ID:       "no-password-accounts",
	Rev:      1,
	Title:    "no local account can log in with a password or without one",
	Topic:    Access,
	Severity: High,
	Refs:     slices.Concat(accountRefs, []Ref{{sp80053, "IA-5"}, {cisControls, "5.4"}}),
	Help: Help{
		Why: "A password works on the console, for su and for every service that asks PAM, whatever SSH was told. An empty one lets anybody in.",
		How: "The second field of passwd(5) and shadow(5), of /etc and of the user databases of the image, is told by class alone: locked, none, empty, or a password and its method. No password and no digest of one leaves the node. A field that begins with ! or * fits none.",
		Remedy: map[string]string{
			"":              "passwd -l NAME locks it; passwd -S NAME shows L then.",
			"talos":         "Talos has no passwords: reboot the node, and if it is there again, upgrade to an image from the Image Factory.",
			"flatcar":       "passwd -l core, and take password_hash out of passwd.users in the Butane configuration; flatcar.autologin needs none.",
			"bottlerocket":  "/etc is made anew at every boot: apiclient reboot, and replace the node if it comes back.",
			"fedora-coreos": "passwd -l core, and take password_hash out of the Butane configuration or the MachineConfig.",
			"microos":       "passwd -l root once a key of root's works, and take passwordHash out of the Ignition file or the Combustion script.",
			"cos":           "The guest agent sets none: find the start-up script that does (chpasswd), and recreate the node.",
		},
	},
	Judge: onAccounts(func(v node.AccountState, _ Given) Finding {
		var bad, unseen []string
		for _, a := range v.Accounts {
			switch a.Password {
			case "locked", "none":
			case "password":
				bad = append(bad, fmt.Sprintf("%s has a password (%s)", a.Name, a.Hash))
			case "empty":
				bad = append(bad, a.Name+" is not asked for a password")
			default:
				unseen = append(unseen, a.Name)
			}
		}
		switch {
		case len(bad) > 0:
			return fail("password", strings.Join(bad, "; "), bad...)
		case len(unseen) > 0:
			return unknown("password-unseen", "whether these have a password could not be seen: "+strings.Join(unseen, ", "), unseen...)
		}
		return pass("none", fmt.Sprintf("none of %d accounts has a password", len(v.Accounts)))
	}),
}

// noShell are programs that are no shell: nologin(8), and what the accounts of
// old run at their login.
var noShell = []string{"nologin", "false", "true", "sync", "shutdown", "halt"}

var noLoginShells = Check{
	ID:       "no-login-shells-beyond-profile",
	Rev:      1,
	Title:    "only declared local accounts have a login shell",
	Topic:    Access,
	Severity: Medium,
	Refs:     slices.Concat(accountRefs, []Ref{{cisControls, "5.3"}}),
	Help: Help{
		Why: "An account with a shell can be logged in to by whatever way is open now or later. On these systems nobody needs one but the account that they ship.",
		How: "The last field of passwd(5), empty for /bin/sh, is a shell unless it is nologin, false, sync or the like, or names nothing that is there. Accounts that may have one are in the profile and in site overlays.",
		Remedy: map[string]string{
			"":              "usermod -s /usr/sbin/nologin NAME, or userdel NAME; declare the account in a site overlay if it is meant.",
			"talos":         "Talos has one account and no shell: reboot the node, its /etc is made anew.",
			"flatcar":       "Remove it from passwd.users of the Butane configuration; on the node userdel NAME.",
			"bottlerocket":  "The host has no shell that an account could have: apiclient reboot, its /etc is made anew.",
			"fedora-coreos": "Remove it from passwd.users of the Butane configuration or MachineConfig; OpenShift manages core alone.",
			"microos":       "userdel NAME, and take it out of the Ignition file or the Combustion script.",
			"cos":           "Accounts come from metadata: gcloud compute instances remove-metadata --keys=ssh-keys, or revoke the OS Login role of whom they belong to.",
		},
	},
	Judge: onAccounts(func(v node.AccountState, g Given) Finding {
		if g.Profile.Ordinary {
			return notApplicable("nothing-expected", "nobody has said which accounts of an ordinary host may have a shell")
		}
		var bad, unseen, declared []string
		for _, a := range v.Accounts {
			shell := a.Shell
			if shell == "" {
				shell = "/bin/sh"
			}
			switch item := a.Name + " (" + shell + ")"; {
			case slices.Contains(noShell, path.Base(shell)) || a.ShellFound == "no":
			case declares(g.Profile.Access.Accounts, a.Name):
				declared = append(declared, item)
			case a.ShellFound == "yes":
				bad = append(bad, item)
			default:
				unseen = append(unseen, item)
			}
		}
		switch {
		case len(bad) > 0:
			return fail("shell", "accounts with a shell that the profile does not name: "+strings.Join(bad, ", "), bad...)
		case len(unseen) > 0:
			return unknown("shell-unseen", "whether their shell is there could not be seen: "+strings.Join(unseen, ", "), unseen...)
		case len(declared) > 0:
			return pass("declared", "only accounts that the profile names have a shell: "+strings.Join(declared, ", "), declared...)
		}
		return pass("none", fmt.Sprintf("none of %d accounts has a shell that is there", len(v.Accounts)))
	}),
}

var singleSuperuser = Check{
	ID:       "single-superuser",
	Rev:      1,
	Title:    "no local account but root has UID 0",
	Topic:    Access,
	Severity: Critical,
	Refs:     slices.Concat(accountRefs, []Ref{{sp80053, "IA-2"}, {pciDSS, "8.2.1"}}),
	Help: Help{
		Why: "To the kernel the UID is the user: a second account with UID 0 is root by another name, with a key or password of its own.",
		How: "The third field of passwd(5) in /etc and in the user databases of the image.",
		Remedy: map[string]string{
			"":              "Find out who added it and when, before it goes: userdel -f NAME. Treat the node as broken into until that is known.",
			"talos":         "Take the node out of service and keep its disk; talosctl reset, and join it anew.",
			"flatcar":       "Cordon the node, keep its disk for those who investigate, and replace it from its Ignition configuration.",
			"bottlerocket":  "Nothing of Bottlerocket adds accounts: keep the volumes and terminate the instance.",
			"fedora-coreos": "Cordon the node and keep its disk; provision a new one from the same Ignition configuration.",
			"microos":       "Keep a snapshot (snapper create) for those who investigate, then replace the node.",
			"cos":           "Snapshot the boot disk, then recreate the node from its instance template.",
		},
	},
	Judge: onAccounts(func(v node.AccountState, _ Given) Finding {
		var bad []string
		for _, a := range v.Accounts {
			if a.UID == 0 && a.Name != "root" {
				bad = append(bad, fmt.Sprintf("%s in %s", a.Name, a.From))
			}
		}
		if len(bad) > 0 {
			return fail("second-root", "accounts beside root with UID 0: "+strings.Join(bad, ", "), bad...)
		}
		return pass("one", fmt.Sprintf("of %d accounts none but root has UID 0", len(v.Accounts)))
	}),
}

var privilegeEscalationDeclared = Check{
	ID:       "privilege-escalation-declared",
	Rev:      1,
	Title:    "only declared accounts can become root by sudo or by their groups",
	Topic:    Access,
	Severity: High,
	Refs:     slices.Concat(accessRefs, []Ref{{sp80053, "AC-6"}, {sp80053, "AC-6(9)"}, {cisControls, "5.4"}}),
	Help: Help{
		Why: "Whoever has an account with a sudo rule, or in a group such as docker or disk, can become root, mostly without any password.",
		How: "Every rule of sudoers(5) with what it includes, by whom it is for, and the members of groups that lead to root (wheel, sudo, docker, podman, lxd, incus, libvirt, disk). root itself does not count. The profile names those that a system ships; a site overlay adds its own. Commands of rules stay on the node.",
		Remedy: map[string]string{
			"":              "gpasswd -d USER GROUP, or remove the file of /etc/sudoers.d; declare what is meant in a site overlay.",
			"talos":         "Talos has neither sudo nor such groups: reboot the node, its /etc is made anew.",
			"flatcar":       "Remove the file of /etc/sudoers.d and the groups of passwd.users in the Butane configuration. That core is in docker stands in the image: give /run/docker.sock to root by a drop-in of docker.socket (SocketGroup=root).",
			"bottlerocket":  "Bottlerocket has no sudo: apiclient reboot, its /etc is made anew, and replace the node if it is there again.",
			"fedora-coreos": "gpasswd -d core docker, remove the file of /etc/sudoers.d, and take both out of the Butane configuration or MachineConfig.",
			"microos":       "Remove the file of /etc/sudoers.d, gpasswd -d USER GROUP, and take both out of the Ignition file.",
			"cos":           "Administrators come from OS Login (roles/compute.osAdminLogin): revoke that role; remove what a start-up script put into /etc/sudoers.d.",
		},
	},
	Judge: On(node.Accounts.Parts("sudo", "groups", "accounts"), func(v node.AccountState, g Given) Finding {
		if g.Profile.Ordinary {
			return notApplicable("nothing-expected", "nobody has said who may become root on an ordinary host")
		}
		if v.Sudo == nil || v.Groups == nil {
			return unsaid("who may become root on it")
		}
		var bad, declared []string
		add := func(name, item string) {
			if declares(g.Profile.Access.Privileges, name) {
				declared = append(declared, item)
			} else {
				bad = append(bad, item)
			}
		}
		for _, r := range v.Sudo {
			for who := range strings.SplitSeq(r.Who, ",") {
				if who == "root" || who == "%root" || who == "#0" {
					continue
				}
				item := "sudo for " + who
				if r.All {
					item += ", every command"
				}
				if r.NoPassword {
					item += ", without a password"
				}
				add("sudo "+who, item+" ("+r.From+")")
			}
		}
		for _, group := range v.Groups {
			for _, m := range group.Members {
				if m != "root" {
					add("group "+group.Name+" "+m, m+" is in group "+group.Name)
				}
			}
		}
		slices.Sort(bad)
		slices.Sort(declared)
		bad, declared = slices.Compact(bad), slices.Compact(declared)
		switch {
		case len(bad) > 0:
			return fail("undeclared", "may become root, and the profile does not name them: "+strings.Join(bad, "; "), bad...)
		case len(declared) > 0:
			return pass("declared", "only those that the profile names may become root: "+strings.Join(declared, "; "), declared...)
		}
		return pass("nobody", "no rule of sudo and no group lets anybody but root become root")
	}),
}

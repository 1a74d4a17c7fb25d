package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

var sshRefs = slices.Concat(accessRefs, []Ref{{sp80053, "AC-17"}, {sp80053, "IA-2"}, {grundschutz, "SYS.1.3.A8"}})

// onSSH makes a judge of the SSH daemon's configuration that has nothing to say
// where there is no daemon.
func onSSH(f func(node.SSHState, Given) Finding) Judge {
	return On2(node.LoginServices.Parts("programs"), node.SSH, func(v node.LoginServiceState, s node.SSHState, g Given) Finding {
		if v.Programs == nil {
			return unsaid("whether it has an SSH daemon")
		}
		if !slices.ContainsFunc(v.Programs, func(p node.LoginProgram) bool { return p.Name == "sshd" }) {
			return notApplicable("no-executable", "no such executable: no sshd is at any of the places where it would be")
		}
		if s.Config == "" {
			return unknown("no-configuration", "sshd is there, and none of its configuration files is: /"+strings.Join(node.SSHConfigs, ", /"), node.SSHConfigs...)
		}
		return f(s, g)
	})
}

// sshSetting is what a keyword comes to: the first outside Match blocks, else
// the daemon's default. others are values of Match blocks, which hold for some
// connections.
func sshSetting(s node.SSHState, keyword, byDefault string) (value, from string, others []node.SSHSetting) {
	value, from = byDefault, "sshd's default"
	found := false
	for _, l := range s.Settings {
		switch {
		case l.Keyword != keyword:
		case l.Conditional:
			others = append(others, l)
		case !found:
			found, value, from = true, strings.ToLower(l.Value), l.From
		}
	}
	return value, from, others
}

var sshKeysOnly = Check{
	ID:       "ssh-keys-only",
	Rev:      1,
	Title:    "SSH accepts keys and no passwords",
	Topic:    Access,
	Severity: High,
	Refs:     slices.Concat(sshRefs, []Ref{{sp80053, "IA-5"}}),
	Help: Help{
		Why: "Passwords are guessed, reused and typed into the wrong window. A port that takes them is tried from everywhere, all day.",
		How: "PasswordAuthentication and KbdInteractiveAuthentication (ChallengeResponseAuthentication is its older name) have to be no. Of each the first line counts that the daemon meets in its file and in what that includes, in order; the daemon's own default is yes for both. A Match block that says yes counts too. Options on the daemon's command line are not seen.",
		Remedy: map[string]string{
			"":              "Write PasswordAuthentication no and KbdInteractiveAuthentication no into /etc/ssh/sshd_config.d/00-keys.conf, before anything that says otherwise; sshd -T shows what holds.",
			"talos":         "Talos ships no sshd; remove the extension that brought it from the Image Factory schematic and upgrade.",
			"flatcar":       "In the Butane configuration: storage.files /etc/ssh/sshd_config.d/00-keys.conf with PasswordAuthentication no and KbdInteractiveAuthentication no; before 3374 replace /etc/ssh/sshd_config, which is a link into /usr.",
			"bottlerocket":  "Bottlerocket has no sshd on the host; find what put one there and replace the node.",
			"fedora-coreos": "As shipped /etc/ssh/sshd_config.d/40-disable-passwords.conf says so: restore it, and remove the drop-in that sorts before it (on OpenShift, the MachineConfig that writes it).",
			"microos":       "Write both keywords with no into /etc/ssh/sshd_config.d/00-keys.conf; the vendor's own file is /usr/etc/ssh/sshd_config and is read after the drop-ins.",
			"cos":           "The image says so itself: find the start-up script or user data that edits /etc/ssh/sshd_config, and recreate the node.",
		},
	},
	Judge: onSSH(func(s node.SSHState, _ Given) Finding {
		var bad, good []string
		for _, k := range []struct{ keyword, name string }{{"passwordauthentication", "PasswordAuthentication"}, {"kbdinteractiveauthentication", "KbdInteractiveAuthentication"}} {
			value, from, others := sshSetting(s, k.keyword, "yes")
			text := fmt.Sprintf("%s is %s (%s)", k.name, value, from)
			if value == "no" {
				good = append(good, text)
			} else {
				bad = append(bad, text)
			}
			for _, o := range others {
				if !strings.EqualFold(o.Value, "no") {
					bad = append(bad, fmt.Sprintf("%s is %s for some connections (%s)", k.name, o.Value, o.From))
				}
			}
		}
		if len(bad) > 0 {
			return fail("passwords", "SSH takes more than keys: "+strings.Join(bad, "; "), bad...)
		}
		return pass("keys-only", strings.Join(good, "; "))
	}),
}

var sshRootLoginOff = Check{
	ID:       "ssh-root-login-off",
	Rev:      1,
	Title:    "root cannot log in over SSH, or only with a key where the system has no other account",
	Topic:    Access,
	Severity: High,
	Refs:     slices.Concat(sshRefs, []Ref{{pciDSS, "8.2.2"}, {sp80053, "AC-6(9)"}}),
	Help: Help{
		Why: "What root did over SSH cannot be traced to a person: the account is shared by all who hold a key to it.",
		How: "PermitRootLogin, the first line that the daemon meets, has to be no; its own default is prohibit-password, which lets root in with a key. Where the system has no account but root as shipped, prohibit-password and forced-commands-only pass. yes never does. Match blocks count as well.",
		Remedy: map[string]string{
			"":              "PermitRootLogin no in a file of /etc/ssh/sshd_config.d that sorts first, once another account with a key can become root.",
			"talos":         "There is no root to log in as on Talos: remove what brought sshd.",
			"flatcar":       "Log in as core, and put PermitRootLogin no into /etc/ssh/sshd_config.d/00-root.conf through Butane.",
			"bottlerocket":  "The host has no sshd: replace the node; people come in through the control container.",
			"fedora-coreos": "Log in as core. PermitRootLogin no in /etc/ssh/sshd_config.d/00-root.conf, through Butane or a MachineConfig.",
			"microos":       "Give another account a key and sudo at first boot (Ignition or Combustion), then PermitRootLogin no in /etc/ssh/sshd_config.d/00-root.conf.",
			"cos":           "The image says PermitRootLogin no: find the user data that changes it, and recreate the node.",
		},
	},
	Judge: onSSH(func(s node.SSHState, g Given) Finding {
		value, from, others := sshSetting(s, "permitrootlogin", "prohibit-password")
		values := []node.SSHSetting{{Value: value, From: from}}
		values = append(values, others...)
		var open, byKey []string
		for _, v := range values {
			text := fmt.Sprintf("PermitRootLogin is %s (%s)", v.Value, v.From)
			switch strings.ToLower(v.Value) {
			case "no":
			case "prohibit-password", "without-password", "forced-commands-only":
				byKey = append(byKey, text)
			default:
				open = append(open, text)
			}
		}
		switch {
		case len(open) > 0:
			return fail("root-by-password", strings.Join(open, "; "), open...)
		case len(byKey) > 0 && g.Profile.Access.RootByKey != "":
			return pass("by-key-as-shipped", strings.Join(byKey, "; ")+": "+g.Profile.Access.RootByKey)
		case len(byKey) > 0:
			return fail("root-by-key", strings.Join(byKey, "; ")+": root logs in with a key", byKey...)
		}
		return pass("off", fmt.Sprintf("PermitRootLogin is no (%s)", from))
	}),
}

var sshKeysDeclared = Check{
	ID:       "ssh-keys-declared",
	Rev:      1,
	Title:    "every authorized SSH key is declared",
	Topic:    Access,
	Severity: High,
	Refs:     slices.Concat(sshRefs, []Ref{{sp80053, "AC-2"}, {cisControls, "6.8"}, {soc2, "CC6.1"}}),
	Help: Help{
		Why: "A line in authorized_keys is the quietest way to come back. It survives updates, and nothing of the image is changed.",
		How: "The files of AuthorizedKeysFile, ~/.ssh/authorized_keys, authorized_keys2 and authorized_keys.d of every account with a home folder are read, and each key is told by its type and fingerprint (as ssh-keygen -l prints it); comments and the key itself stay on the node. The profile or a site overlay has to list the fingerprint. Where the daemon asks a program for keys, or trusts a certificate authority, there are more than can be read.",
		Remedy: map[string]string{
			"":              "Take the line out of the file, or declare its fingerprint (ssh-keygen -lf FILE) with owner and review date in a site overlay.",
			"talos":         "Talos takes no SSH keys: remove what brought sshd, and wipe EPHEMERAL if it left files in /var.",
			"flatcar":       "update-ssh-keys -l lists them, update-ssh-keys -d NAME removes one; declare those of passwd.users.ssh_authorized_keys in a site overlay.",
			"bottlerocket":  "Keys belong into the user data of the admin container alone: remove the file and replace the node.",
			"fedora-coreos": "Remove the file below ~core/.ssh/authorized_keys.d, or declare the keys of passwd.users.ssh_authorized_keys in a site overlay.",
			"microos":       "Take the line out of /root/.ssh/authorized_keys, or declare what Ignition or Combustion puts there in a site overlay.",
			"cos":           "Remove the key from the metadata of machine and project (gcloud compute project-info remove-metadata --keys=ssh-keys), or declare it in a site overlay.",
		},
	},
	Judge: onSSH(func(s node.SSHState, g Given) Finding {
		var bad, declared, elsewhere []string
		for _, k := range s.Keys {
			item := fmt.Sprintf("%s %s of %s in %s", k.Type, k.Fingerprint, k.User, k.File)
			if len(k.Options) > 0 {
				item += " (" + strings.Join(k.Options, ", ") + ")"
			}
			if declares(g.Profile.Access.Keys, k.Fingerprint) {
				declared = append(declared, item)
			} else {
				bad = append(bad, item)
			}
		}
		for _, l := range s.Settings {
			none := l.Value == "" || strings.EqualFold(l.Value, "none")
			switch {
			case none:
			case l.Keyword == "trustedusercakeys":
				elsewhere = append(elsewhere, "whom the certificate authority of "+l.Value+" signs")
			case l.Keyword == "authorizedkeyscommand" && !declares(g.Profile.Access.KeyCommands, l.Value):
				elsewhere = append(elsewhere, "what "+l.Value+" answers")
			}
		}
		switch {
		case len(bad) > 0:
			return fail("undeclared-key", "keys that nobody has declared: "+strings.Join(bad, "; "), bad...)
		case len(elsewhere) > 0:
			return unknown("keys-elsewhere", "which keys sshd takes is not in files alone: "+strings.Join(elsewhere, "; "), elsewhere...)
		case len(declared) > 0:
			return pass("declared", "every key is declared: "+strings.Join(declared, "; "), declared...)
		}
		return pass("no-keys", "no file of any account holds a key")
	}),
}

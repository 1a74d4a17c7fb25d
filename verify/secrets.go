package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

var noCloudKeys = Check{
	ID: "no-cloud-keys", Rev: 1, Topic: Credentials, Severity: Critical,
	Title: "no cloud API key lies on this node",
	Refs:  slices.Concat(credentialRefs, []Ref{{sp80053, "IA-5(7)"}, {pciContainers, "1.4"}}),
	Help: Help{
		Why: "A key for the cloud's API outlives the node, is bound to no machine, and often reaches more than the cluster: disks, backups, other machines.",
		How: "Files in which the tools of AWS, Google Cloud and Azure keep keys in home directories, and the configuration of cloud providers below /etc/kubernetes. Of a settings file only whether a secret is in it is kept; one whose form is not known is unknown. An identity that the machine gets from its metadata service is no file and does not show.",
		Remedy: map[string]string{
			"cos":          "Remove the file; let programs use the service account of the node pool, or Workload Identity Federation for pods.",
			"bottlerocket": "Remove what a host container left there; use the instance profile, or IRSA or Pod Identity for pods. settings.aws.credentials is for nodes outside AWS: declare it there in a site overlay.",
			"":             "Remove the file and revoke the key with the cloud. Use the identity of the machine (instance profile, managed identity), for pods a workload identity; cloud controllers take theirs from a Secret in their pod.",
		},
	},
	Judge: On(node.Credentials.Parts("cloud"), func(s node.CredentialState, g Given) Finding {
		if !lookedForCredentials(s) {
			return unsaid(credentialsUnsaid)
		}
		var bad, open, good []string
		for _, f := range s.Cloud {
			switch {
			case f.Type != node.Regular || f.Size == 0 || placeNames(g.Profile.Credentials.Allowed, f.Path):
			case f.Kind != "settings" || f.Holds == "secret":
				bad = append(bad, f.Path)
			case f.Holds == "none":
				good = append(good, f.Path)
			default:
				open = append(open, f.Path)
			}
		}
		switch {
		case len(bad) > 0:
			return fail("key", "keys for a cloud's API lie here: "+strings.Join(bad, "; "), bad...)
		case len(open) > 0:
			return unknown("unread", "whether a key is in these could not be told: "+strings.Join(open, "; "), open...)
		case len(good) > 0:
			return pass("settings-only", "settings of a cloud lie here without a key in them: "+strings.Join(good, "; "), good...)
		}
		return pass("none", "none of the files in which clouds' tools keep keys is there")
	}),
}

var noUserKeys = Check{
	ID: "no-user-keys", Rev: 1, Topic: Credentials, Severity: High,
	Title: "no private SSH key lies in a home directory",
	Refs:  []Ref{{sp80053, "IA-5(7)"}, {sp80053, "AC-17"}, {iso27001, "8.3"}},
	Help: Help{
		Why: "A private SSH key on a node is the way from it to the next machine: the first thing that whoever breaks in looks for.",
		How: "id_rsa, id_ecdsa, id_ed25519 and id_dsa in ~/.ssh of root and of every home directory, and whether the key is encrypted: a passphrase is said, and is no pass. Keys of the host itself in /etc/ssh are none.",
		Remedy: map[string]string{
			"fedora-coreos": "Remove the key, and take it out of storage.files in the Butane configuration if it stands there. Forward an agent (ssh -A) or use ProxyJump instead.",
			"":              "Remove the key from the node and from authorized_keys of where it led; forward an agent or use ProxyJump instead.",
		},
	},
	Judge: On(node.Credentials.Parts("homes"), func(s node.CredentialState, g Given) Finding {
		if !lookedForCredentials(s) {
			return unsaid(credentialsUnsaid)
		}
		var bad []string
		for _, f := range s.Homes {
			if f.Kind != "pem" || f.Type != node.Regular || placeNames(g.Profile.Credentials.Allowed, f.Path) || f.Content == "read" && len(f.Keys) == 0 {
				continue
			}
			state := "unknown"
			if len(f.Keys) > 0 {
				state = f.Keys[0].State
			}
			bad = append(bad, f.Path+": "+state)
		}
		if len(bad) > 0 {
			return fail("private-key", "private keys lie in home directories: "+strings.Join(bad, "; "), bad...)
		}
		return pass("none", "no private SSH key lies in a home directory")
	}),
}

var registryCredentialsClosed = Check{
	ID: "registry-credentials-closed", Rev: 1, Topic: Credentials, Severity: High,
	Title: "only their owner can read registry passwords",
	Refs:  slices.Concat(credentialRefs, []Ref{{sp800190, "4.2.3"}}),
	Help: Help{
		Why: "Base64 is no encryption: whoever reads config.json pulls, and often pushes, what every node runs.",
		How: "config.json of the kubelet and of Docker, auth.json of Podman and ostree, registries.yaml of k3s and RKE2. Where such a file holds a password (or cannot be told not to), only root, or the owner of the home that it is in, may read it, by its mode or by that of a folder above. A file that only names a helper is no secret.",
		Remedy: map[string]string{
			"talos": "Registry credentials belong into machine.registries, which Talos keeps from containers: take the file that is named away.",
			"cos":   "Let the kubelet's credential provider fetch tokens for Artifact Registry, and remove config.json.",
			"":      "chmod 0600 the file, chown root:root. Better: a credential provider of the kubelet (imageCredentialProviderConfig), or imagePullSecrets, and no password on the node.",
		},
	},
	Judge: On(node.Credentials.Parts("registry"), func(s node.CredentialState, g Given) Finding {
		if !lookedForCredentials(s) {
			return unsaid(credentialsUnsaid)
		}
		return judgeReaders(s.Registry, s, g, inOwnHome, "passwords for registries can be read by others", "are closed", "no file with a password for a registry was found")
	}),
}

var userDataClosed = Check{
	ID: "user-data-closed", Rev: 2, Topic: Credentials, Severity: High,
	Title: "only root can read the data that the node was provisioned with",
	Refs:  slices.Concat(credentialRefs, []Ref{{pciContainers, "1.5"}}),
	Help: Help{
		Why: "Provisioning data holds what it takes to join: tokens, keys of authorities, passwords. It is written once and lies there for good.",
		How: "The machine configuration of Talos, Ignition's and cloud-init's copies, kube-env of GKE, user data of Azure, Bottlerocket's settings, and the files in which k3s and RKE2 keep their token. None is opened. Each must be absent, or closed to all but root by its mode or by that of a folder above.",
		Remedy: map[string]string{
			"talos":         "STATE is mounted at /system/state with mode 0700: reboot the node, and look for the privileged pod that opened it.",
			"flatcar":       "chmod 0600 /oem/config.ign or remove it after the first boot; hand secrets over by a short-lived URL instead of writing them into Ignition.",
			"fedora-coreos": "chmod 0600 the file. ignition-delete-config.service removes the copy that VMware and VirtualBox keep; on OpenShift the encapsulated configuration is rewritten by the machine config daemon.",
			"cos":           "Recreate the node: configure-helper writes kube-env with mode 0600. Workload Identity Federation for GKE keeps pods from reading it from the metadata server.",
			"":              "chmod 0600 the file, chown root:root, and write such files with that mode from now on (cloud-init: permissions: '0600').",
		},
	},
	Judge: On(node.Credentials.Parts("userData"), func(s node.CredentialState, g Given) Finding {
		if !lookedForCredentials(s) {
			return unsaid(credentialsUnsaid)
		}
		return judgeReaders(s.UserData, s, g, ofNobody, "provisioning data can be read by others than root", "are closed", "no provisioning data lies where it is known to")
	}),
}

// ofNobody is where no user but root may own a file.
func ofNobody(node.CredentialFile, node.CredentialState) bool { return false }

// judgeReaders is the finding over files that nobody but root may read, and the user
// who owns a file where mayOwn says that it is his.
func judgeReaders(credentialFiles []node.CredentialFile, s node.CredentialState, g Given, mayOwn func(node.CredentialFile, node.CredentialState) bool, badReason, goodReason, none string) Finding {
	var bad, good []string
	for _, f := range credentialFiles {
		if f.Type != node.Regular && f.Type != node.Directory || f.Holds == "none" {
			continue
		}
		if who := readersOf(f, s, g.Profile.Credentials, mayOwn); who != "" {
			bad = append(bad, who)
		} else {
			good = append(good, credentialText(f))
		}
	}
	return judgeCredentialLists(bad, good, badReason, fmt.Sprintf("%d files %s", len(good), goodReason), none)
}

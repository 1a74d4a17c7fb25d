package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

var nriClosed = Check{
	ID:       "nri-closed",
	Rev:      1,
	Title:    "no undeclared NRI plugin is installed for a container engine",
	Topic:    Runtime,
	Severity: Medium,
	Refs:     []Ref{{sp80053, "CM-7"}, {sp80053, "CM-14"}, {grundschutz, "SYS.1.6.A17"}, {iso27001, "8.19"}},
	Help: Help{
		Why: "A plugin of the Node Resource Interface can give any container mounts, devices and environment that nobody asked for, and no admission rule sees it. containerd has had the interface on since 2.0.",
		How: "The engines' plugin folder (plugin_path, nri_plugin_dir, /opt/nri/plugins where nothing is said) must hold nothing that is not declared. Plugins that connect to the socket by themselves leave no file: who may open it is judged with the other sockets.",
		Remedy: map[string]string{
			"talos":        "Remove what put the program into /opt/nri/plugins. A file that machine.files writes to /etc/cri/conf.d with disable = true under [plugins.\"io.containerd.nri.v1.nri\"] switches the interface off.",
			"bottlerocket": "Remove the container that put the program there, and replace the node.",
			"":             "Remove the program from the plugin folder and restart the engine; disable = true under [plugins.\"io.containerd.nri.v1.nri\"], or enable_nri = false for CRI-O, switches the interface off.",
		},
	},
	Judge: On3(node.RuntimeConfig.Parts("engines", "nriPlugins"), node.RuntimeSockets, node.OS.Parts("init", "pidNamespace"), judgeNRI),
}

func judgeNRI(v node.RuntimeState, sockets []node.RuntimeSocket, o node.System, g Given) Finding {
	if v.Engines == nil {
		return unsaid("how its container engines are configured")
	}
	if !slices.ContainsFunc(v.Engines, func(e node.EngineConfig) bool { return e.Engine != "docker" }) {
		return wholeMachine(o, notApplicable("no-engine", "neither containerd nor CRI-O runs, which alone have such plugins"))
	}
	var bad, declared []string
	for _, name := range v.NRIPlugins {
		if placeNames(g.Profile.Containers.NRIPlugins, name) {
			declared = append(declared, name)
		} else {
			bad = append(bad, name)
		}
	}
	on := slices.ContainsFunc(sockets, func(s node.RuntimeSocket) bool { return s.Engine == "nri" && s.Type == node.Socket })
	switch {
	case len(bad) > 0 && !on:
		return fail("plugins-waiting", "plugins wait for the interface to be switched on: "+strings.Join(bad, "; "), bad...)
	case len(bad) > 0:
		return fail("undeclared-plugins", "plugins that nobody declared change containers: "+strings.Join(bad, "; "), bad...)
	case !on:
		return wholeMachine(o, pass("off", "there is no socket for plugins and none is installed"))
	case len(declared) > 0:
		return wholeMachine(o, pass("declared", "only declared plugins are installed: "+strings.Join(declared, "; "), declared...))
	}
	return wholeMachine(o, pass("no-plugin", "the interface for plugins is on and none is installed"))
}

var imagePolicyPresent = Check{
	ID:       "image-policy-present",
	Rev:      1,
	Title:    "the container engine is configured to verify image signatures itself",
	Topic:    Runtime,
	Severity: Low,
	Refs:     []Ref{{sp80053, "CM-14"}, {sp80053, "SI-7(15)"}, {sp800190, "4.1.5"}, {iso27001, "8.19"}},
	Help: Help{
		Why: "Admission in the cluster checks what the API server was asked for. What a static pod, a tool on the node or a compromised kubelet asks for, only the engine can refuse.",
		How: "containerd 2: a program in the folder of the image verifier plugin. CRI-O: /etc/containers/policy.json whose default is reject, signedBy or sigstoreSigned. insecureAcceptAnything, which distributions ship, demands nothing. Many fleets verify at admission alone; this is low for them, and worth a line in the dossier.",
		Remedy: map[string]string{
			"bottlerocket":  "Bottlerocket has no setting for it: verify signatures at admission, and waive this check with that as its reason.",
			"cos":           "GKE verifies at admission, by Binary Authorization, and not on the node: waive this check with that as its reason.",
			"fedora-coreos": "OpenShift: a ClusterImagePolicy writes /etc/containers/policy.json. Elsewhere set \"default\": [{\"type\": \"reject\"}] there and name your registries with sigstoreSigned.",
			"talos":         "Talos 1.13 and later verify by an ImageVerificationConfig document in the machine configuration.",
			"":              "containerd 2: put a verifier into bin_dir of io.containerd.image-verifier.v1.bindir. CRI-O: write a policy.json whose default is reject.",
		},
	},
	Judge: On2(node.RuntimeConfig.Parts("engines", "policy", "verifiers"), node.OS.Parts("init", "pidNamespace"), judgeImagePolicy),
}

func judgeImagePolicy(v node.RuntimeState, o node.System, g Given) Finding {
	if v.Engines == nil {
		return unsaid("how its container engines are configured")
	}
	if len(v.Engines) == 0 {
		return wholeMachine(o, noEngineRuns())
	}
	var bad, absent, good []string
	for _, e := range v.Engines {
		switch e.Engine {
		case "crio":
			if s, ok := setting(e, "signature_policy"); ok && s.Value != "" && s.Value != "/etc/containers/policy.json" {
				return unknown("elsewhere", "CRI-O has its policy in "+s.Value+", which is not read")
			}
			switch {
			case v.Policy.State == "":
				return unsaid("which signatures images need")
			case v.Policy.State == "absent":
				absent = append(absent, "crio: there is no /etc/containers/policy.json")
			case slices.Contains(v.Policy.Default, "insecureAcceptAnything") || len(v.Policy.Default) == 0:
				bad = append(bad, "crio: /etc/containers/policy.json accepts what no scope names")
			default:
				good = append(good, "crio: the default is "+strings.Join(v.Policy.Default, ", "))
			}
		case "containerd":
			if len(v.Verifiers) == 0 && g.Profile.Containers.ImagePolicy != "" {
				return unknown("elsewhere", g.Profile.Containers.ImagePolicy)
			}
			if len(v.Verifiers) == 0 {
				absent = append(absent, e.Program+": no image verifier is installed")
			} else {
				good = append(good, e.Program+": "+strings.Join(v.Verifiers, ", "))
			}
		default:
			bad = append(bad, e.Program+": it verifies no signature")
		}
	}
	all := slices.Compact(slices.Sorted(slices.Values(slices.Concat(bad, absent))))
	const unasked = "engines pull images without asking for a signature: "
	switch {
	case len(bad) > 0:
		return fail("no-policy", unasked+strings.Join(all, "; "), all...)
	case len(absent) > 0:
		return failUnfound("no-policy", unasked+strings.Join(all, "; "), all...)
	}
	return wholeMachine(o, pass("present", "engines ask for signatures: "+strings.Join(good, "; "), good...))
}

var runtimeConfigClosed = Check{
	ID:       "runtime-config-closed",
	Rev:      1,
	Title:    "only root can change the configuration of container engines",
	Topic:    Runtime,
	Severity: High,
	Refs:     []Ref{{sp80053, "CM-5"}, {sp80053, "AC-3"}, {sp800190, "4.5.5"}, {iso27001, "8.9"}, {pciDSS, "7.2.5"}},
	Help: Help{
		Why: "The engine's configuration names the programs that it runs as root. Whoever can write it is root at the next restart.",
		How: "Every file that the engine reads, imports and drop-ins included, and every folder above it, must belong to root and be writable by nobody else. A folder with the sticky bit passes where the file itself does.",
		Remedy: map[string]string{
			"talos":        "Talos writes these files with root's ownership when it boots: reboot the node, and find the privileged pod that changed them.",
			"bottlerocket": "Bottlerocket renders these files from its settings: apiclient reboot, and find the container that changed them.",
			"cos":          "Recreate the node, and find the start-up script or privileged DaemonSet that changed the owner or the mode.",
			"":             "chown root:root and chmod go-w the file or folder that the finding names, and put that into what provisions the node (Ignition: storage.files with mode 0644).",
		},
	},
	Judge: engineJudge("config-open", "others than root can change what engines run", "only root can change the configuration of engines", func(e node.EngineConfig, _ Given, bad, good *[]string) {
		for _, f := range e.Files {
			faults := configFaults(f)
			*bad = append(*bad, faults...)
			if len(faults) == 0 {
				*good = append(*good, fmt.Sprintf("%s %04o", f.Path, f.Mode))
			}
		}
	}),
}

func configFaults(f node.ConfigFile) []string {
	var out []string
	if f.UID != 0 {
		out = append(out, fmt.Sprintf("%s: user %d owns it", f.Path, f.UID))
	}
	if f.Mode&otherWrite != 0 || f.Mode&groupWrite != 0 && f.GID != 0 {
		out = append(out, fmt.Sprintf("%s: mode %04o of %d:%d lets others write it", f.Path, f.Mode, f.UID, f.GID))
	}
	for _, p := range f.Parents {
		switch {
		case p.UID != 0:
			out = append(out, fmt.Sprintf("%s: user %d owns the folder %s", f.Path, p.UID, p.Path))
		case p.Mode&sticky == 0 && (p.Mode&otherWrite != 0 || p.Mode&groupWrite != 0 && p.GID != 0):
			out = append(out, fmt.Sprintf("%s: mode %04o of the folder %s lets others replace it", f.Path, p.Mode, p.Path))
		}
	}
	return out
}

var runtimeBinariesVerified = Check{
	ID:        "runtime-binaries-verified",
	Rev:       1,
	Title:     "container engines, shims, OCI runtimes and network plugins are in the OS image or declared",
	Topic:     Runtime,
	Severity:  High,
	Refs:      []Ref{{sp80053, "SI-7"}, {sp80053, "CM-14"}, {pciDSS, "11.5.2"}, {sp800190, "4.5.2"}, {iso27001, "8.19"}},
	ImageOnly: true,
	Help: Help{
		Why: "These programs run as root for every container that starts, for a moment only, so that no look at what runs would see a changed runc or network plugin.",
		How: "The programs of the engines and shims that run, the OCI runtimes in the folders where engines look, and what is in the folder of network plugins, all links followed. Each must be on the read-only image, or be declared by path, and by digest where the profile gives one. Network plugins are installed by pods and lie on writable storage nearly everywhere: systems whose vendor puts them there declare the folder.",
		Remedy: map[string]string{
			"flatcar": "Bring another containerd or runc as a system extension (/etc/extensions/NAME.raw), not below /opt/bin.",
			"cos":     "Leave /home/kubernetes/bin to the vendor's own installer, and declare what your own DaemonSets put there by digest.",
			"":        "Remove what does not belong, or declare the path with its sha256 in the site overlay; the finding gives both.",
		},
	},
	Judge: On3(node.RuntimeConfig.Parts("engines", "binaries"), node.Mounts, node.OS.Parts("init", "pidNamespace"), func(v node.RuntimeState, m []node.Mount, o node.System, g Given) Finding {
		return wholeMachine(o, judgeRuntimeBinaries(v, m, g))
	}),
}

func judgeRuntimeBinaries(v node.RuntimeState, mounts []node.Mount, g Given) Finding {
	if v.Engines == nil {
		return unsaid("which programs its container engines are")
	}
	if len(v.Engines) == 0 {
		return noEngineRuns()
	}
	if len(v.Binaries) == 0 {
		return unsaid("where the programs of its container engines are")
	}
	var bad, declared, open, unhashed []string
	image := 0
	places := slices.Concat(g.Profile.Processes.Allowed, g.Profile.Containers.Binaries)
	for _, b := range v.Binaries {
		on := mountOf(mounts, b.Path)
		item := b.Role + " " + b.Path
		if len(b.SHA256) >= 12 {
			item += " (sha256 " + b.SHA256 + ")"
		}
		switch is := standingOf(b.Path, b.SHA256, places); {
		case imageMount(on):
			image++
		case is == isDeclared:
			declared = append(declared, item)
		case is == isUnhashed:
			unhashed = append(unhashed, item)
		case len(on.Options) == 0:
			open = append(open, item)
		default:
			bad = append(bad, item)
		}
	}
	switch {
	case len(bad) > 0:
		return fail("outside-image", "programs that run as root for containers are on writable storage and not declared: "+strings.Join(bad, "; "), bad...)
	case len(open) > 0:
		return unknown("mount-unknown", "the file system of programs is not known: "+strings.Join(open, "; "), open...)
	case len(unhashed) > 0:
		return unknown("not-hashed", "programs are declared with a digest and could not be hashed: "+strings.Join(unhashed, "; "), unhashed...)
	case len(declared) > 0:
		return pass("declared", fmt.Sprintf("%d programs are of the image, the others declared: %s", image, strings.Join(declared, "; ")), declared...)
	}
	return pass("from-image", fmt.Sprintf("all %d programs are of the image", image))
}

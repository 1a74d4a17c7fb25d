package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

var consoleRefs = slices.Concat(accessRefs, []Ref{{sp80053, "IA-2"}})

// consoleWords are words of the kernel command line that log somebody in on a
// console. Sources: flatcar.org/docs, "autologin"; systemd-debug-generator(8);
// siderolabs/talos pkg/machinery/constants, KernelParamDebugShell.
var (
	autologinWords  = []string{"flatcar.autologin", "coreos.autologin"}
	debugShellWords = []string{"systemd.debug-shell", "systemd.debug_shell", "rd.systemd.debug-shell", "rd.systemd.debug_shell", "talos.debugshell"}
)

// wordsOf are the words of the command line with one of these keys, as far as
// they are in force; "=0" and "=no" switch such a word off.
func wordsOf(b node.BootState, keys []string) []string {
	var out []string
	for _, w := range b.Cmdline {
		off := w.Valued && slices.Contains([]string{"0", "no", "n", "false", "off"}, w.Value)
		if inForce(w) && !off && slices.ContainsFunc(keys, w.Is) {
			out = append(out, wordText(w)+" on the kernel command line")
		}
	}
	return out
}

var noConsoleAutologin = Check{
	ID:       "no-console-autologin",
	Rev:      1,
	Title:    "no console logs in automatically",
	Topic:    Access,
	Severity: High,
	Refs:     consoleRefs,
	Help: Help{
		Why: "The console of a machine is within reach of whoever holds a cloud account, a management board or a key to the rack. Where it logs in by itself, that is a shell, and by sudo root.",
		How: "Units of consoles (getty@, serial-getty@, console-getty, container-getty, autovt@) and their drop-ins in every folder of units, of generators too, must not start agetty with --autologin, or a shell. Nor may the kernel command line say flatcar.autologin.",
		Remedy: map[string]string{
			"":              "Remove the drop-in (systemctl revert UNIT), then systemctl daemon-reload and systemctl restart UNIT.",
			"talos":         "Talos has no console that logs in: boot it with the arguments of its Image Factory schematic.",
			"flatcar":       "Take flatcar.autologin out of the command line (set linux_append in /oem/grub.cfg) and remove /etc/systemd/system/*getty@*.service.d; the image for QEMU has the word as shipped, those for clouds have not.",
			"bottlerocket":  "The host starts no getty: replace the node. The admin container has one of its own: apiclient set host-containers.admin.enabled=false.",
			"fedora-coreos": "Remove /etc/systemd/system/serial-getty@*.service.d and getty@*.service.d, and take the drop-in out of the Butane configuration.",
			"microos":       "systemctl revert the getty unit, and take the drop-in out of the Combustion script or Ignition file.",
			"cos":           "Recreate the node without the user data that writes the drop-in; serial-port-enable=FALSE in the metadata closes the console.",
		},
	},
	Judge: On2(node.Consoles, node.Boot.Parts("cmdline", "bootconfig"), func(c []node.Console, b node.BootState, _ Given) Finding {
		if len(b.Cmdline) == 0 {
			return unsaid("its kernel command line")
		}
		bad := wordsOf(b, autologinWords)
		for _, c := range c {
			switch {
			case c.Kind == "autologin":
				bad = append(bad, fmt.Sprintf("%s logs in %s (%s)", c.Unit, c.User, c.File))
			case c.Kind == "shell":
				bad = append(bad, fmt.Sprintf("%s starts a shell (%s)", c.Unit, c.File))
			}
		}
		if len(bad) > 0 {
			return fail("autologin", strings.Join(bad, "; "), bad...)
		}
		return pass("none", "no unit of a console and no word of the command line logs anybody in")
	}),
}

var noDebugShell = Check{
	ID:       "no-debug-shell",
	Rev:      1,
	Title:    "no debug shell waits on a console",
	Topic:    Access,
	Severity: Critical,
	Refs:     consoleRefs,
	Help: Help{
		Why: "debug-shell.service puts a root shell without a password on the ninth console from early boot on, and it stays there.",
		How: "debug-shell.service must be wanted by no target, in any folder of units and of generators, unless it is masked; no host process may run in its cgroup; and the kernel command line must hold neither systemd.debug-shell nor talos.debugshell.",
		Remedy: map[string]string{
			"":              "systemctl disable --now debug-shell.service, and systemctl mask it.",
			"talos":         "Take talos.debugshell out of the kernel arguments of the Image Factory schematic, and upgrade to its installer.",
			"flatcar":       "systemctl mask --now debug-shell.service, and take systemd.debug-shell out of linux_append in /oem/grub.cfg.",
			"bottlerocket":  "Take systemd.debug-shell out of settings.boot.init-parameters (apiclient apply), then apiclient reboot.",
			"fedora-coreos": "rpm-ostree kargs --delete-if-present=systemd.debug-shell, systemctl disable debug-shell.service, and reboot.",
			"microos":       "systemctl disable --now debug-shell.service; take the word out of GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub, transactional-update grub.cfg, and reboot.",
			"cos":           "Recreate the node from an unmodified image; neither the word nor the unit is on in it.",
		},
	},
	Judge: On4(node.Consoles, node.Boot.Parts("cmdline", "bootconfig"), node.Processes.Parts("path"), node.OS.Parts("init", "pidNamespace"),
		func(c []node.Console, b node.BootState, p []node.Program, s node.System, _ Given) Finding {
			if len(b.Cmdline) == 0 || len(p) == 0 {
				return unsaid("its kernel command line, or what runs on it")
			}
			bad := wordsOf(b, debugShellWords)
			for _, c := range c {
				if c.Kind == "debug-shell" && c.Active {
					bad = append(bad, c.Unit+" is wanted by "+c.File)
				}
			}
			for _, p := range p {
				if strings.HasSuffix(p.Unit, "/debug-shell.service") {
					bad = append(bad, p.Path+" runs in "+p.Unit)
				}
			}
			if len(bad) > 0 {
				return fail("debug-shell", strings.Join(bad, "; "), bad...)
			}
			return wholeMachine(s, pass("none", "no debug shell is wanted, runs or stands on the command line"))
		}),
}

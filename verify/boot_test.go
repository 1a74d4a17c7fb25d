package verify

import (
	"strings"
	"testing"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

func booted(b node.BootState, gaps ...node.Gap) node.Facts {
	return withFact(nil, node.Boot, b, gaps...)
}

func expecting(b profiles.Boot) profiles.Profile { return profiles.Profile{Boot: b} }

var noBoot = lacking(nil, node.Boot, node.Denied, "reading /proc/cmdline: permission denied")

func TestSecureBoot(t *testing.T) {
	on := node.BootState{Firmware: "uefi", SecureBoot: "on", SetupMode: "off"}
	with := func(firmware, secure, setup string) node.Facts {
		return booted(node.BootState{Firmware: firmware, SecureBoot: secure, SetupMode: setup})
	}
	required := expecting(profiles.Boot{SecureBoot: "required"})
	testJudge(t, secureBootOn, []judgedRow{
		{name: "on", facts: booted(on), want: "pass on"},
		{name: "on, required", profile: required, facts: booted(on), want: "pass on"},
		{name: "off", facts: with("uefi", "off", "off"), want: "fail off"},
		{name: "off since nobody enrolled keys", facts: with("uefi", "off", "on"), want: "fail off"},
		{name: "on in setup mode", facts: with("uefi", "on", "on"), want: "fail setup-mode"},
		{name: "firmware without the variable", facts: with("uefi", "absent", "absent"), want: "fail absent"},
		{name: "BIOS", facts: with("other", "absent", "absent"), want: "not-applicable no-uefi"},
		{name: "BIOS where the profile requires Secure Boot", profile: required, facts: with("other", "absent", "absent"), want: "fail no-uefi"},
		{name: "efivarfs not mounted", facts: with("uefi", "", ""), want: "unknown unread"},
		{name: "setup mode not read", facts: with("uefi", "on", ""), want: "unknown unread"},
		{name: "setup mode has no variable though Secure Boot has", facts: with("uefi", "on", "absent"), want: "unknown unread"},
		{name: "a word that nobody wrote", facts: with("uefi", "yes", "off"), want: "unknown unread"},
		{name: "firmware not read", facts: with("", "on", "off"), want: "unknown unread"},
		{name: "fact missing", facts: noBoot, want: "unknown fact-denied"},
		{name: "gap", facts: booted(on, malformedGap), want: "unknown gap-malformed"},
		{name: "efivarfs not mounted, and the gap says so", facts: booted(node.BootState{Firmware: "uefi"}, node.Gap{What: "Secure Boot", Code: node.Unsupported, Reason: "efivarfs is not mounted"}), want: "unknown gap-unsupported"},
		{name: "off over a gap", facts: booted(node.BootState{Firmware: "uefi", SecureBoot: "off"}, deniedGap), want: "fail off"},
	})
}

func TestKernelLockdown(t *testing.T) {
	locked := func(lockdown, secure string) node.Facts {
		return booted(node.BootState{Firmware: "uefi", SecureBoot: secure, SetupMode: "off", Lockdown: lockdown, LSMs: []string{"lockdown"}})
	}
	required := expecting(profiles.Boot{Lockdown: "required"})
	underSB := expecting(profiles.Boot{Lockdown: "secure-boot"})
	notOffered := expecting(profiles.Boot{Lockdown: "not-offered"})
	testJudge(t, kernelLockdown, []judgedRow{
		{name: "integrity", profile: required, facts: locked("integrity", "off"), want: "pass integrity"},
		{name: "confidentiality, stricter than asked", profile: underSB, facts: locked("confidentiality", "on"), want: "pass confidentiality"},
		{name: "integrity where nothing is expected", facts: locked("integrity", "on"), want: "pass integrity"},
		{name: "Bottlerocket whose lockdown was switched off", profile: required, facts: locked("none", "on"), want: "fail none"},
		{name: "a kernel without lockdown where it is required", profile: required, facts: locked("absent", "off"), want: "fail absent"},
		// corpus talos/lockdown-none-secureboot-1.14.0
		{name: "Talos 1.14.0 with Secure Boot", profile: underSB, facts: locked("none", "on"), want: "fail none-under-secure-boot"},
		{name: "Fedora without lockdown under Secure Boot", profile: underSB, facts: locked("absent", "on"), want: "fail absent-under-secure-boot"},
		{name: "Flatcar without Secure Boot", profile: underSB, facts: locked("none", "off"), want: "not-applicable secure-boot-off"},
		{name: "Flatcar started by BIOS", profile: underSB, facts: booted(node.BootState{Firmware: "other", SecureBoot: "absent", Lockdown: "none"}), want: "not-applicable secure-boot-off"},
		{name: "Secure Boot not read", profile: underSB, facts: locked("none", ""), want: "unknown unread"},
		{name: "COS", profile: notOffered, facts: locked("none", "on"), want: "not-applicable not-offered"},
		{name: "COS that was locked down anyhow", profile: notOffered, facts: locked("integrity", "on"), want: "pass integrity"},
		{name: "nothing expected", facts: locked("none", "on"), want: "not-applicable nothing-expected"},
		{name: "lockdown not read", profile: required, facts: locked("", "on"), want: "unknown unread"},
		{name: "lockdown not read where nothing is expected", facts: locked("", "on"), want: "unknown unread"},
		{name: "a profile with a word nobody knows", profile: expecting(profiles.Boot{Lockdown: "always"}), facts: locked("none", "on"), want: "unknown expectation-unclear"},
		{name: "fact missing", profile: required, facts: noBoot, want: "unknown fact-denied"},
		{name: "gap", profile: required, facts: booted(node.BootState{Lockdown: "integrity"}, deniedGap), want: "unknown gap-denied"},
		{name: "not offered, over a gap", profile: notOffered, facts: booted(node.BootState{Lockdown: "none"}, deniedGap), want: "unknown gap-denied"},
		{name: "none over a gap", profile: required, facts: booted(node.BootState{Lockdown: "none"}, deniedGap), want: "fail none"},
	})
}

func TestMAC(t *testing.T) {
	mac := func(selinux, apparmor string) node.Facts {
		return booted(node.BootState{SELinux: selinux, AppArmor: apparmor})
	}
	selinux := expecting(profiles.Boot{MAC: "selinux"})
	apparmor := expecting(profiles.Boot{MAC: "apparmor"})
	permissive := expecting(profiles.Boot{MAC: "selinux-permissive"})
	testJudge(t, macEnforcing, []judgedRow{
		{name: "SELinux enforcing", profile: selinux, facts: mac("enforcing", "absent"), want: "pass selinux"},
		{name: "SELinux permissive on Bottlerocket", profile: selinux, facts: mac("permissive", "absent"), want: "fail permissive"},
		{name: "selinux=0 on Fedora CoreOS", profile: selinux, facts: mac("absent", "absent"), want: "fail off"},
		{name: "AppArmor in place of SELinux", profile: selinux, facts: mac("absent", "enabled"), want: "fail off"},
		{name: "SELinux not read", profile: selinux, facts: mac("", "absent"), want: "unknown unread"},
		{name: "AppArmor on COS", profile: apparmor, facts: mac("absent", "enabled"), want: "pass apparmor"},
		{name: "apparmor=0 on COS", profile: apparmor, facts: mac("absent", "disabled"), want: "fail off"},
		{name: "AppArmor not read on COS", profile: apparmor, facts: mac("absent", ""), want: "unknown unread"},
		{name: "SELinux in place of AppArmor", profile: apparmor, facts: mac("enforcing", "absent"), want: "fail off"},
		{name: "Talos as shipped", profile: permissive, facts: mac("permissive", "disabled"), want: "not-applicable permissive"},
		{name: "Talos with enforcing=1", profile: permissive, facts: mac("enforcing", "disabled"), want: "pass selinux"},
		{name: "Talos with AppArmor", profile: permissive, facts: mac("absent", "enabled"), want: "pass apparmor"},
		// corpus flatcar/cmdline-3975.2.2-selinux-off
		{name: "selinux=0 on Flatcar", profile: permissive, facts: mac("absent", "absent"), want: "fail off"},
		{name: "Debian", facts: mac("absent", "enabled"), want: "pass apparmor"},
		{name: "nothing, and nothing expected", facts: mac("absent", "absent"), want: "not-applicable nothing-expected"},
		{name: "permissive, and nothing expected", facts: mac("permissive", "absent"), want: "not-applicable nothing-expected"},
		{name: "AppArmor may not be read without root", facts: mac("absent", ""), want: "unknown unread"},
		{name: "a profile with a word nobody knows", profile: expecting(profiles.Boot{MAC: "smack"}), facts: mac("absent", "absent"), want: "unknown expectation-unclear"},
		{name: "fact missing", profile: selinux, facts: noBoot, want: "unknown fact-denied"},
		{name: "gap", profile: selinux, facts: booted(node.BootState{SELinux: "enforcing"}, deniedGap), want: "unknown gap-denied"},
		{name: "AppArmor may not be read, and the gap says so", facts: booted(node.BootState{SELinux: "absent"}, deniedGap), want: "unknown gap-denied"},
	})
}

// words is a command line without quotes as node parses it.
func words(line string) []node.Word {
	var out []node.Word
	after := false
	for _, w := range strings.Fields(line) {
		if w == "--" {
			after = true
			continue
		}
		key, value, valued := strings.Cut(w, "=")
		out = append(out, node.Word{Key: key, Value: value, Valued: valued, AfterDashes: after})
	}
	return out
}

func bootedWith(line string, gaps ...node.Gap) node.Facts {
	return booted(node.BootState{Cmdline: words(line)}, gaps...)
}

func TestCmdlineSafe(t *testing.T) {
	p := expecting(profiles.Boot{Forbidden: map[string]string{
		"selinux=0":            "it switches SELinux off",
		"mitigations=off":      "it switches CPU mitigations off",
		"module.sig_enforce=0": "it lets unsigned modules in",
		"init=/bin/*":          "it puts a shell in the place of process 1",
		"systemd.debug_shell":  "it opens a root shell on tty9",
		"flatcar.autologin":    "it logs a root-capable user in on the console",
		"single":               "it boots to a root shell",
		"rescue":               "it boots to a root shell",
	}})
	const flatcar = "BOOT_IMAGE=/flatcar/vmlinuz-a mount.usr=/dev/mapper/usr verity.usr=PARTUUID=7130c94a-213a-4e5a-8e26-6cce9662f132 rootflags=rw mount.usrflags=ro consoleblank=0 root=LABEL=ROOT console=ttyS0,115200n8 flatcar.oem.id=ec2"
	secret := booted(node.BootState{Cmdline: []node.Word{{Key: "selinux", Value: "<redacted>", Valued: true, Redacted: true}}})
	secretKey := booted(node.BootState{Cmdline: []node.Word{{Key: "flatcar.autologin", Value: "<redacted>", Valued: true, Redacted: true}}})
	testJudge(t, cmdlineSafe, []judgedRow{
		{name: "Flatcar as shipped", profile: p, facts: bootedWith(flatcar), want: "pass safe"},
		{name: "selinux=0 at its end", profile: p, facts: bootedWith(flatcar + " selinux=0"), want: "fail forbidden-word", items: []string{"selinux=0"}},
		{name: "selinux=1 is another value", profile: p, facts: bootedWith(flatcar + " selinux=1"), want: "pass safe"},
		{name: "a longer key is another key", profile: p, facts: bootedWith(flatcar + " xselinux=0 selinux.x=0"), want: "pass safe"},
		{name: "a key with any value", profile: p, facts: bootedWith(flatcar + " flatcar.autologin=tty1"), want: "fail forbidden-word", items: []string{"flatcar.autologin=tty1"}},
		{name: "a key without value", profile: p, facts: bootedWith(flatcar + " flatcar.autologin"), want: "fail forbidden-word", items: []string{"flatcar.autologin"}},
		{name: "dashes for underscores", profile: p, facts: bootedWith("module.sig-enforce=0 systemd.debug-shell"), want: "fail forbidden-word", items: []string{"module.sig-enforce=0", "systemd.debug-shell"}},
		{name: "a shell as process 1", profile: p, facts: bootedWith("root=/dev/sda1 init=/bin/bash"), want: "fail forbidden-word", items: []string{"init=/bin/bash"}},
		// corpus cos/cmdline-113-intel-tdx
		{name: "COS names its init", profile: p, facts: bootedWith("init=/usr/lib/systemd/systemd rootwait ro module.sig_enforce=1"), want: "pass safe"},
		// corpus talos/schematic-weakened-args-taint-1.8.2
		{name: "Talos weakened", profile: p, facts: bootedWith("talos.platform=metal mitigations=off iommu=off"), want: "fail forbidden-word", items: []string{"mitigations=off"}},
		{name: "one word twice is one item", profile: p, facts: bootedWith("selinux=0 selinux=0"), want: "fail forbidden-word", items: []string{"selinux=0"}},
		{name: "selinux=0 behind the dashes is process 1's", profile: p, facts: bootedWith("ro -- selinux=0"), want: "pass safe"},
		{name: "a debug shell behind the dashes is systemd's", profile: p, facts: bootedWith("ro -- systemd.debug_shell=1"), want: "fail forbidden-word", items: []string{"systemd.debug_shell=1"}},
		{name: "a run level behind the dashes", profile: p, facts: bootedWith("ro -- single"), want: "fail forbidden-word", items: []string{"single"}},
		{name: "nothing forbidden", facts: bootedWith("selinux=0"), want: "not-applicable nothing-expected"},
		{name: "no command line", profile: p, facts: bootedWith(""), want: "unknown unread"},
		{name: "a secret value is not compared", profile: p, facts: secret, want: "unknown redacted", items: []string{"selinux"}},
		{name: "a secret value under a forbidden key", profile: p, facts: secretKey, want: "fail forbidden-word", items: []string{"flatcar.autologin=<redacted>"}},
		{name: "fact missing", profile: p, facts: noBoot, want: "unknown fact-denied"},
		{name: "gap", profile: p, facts: bootedWith(flatcar, malformedGap), want: "unknown gap-malformed"},
		{name: "forbidden over a gap", profile: p, facts: bootedWith("selinux=0", malformedGap), want: "fail forbidden-word"},
	})
}

func TestCmdlineComplete(t *testing.T) {
	p := expecting(profiles.Boot{Required: []string{"slab_nomerge", "pti=on", "talos.platform"}})
	const talos = "talos.platform=metal init_on_alloc=1 slab_nomerge= pti=on consoleblank=0"
	secret := booted(node.BootState{Cmdline: append(words("slab_nomerge talos.platform=metal"), node.Word{Key: "pti", Value: "<redacted>", Valued: true, Redacted: true})})
	testJudge(t, cmdlineComplete, []judgedRow{
		{name: "Talos as shipped", profile: p, facts: bootedWith(talos), want: "pass complete"},
		{name: "dashes for underscores", profile: p, facts: bootedWith("talos.platform=metal slab-nomerge pti=on"), want: "pass complete"},
		{name: "a word is missing", profile: p, facts: bootedWith("talos.platform=metal pti=on"), want: "fail missing-word", items: []string{"slab_nomerge is missing"}},
		{name: "another value", profile: p, facts: bootedWith("talos.platform=metal slab_nomerge pti=auto"), want: "fail missing-word", items: []string{"pti=on is replaced by pti=auto"}},
		{name: "the last value holds", profile: p, facts: bootedWith(talos + " pti=off"), want: "fail missing-word", items: []string{"pti=on is replaced by pti=off"}},
		{name: "a value that was put right again", profile: p, facts: bootedWith("pti=off " + talos), want: "pass complete"},
		{name: "behind the dashes the kernel does not look", profile: p, facts: bootedWith("talos.platform=metal slab_nomerge -- pti=on"), want: "fail missing-word", items: []string{"pti=on is missing"}},
		{name: "user space looks behind the dashes", profile: p, facts: bootedWith("slab_nomerge pti=on -- talos.platform=metal"), want: "pass complete"},
		{name: "nothing required", facts: bootedWith("quiet"), want: "not-applicable nothing-expected"},
		{name: "no command line", profile: p, facts: bootedWith(""), want: "unknown unread"},
		{name: "a secret value is not compared", profile: p, facts: secret, want: "unknown redacted"},
		{name: "fact missing", profile: p, facts: noBoot, want: "unknown fact-denied"},
		{name: "gap", profile: p, facts: bootedWith(talos, deniedGap), want: "unknown gap-denied"},
	})
}

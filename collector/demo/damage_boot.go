package demo

import (
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
)

var bootDamages = []Damage{{
	Check: "secure-boot-on", Node: "recorded-lab-cos", What: "the firmware was put into setup mode",
	Sound: secureBoot,
	Do:    put(efivar+"SetupMode"+efiVendor, "\x06\x00\x00\x00\x01"),
}, {
	Check: "kernel-lockdown", Node: "composed-bottlerocket", What: "lockdown was switched off",
	Sound: all(secureBoot, put("sys/kernel/security/lockdown", "none [integrity] confidentiality\n")),
	Do:    put("sys/kernel/security/lockdown", "[none] integrity confidentiality\n"),
}, {
	Check: "modules-signed", Node: "recorded-lab-cos", What: "signatures of modules are no longer asked for",
	Do: change("sys/module/module/parameters/sig_enforce", "Y", "N"),
}, {
	Check: "kernel-untainted", Node: "recorded-lab-cos", What: "an unsigned module was loaded",
	Do: put("proc/sys/kernel/tainted", "8192\n"),
}, {
	Check: "cmdline-safe", Node: "recorded-lab-cos", What: "bad blocks are read all the same, by the command line",
	Do: change("proc/cmdline", "module.sig_enforce=1", "module.sig_enforce=1 dm_verity.error_behavior=2"),
}, {
	Check: "cmdline-complete", Node: "composed-talos", What: "a word that Talos boots with was taken off the command line",
	Sound: func(t *capture.Tape) { t.Absent("proc/bootconfig") },
	Do:    change("proc/cmdline", " slab_nomerge", ""),
}, {
	Check: "mac-enforcing", Node: "composed-bottlerocket", What: "SELinux was made permissive",
	Sound: func(t *capture.Tape) {
		t.Content("sys/fs/selinux/enforce", "1")
		t.Absent("sys/module/apparmor/parameters/enabled")
		plain(t, "sys/module")
	},
	Do: put("sys/fs/selinux/enforce", "0"),
}, {
	Check: "kexec-restricted", Node: "recorded-lab-cos", What: "kernels may be loaded by kexec",
	Sound: func(t *capture.Tape) {
		builtSafely(t)
		t.Content("proc/sys/kernel/kexec_load_disabled", "1\n")
	},
	Do: put("proc/sys/kernel/kexec_load_disabled", "0\n"),
}, {
	Check: "modules-from-image", Node: "recorded-lab-cos", What: "a module that no file accounts for was loaded",
	Sound: moduleFolder,
	Do: func(t *capture.Tape) {
		t.Content("proc/modules", read(t, "proc/modules")+"diamorphine 16384 0 - Live 0xffffffffc0900000\n")
	},
}, {
	Check: "tpm-present", Node: "recorded-lab-cos", What: "the virtual machine was started without its TPM",
	Sound: func(t *capture.Tape) {
		plain(t, "sys/class", "sys/class/tpm/tpm0")
		t.Content("sys/class/tpm/tpm0/tpm_version_major", "2\n")
		t.Info("sys/kernel/security/tpm0/binary_bios_measurements", node.FileInfo{Type: node.Regular, Mode: 0o440, Dev: "0:7"})
	},
	Do: func(t *capture.Tape) { t.Absent("sys/class/tpm/tpm0") },
}, {
	Check: "kernel-hardening-config", Node: "recorded-lab-cos", What: "a kernel without checked copies was booted",
	Sound: builtSafely,
	Do:    change(builtIn, "CONFIG_HARDENED_USERCOPY=y", "# CONFIG_HARDENED_USERCOPY is not set"),
}, {
	Check: "cpu-mitigations-on", Node: "recorded-lab-cos", What: "the machine was moved to a processor that the kernel cannot guard",
	Sound: processor,
	Do:    put(flaws+"/retbleed", "Vulnerable\n"),
}, {
	Check: "kernel-from-current-image", Node: "recorded-lab-cos", What: "an update waits for a reboot",
	Sound: func(t *capture.Tape) {
		moduleFolder(t)
		plain(t, "run")
		t.Absent("run/ostree/staged-deployment", "run/reboot-needed", "run/reboot-required")
	},
	Do: func(t *capture.Tape) { t.File("run/reboot-needed", "") },
}, {
	Check: "memory-layout-randomised", Node: "recorded-lab-cos", What: "processes lie where the linker put them",
	Sound: processor,
	Do:    put("proc/sys/kernel/randomize_va_space", "0\n"),
}, {
	Check: "kernel-addresses-hidden", Node: "recorded-lab-cos", What: "everybody may read the kernel's addresses",
	Do: put("proc/sys/kernel/kptr_restrict", "0\n"),
}, {
	Check: "unprivileged-bpf-off", Node: "recorded-lab-cos", What: "everybody may load eBPF programs",
	Do: put("proc/sys/kernel/unprivileged_bpf_disabled", "0\n"),
}, {
	Check: "ptrace-limited", Node: "recorded-lab-cos", What: "every process may trace every other one",
	Do: put("proc/sys/kernel/yama/ptrace_scope", "0\n"),
}, {
	Check: "links-protected", Node: "recorded-lab-cos", What: "links of others are followed in /tmp",
	Do: put("proc/sys/fs/protected_symlinks", "0\n"),
}, {
	Check: "core-dumps-restricted", Node: "recorded-lab-cos", What: "dumps start a program on the data partition",
	Do: put("proc/sys/kernel/core_pattern", "|/var/lib/toolbox/handler %P\n"),
}, {
	Check: "userfaultfd-restricted", Node: "recorded-lab-cos", What: "everybody may hold up page faults of the kernel",
	Sound: put("proc/sys/vm/unprivileged_userfaultfd", "0\n"),
	Do:    put("proc/sys/vm/unprivileged_userfaultfd", "1\n"),
}, {
	Check: "sysrq-restricted", Node: "recorded-lab-cos", What: "the magic SysRq key may do everything",
	Do: put("proc/sys/kernel/sysrq", "1\n"),
}, {
	Check: "forwarding-off-without-pods", Node: "recorded-lab-cos", What: "a host without containers forwards packets",
	Sound: put("proc/sys/net/ipv4/ip_forward", "0\n"),
	Do:    put("proc/sys/net/ipv4/ip_forward", "1\n"),
}, {
	Check: "kubelet-kernel-tunables", Node: "composed-rhcos", What: "the kernel was told not to reboot after a panic",
	Sound: all(parameters, func(t *capture.Tape) {
		t.Content("proc/sys/kernel/panic", "10\n")
		t.Content("proc/sys/kernel/panic_on_oops", "1\n")
		t.Content("proc/sys/vm/overcommit_memory", "1\n")
		t.Content("proc/sys/vm/panic_on_oom", "0\n")
	}),
	Do: put("proc/sys/kernel/panic", "0\n"),
}, {
	Check: "network-parameters-hardened", Node: "recorded-lab-cos", What: "the node obeys routes of strangers",
	Sound: func(t *capture.Tape) {
		for _, name := range []string{"ipv4/conf/all/accept_redirects", "ipv4/conf/all/accept_source_route", "ipv4/conf/all/secure_redirects", "ipv4/conf/all/send_redirects"} {
			t.Content("proc/sys/net/"+name, "0\n")
			t.Content("proc/sys/net/"+strings.Replace(name, "/all/", "/default/", 1), "0\n")
		}
		for _, name := range []string{"all/accept_redirects", "all/accept_source_route", "default/accept_redirects", "default/accept_source_route"} {
			t.Content("proc/sys/net/ipv6/conf/"+name, "0\n")
		}
		t.Content("proc/sys/net/ipv4/tcp_syncookies", "1\n")
	},
	Do: put("proc/sys/net/ipv4/conf/all/accept_source_route", "1\n"),
}, {
	Check: "sysctls-hardened", Node: "recorded-lab-cos", What: "the first page of memory may be mapped",
	Do: put("proc/sys/vm/mmap_min_addr", "0\n"),
}}

// release is that of the kernel which the guests of the lab ran.
const release = "6.12.117+deb12-cloud-amd64"

// builtIn is where a kernel keeps how it was built.
const builtIn = "usr/lib/modules/" + release + "/config"

// builtSafely puts how a kernel with all defences was built.
func builtSafely(t *capture.Tape) {
	t.Absent("proc/config.gz")
	t.Content(builtIn, `# Linux/x86 6.12.117 Kernel Configuration
CONFIG_64BIT=y
CONFIG_MODULES=y
CONFIG_MODULE_SIG=y
CONFIG_KEXEC=y
CONFIG_KEXEC_FILE=y
# CONFIG_KEXEC_SIG_FORCE is not set
CONFIG_RANDOMIZE_BASE=y
CONFIG_SECCOMP_FILTER=y
CONFIG_SLAB_FREELIST_RANDOM=y
CONFIG_SLAB_FREELIST_HARDENED=y
CONFIG_STACKPROTECTOR_STRONG=y
CONFIG_STRICT_KERNEL_RWX=y
CONFIG_STRICT_MODULE_RWX=y
CONFIG_HARDENED_USERCOPY=y
CONFIG_DEVMEM=y
CONFIG_STRICT_DEVMEM=y
CONFIG_VMAP_STACK=y
`)
}

// moduleFolder puts the files of two modules into the image, and loads those alone.
func moduleFolder(t *capture.Tape) {
	dir := "lib/modules/" + release
	plain(t, "lib", "lib/modules", dir, dir+"/kernel", dir+"/kernel/fs", dir+"/kernel/fs/erofs", dir+"/kernel/lib")
	t.Absent(dir + "/vmlinuz")
	t.Content(dir+"/modules.dep", "kernel/fs/erofs/erofs.ko.xz: kernel/lib/libcrc32c.ko.xz\nkernel/lib/libcrc32c.ko.xz:\n")
	t.File(dir+"/kernel/fs/erofs/erofs.ko.xz", "")
	t.File(dir+"/kernel/lib/libcrc32c.ko.xz", "")
	t.Content("proc/modules", "erofs 143360 1 - Live 0xffffffffc04d8000\nlibcrc32c 12288 1 erofs, Live 0xffffffffc04d2000\n")
}

const flaws = "sys/devices/system/cpu/vulnerabilities"

// processor puts a processor that refuses to execute data and has two flaws.
func processor(t *capture.Tape) {
	t.Content("proc/cpuinfo", "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu vme de pse tsc msr pae nx lm\n\n")
	t.Dir(flaws, node.DirEntry{Name: "retbleed", Type: node.Regular}, node.DirEntry{Name: "spectre_v1", Type: node.Regular})
	t.Content(flaws+"/retbleed", "Not affected\n")
	t.Content(flaws+"/spectre_v1", "Mitigation: usercopy/swapgs barriers and __user pointer sanitization\n")
}

// parameters puts every kernel parameter that is read, as one that this kernel
// does not have, but the limits of root's keys.
func parameters(t *capture.Tape) {
	plain(t, "proc/sys/kernel", "proc/sys/net/core/dev_weight")
	for _, name := range node.SysctlNames {
		t.Absent("proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	}
	t.Content("proc/sys/kernel/keys/root_maxkeys", "1000000\n")
	t.Content("proc/sys/kernel/keys/root_maxbytes", "25000000\n")
}

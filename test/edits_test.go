package test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
	"github.com/seaworthy/seaworthy/verify"
)

// captureEdit is one change of what a node would answer, and all that comes of it.
type captureEdit struct {
	name string
	node string
	// also is what the node answers before the edit too; nil for no more than it has.
	also func(*testing.T, *capture.Tape)
	edit func(*testing.T, *capture.Tape)
	// change are the findings that come out otherwise, as "verdict code".
	change         map[string]string
	level, claimed int
}

// TestOneEdit changes one thing in what a node would answer, and demands that
// exactly the findings which rest on it come out otherwise.
func TestOneEdit(t *testing.T) {
	for _, e := range captureEdits {
		t.Run(e.name, func(t *testing.T) {
			tape := needNode(t, e.node)
			if e.also != nil {
				e.also(t, tape)
			}
			before := report(t, tape)
			e.edit(t, tape)
			after := report(t, tape)
			got := map[string]string{}
			for _, c := range verify.Changes(before.Findings, after.Findings) {
				got[c.After.Check] = c.After.Verdict.String() + " " + c.After.Code
			}
			if diff := cmp.Diff(e.change, got); diff != "" {
				t.Errorf("findings that changed (-want +got):\n%s", diff)
			}
			if after.Level.Number != e.level || after.Level.Claimed != e.claimed {
				t.Errorf("got level %d, claimed %d, want %d and %d: %s", after.Level.Number, after.Level.Claimed, e.level, e.claimed, strings.Join(after.Level.Reasons, "; "))
			}
			if before.Profile != after.Profile {
				t.Errorf("the profile was %s and is %s", before.Profile.Name, after.Profile.Name)
			}
		})
	}
}

var captureEdits = []captureEdit{{
	name: "the root remounted writable",
	node: "composed-talos",
	edit: replace("proc/1/mountinfo", "/ / ro,relatime - squashfs /dev/loop0 ro,", "/ / rw,relatime - ext4 /dev/loop0 rw,"),
	change: map[string]string{
		"image-read-only":             "fail writable-mount",
		"image-unwritable":            "fail writable-backing",
		"no-undeclared-writable-exec": "fail undeclared",
	},
	level: 0, claimed: 0,
}, {
	name: "mount -o remount,rw / on COS",
	node: "composed-cos",
	edit: replace("proc/1/mountinfo", "/ / ro,relatime - ext2 /dev/mapper/vroot rw", "/ / rw,relatime - ext2 /dev/mapper/vroot rw"),
	change: map[string]string{
		"image-read-only":             "fail writable-mount",
		"no-undeclared-writable-exec": "fail undeclared",
	},
	level: 0, claimed: 0,
}, {
	name: "remount,rw of the snapshot on MicroOS",
	node: "composed-microos",
	edit: replace("proc/1/mountinfo", "/@/.snapshots/1/snapshot / ro,relatime", "/@/.snapshots/1/snapshot / rw,relatime"),
	change: map[string]string{
		"image-read-only":             "fail writable-mount",
		"no-undeclared-writable-exec": "fail undeclared",
	},
	level: 0, claimed: 0,
}, {
	name: "btrfs property set / ro false on MicroOS",
	node: "composed-microos",
	edit: func(_ *testing.T, tape *capture.Tape) {
		tape.Answer(node.Question{Kind: node.AskSubvolume, Of: "."}, node.Subvolume{ReadOnly: false})
	},
	change: map[string]string{
		"image-read-only": "fail writable-subvolume",
	},
	level: 0, claimed: 0,
}, {
	name: "rpm-ostree usroverlay (rhcos/mount-usr-unlocked-48-other-node.txt)",
	node: "composed-rhcos",
	edit: addMount("40 30 0:60 / /usr rw,relatime - overlay overlay rw,seclabel,lowerdir=usr,upperdir=/var/tmp/ostree-unlock-ovl.KZ4V50/upper,workdir=/var/tmp/ostree-unlock-ovl.KZ4V50/work"),
	change: map[string]string{
		"image-read-only":             "fail writable-overlay",
		"no-shadowed-paths":           "fail writable-overlay",
		"no-undeclared-writable-exec": "fail undeclared",
	},
	level: 0, claimed: 0,
}, {
	name: "an overlay with an upper directory over /usr of Flatcar",
	node: "composed-flatcar",
	edit: addMount("200 73 0:60 / /usr rw,relatime - overlay overlay rw,lowerdir=/usr,upperdir=/var/u,workdir=/var/w"),
	change: map[string]string{
		"image-read-only":             "fail writable-overlay",
		"image-unwritable":            "fail writable-overlay",
		"image-verified":              "fail not-verified",
		"no-shadowed-paths":           "fail writable-overlay",
		"no-undeclared-writable-exec": "fail undeclared",
	},
	level: 0, claimed: 0,
}, {
	name: "a tmpfs over the kubelet's folder of volume plugins",
	node: "composed-flatcar",
	edit: addMount("200 73 0:60 / /usr/libexec/kubernetes rw,relatime - tmpfs tmpfs rw"),
	change: map[string]string{
		"image-read-only":             "fail writable-mount",
		"image-unwritable":            "fail writable-backing",
		"image-verified":              "fail not-verified",
		"no-shadowed-paths":           "fail shadowed",
		"no-undeclared-writable-exec": "fail undeclared",
	},
	level: 0, claimed: 0,
}, {
	name: "verity replaced by a linear mapping of the same partition",
	node: "composed-flatcar",
	edit: verity("usr", func(d *node.DMTable) {
		d.Targets[0].Type, d.Targets[0].Params, d.Targets[0].Status = "linear", "253:0 0", ""
	}),
	change: map[string]string{
		"cmdline-matches-mapping": "fail not-verity",
		"image-verified":          "fail not-verity",
	},
	level: 2, claimed: 2,
}, {
	name: "ignore_corruption",
	node: "composed-cos",
	edit: verity("vroot", func(d *node.DMTable) { d.Targets[0].Params += " 1 ignore_corruption" }),
	change: map[string]string{
		"image-verified": "fail corruption-ignored",
	},
	level: 2, claimed: 2,
}, {
	name: "a block that does not match its hash was read",
	node: "composed-bottlerocket",
	edit: verity("vroot", func(d *node.DMTable) { d.Targets[0].Status = "C" }),
	change: map[string]string{
		"image-verified": "fail corrupted",
	},
	level: 2, claimed: 2,
}, {
	name: "a table with another root hash than the booted one",
	node: "composed-flatcar",
	edit: verity("usr", func(d *node.DMTable) {
		d.Targets[0].Params = strings.Replace(d.Targets[0].Params, "sha256 3563", "sha256 0563", 1)
	}),
	change: map[string]string{
		"cmdline-matches-mapping": "fail hash-differs",
		"image-verified":          "fail hash-differs",
	},
	level: 2, claimed: 2,
}, {
	name: "the program may not read device-mapper tables",
	node: "composed-flatcar",
	edit: func(_ *testing.T, tape *capture.Tape) {
		tape.RefuseAnswer(node.Question{Kind: node.AskDM}, node.Denied, "")
	},
	change: map[string]string{
		"cmdline-matches-mapping": "unknown table-denied",
		"image-verified":          "unknown table-denied",
	},
	level: 2, claimed: 3,
}, {
	name: "another hash on the command line",
	node: "composed-flatcar",
	edit: replace("proc/cmdline", " usrhash=3563", " usrhash=0563"),
	change: map[string]string{
		"cmdline-matches-mapping": "fail hash-differs",
		"image-verified":          "fail hash-differs",
	},
	level: 2, claimed: 2,
}, {
	name: "a dangerous word on the command line",
	node: "composed-talos",
	edit: replace("proc/cmdline", "slab_nomerge", "slab_nomerge talos.debugshell"),
	change: map[string]string{
		"cmdline-safe": "fail forbidden-word",
	},
	level: 2, claimed: 2,
}, {
	name: "a required word missing from the command line",
	node: "composed-talos",
	edit: replace("proc/cmdline", " slab_nomerge", ""),
	change: map[string]string{
		"cmdline-complete": "fail missing-word",
	},
	level: 2, claimed: 2,
}, {
	name:   "a word that means nothing to us",
	node:   "composed-talos",
	edit:   replace("proc/cmdline", " consoleblank=0", " consoleblank=60"),
	change: map[string]string{},
	level:  2, claimed: 2,
}, {
	name: "no root hash on the command line",
	node: "composed-cos",
	edit: replace("proc/cmdline", "dm-mod.create=", "lab.create="),
	change: map[string]string{
		"cmdline-matches-mapping": "fail no-booted-hash",
		"image-verified":          "unknown no-booted-hash",
	},
	level: 2, claimed: 2,
}, {
	name: "the API socket open to all (bottlerocket/api-sock-ls-2019-world-writable)",
	node: "composed-bottlerocket",
	also: withRun,
	edit: func(_ *testing.T, tape *capture.Tape) {
		tape.Attribute("run/api.sock", "security.selinux", "system_u:object_r:api_socket_t:s0")
		tape.Info("run/api.sock", node.FileInfo{Type: node.Socket, Mode: 0o1777, Dev: "0:1"})
	},
	change: map[string]string{
		"runtime-socket-closed": "fail socket-open",
	},
	level: 3, claimed: 3,
}, {
	name: "anonymous requests to the kubelet",
	node: "composed-rhcos",
	edit: replace("etc/kubernetes/kubelet.conf", "\"anonymous\": {\n      \"enabled\": false", "\"anonymous\": {\n      \"enabled\": true"),
	change: map[string]string{
		"kubelet-anonymous-off":         "fail on",
		"kubelet-anonymous-off-written": "fail written-otherwise",
	},
	level: 1, claimed: 1,
}, {
	name: "everybody may do everything at the kubelet",
	node: "composed-bottlerocket",
	edit: replace("etc/kubernetes/kubelet/config", `"mode": "Webhook"`, `"mode": "AlwaysAllow"`),
	change: map[string]string{
		"kubelet-authorization-webhook": "fail not-webhook",
		"kubelet-authorization-written": "fail written-otherwise",
	},
	level: 3, claimed: 3,
}, {
	name: "an argument of the kubelet beats its file",
	node: "composed-rhcos",
	edit: replace("proc/1613/cmdline", "kubelet\x00", "kubelet\x00--anonymous-auth=true\x00"),
	change: map[string]string{
		"kubelet-anonymous-off":         "fail on",
		"kubelet-anonymous-off-written": "fail flag",
		"kubelet-settings-agree":        "fail contradiction",
	},
	level: 1, claimed: 1,
}, {
	name: "no hard eviction",
	node: "composed-rhcos",
	edit: replace("etc/kubernetes/kubelet.conf", `"evictionHard": {`, `"evictionHard": {}, "evictionNone": {`),
	change: map[string]string{
		"eviction-defaults-kept": "fail lost",
		"hard-eviction-set":      "fail incomplete",
	},
	level: 1, claimed: 1,
}, {
	name: "a kubelet that was replaced while it ran",
	node: "composed-cos",
	also: ofHost(1142),
	edit: link("proc/1142/exe", "/home/kubernetes/bin/kubelet (deleted)"),
	change: map[string]string{
		"no-deleted-executables": "fail deleted",
	},
	level: 3, claimed: 3,
}, {
	name: "a kubelet that runs from memory",
	node: "composed-cos",
	also: ofHost(1142),
	edit: link("proc/1142/exe", "/memfd:kubelet (deleted)"),
	change: map[string]string{
		"allocatable-consistent":              "unknown gap-failed",
		"bootstrap-credential-gone":           "unknown gap-failed",
		"control-plane-files-closed":          "unknown gap-failed",
		"control-plane-files-kept":            "unknown gap-failed",
		"ephemeral-storage-reserved":          "unknown gap-failed",
		"eviction-defaults-kept":              "unknown gap-failed",
		"hard-eviction-set":                   "unknown gap-failed",
		"kube-reserved-set":                   "unknown gap-failed",
		"kubelet-anonymous-off":               "unknown gap-failed",
		"kubelet-anonymous-off-written":       "unknown gap-failed",
		"kubelet-authentication-webhook":      "unknown gap-failed",
		"kubelet-authorization-webhook":       "unknown gap-failed",
		"kubelet-authorization-written":       "unknown gap-failed",
		"kubelet-certificates-rotate":         "unknown gap-failed",
		"kubelet-client-ca-closed":            "unknown gap-failed",
		"kubelet-client-ca-set":               "unknown gap-failed",
		"kubelet-client-ca-written":           "unknown gap-failed",
		"kubelet-config-closed":               "unknown gap-failed",
		"kubelet-config-kept":                 "unknown gap-failed",
		"kubelet-dynamic-auditing-off":        "unknown gap-failed",
		"kubelet-dynamic-configuration-off":   "unknown gap-failed",
		"kubelet-event-rate-bounded":          "unknown gap-failed",
		"kubelet-healthz-local":               "unknown gap-failed",
		"kubelet-hostname-own":                "unknown gap-failed",
		"kubelet-hostname-unwritten":          "unknown gap-failed",
		"kubelet-idle-timeout-written":        "unknown gap-failed",
		"kubelet-image-collection-on":         "unknown gap-failed",
		"kubelet-iptables-chains-kept":        "unknown gap-failed",
		"kubelet-kernel-defaults-protected":   "unknown gap-failed",
		"kubelet-kernel-defaults-written":     "unknown gap-failed",
		"kubelet-keys-closed":                 "unknown gap-failed",
		"kubelet-kubeconfig-closed":           "unknown gap-failed",
		"kubelet-kubeconfig-kept":             "unknown gap-failed",
		"kubelet-log-query-off":               "unknown gap-failed",
		"kubelet-logs-rotate":                 "unknown gap-failed",
		"kubelet-no-unsafe-sysctls":           "unknown gap-failed",
		"kubelet-pod-pids-limited":            "unknown gap-failed",
		"kubelet-pod-security-kept":           "unknown gap-failed",
		"kubelet-profiling-off":               "unknown gap-failed",
		"kubelet-read-only-port-written":      "unknown gap-failed",
		"kubelet-seccomp-default-on":          "unknown gap-failed",
		"kubelet-serving-certificate-issued":  "unknown gap-failed",
		"kubelet-serving-certificate-rotates": "unknown gap-failed",
		"kubelet-serving-certificate-written": "unknown gap-failed",
		"kubelet-serving-key-written":         "unknown gap-failed",
		"kubelet-settings-agree":              "unknown gap-failed",
		"kubelet-static-pod-path-unwritten":   "unknown gap-failed",
		"kubelet-static-pod-url-declared":     "unknown gap-failed",
		"kubelet-static-pods-declared":        "unknown gap-failed",
		"kubelet-streams-time-out":            "unknown gap-failed",
		"kubelet-tls-floor":                   "unknown gap-failed",
		"kubelet-unit-closed":                 "unknown gap-failed",
		"kubelet-unit-kept":                   "unknown gap-failed",
		"memory-qos-noted":                    "unknown gap-failed",
		"no-deleted-executables":              "fail memory-only",
		"node-client-certificate-valid":       "unknown gap-failed",
		"pids-reserved":                       "unknown gap-failed",
		"processes-from-image":                "fail outside-image",
		"reservation-covers-use":              "unknown gap-failed",
		"reservation-enforced":                "unknown gap-failed",
		"reservation-sized":                   "unknown gap-failed",
		"reserved-cgroups-exist":              "unknown gap-failed",
		"system-reserved-set":                 "unknown gap-failed",
	},
	level: 3, claimed: 3,
}, {
	name: "a kubelet that runs from a data disk",
	node: "composed-cos",
	also: ofHost(1142),
	edit: link("proc/1142/exe", "/mnt/disks/local-ssd-0/kubelet"),
	change: map[string]string{
		"processes-from-image": "fail outside-image",
	},
	level: 3, claimed: 3,
}, {
	name: "the mount table is cut",
	node: "composed-cos",
	edit: replace("proc/1/mountinfo", " - ext2 /dev/mapper/vroot rw\n", " - ext2\n"),
	change: map[string]string{
		"cmdline-matches-mapping":                  "unknown fact-malformed",
		"containers-confined":                      "unknown fact-malformed",
		"declared-executables-owned-by-root":       "unknown fact-malformed",
		"drop-ins-declared":                        "unknown fact-malformed",
		"extensions-declared":                      "unknown fact-malformed",
		"generators-from-image":                    "unknown fact-malformed",
		"host-devices-unreached":                   "unknown fact-malformed",
		"host-namespaces-unshared":                 "unknown fact-malformed",
		"host-reaching-containers-declared":        "unknown fact-malformed",
		"image-anchored":                           "unknown fact-malformed",
		"image-attested":                           "unknown fact-malformed",
		"image-read-only":                          "unknown fact-malformed",
		"image-unmodified":                         "unknown fact-malformed",
		"image-unwritable":                         "unknown fact-malformed",
		"image-verified":                           "unknown fact-malformed",
		"journal-closed":                           "unknown fact-malformed",
		"journal-persistent":                       "unknown fact-malformed",
		"kubelet-credentials-unreached":            "unknown fact-malformed",
		"kubelet-unit-closed":                      "unknown fact-malformed",
		"kubelet-unit-kept":                        "unknown fact-malformed",
		"library-paths-from-image":                 "unknown fact-malformed",
		"mappings-from-image":                      "unknown fact-malformed",
		"mount-namespaces-agree":                   "unknown fact-malformed",
		"no-antivirus-agent":                       "unknown fact-malformed",
		"no-deleted-executables":                   "unknown fact-malformed",
		"no-deleted-libraries":                     "unknown fact-malformed",
		"no-file-capabilities-on-writable-storage": "unknown fact-malformed",
		"no-host-root-in-containers":               "unknown fact-malformed",
		"no-legacy-token-secrets":                  "unknown fact-malformed",
		"no-memory-mappings":                       "unknown fact-malformed",
		"no-removable-media":                       "unknown fact-malformed",
		"no-scripts-from-writable-storage":         "unknown fact-malformed",
		"no-setuid-on-writable-storage":            "unknown fact-malformed",
		"no-shadowed-paths":                        "unknown fact-malformed",
		"no-undeclared-privileged-containers":      "unknown fact-malformed",
		"no-undeclared-writable-exec":              "unknown fact-malformed",
		"no-world-writable-executables":            "unknown fact-malformed",
		"pod-volumes-unreached":                    "unknown fact-malformed",
		"processes-from-image":                     "unknown fact-malformed",
		"runtime-binaries-verified":                "unknown fact-malformed",
		"runtime-socket-peers-declared":            "unknown fact-malformed",
		"runtime-socket-unreached":                 "unknown fact-malformed",
		"security-agents-contained":                "unknown fact-malformed",
		"service-account-tokens-in-memory":         "unknown fact-malformed",
		"service-account-tokens-short-lived":       "unknown fact-malformed",
		"single-engine":                            "unknown fact-malformed",
		"timers-from-image":                        "unknown fact-malformed",
		"units-from-image":                         "unknown fact-malformed",
		"writable-executables-declared":            "unknown fact-malformed",
		"writable-mounts-restricted":               "unknown fact-malformed",
	},
	level: 0, claimed: 0,
}, {
	name: "a recorded root remounted writable",
	node: "recorded-lab-cos",
	edit: replace("proc/1/mountinfo", "/ / ro,relatime - erofs /dev/dm-0 ro", "/ / rw,relatime - ext4 /dev/dm-0 rw"),
	change: map[string]string{
		"image-read-only":                  "fail writable-mount",
		"kernel-from-current-image":        "fail outside-image",
		"mappings-from-image":              "fail no-image",
		"modules-from-image":               "fail outside-image",
		"mount-namespaces-agree":           "not-applicable no-image",
		"no-scripts-from-writable-storage": "fail writable-script",
		"no-undeclared-writable-exec":      "fail undeclared",
		"processes-from-image":             "fail no-image",

		// Executables would be looked for where they were not while the root was read-only.
		"declared-executables-owned-by-root":       "unknown gap-not-recorded",
		"no-deleted-libraries":                     "unknown gap-not-recorded",
		"no-file-capabilities-on-writable-storage": "unknown gap-not-recorded",
		"no-memory-mappings":                       "unknown gap-not-recorded",
		"no-setuid-on-writable-storage":            "unknown gap-not-recorded",
		"no-world-writable-executables":            "unknown gap-not-recorded",
		"writable-executables-declared":            "unknown gap-not-recorded",
	},
	level: 0, claimed: 0,
}, {
	name: "corruption is ignored on a recorded guest",
	node: "recorded-lab-cos",
	edit: verity("vroot", func(d *node.DMTable) { d.Targets[0].Params += " 1 ignore_corruption" }),
	change: map[string]string{
		"image-verified": "fail corruption-ignored",
	},
	level: 2, claimed: 2,
}, {
	name: "a corrupt block was read on a recorded guest",
	node: "recorded-lab-cos",
	edit: verity("vroot", func(d *node.DMTable) { d.Targets[0].Status = "C" }),
	change: map[string]string{
		"image-verified": "fail corrupted",
	},
	level: 2, claimed: 2,
}, {
	name: "a containerd socket that everybody may open",
	node: "recorded-lab-cos",
	also: withRun, // on the way to a socket that is not there nothing was asked
	edit: func(_ *testing.T, tape *capture.Tape) {
		tape.Info("run/containerd", node.FileInfo{Type: node.Directory, Mode: 0o711, Dev: "0:1"})
		tape.Info("run/containerd/containerd.sock", node.FileInfo{Type: node.Socket, Mode: 0o666, Dev: "0:1"})
		tape.Attribute("run/containerd/containerd.sock", "security.selinux", "")
	},
	change: map[string]string{
		"forwarding-off-without-pods":   "not-applicable container-host",
		"runtime-socket-peers-declared": "unknown fact-unsupported",
		"runtime-socket-closed":         "fail socket-open",
		"runtime-socket-unreached":      "pass unreached",
		"single-engine":                 "pass single",
	},
	level: 3, claimed: 3,
}, {
	name: "process 1 was replaced on a recorded guest",
	node: "recorded-lab-cos",
	edit: link("proc/1/exe", "/usr/bin/busybox (deleted)"),
	change: map[string]string{
		"no-deleted-executables": "fail deleted",
	},
	level: 3, claimed: 3,
}, {
	name: "process 1 runs from where everybody may write",
	node: "recorded-lab-cos",
	edit: func(t *testing.T, tape *capture.Tape) {
		link("proc/1/exe", "/run/init")(t, tape)
		tape.Answer(node.Question{Kind: node.AskExe, Of: "proc/1"}, node.Executable{Mount: 27, Dev: "0:24"})
	},
	change: map[string]string{
		"processes-from-image": "fail outside-image",
	},
	level: 3, claimed: 3,
}, {
	name: "process 1 runs from a mount that was taken away, under a name of the image",
	node: "recorded-lab-cos",
	edit: func(_ *testing.T, tape *capture.Tape) {
		tape.Answer(node.Question{Kind: node.AskExe, Of: "proc/1"}, node.Executable{Mount: 99, Dev: "0:77"})
	},
	change: map[string]string{
		"no-deleted-executables": "fail deleted",
		"processes-from-image":   "fail outside-image",
	},
	level: 3, claimed: 3,
}, {
	name: "an unsigned module was loaded on a recorded guest",
	node: "recorded-lab-cos",
	edit: replace("proc/sys/kernel/tainted", "0", "8192"),
	change: map[string]string{
		"kernel-untainted": "fail tainted",
	},
	level: 3, claimed: 3,
}, {
	name: "signatures of modules are no longer asked for",
	node: "recorded-lab-cos",
	edit: replace("sys/module/module/parameters/sig_enforce", "Y", "N"),
	change: map[string]string{
		"modules-signed": "fail not-enforced",
	},
	level: 3, claimed: 3,
}, {
	name: "bad blocks are read all the same, by the command line of a recorded guest",
	node: "recorded-lab-cos",
	edit: replace("proc/cmdline", "module.sig_enforce=1", "module.sig_enforce=1 dm_verity.error_behavior=2"),
	change: map[string]string{
		"cmdline-safe": "fail forbidden-word",
	},
	level: 3, claimed: 3,
}, {
	name: "a sysctl made laxer on a recorded guest",
	node: "recorded-lab-cos",
	edit: replace("proc/sys/kernel/kptr_restrict", "1", "0"),
	change: map[string]string{
		"kernel-addresses-hidden": "fail too-lax",
	},
	level: 3, claimed: 3,
}}

// replace changes the one place of a file where old stands.
func replace(name, old, new string) func(*testing.T, *capture.Tape) {
	return func(t *testing.T, tape *capture.Tape) {
		t.Helper()
		b, err := tape.Host().ReadFile(name, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(b), old); n != 1 {
			t.Fatalf("%q stands %d times in %s:\n%s", old, n, name, b)
		}
		tape.Content(name, strings.Replace(string(b), old, new, 1))
	}
}

// addMount adds a line to the mount table.
func addMount(line string) func(*testing.T, *capture.Tape) {
	return func(t *testing.T, tape *capture.Tape) {
		t.Helper()
		b, err := tape.Host().ReadFile("proc/1/mountinfo", 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		tape.Content("proc/1/mountinfo", string(b)+line+"\n")
	}
}

// verity changes a device-mapper table.
func verity(name string, edit func(*node.DMTable)) func(*testing.T, *capture.Tape) {
	return func(t *testing.T, tape *capture.Tape) {
		t.Helper()
		b, err := tape.Host().Kernel.Ask(node.Question{Kind: node.AskDM})
		if err != nil {
			t.Fatal(err)
		}
		var tables []node.DMTable
		if err := json.Unmarshal(b, &tables); err != nil {
			t.Fatal(err)
		}
		if len(tables) != 1 || tables[0].Name != name || len(tables[0].Targets) != 1 {
			t.Fatalf("want one table, of %s: %s", name, b)
		}
		edit(&tables[0])
		tape.Answer(node.Question{Kind: node.AskDM}, tables)
	}
}

// withRun adds the folders above sockets.
func withRun(_ *testing.T, tape *capture.Tape) {
	for _, dir := range []string{".", "run"} {
		tape.Info(dir, node.FileInfo{Type: node.Directory, Mode: 0o755, Dev: "0:1"})
	}
}

// ofHost adds process 1, and makes another one that has its root and mounts.
func ofHost(pid int) func(*testing.T, *capture.Tape) {
	return func(t *testing.T, tape *capture.Tape) {
		t.Helper()
		mounts, err := tape.Host().ReadFile("proc/1/mountinfo", 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		putProcess(tape, 1, "/usr/lib/systemd/systemd", nil)
		putCgroup(tape, 1, "0::/init.scope")
		tape.Dir("proc", node.DirEntry{Name: "1", Type: node.Directory}, node.DirEntry{Name: fmt.Sprint(pid), Type: node.Directory})
		dir := fmt.Sprintf("proc/%d", pid)
		tape.Content(dir+"/mountinfo", string(mounts))
		tape.Link(dir+"/root", "/")
	}
}

func link(name, target string) func(*testing.T, *capture.Tape) {
	return func(_ *testing.T, tape *capture.Tape) { tape.Link(name, target) }
}

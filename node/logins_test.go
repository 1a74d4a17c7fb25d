package node

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLoginServices(t *testing.T) {
	wants := "usr/lib/systemd/system/"
	got, gaps, err := LoginServices.Read(context.Background(), (&memHost{files: map[string]string{
		"sbin": "-> usr/sbin", "usr/sbin": "-> bin", "usr/bin/sshd": "ELF", "opt/bin/tailscaled": "ELF",
		wants + "sockets.target.wants/sshd.socket": "-> ../sshd.socket", wants + "sshd.socket": "[Socket]\n",
		wants + "multi-user.target.wants/sshd.service": "-> ../sshd.service", "etc/systemd/system/sshd.service": "-> /dev/null",
		wants + "multi-user.target.wants/other.service": "",
	}}).host())
	want := LoginServiceState{
		Programs: []LoginProgram{{"tailscaled", "/opt/bin/tailscaled"}, {"sshd", "/usr/bin/sshd"}},
		Units: []LoginUnit{
			{"sshd.service", "/usr/lib/systemd/system/multi-user.target.wants/sshd.service", true},
			{"sshd.socket", "/usr/lib/systemd/system/sockets.target.wants/sshd.socket", false},
		},
	}
	if d := cmp.Diff(want, got); err != nil || len(gaps) > 0 || d != "" {
		t.Errorf("%v, %v (-want +got):\n%s", gaps, err, d)
	}
	for name, part := range map[string]string{"usr/sbin/sshd": "programs", "etc/systemd/system/sockets.target.wants": "units"} {
		_, gaps, err := LoginServices.Read(context.Background(), (&memHost{files: map[string]string{name: "! denied"}}).host())
		if err != nil || len(gaps) != 1 || gaps[0].Part != part {
			t.Errorf("%s denied: got %v, %v", name, gaps, err)
		}
	}
	v, gaps, err := LoginServices.Read(context.Background(), (&memHost{}).host())
	if err != nil || len(gaps) > 0 || len(v.Programs)+len(v.Units) > 0 {
		t.Errorf("nothing there: got %v, %v, %v", v, gaps, err)
	}
}

// autologinDropIn is fcos/systemctl-cat-serial-getty-autologin.txt of the corpus.
const autologinDropIn = "[Service]\n# Override Execstart in main unit\nExecStart=\n# Add new Execstart with `-` prefix to ignore failure\nExecStart=-/usr/sbin/agetty --autologin core --noclear %I $TERM\n"

func TestConsoles(t *testing.T) {
	const etc, lib = "etc/systemd/system/", "usr/lib/systemd/system/"
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  []Console
	}{
		{"as shipped", map[string]string{lib + "getty@.service": "[Service]\nExecStart=-/sbin/agetty -o '-- \\\\u' --noreset --noclear - ${TERM}\n", lib + "debug-shell.service": "[Service]\nExecStart=/bin/bash\n"}, []Console{}},
		{"an instance of the template", map[string]string{etc + "getty.target.wants/getty@tty1.service": "-> /usr/lib/systemd/system/getty@.service"}, []Console{}},
		{"Fedora CoreOS: the published drop-in", map[string]string{etc + "serial-getty@ttyS0.service.d/autologin-core.conf": autologinDropIn},
			[]Console{{"serial-getty@ttyS0.service", "autologin", "core", "/" + etc + "serial-getty@ttyS0.service.d/autologin-core.conf", true}}},
		{"a drop-in that takes it back", map[string]string{etc + "getty@.service.d/x.conf": "[Service]\nExecStart=-/sbin/agetty -a root\nExecStart=\nExecStart=/sbin/agetty -\n"}, []Console{}},
		{"by a generator, short option", map[string]string{"run/systemd/generator/getty@tty1.service.d/a.conf": "[Service]\nExecStart=\nExecStart=/sbin/agetty \\\n  -aroot tty1\n"},
			[]Console{{"getty@tty1.service", "autologin", "root", "/run/systemd/generator/getty@tty1.service.d/a.conf", true}}},
		{"a shell for a getty", map[string]string{etc + "console-getty.service": "[Service]\nExecStart=-/bin/bash -l\n"}, []Console{{"console-getty.service", "shell", "", "/" + etc + "console-getty.service", true}}},
		{"blanks around the equals sign, which systemd.syntax(7) allows", map[string]string{etc + "getty@.service.d/a.conf": "[Service]\nExecStart =\nExecStart = -/sbin/agetty --autologin root\n"},
			[]Console{{"getty@.service", "autologin", "root", "/" + etc + "getty@.service.d/a.conf", true}}},
		{"not a drop-in", map[string]string{etc + "getty@.service.d/x.conf.bak": autologinDropIn}, []Console{}},
		{"masked", map[string]string{etc + "console-getty.service": "-> /dev/null"}, []Console{}},
		{"debug shell wanted", map[string]string{"run/systemd/generator.early/sysinit.target.wants/debug-shell.service": "-> /usr/lib/systemd/system/debug-shell.service"},
			[]Console{{"debug-shell.service", "debug-shell", "", "/run/systemd/generator.early/sysinit.target.wants/debug-shell.service", true}}},
		{"debug shell wanted and masked", map[string]string{lib + "sysinit.target.wants/debug-shell.service": "-> ../debug-shell.service", etc + "debug-shell.service": "-> /dev/null"},
			[]Console{{"debug-shell.service", "debug-shell", "", "/" + lib + "sysinit.target.wants/debug-shell.service", false}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.files[lib+"x"] = ""
			got, gaps, err := Consoles.Read(context.Background(), (&memHost{files: tt.files}).host())
			if d := cmp.Diff(tt.want, got); err != nil || len(gaps) > 0 || d != "" {
				t.Errorf("%v, %v (-want +got):\n%s", gaps, err, d)
			}
		})
	}
	for _, name := range []string{etc + "getty@.service.d/x.conf", etc + "getty@.service.d", "etc/systemd/system"} {
		_, gaps, err := Consoles.Read(context.Background(), (&memHost{files: map[string]string{name: "! denied"}}).host())
		if err != nil || len(gaps) != 1 {
			t.Errorf("%s denied: got %v, %v", name, gaps, err)
		}
	}
}

// talosConfig is the shape of a machine configuration with canaries for its keys.
const talosConfig = `version: v1alpha1
machine:
    type: worker
    token: canary-token
    ca: {crt: canary, key: ""}
    features:
        rbac: true
        kubernetesTalosAPIAccess:
            enabled: true
            allowedRoles: [os:reader, os:admin]
            allowedKubernetesNamespaces: [canary-namespace]
cluster:
    secret: canary-secret
---
apiVersion: v1alpha1
kind: NetworkDefaultActionConfig
ingress: block
---
apiVersion: v1alpha1
kind: NetworkRuleConfig
name: apid
portSelector: {ports: [50000, 50001-50002], protocol: tcp}
ingress:
    - subnet: 192.0.2.0/24
    - subnet: ::/0
`

func TestManagement(t *testing.T) {
	redacted := redactTalosConfig([]byte(talosConfig))
	if bytes.Contains(redacted, []byte("canary")) || bytes.Contains(redacted, []byte("192.0.2")) {
		t.Errorf("left: %s", redacted)
	}
	if again := redactTalosConfig(redacted); !bytes.Equal(again, redacted) {
		t.Errorf("redacted twice: %s", again)
	}
	got, gaps, err := Management.Read(context.Background(), (&memHost{files: map[string]string{TalosConfig: talosConfig}}).host())
	want := ManagementState{
		Config: "/" + TalosConfig, RBAC: "on", ClusterAccess: "on", ClusterRoles: []string{"os:admin", "os:reader"}, Ingress: "block",
		Rules: []IngressRule{{"50000", "tcp", 2, true}, {"50001-50002", "tcp", 2, true}},
	}
	if d := cmp.Diff(want, got); err != nil || len(gaps) > 0 || d != "" {
		t.Errorf("%v, %v (-want +got):\n%s", gaps, err, d)
	}
	for name, text := range map[string]string{"no YAML": "machine: [\n", "no machine": "kind: NetworkDefaultActionConfig\ningress: block\n", "empty": "", "denied": "! denied"} {
		if _, _, err := Management.Read(context.Background(), (&memHost{files: map[string]string{TalosConfig: text}}).host()); err == nil || IsAbsent(err) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	v, _, err := Management.Read(context.Background(), (&memHost{}).host())
	if err != nil || v.Config != "" {
		t.Errorf("absent: got %v, %v", v, err)
	}
}

func FuzzTalosConfig(f *testing.F) {
	f.Add(talosConfig)
	f.Add("machine: {features: {rbac: false}}\n--- \nkind: NetworkRuleConfig\nportSelector: {ports: [x, {a: b}]}\n")
	f.Fuzz(func(t *testing.T, text string) {
		once := redactTalosConfig([]byte(text))
		if twice := redactTalosConfig(once); !bytes.Equal(once, twice) {
			t.Errorf("redacted twice: %q, then %q", once, twice)
		}
	})
}

func TestRemovable(t *testing.T) {
	const usb, pci = "-> ../devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host2/target2:0:0/2:0:0:0/block/sdb", "-> ../devices/pci0000:00/0000:00:05.0/virtio2/block/vda"
	files := map[string]string{
		"sys/block/sdb": usb, "sys/block/vda": pci, "sys/bus/usb/drivers/usb-storage/x": "",
		"sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host2/target2:0:0/2:0:0:0/block/sdb/size": "31116288\n",
	}
	got, gaps, err := Removable.Read(context.Background(), (&memHost{files: files}).host())
	want := RemovableState{Driver: "yes", Disks: []RemovableDisk{{"sd", 31116288 * 512}}}
	if d := cmp.Diff(want, got); err != nil || len(gaps) > 0 || d != "" {
		t.Errorf("%v, %v (-want +got):\n%s", gaps, err, d)
	}
	for name, text := range map[string]string{"an empty slot": "0\n", "no number": "-1\n"} {
		files["sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host2/target2:0:0/2:0:0:0/block/sdb/size"] = text
		v, gaps, _ := Removable.Read(context.Background(), (&memHost{files: files}).host())
		if empty := name == "an empty slot"; (len(v.Disks) == 0) != empty || (len(gaps) == 0) != empty {
			t.Errorf("%s: got %v, %v", name, v, gaps)
		}
	}
	v, gaps, err := Removable.Read(context.Background(), (&memHost{files: map[string]string{"sys/block/vda": pci, "sys/bus/pci/x": ""}}).host())
	if err != nil || len(gaps) > 0 || v.Driver != "no-usb" || len(v.Disks) > 0 {
		t.Errorf("a kernel without USB: got %v, %v, %v", v, gaps, err)
	}
	if _, _, err := Removable.Read(context.Background(), (&memHost{}).host()); !IsAbsent(err) {
		t.Errorf("without sysfs: got %v", err)
	}
}

func TestSwaps(t *testing.T) {
	const heading = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
	for _, tt := range []struct {
		name, text string
		want       []Swap // nil for what is refused
	}{
		{"none", heading, []Swap{}},
		{"all kinds", heading + "/dev/zram0                              partition\t4194300\t\t0\t\t100\n/swap\\040file                            file\t\t1048572\t\t17\t\t-2\n/dev/dm-1                               partition\t2097148\t\t0\t\t-3\n",
			[]Swap{{"file", 1048572 * 1024}, {"partition", 2097148 * 1024}, {"zram", 4194300 * 1024}}},
		{"a file that is deleted", heading + "/x (deleted)                            file\t\t4\t\t0\t\t-2\n", []Swap{{"file", 4096}}},
		{"empty", "", nil},
		{"no heading", "/dev/vdb partition 4 0 -2\n", nil},
		{"another type", heading + "/dev/vdb disk 4 0 -2\n", nil},
		{"cut", heading + "/dev/vdb partition 4 0 -2", nil},
		{"no size", heading + "/dev/vdb partition x 0 -2\n", nil},
	} {
		got, err := parseSwaps([]byte(tt.text))
		if d := cmp.Diff(tt.want, got); (err != nil) != (tt.want == nil) || tt.want != nil && d != "" {
			t.Errorf("%s: got %v, %v", tt.name, got, err)
		}
	}
	v, gaps, err := Swaps.Read(context.Background(), (&memHost{files: map[string]string{"proc/sys/vm/x": ""}}).host())
	if err != nil || len(gaps) > 0 || v == nil || len(v) > 0 {
		t.Errorf("a kernel without swap: got %v, %v, %v", v, gaps, err)
	}
	for _, files := range []map[string]string{nil, {"proc/swaps": "! denied"}, {"proc/swaps": "x\n"}} {
		if _, _, err := Swaps.Read(context.Background(), (&memHost{files: files}).host()); err == nil {
			t.Errorf("%v: no error", files)
		}
	}
}

func FuzzSwaps(f *testing.F) {
	f.Add("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/zram0 partition\t4194300\t\t0\t\t100\n")
	f.Fuzz(func(t *testing.T, text string) {
		swaps, err := parseSwaps([]byte(text))
		if err == nil && bytes.Count([]byte(text), []byte("\n")) < len(swaps)+1 {
			t.Errorf("%d swaps of %q", len(swaps), text)
		}
	})
}

func TestSwapsOfThisMachine(t *testing.T) {
	b, err := os.ReadFile("/proc/swaps")
	if err != nil {
		t.Skip("SKIPPED: no /proc/swaps on this machine: ", err)
	}
	if _, err := parseSwaps(b); err != nil {
		t.Error(err)
	}
}

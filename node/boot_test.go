package node

import (
	"context"
	"encoding/hex"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	secureBootVar = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
	setupModeVar  = "sys/firmware/efi/efivars/SetupMode-8be4df61-93ca-11d2-aa0d-00e098032b8c"
)

func TestReadBoot(t *testing.T) {
	// A machine with everything on, and one change in each row.
	stock := map[string]string{
		"proc/1/mountinfo": "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:20 / /sys rw - sysfs sysfs rw\n" +
			"3 2 0:7 / /sys/kernel/security rw - securityfs securityfs rw\n",
		"proc/cmdline": "root=UUID=da43332a-c607-45a9-808e-1eaa0ec68ba5 my.token=abc\n",
		"proc/bootconfig": "kernel.selinux = \"0\"\ninit.x = \"a\", 'b \"c'\nkernel.api_token = \"s3cret\"\n" +
			"# Parameters from bootloader:\n# root=x other.token=s3cret\n",
		secureBootVar:                            "\x06\x00\x00\x00\x01",
		setupModeVar:                             "\x06\x00\x00\x00\x00",
		"sys/kernel/security/lockdown":           "none [integrity] confidentiality\n",
		"sys/kernel/security/lsm":                "lockdown,capability,landlock,yama,selinux,bpf",
		"sys/fs/selinux/enforce":                 "1",
		"sys/module/apparmor/parameters/enabled": "N\n",
		"proc/sys/crypto/fips_enabled":           "0\n",
	}
	want := BootState{
		Cmdline: []Word{{Key: "root", Value: "UUID=<uuid>", Valued: true}, {Key: "my.token", Value: redacted, Valued: true, Redacted: true}},
		Bootconfig: []string{
			`kernel.selinux = "0"`, `init.x = "a", 'b "c'`, `kernel.api_token = "<redacted>"`,
		},
		Firmware: "uefi", SecureBoot: "on", SetupMode: "off", Lockdown: "integrity",
		LSMs:    []string{"lockdown", "capability", "landlock", "yama", "selinux", "bpf"},
		SELinux: "enforcing", AppArmor: "disabled", FIPS: "off",
	}
	noSecurityFS := "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:20 / /sys rw - sysfs sysfs rw\n"
	for _, tt := range []struct {
		name   string
		change map[string]string // "-" removes
		want   func(*BootState)
		gaps   []string
	}{
		{"everything on", nil, func(*BootState) {}, nil},
		{"no bootconfig", map[string]string{"proc/bootconfig": "-"}, func(b *BootState) { b.Bootconfig = nil }, nil},
		{"an empty bootconfig", map[string]string{"proc/bootconfig": ""}, func(b *BootState) { b.Bootconfig = []string{} }, nil},
		{"a bootconfig of another form", map[string]string{"proc/bootconfig": "kernel { a }\n"},
			func(b *BootState) { b.Bootconfig = nil }, []string{"the boot configuration"}},
		{"no Secure Boot", map[string]string{secureBootVar: "\x06\x00\x00\x00\x00", setupModeVar: "\x06\x00\x00\x00\x01"},
			func(b *BootState) { b.SecureBoot, b.SetupMode = "off", "on" }, nil},
		{"firmware without the variables", map[string]string{secureBootVar: "-", setupModeVar: "-", "sys/firmware/efi/efivars/Boot0000-x": "x"},
			func(b *BootState) { b.SecureBoot, b.SetupMode = "absent", "absent" }, nil},
		{"efivarfs is not mounted", map[string]string{secureBootVar: "-", setupModeVar: "-", "sys/firmware/efi/efivars/": ""},
			func(b *BootState) { b.SecureBoot, b.SetupMode = "", "" }, []string{"Secure Boot", "Secure Boot setup mode"}},
		{"EFI without a place for efivarfs", map[string]string{secureBootVar: "-", setupModeVar: "-", "sys/firmware/efi/runtime": ""},
			func(b *BootState) { b.SecureBoot, b.SetupMode = "", "" }, []string{"Secure Boot", "Secure Boot setup mode"}},
		{"a variable denied", map[string]string{secureBootVar: "! denied"}, func(b *BootState) { b.SecureBoot = "" }, []string{"Secure Boot"}},
		{"a variable cut", map[string]string{secureBootVar: "\x06\x00\x00\x00"}, func(b *BootState) { b.SecureBoot = "" }, []string{"Secure Boot"}},
		{"a variable with another value", map[string]string{secureBootVar: "\x06\x00\x00\x00\x02"}, func(b *BootState) { b.SecureBoot = "" }, []string{"Secure Boot"}},
		{"BIOS", map[string]string{secureBootVar: "-", setupModeVar: "-", "sys/firmware/acpi/x": ""},
			func(b *BootState) { b.Firmware, b.SecureBoot, b.SetupMode = "other", "absent", "absent" }, nil},
		{"no sysfs says nothing about the firmware", map[string]string{secureBootVar: "-", setupModeVar: "-"},
			func(b *BootState) { b.Firmware, b.SecureBoot, b.SetupMode = "", "", "" }, []string{"the firmware"}},
		{"lockdown none", map[string]string{"sys/kernel/security/lockdown": "[none] integrity confidentiality\n"},
			func(b *BootState) { b.Lockdown = "none" }, nil},
		{"a kernel without lockdown", map[string]string{"sys/kernel/security/lockdown": "-"}, func(b *BootState) { b.Lockdown = "absent" }, nil},
		{"securityfs is not mounted", map[string]string{"proc/1/mountinfo": noSecurityFS, "sys/kernel/security/lockdown": "-", "sys/kernel/security/lsm": "-"},
			func(b *BootState) { b.Lockdown, b.LSMs = "", nil }, []string{"lockdown", "the security modules"}},
		{"mounts unknown, lockdown not there", map[string]string{"proc/1/mountinfo": "-", "sys/kernel/security/lockdown": "-"},
			func(b *BootState) { b.Lockdown = "" }, []string{"lockdown"}},
		{"lockdown denied", map[string]string{"sys/kernel/security/lockdown": "! denied"}, func(b *BootState) { b.Lockdown = "" }, []string{"lockdown"}},
		{"lockdown malformed", map[string]string{"sys/kernel/security/lockdown": "none integrity\n"}, func(b *BootState) { b.Lockdown = "" }, []string{"lockdown"}},
		{"an older kernel without the list of modules", map[string]string{"sys/kernel/security/lsm": "-"}, func(b *BootState) { b.LSMs = nil }, nil},
		{"permissive", map[string]string{"sys/fs/selinux/enforce": "0"}, func(b *BootState) { b.SELinux = "permissive" }, nil},
		{"no SELinux", map[string]string{"sys/fs/selinux/enforce": "-", "sys/fs/cgroup/x": ""}, func(b *BootState) { b.SELinux = "absent" }, nil},
		{"selinuxfs is not mounted", map[string]string{"sys/fs/selinux/enforce": "-", "sys/fs/selinux/": ""}, func(b *BootState) { b.SELinux = "" }, []string{"SELinux"}},
		{"no sysfs says nothing about SELinux", map[string]string{"sys/fs/selinux/enforce": "-"}, func(b *BootState) { b.SELinux = "" }, []string{"SELinux"}},
		{"SELinux malformed", map[string]string{"sys/fs/selinux/enforce": "yes"}, func(b *BootState) { b.SELinux = "" }, []string{"SELinux"}},
		{"AppArmor on", map[string]string{"sys/module/apparmor/parameters/enabled": "Y\n"}, func(b *BootState) { b.AppArmor = "enabled" }, nil},
		{"no AppArmor", map[string]string{"sys/module/apparmor/parameters/enabled": "-", "sys/module/ext4/x": ""}, func(b *BootState) { b.AppArmor = "absent" }, nil},
		{"FIPS on", map[string]string{"proc/sys/crypto/fips_enabled": "1\n"}, func(b *BootState) { b.FIPS = "on" }, nil},
		{"a kernel without FIPS", map[string]string{"proc/sys/crypto/fips_enabled": "-", "proc/sys/kernel/x": ""}, func(b *BootState) { b.FIPS = "absent" }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := maps.Clone(stock)
			for name, text := range tt.change {
				if files[name] = text; text == "-" {
					delete(files, name)
				}
			}
			got, gaps, err := Boot.Read(context.Background(), (&memHost{files: files}).host())
			want := want
			tt.want(&want)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("got error %v and (-want +got):\n%s", err, diff)
			}
			if diff := cmp.Diff(tt.gaps, whats(gaps)); diff != "" {
				t.Errorf("gaps (-want +got):\n%s\n%v", diff, gaps)
			}
		})
	}
	for _, text := range []string{"! denied", "a\nb\n"} {
		got, _, err := Boot.Read(context.Background(), (&memHost{files: map[string]string{"proc/cmdline": text}}).host())
		if err == nil {
			t.Errorf("command line %q: got %+v, want an error", text, got)
		}
	}
}

func TestRedactBootconfig(t *testing.T) {
	const text = "kernel.siderolink.api = \"https://h/?jointoken=s3cret\"\nkernel.a = \"b\", \"c\"\ntoken = 's3cret'\n" +
		"broken s3cret line\nkernel.x = s3cret\n# Parameters from bootloader:\n# a=b my.token=s3cret\n"
	got := redactBootconfig([]byte(text))
	if strings.Contains(string(got), "s3cret") || !strings.Contains(string(got), "kernel.a = \"b\", \"c\"\n") {
		t.Errorf("got %s", got)
	}
	if again := redactBootconfig(got); string(again) != string(got) {
		t.Errorf("the second time: %s", cmp.Diff(string(got), string(again)))
	}
}

func FuzzBootconfig(f *testing.F) {
	f.Add([]byte("kernel.selinux = \"0\"\ninit.x = \"a\", 'b \"c'\n# Parameters from bootloader:\n# a=b\n"))
	f.Add([]byte("kernel.token = \"x\"\nkernel.y = \"\"\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		clean := redactBootconfig(b)
		if again := redactBootconfig(clean); string(again) != string(clean) {
			t.Errorf("redacting %q: first %q, then %q", b, clean, again)
		}
		lines, err := parseBootconfig(clean)
		if err != nil {
			return
		}
		again, err := parseBootconfig([]byte(strings.Join(append(lines, ""), "\n")))
		if diff := cmp.Diff(lines, again); err != nil || diff != "" {
			t.Errorf("%q: got error %v and (-first +second):\n%s", b, err, diff)
		}
	})
}

func TestParseLockdown(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"[none] integrity confidentiality", "none"},
		{"none [integrity] confidentiality", "integrity"},
		{"none integrity [confidentiality]", "confidentiality"},
		{"[none] integrity", "none"},
		{"", "error"}, {"none integrity confidentiality", "error"}, {"[none] [integrity]", "error"},
		{"[none integrity]", "error"}, {"[full]", "error"}, {"none] [integrity", "error"},
	} {
		got, err := parseLockdown(tt.line)
		if err != nil {
			got = "error"
		}
		if got != tt.want {
			t.Errorf("parseLockdown(%q): got %s, want %s", tt.line, got, tt.want)
		}
	}
}

func TestSecuritySamples(t *testing.T) {
	for name, text := range sampleFiles(t, "lab/*/before/lockdown") {
		got, err := parseLockdown(strings.TrimSuffix(text, "\n"))
		want := "none"
		if strings.Contains(name, "secureboot/") {
			want = "integrity"
		}
		if err != nil || got != want {
			t.Errorf("%s: got %s and error %v, want %s", name, got, err, want)
		}
	}
	offered := factSamples[[]string](t, "lockdown_offered")
	for name, level := range factSamples[string](t, "lockdown") {
		if offered[name] == nil {
			continue
		}
		line := strings.Replace(strings.Join(offered[name], " "), level, "["+level+"]", 1)
		if got, err := parseLockdown(line); err != nil || got != level {
			t.Errorf("%s: got %s and error %v, want %s", name, got, err, level)
		}
	}
	lsms := sampleFiles(t, "*/lsm-*.txt")
	maps.Copy(lsms, sampleFiles(t, "lab/*/before/lsm"))
	for name, text := range lsms {
		got, err := parseLSMs(strings.TrimSuffix(text, "\n"))
		if err != nil || len(got) != 1+strings.Count(text, ",") {
			t.Errorf("%s: got %v and error %v", name, got, err)
		}
	}
	for name, text := range sampleFiles(t, "lab/t-ovmf-*/secureboot") {
		for line := range strings.Lines(text) {
			f := strings.Fields(line)
			b, err := hex.DecodeString(strings.Join(f[1:], ""))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got, err := parseEFIFlag(b)
			want := map[string]string{"SecureBoot": "off", "SetupMode": "on"}[f[0]]
			if strings.Contains(name, "secureboot/") {
				want = map[string]string{"SecureBoot": "on", "SetupMode": "off"}[f[0]]
			}
			if err != nil || got != want {
				t.Errorf("%s: %s: got %s and error %v, want %s", name, f[0], got, err, want)
			}
		}
	}
}

func FuzzLSMs(f *testing.F) {
	f.Add("lockdown,capability,landlock,yama,apparmor,tomoyo,bpf")
	f.Fuzz(func(t *testing.T, line string) {
		got, err := parseLSMs(line)
		if err == nil && strings.Join(got, ",") != line {
			t.Errorf("%q: got %q", line, got)
		}
	})
}

func FuzzLockdown(f *testing.F) {
	f.Add("none [integrity] confidentiality")
	f.Fuzz(func(t *testing.T, line string) {
		got, err := parseLockdown(line)
		if err == nil && (strings.Count(line, "[") != 1 || !strings.Contains(line, "["+got+"]")) {
			t.Errorf("%q: got %q", line, got)
		}
	})
}

func FuzzEFIFlag(f *testing.F) {
	f.Add([]byte("\x06\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseEFIFlag(b)
		if err == nil && (len(b) != 5 || (got == "on") != (b[4] == 1) || (got == "off") != (b[4] == 0)) {
			t.Errorf("%x: got %q", b, got)
		}
	})
}

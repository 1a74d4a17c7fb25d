package node

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	x86   = "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu pae nx lm\nvmx flags\t: vnmi\n\n"
	arm64 = "processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n\n"
)

func TestProcessor(t *testing.T) {
	const dir = "sys/devices/system/cpu/vulnerabilities/"
	v, gaps, err := readProcessor(context.Background(), (&memHost{files: map[string]string{
		"proc/cpuinfo": x86, dir + "mds": "Not affected\n", dir + "retbleed": "Vulnerable\n",
	}}).host())
	want := ProcessorState{NX: "on", Vulnerabilities: map[string]string{"mds": "Not affected", "retbleed": "Vulnerable"}}
	if diff := cmp.Diff(want, v); err != nil || len(gaps) > 0 || diff != "" {
		t.Errorf("%v, gaps %v, -want +got:\n%s", err, gaps, diff)
	}
	for name, files := range map[string]map[string]string{
		"denied":             {"proc/cpuinfo": "! denied", dir + "mds": "! denied"},
		"absent":             {"etc/x": ""},
		"two lines":          {"proc/cpuinfo": "bogus", dir + "mds": "Not affected\nVulnerable\n"},
		"an empty statement": {"proc/cpuinfo": "", dir + "mds": "\n"},
	} {
		if v, gaps, err := readProcessor(context.Background(), (&memHost{files: files}).host()); err != nil || len(gaps) != 2 || v.NX != "" || v.Vulnerabilities != nil {
			t.Errorf("%s: got %+v, gaps %v, %v; want two gaps and nothing else", name, v, gaps, err)
		}
	}
}

func TestParseNX(t *testing.T) {
	for text, want := range map[string]string{
		x86:                                "on",
		x86 + x86:                          "on",
		x86 + "flags\t: fpu lm\n":          "off", // one that cannot is enough
		"flags\t: fpu nxx\n":               "off",
		arm64:                              "built-in",
		"vendor_id\t: X\nflags : a nx b\n": "on",
	} {
		if got, err := parseNX([]byte(text)); err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", "flags", "processor : 0\n"} {
		if got, err := parseNX([]byte(text)); err == nil || got != "" {
			t.Errorf("%q: got %q, want an error", text, got)
		}
	}
}

// FuzzNX: a processor without the flag that follows makes "off" of every answer.
func FuzzNX(f *testing.F) {
	f.Add([]byte(x86))
	f.Add([]byte(arm64))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := parseNX(append(b, "\nflags : fpu\n"...)); err != nil || got != "off" {
			t.Errorf("got %q, %v; want off", got, err)
		}
	})
}

func TestTPM(t *testing.T) {
	const log = "sys/kernel/security/tpm0/binary_bios_measurements"
	securityfs := "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:7 / /sys/kernel/security rw - securityfs securityfs rw\n"
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  TPMState
		gaps  int
		fails bool
	}{
		{"TPM 2.0 with a log", map[string]string{"sys/class/tpm/tpm0/tpm_version_major": "2\n", log: "x"}, TPMState{"2", "present"}, 0, false},
		{"without a log", map[string]string{"sys/class/tpm/tpm0/tpm_version_major": "2\n", "proc/1/mountinfo": securityfs}, TPMState{"2", "absent"}, 0, false},
		{"securityfs is not mounted", map[string]string{"sys/class/tpm/tpm0/tpm_version_major": "2\n", "proc/1/mountinfo": "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"}, TPMState{"2", ""}, 1, false},
		{"the log may not be looked at", map[string]string{"sys/class/tpm/tpm0/tpm_version_major": "1\n", log: "! denied"}, TPMState{"1", ""}, 1, false},
		{"none", map[string]string{"sys/class/net/": ""}, TPMState{"absent", "absent"}, 0, false},
		{"no sysfs", map[string]string{"etc/x": ""}, TPMState{}, 0, true},
		{"a kernel before 5.6", map[string]string{"sys/class/tpm/tpm0/caps": ""}, TPMState{}, 0, true},
		{"no version", map[string]string{"sys/class/tpm/tpm0/tpm_version_major": "9\n"}, TPMState{}, 0, true},
		{"denied", map[string]string{"sys/class/tpm/tpm0": "! denied"}, TPMState{}, 0, true},
	} {
		v, gaps, err := TPM.Read(context.Background(), (&memHost{files: tt.files}).host())
		if (err != nil) != tt.fails || len(gaps) != tt.gaps || err == nil && v != tt.want {
			t.Errorf("%s: got %+v, gaps %v, %v; want %+v and %d gaps", tt.name, v, gaps, err, tt.want, tt.gaps)
		}
	}
}

func TestUpdates(t *testing.T) {
	read := func(files map[string]string) (UpdateState, []Gap, error) {
		return Updates.Read(context.Background(), (&memHost{files: files}).host())
	}
	if v, gaps, err := read(map[string]string{"run/": ""}); err != nil || len(gaps) > 0 || len(v.Waiting) > 0 {
		t.Errorf("nothing: got %v, %v, %v", v, gaps, err)
	}
	v, gaps, err := read(map[string]string{"run/ostree/staged-deployment": "x", "run/reboot-required": "-> nowhere"})
	if diff := cmp.Diff([]string{"/run/ostree/staged-deployment", "/run/reboot-required"}, v.Waiting); err != nil || len(gaps) > 0 || diff != "" {
		t.Errorf("%v, %v, -want +got:\n%s", gaps, err, diff)
	}
	if _, gaps, err := read(map[string]string{"run/reboot-needed": "! denied"}); err != nil || len(gaps) != 1 {
		t.Errorf("denied: got gaps %v, %v", gaps, err)
	}
	if _, _, err := read(map[string]string{"etc/x": ""}); err == nil {
		t.Error("without /run nothing can be said")
	}
}

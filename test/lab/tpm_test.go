//go:build linux

package lab

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/wire"
)

// TestFirmware boots guests with a TPM under UEFI firmware, and compares the
// agent's facts with what the guest's kernel says byte for byte.
func TestFirmware(t *testing.T) {
	if !*full {
		t.Skip("left out of the short form: make lab runs it")
	}
	pcr7 := map[bool]string{}
	for _, row := range []struct {
		name       string
		what       string // for docs/proven.md
		shape      Shape
		steps      []Step // before the report
		secureBoot bool
		boot       node.BootState // the fields that are compared
		level      int
	}{
		{
			name: "tpm-secure-boot", what: "a guest like verity-usrhash was booted with a software TPM and Secure Boot on (no boot loader: QEMU hands the kernel to the firmware)",
			shape: verityUsrhash, secureBoot: true, level: 4,
			boot: node.BootState{Firmware: "uefi", SecureBoot: "on", SetupMode: "off", Lockdown: "integrity"},
		},
		{
			name: "tpm", what: "a guest like verity-create was booted with a software TPM and firmware without keys",
			shape: verityCreate, steps: []Step{{"mount-variables", ""}}, level: 3,
			boot: node.BootState{Firmware: "uefi", SecureBoot: "off", SetupMode: "on", Lockdown: "none"},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := builder(t, row.shape.Series)
			defer os.RemoveAll(b.Dir)
			more, stop, err := b.Firmware(row.secureBoot)
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			s := row.shape
			s.Modules = append(slices.Clone(s.Modules), "efivarfs")
			s.Build = func(b *Builder, options map[string]string) (Boot, error) {
				boot, err := row.shape.Build(b, options)
				boot.More = append(boot.More, more...)
				return boot, err
			}
			steps := append(row.steps, Step{"report", "before"}, Step{"save-firmware", "firmware"})
			r, err := b.Start(s, Plan{Steps: steps}, limit(len(steps)))
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s", r.Took.Round(100*time.Millisecond))

			w, err := wire.Decode(r.Files["reports/before.json"])
			if err != nil {
				t.Fatal(err)
			}
			tpm, gaps, missing := node.TPM.Of(w.Facts)
			if missing != nil || len(gaps) > 0 || tpm != (node.TPMState{Version: "2", EventLog: "present"}) {
				t.Errorf("TPM: %+v, gaps %v, missing %v", tpm, gaps, missing)
			}
			boot, gaps, missing := node.Boot.Of(w.Facts)
			if missing != nil || len(gaps) > 0 {
				t.Errorf("boot: gaps %v, missing %v", gaps, missing)
			}
			got := node.BootState{Firmware: boot.Firmware, SecureBoot: boot.SecureBoot, SetupMode: boot.SetupMode, Lockdown: boot.Lockdown}
			if fmt.Sprint(got) != fmt.Sprint(row.boot) {
				t.Errorf("boot %+v, want %+v", got, row.boot)
			}
			read := func(name string) []byte {
				content, ok := r.Files["firmware/"+name]
				if !ok {
					t.Fatalf("%s did not leave the guest", name)
				}
				return content
			}
			for name, fact := range map[string]string{"SecureBoot": boot.SecureBoot, "SetupMode": boot.SetupMode} {
				value := read("efivars/" + name) // four bytes of attributes, then the value
				if want := map[string]byte{"on": 1, "off": 0}[fact]; len(value) != 5 || value[4] != want {
					t.Errorf("%s is %x, and the agent says %q", name, value, fact)
				}
			}
			if line := string(read("security/lockdown")); !strings.Contains(line, "["+boot.Lockdown+"]") {
				t.Errorf("lockdown is %q, and the agent says %q", line, boot.Lockdown)
			}
			if v := strings.TrimSpace(string(read("tpm0/tpm_version_major"))); v != tpm.Version {
				t.Errorf("the TPM's version is %q, and the agent says %q", v, tpm.Version)
			}
			// A log that is there is the firmware's: replayed, it gives the registers
			// that the TPM has.
			log := read("tpm0/binary_bios_measurements")
			replayed, events, err := replay(log)
			if err != nil {
				t.Fatalf("the event log: %v", err)
			}
			t.Logf("event log of %d bytes, %d events, SHA-256 %x", len(log), events, sha256.Sum256(log))
			for i := range 8 {
				pcr := strings.ToLower(strings.TrimSpace(string(read(fmt.Sprintf("pcr-sha256/%d", i)))))
				if pcr != hex.EncodeToString(replayed[i][:]) {
					t.Errorf("PCR %d is %s, and the event log gives %x", i, pcr, replayed[i])
				}
				if i == 7 {
					pcr7[row.secureBoot] = pcr
				}
			}

			report := judged(t, r, "before")
			if report.Profile.Name != s.Profile || report.Level.Number != row.level {
				t.Errorf("profile %s level %d, want %s %d: %v", report.Profile.Name, report.Level.Number, s.Profile, row.level, report.Level.Reasons)
			}
			golden(t, row.name, Outcomes(report))
			if !t.Failed() {
				proven.add(otherRows, "firmware and TPM are reported as the kernel has them", row.what,
					fmt.Sprintf("Secure Boot %s, setup mode %s, lockdown %s, TPM %s with an event log that gives the registers 0 to 7 of the TPM; level %d",
						boot.SecureBoot, boot.SetupMode, boot.Lockdown, tpm.Version, report.Level.Number), repeat("TestFirmware/"+row.name+"$"))
			}
		})
	}
	if len(pcr7) == 2 && pcr7[true] == pcr7[false] {
		t.Errorf("PCR 7, the state of Secure Boot, is %s with it and without it", pcr7[true])
	}
}

// replay computes the SHA-256 registers that an event log leads to. Source: TCG
// PC Client Platform Firmware Profile, section 10, "Event Logging".
func replay(log []byte) (pcrs [24][sha256.Size]byte, events int, err error) {
	r := bytes.NewReader(log)
	number := func() (n uint32) {
		if e := binary.Read(r, binary.LittleEndian, &n); e != nil && err == nil {
			err = e
		}
		return n
	}
	skip := func(n int64) {
		if n > int64(r.Len()) && err == nil {
			err = fmt.Errorf("an event is cut off after %d bytes", len(log)-r.Len())
		}
		_, _ = r.Seek(n, 1)
	}
	// The first event has the form of the older log: register, type, SHA-1, data.
	skip(8 + 20)
	size := number()
	if header := make([]byte, 16); size < 16 {
		return pcrs, 0, fmt.Errorf("the header has %d bytes", size)
	} else if _, err := r.Read(header); err != nil || string(header) != "Spec ID Event03\x00" {
		return pcrs, 0, fmt.Errorf("the header begins with %q", header)
	}
	skip(int64(size) - 16)
	lengths := map[uint16]int64{0x4: 20, 0xb: 32, 0xc: 48, 0xd: 64, 0x12: 32} // TPM_ALG_ID
	for ; r.Len() > 0 && err == nil; events++ {
		pcr, kind := number(), number()
		for range number() {
			var algorithm uint16
			_ = binary.Read(r, binary.LittleEndian, &algorithm)
			length := lengths[algorithm]
			if length == 0 || int64(r.Len()) < length {
				return pcrs, events, fmt.Errorf("event %d has a digest of algorithm %#x", events, algorithm)
			}
			digest := make([]byte, length)
			_, _ = r.Read(digest)
			const noAction = 3 // EV_NO_ACTION extends nothing
			if algorithm == 0xb && kind != noAction && int(pcr) < len(pcrs) {
				pcrs[pcr] = sha256.Sum256(append(pcrs[pcr][:], digest...))
			}
		}
		skip(int64(number()))
	}
	return pcrs, events, err
}

// The logs and registers are those of two guests of 2026-11-22.
func TestReplay(t *testing.T) {
	for _, guest := range []string{"t-ovmf-tpm", "t-ovmf-secureboot"} {
		dir := filepath.Join("../../../shared/corpus/lab", guest)
		registers, err := os.ReadFile(filepath.Join(dir, "tpm-pcrs"))
		if err != nil {
			t.Skipf("NOT RUN: the samples are not here: %v", err)
		}
		log, err := os.ReadFile(filepath.Join(dir, "binary_bios_measurements"))
		if err != nil {
			t.Fatal(err)
		}
		pcrs, events, err := replay(log)
		if err != nil || events < 20 {
			t.Errorf("%s: %d events, %v", guest, events, err)
		}
		for i := range 10 {
			if line := fmt.Sprintf("\n%d=%X\n", i, pcrs[i]); !strings.Contains(string(registers), line) {
				t.Errorf("%s: register %s is not in\n%s", guest, strings.TrimSpace(line), registers)
			}
		}
		for n := range log { // cut off anywhere, it is an error or shorter
			if _, fewer, err := replay(log[:n]); err == nil && fewer >= events {
				t.Fatalf("%s: %d events in %d of %d bytes", guest, fewer, n, len(log))
			}
		}
	}
}

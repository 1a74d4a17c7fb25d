//go:build linux

package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Firmware starts a software TPM for one guest, and returns what QEMU needs to
// give the guest that TPM and UEFI firmware, with Secure Boot on under Microsoft's
// keys or with no keys at all. stop ends the TPM.
//
// QEMU hands the kernel to the firmware itself, without a boot loader: this shows
// how the state is read, and no chain of signatures.
func (b *Builder) Firmware(secureBoot bool) (args []string, stop func(), err error) {
	ovmf, err := b.Cache.Package(b.Ctx, "ovmf")
	if err != nil {
		return nil, nil, err
	}
	code, vars := "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"
	if secureBoot {
		code, vars = "OVMF_CODE_4M.ms.fd", "OVMF_VARS_4M.ms.fd"
	}
	own := b.path("vars.fd") // the firmware writes its variables
	if err := run(b.Ctx, "cp", filepath.Join(ovmf, "usr/share/OVMF", vars), own); err != nil {
		return nil, nil, err
	}
	socket := b.path("tpm.sock")
	if stop, err = b.startTPM(socket); err != nil {
		return nil, nil, err
	}
	return []string{
		"-chardev", "socket,id=tpm,path=" + socket, "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-tis,tpmdev=tpm0",
		"-global", "driver=cfi.pflash01,property=secure,value=on",
		"-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" + filepath.Join(ovmf, "usr/share/OVMF", code),
		"-drive", "if=pflash,format=raw,unit=1,file=" + own,
	}, stop, nil
}

// startTPM starts a TPM 2.0 that QEMU reaches through a socket, and that ends when
// QEMU does.
func (b *Builder) startTPM(socket string) (stop func(), err error) {
	var program string
	var libraries []string
	for _, name := range []string{"libtpms0", "swtpm-libs", "swtpm"} {
		dir, err := b.Cache.Package(b.Ctx, name)
		if err != nil {
			return nil, err
		}
		program = filepath.Join(dir, "usr/bin/swtpm")
		libraries = append(libraries, filepath.Join(dir, "usr/lib/x86_64-linux-gnu"), filepath.Join(dir, "usr/lib/x86_64-linux-gnu/swtpm"))
	}
	state := b.path("tpm")
	if err := os.Mkdir(state, 0o700); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(b.Ctx)
	cmd := exec.CommandContext(ctx, program, "socket", "--tpm2", "--terminate", "--tpmstate", "dir="+state, "--ctrl", "type=unixio,path="+socket)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(libraries, ":"))
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	stop = func() {
		cancel()
		_ = cmd.Wait()
	}
	for range 200 {
		if _, err := os.Stat(socket); err == nil {
			return stop, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	return nil, fmt.Errorf("the TPM did not start: %s", said.String())
}

// mountVariables mounts the firmware's variables where systemd did not.
func mountVariables(*InGuest, string) error {
	return mount("efivarfs", "/sys/firmware/efi/efivars", "efivarfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
}

// saveFirmware takes out of the guest what its kernel says of the firmware and the
// TPM, byte for byte, below a folder of this name.
func saveFirmware(g *InGuest, folder string) error {
	const vendor = "-8be4df61-93ca-11d2-aa0d-00e098032b8c" // EFI_GLOBAL_VARIABLE
	names := []string{
		"/sys/firmware/efi/efivars/SecureBoot" + vendor, "/sys/firmware/efi/efivars/SetupMode" + vendor,
		"/sys/kernel/security/lockdown", "/sys/kernel/security/tpm0/binary_bios_measurements", "/sys/class/tpm/tpm0/tpm_version_major",
	}
	for i := range 24 {
		names = append(names, fmt.Sprintf("/sys/class/tpm/tpm0/pcr-sha256/%d", i))
	}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		parent := filepath.Base(filepath.Dir(name))
		if err := g.Save(filepath.Join(folder, parent, strings.TrimSuffix(filepath.Base(name), vendor)), content); err != nil {
			return err
		}
	}
	return nil
}

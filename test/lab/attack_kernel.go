//go:build linux

package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// unsignedModule is the name of a module of the image that nothing has loaded.
const unsignedModule = "nls_utf8"

// loadUnsigned loads a module of the image without its signature. Source of the
// trailer: the kernel's include/linux/module_signature.h.
func loadUnsigned() error {
	files, err := filepath.Glob("/usr/lib/modules/*/kernel/fs/nls/" + unsignedModule + ".ko")
	if err != nil || len(files) != 1 {
		return fmt.Errorf("looking for the module %s: %v, %w", unsignedModule, files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		return err
	}
	body, ok := bytes.CutSuffix(b, []byte("~Module signature appended~\n"))
	if !ok {
		return fmt.Errorf("%s is not signed", files[0])
	}
	// The length of the signature stands in the last four of the twelve bytes
	// before the trailer.
	n := len(body) - 12
	size := int(body[n+8])<<24 | int(body[n+9])<<16 | int(body[n+10])<<8 | int(body[n+11])
	name := intruderDir + "/" + unsignedModule + ".ko"
	defer os.RemoveAll(intruderDir)
	return first(write(name, 0o644, string(body[:n-size])), loadModule(name))
}

var moduleRefused = Attack{
	Name:   "module-refused",
	What:   "a module without signature is loaded, and the kernel refuses it",
	Shapes: []string{"verity-create"},
	Do: func(*InGuest) error {
		err := loadUnsigned()
		if errors.Is(err, unix.EKEYREJECTED) {
			return nil
		}
		return fmt.Errorf("the kernel was to refuse a module: %w", err)
	},
	Undo:  func(*InGuest) error { return nil },
	Level: 3,
	Why:   "the kernel was started with module.sig_enforce=1",
}

var moduleUnsigned = Attack{
	Name:    "module-unsigned",
	What:    "the machine is started without module.sig_enforce=1, and a module without signature is loaded",
	Shapes:  []string{"verity-create"},
	Slow:    true,
	Options: map[string]string{"cmdline": "-module.sig_enforce=1", "module": "unsigned"},
	Changes: []Change{
		{"kernel-untainted", "pass clean", "fail tainted"},
		{"modules-signed", "pass sig-enforce", "fail unsigned-loaded"},
	},
	Level:    3,
	Mutation: Mutation{"verify/modules.go", "range k.Taints {", "range k.Taints[:0] {", "kernel-untainted"},
}

var lockdownOff = Attack{
	Name:    "lockdown-off",
	What:    "the machine is started with settings.kernel.lockdown = none",
	Shapes:  []string{"verity-initramfs"},
	Slow:    true,
	Options: map[string]string{"lockdown": "none"},
	Changes: []Change{
		{"kernel-lockdown", "pass integrity", "fail none"},
		{"modules-signed", "pass lockdown", "fail not-enforced"},
	},
	Level:    3,
	Mutation: Mutation{"verify/boot.go", "return fail(b.Lockdown, seen)", `return pass("integrity", seen)`, "kernel-lockdown"},
}

// Package lab shows on real kernels what is claimed about read-only roots. It
// builds guests in the shape of container-optimized systems, boots them under
// QEMU, attacks them, and reads them with the real agent. The images are made
// here from Debian's packages: they have a system's shape and are not that
// system.
//
// The package has two halves that share its tables. On the host [Machine] builds
// and boots a [Shape] with a [Plan]; in the guest [Init], as process 1, sets up
// the root, follows the plan and writes what it saw to a disk.
package lab

package hostfs

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seaworthy/seaworthy/node"
)

// maxDigest is the longest digest of fs-verity: that of SHA-512.
const maxDigest = 64

// measure asks the kernel for the digest that it has of a file, and holds what is
// read of it to.
func (k *kernel) measure(of string) (node.FileMeasure, error) {
	fd, err := k.tree.open(of, true, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return node.FileMeasure{}, err
	}
	defer unix.Close(fd)
	// struct fsverity_digest: the algorithm, the size of what follows, the digest.
	var digest [4 + maxDigest]byte
	binary.NativeEndian.PutUint16(digest[2:], maxDigest)
	err = ioctl(fd, unix.FS_IOC_MEASURE_VERITY, unsafe.Pointer(&digest))
	switch {
	case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTTY), errors.Is(err, unix.EOPNOTSUPP):
		return node.FileMeasure{}, nil // it has none, or nothing here can
	case err != nil:
		return node.FileMeasure{}, err
	}
	name, ok := map[uint16]string{unix.FS_VERITY_HASH_ALG_SHA256: "sha256", unix.FS_VERITY_HASH_ALG_SHA512: "sha512"}[binary.NativeEndian.Uint16(digest[:])]
	size := int(binary.NativeEndian.Uint16(digest[2:]))
	if !ok || size > maxDigest {
		return node.FileMeasure{}, unsupported("a hash of fs-verity that this program does not know")
	}
	m := node.FileMeasure{Enabled: true, Algorithm: name, Digest: hex.EncodeToString(digest[4 : 4+size]), BlockSize: 4096}

	descriptor := make([]byte, 256)
	// struct fsverity_read_metadata_arg: type, offset, length, buffer, reserved.
	arg := [5]uint64{unix.FS_VERITY_METADATA_TYPE_DESCRIPTOR, 0, uint64(len(descriptor)), uint64(uintptr(unsafe.Pointer(&descriptor[0]))), 0}
	err = ioctl(fd, unix.FS_IOC_READ_VERITY_METADATA, unsafe.Pointer(&arg))
	runtime.KeepAlive(descriptor)
	switch {
	case errors.Is(err, unix.ENOTTY), errors.Is(err, unix.EOPNOTSUPP): // before Linux 5.12
	case err != nil:
		return node.FileMeasure{}, err
	default:
		m.BlockSize = 1 << min(descriptor[2], 30)
		m.Salt = hex.EncodeToString(descriptor[80 : 80+min(int(descriptor[3]), 32)])
	}
	return m, nil
}

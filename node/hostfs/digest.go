//go:build unix

package hostfs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
)

var errTooLarge = errors.New("too large")

// digest is the SHA-256 of what read gives until it ends, in hexadecimal; of at
// most limit bytes. A read of nothing without an error is the end.
func digest(read func([]byte) (int, error), limit int64) (string, error) {
	sum := sha256.New()
	buf := make([]byte, 64<<10)
	for size := int64(0); ; {
		n, err := read(buf)
		n = max(n, 0) // a system call that failed says -1
		if size += int64(n); size > limit {
			return "", errTooLarge
		}
		sum.Write(buf[:n])
		switch {
		case errors.Is(err, io.EOF) || err == nil && n == 0:
			return hex.EncodeToString(sum.Sum(nil)), nil
		case err != nil:
			return "", err
		}
	}
}

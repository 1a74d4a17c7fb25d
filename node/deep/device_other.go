//go:build !linux

package deep

import (
	"fmt"
	"io"
	"os"

	"github.com/seaworthy/seaworthy/node"
)

func idly(read func()) { read() }

func newBuffer(n int) []byte { return make([]byte, n) }

func freeBuffer([]byte) {}

// Input is a file that is read.
type Input struct {
	*os.File
	size int64
}

// Open opens a file to be proven.
func Open(name string) (*Input, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening the image: %w", err)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("opening the image: %w", err)
	}
	return &Input{f, size}, nil
}

// Size is how many bytes there are.
func (in *Input) Size() int64 { return in.size }

func (a *asking) openDevice(dev string) (*Input, error) {
	return nil, &node.Error{Op: "opening", Name: "the device " + dev, Code: node.Unsupported, Detail: "only on Linux"}
}

func (a *asking) openFile(of string) (*Input, error) {
	return nil, &node.Error{Op: "opening", Name: "/" + of, Code: node.Unsupported, Detail: "only on Linux"}
}

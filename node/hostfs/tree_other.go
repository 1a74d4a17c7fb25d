//go:build !unix

package hostfs

import (
	"fmt"
	"runtime"

	"github.com/seaworthy/seaworthy/node"
)

func machine(string) (*node.Host, error) {
	return nil, fmt.Errorf("this is %s, and only a Linux machine can be read: record one with `seaworthy capture -w FILE` there, then `seaworthy scan --capture FILE` here", runtime.GOOS)
}

func fileTree(dir string) (*node.Host, error) {
	return nil, fmt.Errorf("reading the file tree %q: %s keeps no owners and modes of a Linux host: record the host with `seaworthy capture -w FILE`, then `seaworthy scan --capture FILE` here", dir, runtime.GOOS)
}

// Package hostfs is a file tree rooted at the node's /, that no link can leave,
// and the kernel that goes with it.
package hostfs

import (
	"errors"

	"github.com/seaworthy/seaworthy/node"
)

// Machine is the running machine whose / is at root: "/" on the host itself,
// "/host" where a container has it mounted. Its kernel answers questions.
func Machine(root string) (*node.Host, error) {
	return nil, errors.New("not written yet")
}

// Tree is a file tree laid out like a host. It has no kernel: what is not a
// file is missing, and nothing is asked of the local machine.
func Tree(dir string) (*node.Host, error) {
	return nil, errors.New("not written yet")
}

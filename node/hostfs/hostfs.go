// Package hostfs is a file tree rooted at the node's /, that no link can leave,
// and the kernel that goes with it.
//
// Nothing but regular files and directories is ever opened: what a path leads
// to is looked at first, through a descriptor that opens nothing. Links are
// followed by their text from the root of the tree, never by the kernel, so
// that an absolute link stays inside and a path is known before it is touched.
package hostfs

import "github.com/seaworthy/seaworthy/node"

// Machine is the running machine whose / is at root: "/" on the host itself,
// "/host" where a container has it mounted. Its kernel answers questions.
// A few descriptors stay open for as long as the program runs.
func Machine(root string) (*node.Host, error) { return machine(root) }

// Tree is a file tree laid out like a host. It has no kernel: what is not a
// file is missing, and nothing is asked of the local machine.
func Tree(dir string) (*node.Host, error) { return fileTree(dir) }

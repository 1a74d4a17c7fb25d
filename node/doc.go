// Package node reads a node and decides nothing.
//
// A [Source] reads one kind of [Fact] through a [Host], the only seam to the
// machine. [Gather] reads all of them. What a fact means is decided in package
// verify; this package reports what is configured and what the kernel says,
// and where each value came from.
package node

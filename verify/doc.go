// Package verify decides and reads nothing.
//
// A [Check] is one statement about a node that facts can prove or refute: a
// value with a revision and a pure function. [Run] judges the facts of one
// node by all of them. The clock is an input, and unknown is never a pass.
package verify

// Package peers holds our facts and answers against those of other programs, on
// the machine that the tests run on and on recorded nodes.
package peers

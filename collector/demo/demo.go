// Package demo holds nodes that were recorded off real machines or composed
// from samples that people have published, and a fleet made of them.
package demo

import (
	"embed"
	"fmt"
	"strings"

	"github.com/seaworthy/seaworthy/node/capture"
)

// captures are one file a node: node/capture. Composed ones are made by
// TestCompose in package test.
//
//go:embed *.capture
var captures embed.FS

const suffix = ".capture"

// Names lists the nodes that are kept here, sorted.
func Names() ([]string, error) {
	entries, err := captures.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("listing the recorded nodes: %w", err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = strings.TrimSuffix(e.Name(), suffix)
	}
	return names, nil
}

// Tape reads the capture of one node. Every call returns a tape of its own.
func Tape(name string) (*capture.Tape, error) {
	f, err := captures.Open(name + suffix)
	if err != nil {
		return nil, fmt.Errorf("opening the recorded node %q: %w", name, err)
	}
	defer f.Close()
	tape, err := capture.Read(f)
	if err != nil {
		return nil, fmt.Errorf("reading the recorded node %q: %w", name, err)
	}
	return tape, nil
}

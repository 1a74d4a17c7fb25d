//go:build linux

package lab

import "fmt"

// Attack is damage done to a guest, with what must be seen of it.
type Attack struct {
	Name   string
	What   string   // what is done, in a sentence for docs/proven.md
	Shapes []string // the guests that it is done to

	// Options set the guest up otherwise, for attacks that happen before it is up;
	// Do and Undo are nil then.
	Options map[string]string
	// Do does it in a guest that is up; Undo takes it back, so that the next attack
	// finds the guest as it was. An attack without Undo is the last of its guest.
	Do   func(g *InGuest) error
	Undo func(g *InGuest) error

	// Changes are all findings that change, and Level is the level after it. Why
	// says why nothing changes where nothing does.
	Changes []Change
	Level   int
	Why     string
	Slow    bool // it is left out of the short form
	// Mutation breaks the check that catches it.
	Mutation Mutation
}

// Change is how a finding is after an attack that was otherwise before.
type Change struct {
	Check  string
	Before string // verdict and code: "pass verity"
	After  string
}

// Mutation is an edit of the source that makes a check miss an attack.
type Mutation struct {
	File string // "verify/image.go"
	Old  string // stands in it once
	New  string
	// Check is the check that then no longer sees the attack.
	Check string
}

// AttackNamed returns the attack of this name.
func AttackNamed(name string) (Attack, error) {
	for _, a := range Attacks() {
		if a.Name == name {
			return a, nil
		}
	}
	return Attack{}, fmt.Errorf("no attack is called %q", name)
}

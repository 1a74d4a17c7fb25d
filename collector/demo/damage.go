package demo

import (
	"slices"

	"github.com/seaworthy/seaworthy/node/capture"
)

// Damage is one way in which a node is not sound, and the check that must refute
// it. It is drawn up by hand: a node that shows it has been recorded nowhere.
type Damage struct {
	Check string // the check that must fail
	Node  string // the capture that it is done to, as Names has them
	What  string // what was done, for people: "an SSH daemon was started"
	// Sound adds what the capture does not say; the check must pass then. nil
	// where it passes as it is.
	Sound func(*capture.Tape)
	// Do is the damage; the check must fail after it.
	Do func(*capture.Tape)
}

// Damages lists them, by topic.
func Damages() []Damage {
	return slices.Concat(
		imageDamages,
		bootDamages,
		runtimeDamages,
		kubeletDamages,
		reservationDamages,
		processDamages,
		persistenceDamages,
		credentialDamages,
		accessDamages,
		networkDamages,
		auditDamages,
	)
}

package verify

import (
	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// Detect chooses the profile of a node from several signals, never from one
// string; seen lists what spoke for it. Without enough signals it is generic.
func Detect(facts node.Facts, all []*profiles.Profile) (p *profiles.Profile, seen []string) {
	return nil, nil
}

package verify

import (
	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// Level is how strongly the OS image of a node is held immutable, 0 to 5.
type Level struct {
	Number      int      `json:"number"`      // proven
	Claimed     int      `json:"claimed"`     // what the node says it is, where that could not be proven
	Name        string   `json:"name"`        // of Number
	Reasons     []string `json:"reasons"`     // why not more
	Unprotected []string `json:"unprotected"` // what is writable and executable beside the image
}

// LevelOf computes the level from the findings of the five image checks.
func LevelOf(findings []Finding, facts node.Facts, p *profiles.Profile) Level { return Level{} }

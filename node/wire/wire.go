// Package wire is what agent and collector say to each other.
package wire

import (
	"time"

	"github.com/seaworthy/seaworthy/node"
)

// Version is the version of the protocol.
const Version = 1

// Report is the body of POST /v1/reports: what one agent read off one node.
// All of it is a claim of the node.
type Report struct {
	Version  int           `json:"version"`
	Cluster  string        `json:"cluster"`  // "" stands for "default"
	Node     string        `json:"node"`     // the node's name
	Agent    string        `json:"agent"`    // version of the agent
	Interval time.Duration `json:"interval"` // how often it means to report, in nanoseconds
	At       time.Time     `json:"at"`       // when the facts were gathered, by the node's clock, UTC
	Facts    node.Facts    `json:"facts"`
}

// Ack is the collector's answer once the report is durable.
type Ack struct {
	Received time.Time `json:"received"`
}

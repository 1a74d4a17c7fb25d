// Package wire is what agent and collector say to each other: the messages,
// their canonical JSON, the client, and the loop that reports.
package wire

import (
	"fmt"
	"regexp"
	"time"

	"github.com/seaworthy/seaworthy/node"
)

// Version is the version of the protocol.
const Version = 1

// ReportsPath is where a collector takes reports.
const ReportsPath = "/v1/reports"

// MaxReport is how many bytes of body a collector reads of one report. What is
// larger is refused, never cut.
const MaxReport = 8 << 20

// DefaultCluster is the cluster of a report that names none.
const DefaultCluster = "default"

// MaxInterval is the longest interval that a report may promise.
const MaxInterval = 30 * 24 * time.Hour

// DefaultInterval is how often a report is expected where none is promised.
const DefaultInterval = time.Minute

// maxAgent bounds the agent's version.
const maxAgent = 256

// Report is the body of POST /v1/reports: what one agent read off one node.
// All of it is a claim of the node.
type Report struct {
	Version  int           `json:"version"`
	Cluster  string        `json:"cluster"`  // "" stands for "default"
	Node     string        `json:"node"`     // the node's name
	Agent    string        `json:"agent"`    // version of the agent
	Interval time.Duration `json:"interval"` // how often it means to report, in nanoseconds; 0 stands for [DefaultInterval]
	At       time.Time     `json:"at"`       // when the facts were gathered, by the node's clock, UTC
	Origin   Origin        `json:"origin,omitzero"`
	Facts    node.Facts    `json:"facts"`
}

// Origin says where facts are from that were not read off a live node. Its zero
// value stands for a live node.
type Origin struct {
	Kind string `json:"kind"` // "recorded" off one host, "composed" from samples: as a capture says
	Note string `json:"note"` // for people: what it is, and on further lines what it was made from
}

// maxNote bounds the note of an origin.
const maxNote = 2048

// Ack is the collector's answer once the report is durable.
type Ack struct {
	Received time.Time `json:"received"` // by the collector's clock, UTC
}

// Refusal is the body of every answer that is not a success.
type Refusal struct {
	Error  string `json:"error"`
	Field  string `json:"field,omitempty"`  // dotted name of what is wrong
	Offset int64  `json:"offset,omitempty"` // byte of the body at which it was seen, where known
}

// namePattern is a DNS name, with capitals and underscores allowed because host
// names outside Kubernetes have them. It begins and ends with a letter or digit.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$`)

// maxName is the longest name that Kubernetes gives a node (RFC 1123).
const maxName = 253

// CheckName says why s cannot name a cluster or a node, or nil.
func CheckName(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("the name is empty")
	case len(s) > maxName:
		return fmt.Errorf("the name has %d bytes, at most %d are allowed", len(s), maxName)
	case !namePattern.MatchString(s):
		return fmt.Errorf("the name %q is not made of letters, digits, '-', '_' and '.', beginning and ending with a letter or digit", s)
	}
	return nil
}

// check says which field of the report cannot be accepted. A clock that is far
// off is no reason: it is kept, and shown.
func (r Report) check() error {
	bad := func(field, format string, args ...any) error {
		return &BodyError{Field: field, Reason: fmt.Sprintf(format, args...)}
	}
	if r.Version != Version {
		return bad("version", "this collector speaks version %d, the report is version %d", Version, r.Version)
	}
	if err := CheckName(r.Cluster); err != nil {
		return bad("cluster", "%v", err)
	}
	if err := CheckName(r.Node); err != nil {
		return bad("node", "%v", err)
	}
	switch {
	case len(r.Agent) > maxAgent:
		return bad("agent", "the version has %d bytes, at most %d are allowed", len(r.Agent), maxAgent)
	case r.Interval < 0 || r.Interval > MaxInterval:
		return bad("interval", "%s is not between 0 and %s", r.Interval, MaxInterval)
	case r.Origin != Origin{} && r.Origin.Kind != "recorded" && r.Origin.Kind != "composed":
		return bad("origin.kind", "%.40q is neither recorded nor composed", r.Origin.Kind)
	case len(r.Origin.Note) > maxNote:
		return bad("origin.note", "it has %d bytes, at most %d are allowed", len(r.Origin.Note), maxNote)
	case r.At.IsZero():
		return bad("at", "the time of gathering is missing")
	case r.At.UTC().Year() < 0 || r.At.UTC().Year() > 9999: // the zone can carry it out of what JSON can say
		return bad("at", "the year is not between 0 and 9999 in UTC")
	case len(r.Facts) == 0:
		return bad("facts", "there are none")
	}
	return nil
}

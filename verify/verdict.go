package verify

import "fmt"

// Verdict is what a check came to on one node. The zero value claims nothing.
type Verdict int

// The verdicts, in the order in which they matter.
const (
	Unknown Verdict = iota
	Fail
	Pass
	NotApplicable
)

var verdictNames = []string{"unknown", "fail", "pass", "not-applicable"}

func (v Verdict) known() bool { return v >= 0 && int(v) < len(verdictNames) }

func (v Verdict) String() string {
	if !v.known() {
		return fmt.Sprintf("verdict %d", int(v))
	}
	return verdictNames[v]
}

// MarshalText writes the verdict's word.
func (v Verdict) MarshalText() ([]byte, error) {
	if !v.known() {
		return nil, fmt.Errorf("%d is no verdict", int(v))
	}
	return []byte(verdictNames[v]), nil
}

// UnmarshalText reads the verdict's word.
func (v *Verdict) UnmarshalText(b []byte) error {
	for i, name := range verdictNames {
		if name == string(b) {
			*v = Verdict(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no verdict", b)
}

// Severity is how much a failing check matters. A profile may override it.
type Severity string

// The severities, worst first.
const (
	Critical Severity = "critical"
	High     Severity = "high"
	Medium   Severity = "medium"
	Low      Severity = "low"
)

func (s Severity) known() bool { return s == Critical || s == High || s == Medium || s == Low }

// Topic groups checks for people.
type Topic string

// The topics, in the order in which they are shown.
const (
	Immutability Topic = "immutability"
	BootChain    Topic = "boot"
	KernelTopic  Topic = "kernel"
	Runtime      Topic = "runtime"
	KubeletTopic Topic = "kubelet"
	Reservation  Topic = "reservation"
	Processes    Topic = "processes"
	Persistence  Topic = "persistence"
	Credentials  Topic = "credentials"
	Access       Topic = "access"
	Network      Topic = "network"
	Audit        Topic = "audit"
)

// Topics lists the topics in the order in which they are shown.
var Topics = []Topic{Immutability, BootChain, KernelTopic, Runtime, KubeletTopic, Reservation, Processes, Persistence, Credentials, Access, Network, Audit}

package verify

import (
	"fmt"
	"slices"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// Report is one node seen by one witness at one time. Its JSON is an interface.
type Report struct {
	Version  string     `json:"version"` // of the program that judged
	Node     string     `json:"node"`
	Witness  string     `json:"witness"`
	At       time.Time  `json:"at"`
	OS       OSRef      `json:"os"`
	Profile  ProfileRef `json:"profile"`
	Level    Level      `json:"level"`
	Summary  Summary    `json:"summary"`
	Findings []Finding  `json:"findings"`
	Facts    node.Facts `json:"facts"`
}

// OSRef is what the node says its system is.
type OSRef struct {
	ID      string `json:"id"`
	Version string `json:"version"`
}

// ProfileRef names the profile that a node was judged by.
type ProfileRef struct {
	Name   string `json:"name"`
	Digest string `json:"digest"` // sha256 of the profile's data, in hexadecimal
}

// Summary counts findings by verdict.
type Summary struct {
	Pass          int `json:"pass"`
	Fail          int `json:"fail"`
	Unknown       int `json:"unknown"`
	NotApplicable int `json:"not-applicable"`
}

// Agent is the witness that reads a node from inside.
const Agent = "agent"

// Run judges the facts of a node by checks, with the profile in given.
func Run(checks []Check, facts node.Facts, given Given) []Finding {
	findings := make([]Finding, 0, len(checks))
	for _, c := range checks {
		findings = append(findings, judge(c, facts, given))
	}
	return findings
}

// judge runs one check. A judge that breaks has proven nothing: unknown.
func judge(c Check, facts node.Facts, given Given) (f Finding) {
	defer func() {
		if r := recover(); r != nil {
			f = unknown("judge-broke", fmt.Sprintf("the check broke: %v", r))
		}
		f.Check, f.Rev, f.Topic, f.Severity, f.Reads = c.ID, c.Rev, c.Topic, c.Severity, c.Judge.Reads()
		if s, ok := given.Profile.Severities[c.ID]; ok {
			f.Severity = Severity(s)
		}
		if f.Items == nil {
			f.Items = []string{}
		}
	}()
	return c.Judge.decide(facts, given)
}

// NewReport judges facts by every check in checks and makes the report of them.
func NewReport(version string, checks []Check, facts node.Facts, profile *profiles.Profile, at time.Time) Report {
	at = at.UTC()
	findings := Run(checks, facts, Given{Profile: profile, At: at})
	r := Report{
		Version: version, Witness: Agent, At: at,
		Profile: ProfileRef{profile.Name, profile.Digest}, Findings: findings, Facts: facts,
	}
	if id, _, missing := node.Identity.Of(facts); missing == nil {
		r.Node = id.Name
	}
	if os, _, missing := node.OS.Of(facts); missing == nil {
		r.OS = OSRef{os.Release["ID"], os.Release["VERSION_ID"]}
	}
	r.Level = LevelOf(findings, facts, profile)
	r.Summary = Summarize(findings)
	return r
}

// Summarize counts findings by verdict.
func Summarize(findings []Finding) Summary {
	var s Summary
	for _, f := range findings {
		switch f.Verdict {
		case Pass:
			s.Pass++
		case Fail:
			s.Fail++
		case NotApplicable:
			s.NotApplicable++
		default:
			s.Unknown++
		}
	}
	return s
}

// Privileged reports whether the finding is unknown only because the program
// lacked a right that root has.
func (f Finding) Privileged() bool {
	return f.Verdict == Unknown && slices.Contains([]string{"fact-denied", "gap-denied", "table-denied"}, f.Code)
}

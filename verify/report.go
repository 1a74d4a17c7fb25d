package verify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
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
	// Overlay is the sha256 of the site overlay over it; "" where there is none.
	Overlay string `json:"overlay,omitempty"`
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

// judge runs one check. A judge that breaks or answers nothing has proven
// nothing: unknown.
func judge(c Check, facts node.Facts, given Given) (f Finding) {
	if given.Profile == nil {
		given.Profile = &profiles.Profile{}
	}
	defer func() {
		if r := recover(); r != nil {
			f = unknown("judge-broke", fmt.Sprintf("the check broke: %v", r))
		} else if !f.Verdict.known() || f.Code == "" || f.Reason == "" {
			f = unknown("judge-broke", "the check broke: it gave no verdict, code or reason")
		}
		f.Check, f.Rev, f.Topic, f.Severity, f.Reads = c.ID, c.Rev, c.Topic, c.Severity, c.Judge.Reads()
		if s, ok := given.Profile.Severities[c.ID]; ok {
			f.Severity = Severity(s)
		}
		if words := given.Profile.Words[c.ID]; words != "" && f.Verdict == NotApplicable {
			f.Reason += ": " + words
		}
		if f.Items == nil {
			f.Items = []string{}
		}
	}()
	f = c.Judge.decide(facts, given)
	if why := given.Profile.Unsettled; why != "" && f.Verdict == NotApplicable {
		return unknown("system-unsettled", "which system this is could not be told, so nothing says that this does not apply: "+why)
	}
	return f
}

// NewReport judges facts by every check in checks and makes the report of them.
func NewReport(version string, checks []Check, facts node.Facts, profile *profiles.Profile, at time.Time) Report {
	at = at.UTC()
	if facts == nil {
		facts = node.Facts{}
	}
	findings := Run(checks, facts, Given{Profile: profile, At: at})
	r := Report{
		Version: version, Witness: Agent, At: at,
		Profile: ProfileRef{profile.Name, profile.Digest, profile.Overlay}, Findings: findings, Facts: facts,
	}
	if id, _, missing := node.Identity.Of(facts); missing == nil {
		r.Node = id.Name
	}
	if os, _, missing := node.OS.Of(facts); missing == nil {
		r.OS = OSRef{os.Release["ID"], os.Release["VERSION_ID"]}
	}
	r.Level = LevelOf(findings, facts)
	r.Summary = summaryOf(findings)
	return r
}

func summaryOf(findings []Finding) Summary {
	var s Summary
	for _, f := range findings {
		switch f.Verdict {
		case Pass:
			s.Pass++
		case Fail:
			s.Fail++
		case NotApplicable:
			s.NotApplicable++
		case Unknown, unfound: // the latter leaves no judge
			s.Unknown++
		}
	}
	return s
}

// DecodeReport reads the JSON of one report. It refuses unknown keys, what
// follows the report, facts that their sources would refuse, and a summary that
// does not count the findings. What the findings say stays a claim of whoever
// wrote them.
func DecodeReport(b []byte) (Report, error) {
	var r Report
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return Report{}, fmt.Errorf("decoding a report, up to byte %d: %w", d.InputOffset(), err)
	}
	if end := d.InputOffset(); !atEnd(d) {
		return Report{}, fmt.Errorf("decoding a report: something follows it at byte %d", end)
	}
	switch {
	case r.At.IsZero():
		return Report{}, fmt.Errorf("decoding a report: it has no time")
	case r.Facts == nil:
		return Report{}, fmt.Errorf("decoding a report: it has no facts")
	case r.Summary != summaryOf(r.Findings):
		return Report{}, fmt.Errorf("decoding a report: its summary %+v does not count its findings: %+v", r.Summary, summaryOf(r.Findings))
	}
	seen := map[string]bool{}
	for i, f := range r.Findings {
		if seen[f.Check] || !idPattern.MatchString(f.Check) || f.Rev < 1 || f.Code == "" || !f.Severity.known() {
			return Report{}, fmt.Errorf("decoding a report: finding %d, of check %q, stands twice or lacks its check, revision, code or severity", i, f.Check)
		}
		seen[f.Check] = true
	}
	return r, nil
}

func atEnd(d *json.Decoder) bool {
	_, err := d.Token()
	return err == io.EOF
}

// Privileged reports whether the finding is unknown only because the program
// lacked a right that root has.
func (f Finding) Privileged() bool {
	return f.Verdict == Unknown && slices.Contains([]string{"fact-denied", "gap-denied", "table-denied"}, f.Code)
}

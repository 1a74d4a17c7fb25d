package verify

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/profiles"
)

// Detect chooses the profile of a node from several signals, never from one
// string; seen lists what spoke for it. Without enough signals it is generic.
//
// A profile is chosen when one of its os-release conjunctions matches, at least
// one of its signals of another kind is seen, and none that excludes it. What
// could not be read is no signal; where the node is generic only for that, the
// profile is unsettled. Where two profiles match, the node is generic: nobody
// knows what to expect of it.
func Detect(facts node.Facts, all []*profiles.Profile) (p *profiles.Profile, seen []string) {
	s, _, missing := node.OS.Of(facts)
	if missing != nil {
		why := "os-release could not be read: " + missing.Reason
		return unsettled(all, why), []string{why}
	}
	var open []string // what could not be read and might have spoken for a profile
	var chosen []*profiles.Profile
	for _, candidate := range all {
		claim, ok := releaseOf(s.Release, candidate.Detect.OSRelease)
		if !ok {
			continue
		}
		signals, against := signalsOf(facts, s, candidate.Detect.Signals)
		switch {
		case len(against) > 0:
			seen = append(seen, fmt.Sprintf("os-release says %s, but not %s: %s", claim, candidate.Name, strings.Join(against, ", ")))
		case len(signals) == 0:
			open = append(open, unreadSignals(facts, candidate.Detect.Signals)...)
			seen = append(seen, fmt.Sprintf("os-release says %s, and nothing else speaks for %s", claim, candidate.Name))
		default:
			chosen = append(chosen, candidate)
			seen = append(append(seen, "os-release: "+claim), signals...)
		}
	}
	switch len(chosen) {
	case 1:
		return chosen[0], seen
	case 0:
		if len(seen) == 0 {
			seen = []string{fmt.Sprintf("os-release: ID=%s, which no profile knows", s.Release["ID"])}
		}
		if len(open) > 0 {
			return unsettled(all, strings.Join(seen, "; ")+": "+open[0]), seen
		}
		return generic(all), seen
	}
	names := make([]string, len(chosen))
	for i, c := range chosen {
		names[i] = c.Name
	}
	return generic(all), append(seen, "more than one profile matches: "+strings.Join(names, ", "))
}

// generic is the profile that expects nothing.
func generic(all []*profiles.Profile) *profiles.Profile {
	if i := slices.IndexFunc(all, func(p *profiles.Profile) bool { return p.Name == profiles.Generic }); i >= 0 {
		return all[i]
	}
	return &profiles.Profile{Name: profiles.Generic, Ordinary: true}
}

// unsettled is the generic profile where what could not be read might have told
// another.
func unsettled(all []*profiles.Profile, why string) *profiles.Profile {
	p := *generic(all)
	p.Unsettled = why
	return &p
}

// unreadSignals are the reasons why signals could not be looked for.
func unreadSignals(facts node.Facts, signals []profiles.Signal) []string {
	var out []string
	add := func(gaps []node.Gap, missing *node.Missing) {
		if missing != nil {
			out = append(out, missing.Reason)
		}
		for _, g := range gaps {
			out = append(out, g.String())
		}
	}
	for _, signal := range signals {
		var gaps []node.Gap
		var missing *node.Missing
		switch {
		case signal.Not:
			continue // it can only speak against
		case signal.KernelSuffix != "":
			_, gaps, missing = node.Kernel.Parts("release").Of(facts)
		case signal.Cmdline != "":
			_, gaps, missing = node.Boot.Parts("cmdline").Of(facts)
		case signal.Path != "":
			_, gaps, missing = node.OS.Parts("markers").Of(facts)
		case signal.Mount != "":
			_, gaps, missing = node.Mounts.Of(facts)
		case signal.DM != "":
			_, gaps, missing = node.Verity.Parts("devices").Of(facts)
		}
		add(gaps, missing)
	}
	return out
}

// releaseOf returns the first conjunction that the os-release fields meet, in words.
func releaseOf(release map[string]string, conjunctions []map[string]string) (claim string, ok bool) {
	for _, conjunction := range conjunctions {
		words, met := []string{}, len(conjunction) > 0
		for _, key := range slices.Sorted(maps.Keys(conjunction)) {
			met = met && fieldMatches(release[key], conjunction[key])
			words = append(words, key+"="+release[key])
		}
		if met {
			return strings.Join(words, " "), true
		}
	}
	return "", false
}

func fieldMatches(value, want string) bool {
	switch {
	case want == "-":
		return value == ""
	case want == "*":
		return value != ""
	case strings.HasSuffix(want, "*"):
		return strings.HasPrefix(value, strings.TrimSuffix(want, "*"))
	}
	return value == want
}

// signalsOf lists the signals that are seen, and those of them that exclude the
// system.
func signalsOf(facts node.Facts, s node.System, signals []profiles.Signal) (seen, against []string) {
	for _, signal := range signals {
		text, ok := signalSeen(facts, s, signal)
		switch {
		case !ok:
		case signal.Not:
			against = append(against, text)
		default:
			seen = append(seen, text)
		}
	}
	return seen, against
}

// signalSeen reports whether one signal is seen. Exactly one of its fields is set.
func signalSeen(facts node.Facts, s node.System, signal profiles.Signal) (text string, ok bool) {
	switch {
	case signal.KernelSuffix != "":
		k, _, missing := node.Kernel.Of(facts)
		return "kernel " + k.Release, missing == nil && strings.HasSuffix(k.Release, signal.KernelSuffix)
	case signal.Cmdline != "":
		b, _, missing := node.Boot.Of(facts)
		key, value, valued := strings.Cut(signal.Cmdline, "=")
		return "command line " + signal.Cmdline, missing == nil && slices.ContainsFunc(b.Cmdline, func(w node.Word) bool {
			return w.Key == key && !w.AfterDashes && (!valued || w.Value == value)
		})
	case signal.Path != "":
		return "path /" + signal.Path, slices.Contains(s.Markers, signal.Path)
	case signal.Mount != "":
		mounts, _, missing := node.Mounts.Of(facts)
		path, fstype, typed := strings.Cut(signal.Mount, " ")
		return "mount " + signal.Mount, missing == nil && slices.ContainsFunc(mounts, func(m node.Mount) bool {
			return m.Path == path && (!typed || m.Type == fstype)
		})
	case signal.DM != "":
		v, _, missing := node.Verity.Of(facts)
		return "device-mapper device " + signal.DM, missing == nil && slices.ContainsFunc(v.Devices, func(d node.DMDevice) bool { return d.Name == signal.DM })
	}
	return "", false
}

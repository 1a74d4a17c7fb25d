package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

// clockRefs is what the checks of the clock are evidence for.
var clockRefs = []Ref{{sp80053, "AU-8"}, {sp80053, "SC-45"}, {pciDSS, "10.6.1"}, {iso27001, "8.17"}, {cisControls, "8.4"}}

var clockSynchronised = Check{
	ID:       "clock-synchronised",
	Rev:      1,
	Title:    "the system clock is synchronised",
	Topic:    Audit,
	Severity: High,
	Refs:     slices.Concat(clockRefs, []Ref{{cisBottlerocket, "2.1.1.1"}}),
	Help: Help{
		Why: "Log lines of several machines tell a story only in the right order, and certificates and tokens are valid by the clock.",
		How: "adjtimex(2): whoever keeps the time tells the kernel when it is synchronised, and the kernel takes that back when nobody has corrected the clock for some nine hours (STA_UNSYNC, TIME_ERROR).",
		Remedy: map[string]string{
			"talos":         "talosctl time shows what machined asks; set machine: {time: {servers: [...]}} and see that UDP port 123 gets out.",
			"flatcar":       "timedatectl timesync-status shows the server; set NTP= in a drop-in of /etc/systemd/timesyncd.conf.d and restart systemd-timesyncd.",
			"bottlerocket":  `apiclient set --json '{"settings": {"ntp": {"time-servers": ["SERVER"]}}}', and see that UDP port 123 gets out.`,
			"fedora-coreos": "chronyc tracking and chronyc sources show why not; servers stand in /etc/chrony.conf.",
			"":              "Let chronyd or systemd-timesyncd run and reach its servers: chronyc tracking or timedatectl timesync-status shows why it does not.",
		},
	},
	Judge: On(node.ClockSync, func(c node.ClockState, _ Given) Finding {
		switch c.Synchronised {
		case "yes":
			return pass("synchronised", "the kernel holds the clock for synchronised")
		case "no":
			return fail("unsynchronised", "the kernel reports the clock as not synchronised: nothing corrects it, or nothing has for hours", "clock")
		}
		return unsaid("whether its clock is synchronised")
	}),
}

var clockErrorSmall = Check{
	ID:       "clock-error-small",
	Rev:      1,
	Title:    "the clock's estimated error is under a second, and it is corrected often",
	Topic:    Audit,
	Severity: Medium,
	Refs:     slices.Concat(clockRefs, []Ref{{pciDSS, "10.6.2"}}),
	Help: Help{
		Why: "A clock may count as synchronised for hours after its last correction, and while it is still being moved by a second or more.",
		How: "adjtimex(2): the estimated error with what is still to be slewed has to be under a second, and the kernel's bound of the error, which grows by half a millisecond each second without a correction, under two seconds: some four thousand seconds, twice as long as a daemon waits at most. The measured offset from the servers is not in the kernel and not judged.",
		Remedy: map[string]string{
			"talos":        "talosctl time --check SERVER compares the two; name servers that are near in machine.time.servers.",
			"bottlerocket": "Name servers that are near in settings.ntp.time-servers; on EC2 169.254.169.123.",
			"":             "See how often the daemon is answered (chronyc sources -v, timedatectl timesync-status), name servers that are near, and let it step the clock at boot (makestep in chrony.conf).",
		},
	},
	Judge: On(node.ClockSync, func(c node.ClockState, _ Given) Finding {
		if c.Offset == "" || c.Bound == "" {
			return unsaid("how far its clock may be off")
		}
		reason := fmt.Sprintf("the clock's estimated error is %s, and the kernel's bound for it is %s", c.Offset, c.Bound)
		if c.Offset == "1 s or more" || c.Bound != "under 2 s" {
			return fail("large", reason, "clock")
		}
		return pass("small", reason)
	}),
}

var timeSourceRuns = Check{
	ID:       "time-source-runs",
	Rev:      1,
	Title:    "a time synchronisation service runs on the node",
	Topic:    Audit,
	Severity: Medium,
	Refs:     clockRefs,
	Help: Help{
		Why: "A clock that somebody set by hand is right until it drifts. Only a program that asks a server again and again keeps it so, and names the server in its configuration.",
		How: "A host process that is chronyd, ntpd, ntpd-rs, systemd-timesyncd or phc2sys, by its executable; or, where the profile says that the system itself keeps the time, a clock that is synchronised. One in a container is unknown: it may call itself so. Which servers it asks is not judged.",
		Remedy: map[string]string{
			"talos":        "Take disabled: true out of machine.time in the machine configuration.",
			"flatcar":      "systemctl enable --now systemd-timesyncd.",
			"bottlerocket": "chronyd is a part of the system and always runs: replace the node, and look for what stopped it.",
			"microos":      "systemctl enable --now chronyd.",
			"":             "Start one, and have it start at boot: systemctl enable --now chronyd, or systemd-timesyncd.",
		},
	},
	Judge: On3(node.LogPrograms, node.ClockSync, node.OS.Parts("init", "pidNamespace"), judgeTimeSource),
}

func judgeTimeSource(p node.LogProgramState, c node.ClockState, s node.System, g Given) Finding {
	host, contained := withRole(p, "keeps-time")
	own := g.Profile.Audit.TimeKeeper
	switch {
	case len(host) > 0:
		return pass("runs", "the time is kept by "+strings.Join(host, ", "), host...)
	case c.Synchronised == "":
		return unsaid("whether its clock is synchronised")
	case own != "" && c.Synchronised == "yes":
		return pass("system", own+", and the clock is synchronised")
	case len(contained) > 0:
		return unknown("in-container", "only a container has a program of that name: "+strings.Join(contained, ", "), contained...)
	case c.Synchronised == "yes":
		return unknown("unseen", "the clock is synchronised, and what keeps it so was not seen")
	case p.Containers == "":
		return unsaid("what runs on it")
	case s.PIDNamespace != "initial":
		return unknown("part-of-machine", "process 1 is not that of the whole machine, or it is not known: what keeps the time may run outside its namespace")
	case own != "":
		return failUnfound("none", own+", and the clock is not synchronised", "clock")
	}
	return failUnfound("none", "no program runs that keeps the time, and the clock is not synchronised", "clock")
}

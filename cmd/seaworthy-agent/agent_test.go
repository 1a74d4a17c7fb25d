package main

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node/wire"
	"github.com/seaworthy/seaworthy/verify"
)

// logged runs f with an agent and returns the lines of its log, without times.
func logged(f func(*agent)) []string {
	var b strings.Builder
	f(&agent{log: slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && len(groups) == 0 {
				return slog.Attr{}
			}
			return a
		},
	}))})
	if b.Len() == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

func finding(check string, v verify.Verdict, reason string, items ...string) verify.Finding {
	return verify.Finding{Check: check, Verdict: v, Code: v.String(), Severity: verify.Critical, Reason: reason, Items: items}
}

func TestTellSaysWhatChanged(t *testing.T) {
	sound := verify.Report{
		Node: "node-7", Profile: verify.ProfileRef{Name: "flatcar"}, Level: verify.Level{Number: 3, Name: "verified"},
		Summary:  verify.Summary{Pass: 1, Fail: 1, Unknown: 1},
		Findings: []verify.Finding{finding("image-read-only", verify.Pass, "read-only"), finding("single-engine", verify.Fail, "docker is there", "docker"), finding("kernel-patched", verify.Unknown, "no baseline")},
	}
	broken := sound
	broken.Level = verify.Level{Number: 0, Name: "mutable", Reasons: []string{"/usr is writable"}}
	broken.Findings = []verify.Finding{finding("image-read-only", verify.Fail, "/usr is writable", "/usr"), sound.Findings[1], sound.Findings[2]}

	got := logged(func(a *agent) {
		for _, r := range []verify.Report{sound, sound, broken, broken, sound} {
			a.tell(r)
		}
	})
	want := []string{
		`level=INFO msg="first report" node=node-7 profile=flatcar level=3 name=verified pass=1 fail=1 unknown=1 not-applicable=0`,
		`level=WARN msg="single-engine fails: docker is there" check=single-engine severity=critical code=fail items=[docker]`,
		`level=WARN msg="the level changed" from=3 to=0 reasons="[/usr is writable]"`,
		`level=WARN msg="image-read-only fails, it passed before: /usr is writable" check=image-read-only severity=critical code=fail items=[/usr]`,
		`level=INFO msg="the level changed" from=0 to=3 reasons=[]`,
		`level=INFO msg="image-read-only passes, it failed before: read-only" check=image-read-only severity=critical code=pass items=[]`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestEvent(t *testing.T) {
	refused := errors.New("it answered 503")
	for _, test := range []struct {
		name  string
		event wire.Event
		want  []string
	}{
		{"the usual is not worth a line", wire.Event{Kind: wire.Sent, Tries: 1}, nil},
		{"an end of trouble is", wire.Event{Kind: wire.Sent, Tries: 3, Ack: wire.Ack{Received: time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC)}},
			[]string{`level=INFO msg="the collector has the report" received=2026-11-25T03:00:00.000Z tries=3`}},
		{"no answer", wire.Event{Kind: wire.Delayed, Tries: 2, Retry: 1500 * time.Millisecond, Err: refused},
			[]string{`level=WARN msg="the report is kept and tried again" in=1.5s tries=2 why="it answered 503"`}},
		{"refused for good", wire.Event{Kind: wire.Dropped, Err: refused}, []string{`level=ERROR msg="the collector will not take the report" why="it answered 503"`}},
		{"stopped without an answer", wire.Event{Kind: wire.Lost, Err: refused}, []string{`level=ERROR msg="the last report did not arrive" why="it answered 503"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, logged(func(a *agent) { a.event(test.event) })); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestParse(t *testing.T) {
	for _, test := range []struct {
		name, args, want string // want is in the error, "" for none
	}{
		{"all that it takes", "--collector https://c.example:8440 --interval 30s --root /host --node n1 --cluster prod --once --log json", ""},
		{"one dash", "-collector http://c.example", ""},
		{"no collector", "--once", "--collector is missing"},
		{"a host without a scheme", "--collector c.example:8440", "https://"},
		{"another scheme", "--collector ftp://c.example", "https://"},
		{"too often", "--collector http://c --interval 100ms", "between 1s"},
		{"too seldom", "--collector http://c --interval 9999h", "between 1s"},
		{"no duration", "--collector http://c --interval 60", "interval"},
		{"a node that climbs", "--collector http://c --node ../etc", "--node"},
		{"a cluster with a slash", "--collector http://c --cluster a/b", "--cluster"},
		{"an unknown log", "--collector http://c --log xml", "text or json"},
		{"an unknown flag", "--colector http://c", "colector"},
		{"something behind the flags", "--collector http://c now", `"now"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parse(strings.Fields(test.args), io.Discard)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("got %v, want no error", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

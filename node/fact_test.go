package node

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFactsThroughJSON(t *testing.T) {
	want := Facts{
		"mounts": {
			Value:    []Mount{{Path: "/", Visible: true, Root: "/", Type: "tmpfs", Device: Device{Kind: "none"}, Options: []string{"ro"}, Super: []string{"rw"}, Anon: "/"}},
			Gaps:     []Gap{{What: "mounts", Code: Denied, Reason: "why", Count: 1, Of: 3}},
			Evidence: []Evidence{{"/proc/1/mountinfo", "00ff"}},
		},
		"identity": {Missing: &Missing{Absent, "reading /x: no such file"}, Gaps: []Gap{}, Evidence: []Evidence{}},
	}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Facts
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	mounts, gaps, missing := Mounts.Of(got)
	if len(mounts) != 1 || len(gaps) != 1 || missing != nil {
		t.Errorf("Of: got %v, %v, %v", mounts, gaps, missing)
	}
	if _, _, missing := Identity.Of(got); missing == nil || missing.Code != Absent {
		t.Errorf("Of what is missing: got %v", missing)
	}
	if _, _, missing := Kernel.Of(got); missing == nil || missing.Code != NotRecorded {
		t.Errorf("Of what was not gathered: got %v", missing)
	}
	if _, _, missing := Kernel.Of(Facts{"kernel": {Value: "text"}}); missing == nil || missing.Code != Malformed {
		t.Errorf("Of another type: got %v", missing)
	}
}

func TestFactsRefuse(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"an unknown source":        {`{"weather":{"value":1}}`, `no source is called "weather"`},
		"an unknown key":           {`{"identity":{"value":{"name":"","bootID":""},"valu":1}}`, `unknown field "valu"`},
		"an unknown key of a fact": {`{"identity":{"value":{"name":"","bootID":"","x":1}}}`, `decoding fact identity: json: unknown field "x"`},
		"a value of another type":  {`{"identity":{"value":"n1"}}`, "decoding fact identity"},
		"both":                     {`{"identity":{"value":{"name":"","bootID":""},"missing":{"code":"absent","reason":""}}}`, "it has a value and is missing"},
		"neither":                  {`{"identity":{"gaps":[]}}`, "neither a value nor a reason"},
		"null":                     {`{"identity":{"value":null}}`, "its value is null"},
		"null for a list":          {`{"mounts":{"value":null}}`, "its value is null"},
		"something behind":         {`{} {}`, "invalid character"},
		"no object":                {`[]`, "decoding facts"},
	} {
		t.Run(name, func(t *testing.T) {
			var f Facts
			if err := json.Unmarshal([]byte(tt.text), &f); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want … %s …", err, tt.want)
			}
		})
	}
}

// A source that found nothing says so by an empty list.
func TestNothingIsAValue(t *testing.T) {
	s := Source[[]Mount]{Name: "mounts", Read: func(context.Context, *Host) ([]Mount, []Gap, error) { return nil, nil, nil }}
	b, err := json.Marshal(Facts{"mounts": s.read(t.Context(), nil).normal()})
	if want := `{"mounts":{"value":[],"gaps":[],"evidence":[]}}`; err != nil || string(b) != want {
		t.Fatalf("got %s, %v, want %s", b, err, want)
	}
	var f Facts
	if err := json.Unmarshal(b, &f); err != nil {
		t.Error(err)
	}
}

func TestGapInWords(t *testing.T) {
	for _, tt := range []struct {
		gap  Gap
		want string
	}{
		{GapOf("the lockdown mode", &Error{"reading", "/x", Denied, ""}), "the lockdown mode could not be read: reading /x: permission denied"},
		{Gap{What: "executables", Code: Denied, Reason: "why", Count: 12, Of: 300}, "12 of 300 executables could not be read: why"},
	} {
		if got := tt.gap.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestError(t *testing.T) {
	for _, tt := range []struct {
		err            *Error
		want           string
		absent, denied bool
	}{
		{&Error{"reading", "/x", Absent, ""}, "reading /x: no such file", true, false},
		{&Error{"reading", "/x", Denied, ""}, "reading /x: permission denied", false, true},
		{&Error{"reading", "/x", TooLarge, "more than 9 bytes"}, "reading /x: too large: more than 9 bytes", false, false},
		{&Error{"reading", "/x", Failed, "invalid argument"}, "reading /x: invalid argument", false, false},
		{&Error{"reading", "/x", Failed, ""}, "reading /x: input/output error", false, false},
		{&Error{"reading", "/x", "new-code", "detail"}, "reading /x: detail", false, false},
		{&Error{"reading", "/x", "new-code", ""}, "reading /x: new-code", false, false},
		{&Error{"asking the kernel for", "uname", NoKernel, ""}, "asking the kernel for uname: this is a file tree, which has no kernel to ask", false, false},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
		if IsAbsent(tt.err) != tt.absent || errors.Is(tt.err, fs.ErrPermission) != tt.denied {
			t.Errorf("%v: absent %v, denied %v", tt.err, IsAbsent(tt.err), errors.Is(tt.err, fs.ErrPermission))
		}
	}
}

func TestGapsOfOtherPartsAreLeftOut(t *testing.T) {
	lockdown, whole := Gap{What: "lockdown", Part: "lockdown"}, Gap{What: "all of it"}
	facts := Facts{"boot": {Value: BootState{Lockdown: "none"}, Gaps: []Gap{lockdown, whole}}}
	for name, tt := range map[string]struct {
		source Source[BootState]
		want   []Gap
	}{
		"no parts: every gap counts":           {Boot, []Gap{lockdown, whole}},
		"another part: its gap does not count": {Boot.Parts("cmdline"), []Gap{whole}},
		"the part: its gap counts":             {Boot.Parts("cmdline", "lockdown"), []Gap{lockdown, whole}},
	} {
		if _, got, _ := tt.source.Of(facts); !cmp.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
	if _, got, _ := Boot.Of(facts); len(got) != 2 || len(facts["boot"].Gaps) != 2 {
		t.Error("leaving gaps out changed the fact")
	}
}

// Every part that a gap names is a field of the value, by its JSON name.
func TestPartsAreFields(t *testing.T) {
	host := &memHost{files: map[string]string{"proc/1/comm": "! denied", "proc/cmdline": "ro\n", "proc/sys/kernel/osrelease": "6.6.95\n", "proc/1/mountinfo": "1 0 0:2 / / ro - tmpfs t ro\n"}}
	for _, src := range Sources() {
		fact := gather(t.Context(), &Host{FS: host}, time.Time{}, []AnySource{src})[src.Info().Name]
		if fact.Value == nil {
			continue
		}
		b, err := json.Marshal(fact.Value)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range fact.Gaps {
			if g.Part != "" && !strings.Contains(string(b), `"`+g.Part+`":`) && !slices.Contains([]string{"ostree", "net"}, g.Part) {
				t.Errorf("%s: a gap is in %q, which is no field of %s", src.Info().Name, g.Part, b)
			}
		}
	}
}

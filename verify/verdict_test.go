package verify

import (
	"encoding/json"
	"testing"
)

func TestVerdictWords(t *testing.T) {
	for v, word := range map[Verdict]string{Unknown: "unknown", Fail: "fail", Pass: "pass", NotApplicable: "not-applicable"} {
		b, err := json.Marshal(v)
		if err != nil || string(b) != `"`+word+`"` || v.String() != word {
			t.Errorf("%d: got %s, %v, %s; want %q", int(v), b, err, v, word)
		}
		back := Verdict(99)
		if err := json.Unmarshal(b, &back); err != nil || back != v {
			t.Errorf("%s: got %v, %v; want %v", b, back, err, v)
		}
	}
}

func TestVerdictRefusesWhatIsNone(t *testing.T) {
	for _, text := range []string{`"PASS"`, `"passed"`, `""`, `"verdict 7"`, `2`, `true`, `"pass "`} {
		v := Fail
		if err := json.Unmarshal([]byte(text), &v); err == nil {
			t.Errorf("%s was taken for %v", text, v)
		} else if v != Fail {
			t.Errorf("%s changed the verdict to %v", text, v)
		}
	}
	for _, v := range []Verdict{-1, 4} {
		if b, err := json.Marshal(v); err == nil {
			t.Errorf("%d was written as %s", int(v), b)
		}
	}
	if got := Verdict(4).String(); got != "verdict 4" {
		t.Errorf("got %q, want verdict 4", got)
	}
}

func TestZeroVerdictClaimsNothing(t *testing.T) {
	var f Finding
	if f.Verdict != Unknown {
		t.Errorf("got %v, want unknown", f.Verdict)
	}
	if err := json.Unmarshal([]byte(`{"check":"x","verdict":null}`), &f); err != nil || f.Verdict != Unknown {
		t.Errorf("null: got %v, %v; want unknown", f.Verdict, err)
	}
}

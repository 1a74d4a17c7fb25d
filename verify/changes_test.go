package verify

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChanges(t *testing.T) {
	f := func(v Verdict, code, reason string, items ...string) Finding {
		return Finding{Check: "image-read-only", Verdict: v, Code: code, Reason: reason, Items: items}
	}
	for _, test := range []struct {
		name          string
		before, after []Finding
		want          []string
	}{
		{"nothing changed", []Finding{f(Fail, "rw", "/ is writable", "/")}, []Finding{f(Fail, "rw", "/ is writable", "/")}, nil},
		{"another wording is no change", []Finding{f(Pass, "ro", "a")}, []Finding{f(Pass, "ro", "b")}, nil},
		{"remounted", []Finding{f(Pass, "ro", "/ is read-only")}, []Finding{f(Fail, "rw", "/ is writable", "/")},
			[]string{"image-read-only fails, it passed before: / is writable"}},
		{"can no longer be read", []Finding{f(Fail, "rw", "")}, []Finding{f(Unknown, "fact-denied", "permission denied")},
			[]string{"image-read-only is unknown, it failed before: permission denied"}},
		{"one thing more at fault", []Finding{f(Fail, "rw", "", "/")}, []Finding{f(Fail, "rw", "/ and /usr are writable", "/", "/usr")},
			[]string{"image-read-only fails as before, for another reason: / and /usr are writable"}},
		{"one process more that could not be read is no change",
			[]Finding{f(Unknown, "gap-denied", "1 of 23 could not be read", "1 of 23")}, []Finding{f(Unknown, "gap-denied", "1 of 24 could not be read", "1 of 24")}, nil},
		{"one program more in its place is no change", []Finding{f(Pass, "declared", "", "a")}, []Finding{f(Pass, "declared", "", "a", "b")}, nil},
		{"unknown for another kind of reason", []Finding{f(Unknown, "fact-denied", "permission denied")}, []Finding{f(Unknown, "fact-blocked", "no answer in time")},
			[]string{"image-read-only is unknown as before, for another reason: no answer in time"}},
		{"a check that is new", nil, []Finding{f(NotApplicable, "no-image", "there is no image")},
			[]string{"image-read-only does not apply: there is no image"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, c := range Changes(test.before, test.after) {
				got = append(got, c.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

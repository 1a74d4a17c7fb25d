package node

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAccountsOfThisMachine compares with getent(1), which asks the C library.
func TestAccountsOfThisMachine(t *testing.T) {
	out, err := exec.Command("getent", "-s", "files", "passwd").Output()
	if err != nil {
		t.Skip("SKIPPED: no getent that asks the files on this machine: ", err)
	}
	var want []string
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		want = append(want, strings.Join([]string{f[0], f[5], f[6]}, ":"))
	}
	v, _, err := Accounts.Read(context.Background(), &Host{FS: thisMachine{}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range v.Accounts {
		if a.From == "/etc/passwd" {
			got = append(got, strings.Join([]string{a.Name, a.Home, a.Shell}, ":"))
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if d := cmp.Diff(slices.Compact(want), slices.Compact(got)); d != "" {
		t.Errorf("(-getent +got):\n%s", d)
	}
	if b, err := os.ReadFile("/etc/shadow"); err == nil {
		if _, err := parseShadow(redactShadow(b)); err != nil {
			t.Errorf("/etc/shadow of this machine: %v", err)
		}
	}
}

package peers

import (
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/hostfs"
)

// TestUnixSocketsAsSS compares names as far as ours have them: what a program
// chooses anew at every start is a * there.
func TestUnixSocketsAsSS(t *testing.T) {
	dir := t.TempDir()
	for _, s := range []struct{ network, name string }{
		{"unix", filepath.Join(dir, "stream")},
		{"unixpacket", filepath.Join(dir, "packets")},
		{"unix", "@seaworthy-test-of-peers"},
	} {
		l, err := net.Listen(s.network, s.name)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	idle, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "datagrams"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close() // bound, and listens for no connection

	var want []string
	holder := map[string]string{}
	for line := range strings.Lines(theirs(t, "ss", "-Hxlnp")) {
		f := strings.Fields(line)
		if len(f) < 8 {
			t.Fatalf("ss: %q", line)
		}
		if f[1] == "LISTEN" {
			want = append(want, f[4])
			holder[f[4]] = strings.Join(f[8:], " ")
		}
	}
	h, err := hostfs.Machine("/")
	if err != nil {
		t.Fatal(err)
	}
	listeners, _, missing := node.Listeners.Of(node.Gather(t.Context(), h, time.Now()))
	if missing != nil {
		t.Fatal(missing.Reason)
	}
	is := func(l node.Listener, name string) bool { return l.Network == "unix" && like(l.Address, name) }
	for _, name := range want {
		if !slices.ContainsFunc(listeners, func(l node.Listener) bool { return is(l, name) }) {
			t.Errorf("ss shows %s, held by %s, and ours is without it", name, holder[name])
		}
	}
	for _, l := range listeners {
		if l.Network == "unix" && !slices.ContainsFunc(want, func(name string) bool { return is(l, name) }) {
			t.Errorf("ours has %s of %s, and ss is without it", l.Address, l.Program)
		}
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const abstract = "@seaworthy-test-of-peers"
	i := slices.IndexFunc(listeners, func(l node.Listener) bool { return is(l, abstract) })
	if i < 0 || listeners[i].Program != exe || !strings.Contains(holder[abstract], path.Base(exe)[:min(15, len(path.Base(exe)))]) {
		t.Errorf("the program of %s is not %s by both: ss says %s, ours %+v", abstract, exe, holder[abstract], listeners)
	}
}

// like says whether name is one that pattern stands for; a * is any text.
func like(pattern, name string) bool {
	first, rest, wild := strings.Cut(pattern, "*")
	name, is := strings.CutPrefix(name, first)
	if !is || !wild {
		return is && name == ""
	}
	for i := range len(name) + 1 {
		if like(rest, name[i:]) {
			return true
		}
	}
	return false
}

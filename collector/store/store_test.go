package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/wire"
)

var epoch = time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC)

func at(minutes int) time.Time { return epoch.Add(time.Duration(minutes) * time.Minute) }

// report is of a node whose kernel has the given release.
func report(name, release string) wire.Report {
	return wire.Report{
		Version: wire.Version, Cluster: "prod", Node: name, Agent: "v0.1.0", Interval: time.Minute, At: epoch,
		Facts: node.Facts{
			"os": {
				Value: node.System{Release: map[string]string{"ID": "flatcar"}, Markers: []string{}, Init: "systemd", PIDNamespace: "initial"},
				Gaps:  []node.Gap{}, Evidence: []node.Evidence{{What: "/etc/os-release", SHA256: "ab"}},
			},
			"kernel": {
				Value: node.KernelState{Release: release, Taints: []node.Taint{}, Modules: []node.Module{}, SigEnforce: "on"},
				Gaps:  []node.Gap{{What: "the modules", Code: node.Denied, Reason: "no"}}, Evidence: []node.Evidence{},
			},
			"listeners": {Missing: &node.Missing{Code: node.Denied, Reason: "reading /proc/1/net/tcp: permission denied"}, Gaps: []node.Gap{}, Evidence: []node.Evidence{}},
			"identity":  {Value: node.Identification{Name: name, BootID: "b"}, Gaps: []node.Gap{}, Evidence: []node.Evidence{}},
		},
	}
}

func open(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func mustPut(t testing.TB, s *Store, r wire.Report, received time.Time) bool {
	t.Helper()
	changed, err := s.Put(t.Context(), r, received)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

func count(t testing.TB, s *Store, query string) (n int) {
	t.Helper()
	if err := s.read.QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNodeGivesBackWhatWasPut(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	r := report("node-7", "6.6.95")
	r.Origin = wire.Origin{Kind: "composed", Note: "first"}
	mustPut(t, s, r, at(1))
	r.Origin.Note = "of two samples"
	mustPut(t, s, r, at(1))
	d, err := s.Node(t.Context(), "prod", "node-7")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r.Facts, d.Facts); diff != "" {
		t.Error(diff)
	}
	want := Node{
		Cluster: "prod", Name: "node-7", Origin: r.Origin, Agent: "v0.1.0", Interval: time.Minute, FirstSeen: at(1), LastSeen: at(1), Gathered: epoch,
		State: d.State, Volatile: d.Volatile,
	}
	if diff := cmp.Diff(want, d.Node); diff != "" {
		t.Error(diff)
	}
	canonical, err := wire.Canonical(r.Facts["kernel"])
	if err != nil {
		t.Fatal(err)
	}
	if got, want := d.Digests["kernel"], wire.Digest(canonical); got != want {
		t.Errorf("got digest %s, want %s", got, want)
	}
	all, err := s.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Node{want}, all); diff != "" {
		t.Error(diff)
	}
}

func TestNodeThatNeverReported(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	if _, err := s.Node(t.Context(), "prod", "node-7"); !errors.Is(err, ErrNoNode) {
		t.Errorf("got %v, want ErrNoNode", err)
	}
	if all, err := s.Nodes(t.Context()); err != nil || all == nil || len(all) != 0 {
		t.Errorf("got %v, %v, want an empty list", all, err)
	}
}

func TestEqualNodesShareTheirFacts(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	for i := range 20 {
		mustPut(t, s, report(fmt.Sprintf("node-%d", i), "6.6.95"), at(i))
	}
	got := []int{count(t, s, "SELECT count(*) FROM nodes"), count(t, s, "SELECT count(*) FROM states"), count(t, s, "SELECT count(*) FROM facts")}
	if diff := cmp.Diff([]int{20, 1, 3}, got); diff != "" {
		t.Errorf("nodes, states, facts: %s", diff)
	}
}

// Two sources that are missing for the same reason have equal bytes.
func TestEqualBytesOfTwoSources(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	r := report("node-7", "6.6.95")
	same := node.Fact{Missing: &node.Missing{Code: node.Denied, Reason: "no"}, Gaps: []node.Gap{}, Evidence: []node.Evidence{}}
	r.Facts = node.Facts{"os": same, "kernel": same, "boot": same}
	mustPut(t, s, r, at(0))
	d, err := s.Node(t.Context(), "prod", "node-7")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r.Facts, d.Facts); diff != "" {
		t.Error(diff)
	}
}

func TestHistoryKeepsEveryChange(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	var changes []bool
	for i, release := range []string{"6.6.95", "6.6.95", "6.6.99", "6.6.95"} {
		r := report("node-7", release)
		r.Facts["identity"] = node.Fact{Value: node.Identification{Name: "node-7", BootID: fmt.Sprint(i)}} // volatile: no change of state
		changes = append(changes, mustPut(t, s, r, at(i)))
	}
	if diff := cmp.Diff([]bool{true, false, true, true}, changes); diff != "" {
		t.Errorf("changed: %s", diff)
	}
	d, err := s.Node(t.Context(), "prod", "node-7")
	if err != nil {
		t.Fatal(err)
	}
	type span struct{ since, until time.Time }
	var got []span
	for _, h := range d.History {
		got = append(got, span{h.Since, h.Until})
	}
	want := []span{{at(3), time.Time{}}, {at(2), at(3)}, {at(0), at(2)}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(span{})); diff != "" {
		t.Error(diff)
	}
	if d.History[0].State != d.History[2].State || d.History[0].State == d.History[1].State {
		t.Errorf("the first and the last state are one, and not the second: %v", d.History)
	}
	if d.FirstSeen != at(0) || d.LastSeen != at(3) {
		t.Errorf("got first %s, last %s", d.FirstSeen, d.LastSeen)
	}
}

func TestPresenceHasAHoleWhereTheNodeWasSilent(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	for _, minute := range []int{0, 1, 4, 8, 9} { // 3 minutes are allowed, 4 are not
		mustPut(t, s, report("node-7", "6.6.95"), at(minute))
	}
	rows, err := s.read.Query("SELECT since, coalesce(until, 0) FROM presence ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got [][2]int64
	for rows.Next() {
		var p [2]int64
		if err := rows.Scan(&p[0], &p[1]); err != nil {
			t.Fatal(err)
		}
		got = append(got, p)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	want := [][2]int64{{at(0).UnixMilli(), at(4).UnixMilli()}, {at(8).UnixMilli(), 0}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSilent(t *testing.T) {
	for _, test := range []struct {
		interval, away time.Duration
		want           bool
	}{
		{time.Minute, 3 * time.Minute, false},
		{time.Minute, 3*time.Minute + time.Millisecond, true},
		{time.Hour, 2 * time.Hour, false},
		{0, 4 * time.Minute, true},
		{wire.MaxInterval, 24 * time.Hour, false},
	} {
		n := Node{Interval: test.interval, LastSeen: epoch}
		if got := n.Silent(epoch.Add(test.away)); got != test.want {
			t.Errorf("%s away of %s: got %v, want %v", test.away, test.interval, got, test.want)
		}
	}
}

func TestClockSetBackShortensNothing(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	mustPut(t, s, report("node-7", "6.6.95"), at(10))
	mustPut(t, s, report("node-7", "6.6.99"), at(5))
	d, err := s.Node(t.Context(), "prod", "node-7")
	if err != nil {
		t.Fatal(err)
	}
	if d.LastSeen != at(10) || d.History[1].Until.Before(d.History[1].Since) {
		t.Errorf("got last seen %s, history %v", d.LastSeen, d.History)
	}
}

func TestFactOfAnotherVersionIsMissing(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	mustPut(t, s, report("node-7", "6.6.95"), at(0))
	if _, err := s.write.Exec(`UPDATE facts SET bytes = '{"value":{"colour":"red"},"gaps":[]}' WHERE source = 'kernel'`); err != nil {
		t.Fatal(err)
	}
	d, err := s.Node(t.Context(), "prod", "node-7")
	if err != nil {
		t.Fatal(err)
	}
	got := d.Facts["kernel"].Missing
	if got == nil || got.Code != node.Malformed || !strings.Contains(got.Reason, "colour") {
		t.Errorf("got %+v, want it missing, with the field that cannot be read", got)
	}
}

func TestPutRefusesAFactOfNoSource(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	r := report("node-7", "6.6.95")
	r.Facts["weather"] = node.Fact{Value: "fine"}
	if _, err := s.Put(t.Context(), r, at(0)); err == nil || !strings.Contains(err.Error(), "weather") {
		t.Errorf("got %v, want an error that names the fact", err)
	}
}

func TestOneThatFailsDoesNotTakeTheOthersWithIt(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	if _, err := s.write.Exec(`CREATE TRIGGER no BEFORE INSERT ON nodes WHEN new.name = 'bad' BEGIN SELECT raise(ABORT, 'no'); END`); err != nil {
		t.Fatal(err)
	}
	var batch []*put
	for _, name := range []string{"a", "bad", "b"} {
		p, err := prepare(report(name, "6.6.95"))
		if err != nil {
			t.Fatal(err)
		}
		p.ctx, p.received = t.Context(), at(0)
		batch = append(batch, p)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	late, err := prepare(report("late", "6.6.95"))
	if err != nil {
		t.Fatal(err)
	}
	late.ctx, late.received = gone, at(0)
	s.commit(append(batch, late))
	var got []string
	for _, p := range append(batch, late) {
		got = append(got, fmt.Sprintf("%s failed: %v", p.report.Node, <-p.done != nil))
	}
	want := []string{"a failed: false", "bad failed: true", "b failed: false", "late failed: true"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := count(t, s, "SELECT count(*) FROM nodes"); n != 2 {
		t.Errorf("got %d nodes, want 2", n)
	}
}

func TestManyAtOnce(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 25 {
				if _, err := s.Put(t.Context(), report(fmt.Sprintf("node-%d-%d", w, i), fmt.Sprint(i%5)), at(i)); err != nil {
					t.Error(err)
				}
				if _, err := s.Nodes(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := count(t, s, "SELECT count(*) FROM nodes"); n != 200 {
		t.Errorf("got %d nodes, want 200", n)
	}
	if n := count(t, s, "SELECT count(*) FROM states"); n != 5 {
		t.Errorf("got %d states, want 5", n)
	}
}

func TestDurability(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	var mode, sync string
	if err := s.write.QueryRow("PRAGMA journal_mode").Scan(&mode); err != nil {
		t.Fatal(err)
	}
	if err := s.write.QueryRow("PRAGMA synchronous").Scan(&sync); err != nil {
		t.Fatal(err)
	}
	if mode != "wal" || sync != "2" { // 2 is FULL
		t.Errorf("got journal_mode %s, synchronous %s, want wal and 2", mode, sync)
	}
}

func TestFullDisk(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "x.db"))
	mustPut(t, s, report("node-7", "6.6.95"), at(0))
	var pages int
	if err := s.write.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil { // SQLite answers as on a full disk
		t.Fatal(err)
	}
	big := report("node-8", strings.Repeat("x", 1<<20))
	_, err := s.Put(t.Context(), big, at(1))
	if err == nil || !strings.Contains(err.Error(), "the disk is full; free some space") {
		t.Fatalf("got %v, want an error that says that the disk is full", err)
	}
	if _, err := s.write.Exec("PRAGMA max_page_count = 100000"); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, big, at(2)) // there is space again
}

func TestClosed(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), report("node-7", "6.6.95"), at(0)); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

func TestOpenAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new folder", "what? #1 %20.db")
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, report("node-7", "6.6.95"), at(0))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want a file of mode 0600", info, err)
	}
	if n := count(t, open(t, path), "SELECT count(*) FROM nodes"); n != 1 {
		t.Errorf("got %d nodes, want 1", n)
	}
}

func TestUpgrade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(schemas[0] + fmt.Sprintf("; PRAGMA application_id = %d; PRAGMA user_version = 1;", applicationID) + `INSERT INTO maps VALUES ('c', 'cohort'), ('n', 'node'); INSERT INTO states VALUES (1, 'c', 'n');
		INSERT INTO nodes VALUES (1, 'prod', 'node-7', 'v0.1.0', 60000000000, 0, 0, 0, 1, '{}', '', '{}')`)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	nodes, err := s.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(nodes) != 1 || nodes[0].Name != "node-7" || nodes[0].Origin != (wire.Origin{}) {
		t.Errorf("got %+v, want the node of before, without an origin", nodes)
	}
	mustPut(t, s, report("node-7", "6.6.95"), at(1))
}

func TestOpenRefuses(t *testing.T) {
	for _, test := range []struct {
		name    string
		prepare func(t *testing.T, path string)
		want    string
	}{
		{"text", func(t *testing.T, path string) { write(t, path, strings.Repeat("not a database\n", 500)) }, "damaged or no database"},
		{"pages that were overwritten", func(t *testing.T, path string) {
			s, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			mustPut(t, s, report("node-7", strings.Repeat("x", 1<<16)), at(0))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for i := 4096; i < len(b); i++ {
				b[i] = 0xa5
			}
			write(t, path, string(b))
		}, "damaged"},
		{"a newer schema", func(t *testing.T, path string) { alter(t, path, "PRAGMA user_version = 99") }, "its schema is version 99, this program knows 2"},
		{"another program's database", func(t *testing.T, path string) { alter(t, path, "PRAGMA application_id = 7") }, "belongs to another program"},
		{"a folder", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "not a regular file"},
		{"a file for a folder", func(t *testing.T, path string) {
			write(t, filepath.Dir(path)+"/f", "")
		}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			test.prepare(t, path)
			if test.want == "" {
				path, test.want = filepath.Join(filepath.Dir(path), "f", "x.db"), "its folder cannot be made"
			}
			s, err := Open(path)
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want %q and the path", err, test.want)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func alter(t *testing.T, path, sql string) {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.Exec(sql); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenInAFolderThatCannotBeWritten(t *testing.T) {
	path := "/proc/self/x.db" // not even root can create a file there
	if _, err := os.Stat("/proc/self"); err != nil {
		t.Skip("NOT TESTED: there is no /proc")
	}
	_, err := Open(path)
	if err == nil || !strings.Contains(err.Error(), "cannot be written; make it writable for this user or choose another with --db") {
		t.Errorf("got %v, want what to do", err)
	}
}

func BenchmarkPutUnchanged(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "x.db"))
	r := report("node-7", "6.6.95")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Put(context.Background(), r, epoch); err != nil {
				b.Error(err)
			}
		}
	})
}

package node

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// hangingFS never answers for some names until it is released.
type hangingFS struct {
	memHost
	hangs   func(name string) bool
	release chan struct{}
}

func (f *hangingFS) ReadFile(name string, max int64, redact func([]byte) []byte) ([]byte, error) {
	if f.hangs(name) {
		<-f.release
	}
	return f.memHost.ReadFile(name, max, redact)
}

func reasons(facts Facts, word string) (n int) {
	for _, f := range facts {
		if f.Missing != nil && strings.Contains(f.Missing.Reason, word) {
			n++
		}
	}
	return n
}

func TestGatherLeavesAHangingReadBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &hangingFS{release: make(chan struct{}), hangs: func(name string) bool { return name == "proc/sys/kernel/random/boot_id" }} // identity alone reads it
		f.files = map[string]string{"proc/1/mountinfo": "1 0 0:2 / / ro - tmpfs t ro\n", "proc/sys/kernel/hostname": "n1\n", "proc/sys/kernel/random/boot_id": "b\n"}
		h := &Host{FS: f}
		began := time.Now()
		const want = "reading identity: no answer in time: blocked since 2026-07-01T12:00:00Z"
		first := Gather(t.Context(), h, noon)
		if m := first["identity"].Missing; m == nil || m.Code != Blocked || m.Reason != want {
			t.Fatalf("got %+v, want %s", m, want)
		}
		if first["mounts"].Missing != nil {
			t.Errorf("mounts are missing too: %+v", first["mounts"].Missing)
		}
		if took := time.Since(began); took != Deadline {
			t.Errorf("took %v, want %v", took, Deadline)
		}

		goroutines := runtime.NumGoroutine()
		for i := range 20 {
			facts := Gather(t.Context(), h, noon.Add(time.Duration(i+1)*time.Minute))
			if m := facts["identity"].Missing; m == nil || m.Reason != want {
				t.Fatalf("gathered again: got %+v, want %s", m, want)
			}
		}
		synctest.Wait()
		// One a gathering would be 20 more; the runtime's own come and go.
		if n := runtime.NumGoroutine(); n > goroutines+5 {
			t.Errorf("%d goroutines after 20 more gatherings, want about %d", n, goroutines)
		}
		if took := time.Since(began); took != Deadline {
			t.Errorf("20 more gatherings waited %v for what hangs", took-Deadline)
		}

		close(f.release)
		synctest.Wait()
		if f := Gather(t.Context(), h, noon.Add(time.Hour))["identity"]; f.Missing != nil || f.Value.(Identification).Name != "n1" {
			t.Errorf("after the read came back: got %+v", f)
		}
	})
}

// A source that hashes is not started over at every scan where the disk is slow.
func TestGatherKeepsWhatComesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		slow := Source[Passing]{Name: "slow", Every: Hour, Read: func(context.Context, *Host) (Passing, []Gap, error) {
			reads++
			time.Sleep(Deadline + 30*time.Second)
			return Passing{Mounts: 7}, nil, nil
		}}
		h := &Host{FS: &memHost{}}
		if m := gather(t.Context(), h, noon, []AnySource{slow})["slow"].Missing; m == nil || m.Code != Blocked {
			t.Fatalf("got %+v, want that it is blocked", m)
		}
		time.Sleep(time.Minute)
		for i := range 50 {
			f := gather(t.Context(), h, noon.Add(time.Duration(i+1)*time.Minute), []AnySource{slow})["slow"]
			if f.Missing != nil || f.Value.(Passing).Mounts != 7 {
				t.Fatalf("%d minutes later: got %+v", i+1, f)
			}
		}
		if reads != 1 {
			t.Errorf("it was read %d times within the hour, want once", reads)
		}
	})
}

// What all wait for is waited for once.
func TestGatherWaitsOnceForTheMountTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &hangingFS{release: make(chan struct{}), hangs: func(name string) bool { return name == "proc/1/mountinfo" }}
		f.files = map[string]string{"proc/1/mountinfo": "1 0 0:2 / / ro - tmpfs t ro\n"}
		h := &Host{FS: f}
		needMounts := func(name string) AnySource {
			return Source[Passing]{Name: name, Every: Scan, Read: func(_ context.Context, h *Host) (Passing, []Gap, error) {
				_, err := h.gathering.mounts()
				return Passing{}, nil, err
			}}
		}
		sources := []AnySource{Mounts, needMounts("a"), needMounts("b"), needMounts("c"), PassingMounts}
		began := time.Now()
		for i := range 10 {
			facts := gather(t.Context(), h, noon.Add(time.Duration(i)*time.Minute), sources)
			if n := reasons(facts, "reading the mount table: no answer in time: blocked since 2026-07-01T12:00:00Z"); n != len(sources) {
				t.Fatalf("%d facts are missing for it, want %d: %+v", n, len(sources), facts)
			}
		}
		if took := time.Since(began); took != sharedDeadline {
			t.Errorf("took %v, want %v", took, sharedDeadline)
		}
		close(f.release)
		synctest.Wait()
		if facts := gather(t.Context(), h, noon, sources); reasons(facts, "") != 0 {
			t.Errorf("after the read came back: got %+v", facts)
		}
	})
}

func TestGatherEndsAsAWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var sources []AnySource
		for i := range 10 {
			sources = append(sources, Source[Passing]{Name: fmt.Sprint("s", i), Every: Scan, Read: func(context.Context, *Host) (Passing, []Gap, error) {
				<-release
				return Passing{}, nil, nil
			}})
		}
		began := time.Now()
		facts := gather(t.Context(), &Host{FS: &memHost{}}, noon, sources)
		if took := time.Since(began); took != wholeDeadline {
			t.Errorf("took %v, want %v", took, wholeDeadline)
		}
		if n := reasons(facts, "blocked since"); n < 2 {
			t.Errorf("%d facts are blocked, want 2 or more", n)
		}
		if n := reasons(facts, "all sources together took longer than 30s"); n < 7 {
			t.Errorf("%d facts were not read for want of time, want 7 or more", n)
		}
		close(release)
		synctest.Wait()
	})
}

// Sources that hash on a slow disk do not make unknown what is read at every scan.
func TestGatherReadsWhatIsReadAtEveryScanFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sources []AnySource
		for i := range 5 {
			sources = append(sources, Source[Passing]{Name: fmt.Sprint("slow", i), Every: Hour, Read: func(context.Context, *Host) (Passing, []Gap, error) {
				time.Sleep(9 * time.Second)
				return Passing{}, nil, nil
			}})
		}
		sources = append(sources, Source[Passing]{Name: "quick", Every: Scan, Read: func(context.Context, *Host) (Passing, []Gap, error) { return Passing{}, nil, nil }})
		h := &Host{FS: &memHost{}}
		facts := gather(t.Context(), h, noon, sources)
		if m := facts["quick"].Missing; m != nil {
			t.Errorf("got %+v", m)
		}
		if facts["slow4"].Missing == nil {
			t.Error("the slow ones took all the time and are there")
		}
		time.Sleep(time.Minute)
		if facts = gather(t.Context(), h, noon.Add(time.Minute), sources); reasons(facts, "") != 0 {
			t.Errorf("a minute later: got %+v", facts)
		}
	})
}

func TestGatherStopsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &hangingFS{release: make(chan struct{}), hangs: func(string) bool { return true }}
		h := &Host{FS: f}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		facts := Gather(ctx, h, noon)
		if took := time.Since(began); took != time.Second {
			t.Errorf("took %v, want 1s", took)
		}
		if n := reasons(facts, "context canceled"); n != len(Sources()) || len(facts) != n {
			t.Errorf("%d of %d facts say why", n, len(Sources()))
		}
		// The read that was under way still holds its thread: it is not started again.
		if m := Gather(t.Context(), h, noon)["mounts"].Missing; m == nil || !strings.Contains(m.Reason, "blocked since 2026-07-01T12:00:00Z") {
			t.Errorf("gathered again: got %+v", m)
		}
		close(f.release)
		synctest.Wait()
	})
}

func TestGatherSurvivesAPanic(t *testing.T) {
	f := &memHost{files: map[string]string{"proc/1/mountinfo": "1 0 0:2 / / ro - tmpfs t ro\n"}}
	f.asked = func(_, name string) {
		if name == "proc/sys/kernel/hostname" {
			panic("a parser fell over")
		}
	}
	facts := Gather(t.Context(), &Host{FS: f}, noon)
	if m, want := facts["identity"].Missing, "reading identity: the reader broke: a parser fell over"; m == nil || m.Code != Malformed || m.Reason != want {
		t.Errorf("got %+v, want %s", m, want)
	}
	if facts["mounts"].Missing != nil {
		t.Errorf("mounts are missing too: %+v", facts["mounts"].Missing)
	}

	f.asked = func(_, name string) {
		if name == "proc/1/mountinfo" {
			panic("the parser of mounts fell over")
		}
	}
	facts = Gather(t.Context(), &Host{FS: f}, noon)
	if n := reasons(facts, "reading the mount table: the reader broke: the parser of mounts fell over"); n < 2 {
		t.Errorf("%d facts say that the shared reader broke, want those of mounts and passing-mounts: %+v", n, facts)
	}
}

func TestGatherReadsEachSourceWhenDue(t *testing.T) {
	reads := map[string]int{}
	source := func(name string, every Every, gaps ...Gap) AnySource {
		return Source[Passing]{Name: name, Every: every, Read: func(context.Context, *Host) (Passing, []Gap, error) {
			reads[name]++
			return Passing{}, gaps, nil
		}}
	}
	gap := Gap{What: "x", Code: Denied, Reason: "y"}
	broken := Source[Passing]{Name: "boot-missing", Every: AtBoot, Read: func(context.Context, *Host) (Passing, []Gap, error) {
		reads["boot-missing"]++
		return Passing{}, nil, &Error{"reading", "/x", Denied, ""}
	}}
	sources := []AnySource{source("scan", Scan), source("hour", Hour), source("boot", AtBoot), source("boot-gaps", AtBoot, gap), broken}
	h := &Host{FS: &memHost{}}
	for _, minutes := range []int{0, 1, 59, 60, 61, 121} {
		facts := gather(t.Context(), h, noon.Add(time.Duration(minutes)*time.Minute), sources)
		if len(facts) != len(sources) {
			t.Errorf("%d facts after %d minutes, want %d", len(facts), minutes, len(sources))
		}
	}
	for name, want := range map[string]int{"scan": 6, "hour": 3, "boot": 1, "boot-gaps": 3, "boot-missing": 6} {
		if reads[name] != want {
			t.Errorf("%s was read %d times, want %d", name, reads[name], want)
		}
	}
}

func TestGatherHasEverySource(t *testing.T) {
	facts := Gather(t.Context(), &Host{FS: &memHost{}}, noon)
	seen := map[string]bool{}
	for _, s := range Sources() {
		info := s.Info()
		if seen[info.Name] {
			t.Errorf("two sources are called %s", info.Name)
		}
		seen[info.Name] = true
		f, ok := facts[info.Name]
		if !ok || f.Gaps == nil || f.Evidence == nil || (f.Missing == nil) == (f.Value == nil) {
			t.Errorf("%s: got %+v, want a value or why it is missing", info.Name, f)
		}
		if info.Doc == "" || info.Scope == "" || info.Every == "" {
			t.Errorf("%s does not say what it is: %+v", info.Name, info)
		}
	}
}

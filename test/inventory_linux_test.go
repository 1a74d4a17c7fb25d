package test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/hostfs"
)

// executables fills a folder with executables of equal size in folders of a
// hundred.
func executables(b *testing.B, dir string, files int, size int) {
	b.Helper()
	content := make([]byte, size)
	random := rand.NewChaCha8([32]byte{})
	for i := range files {
		_, _ = random.Read(content[:min(len(content), 64)]) // no two alike
		at := filepath.Join(dir, fmt.Sprintf("%03d", i/100))
		if err := os.MkdirAll(at, 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(at, fmt.Sprintf("%02d", i%100)), content, 0o755); err != nil {
			b.Fatal(err)
		}
	}
}

// aTree is a host whose /opt has these executables. It has the mount table of a
// writable root.
func aTree(b *testing.B, files, size int) string {
	b.Helper()
	root := b.TempDir()
	for name, content := range map[string]string{"proc/1/mountinfo": "26 1 254:9 / / rw,relatime - ext4 /dev/vda9 rw\n", "etc/passwd": "", "tmp/x": ""} {
		at := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(content), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	executables(b, filepath.Join(root, "opt"), files, size)
	return root
}

// BenchmarkInventory is what an hour's inventories cost, the pages of the tree
// being in memory: processor time of the whole program and of all sources, of which
// the inventory is all but nothing on such a tree. "first" has hashed nothing yet;
// "again" finds everything unchanged; "hours" is how many readings a tree takes
// until it is whole, at the bounds that a reading has.
func BenchmarkInventory(b *testing.B) {
	for _, tt := range []struct {
		name        string
		files, size int
	}{
		{"60-files-300-MB", 60, 5 << 20},        // a node with its kubelet and network plugins
		{"4000-files-400-MB", 4000, 100 << 10},  // all that one fact holds
		{"20000-files-2-GB", 20_000, 100 << 10}, // more than one fact holds
	} {
		b.Run(tt.name, func(b *testing.B) {
			root := aTree(b, tt.files, tt.size)
			at := theTime
			for b.Loop() {
				host, err := hostfs.Tree(root)
				if err != nil {
					b.Fatal(err)
				}
				hour := func() (time.Duration, bool) {
					before := cpuTime()
					facts := node.Gather(b.Context(), host, at)
					spent := cpuTime() - before
					at = at.Add(time.Hour)
					inv, gaps, missing := node.StoredExecutables.Of(facts)
					if missing != nil || len(inv.Files) == 0 {
						b.Fatalf("got %d files, %v, %v", len(inv.Files), gaps, missing)
					}
					for _, g := range gaps {
						if strings.Contains(g.Reason, "the next reading goes on there") {
							return spent, false
						}
					}
					return spent, true
				}
				first, whole := hour()
				hours, worst := 1, first
				for ; !whole; hours++ {
					var spent time.Duration
					spent, whole = hour()
					worst = max(worst, spent)
				}
				again, _ := hour()
				b.ReportMetric(first.Seconds()*1000, "first-cpu-ms")
				b.ReportMetric(worst.Seconds()*1000, "worst-cpu-ms")
				b.ReportMetric(again.Seconds()*1000, "again-cpu-ms")
				b.ReportMetric(float64(hours), "hours")
			}
		})
	}
}

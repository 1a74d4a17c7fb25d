package node

import (
	"os"
	"path/filepath"
	"testing"
)

// The files that this machine's packages bring are of the formats that the
// parsers take: what they refuse of them, they would refuse on a node.
func TestDefinitionsOfThisMachine(t *testing.T) {
	for _, tt := range []struct{ parser, pattern string }{
		{"unit", "/usr/lib/systemd/system/*.[stpm]*"},
		{"unit", "/usr/lib/systemd/user/*.[stpm]*"},
		{"unit", "/usr/lib/systemd/system/*.d/*.conf"},
		{"udev", "/usr/lib/udev/rules.d/*.rules"},
		{"modprobe", "/usr/lib/modprobe.d/*.conf"},
		{"modules", "/usr/lib/modules-load.d/*.conf"},
		{"pam", "/etc/pam.d/*"},
		{"crontab", "/etc/cron.d/*"},
		{"crontab", "/etc/crontab"},
	} {
		names, err := filepath.Glob(tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		n, starts := 0, 0
		for _, name := range names {
			if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
				continue
			}
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			found, err := startParsers[tt.parser](b)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			n++
			starts += len(found)
		}
		t.Logf("%s: %d files start %d programs or modules", tt.pattern, n, starts)
	}
}

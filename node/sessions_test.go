package node

import (
	"bytes"
	"context"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sessionFile has the form of systemd's src/login/logind-session.c, session_save.
const sessionFile = `# This is private data. Do not parse.
UID=1000
USER=core
ACTIVE=1
IS_DISPLAY=1
STATE=active
REMOTE=1
LEADER_FD_SAVED=1
TYPE=tty
CLASS=user
SCOPE=session-4.scope
FIFO=/run/systemd/sessions/4.ref
REMOTE_HOST=192.0.2.7
SERVICE=sshd
LEADER=4711
AUDIT=4
REALTIME=1700000000000000
`

func TestParseSession(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       Session
		person     bool
		err        string
	}{
		{"over SSH", sessionFile, Session{"core", "tty", "sshd", "yes"}, true, ""},
		{"at the console", "USER=root\nTYPE=tty\nCLASS=user\nSTATE=active\nSERVICE=login\nREMOTE=0\n", Session{"root", "tty", "login", "no"}, true, ""},
		{"closing", strings.Replace(sessionFile, "STATE=active", "STATE=closing", 1), Session{"core", "tty", "sshd", "yes"}, false, ""},
		{"cron", "USER=root\nTYPE=unspecified\nCLASS=background\nSERVICE=crond\n", Session{"root", "unspecified", "crond", "no"}, false, ""},
		{"the user's manager, systemd 256", "USER=core\nTYPE=unspecified\nCLASS=manager\nSERVICE=systemd-user\n", Session{"core", "unspecified", "systemd-user", "no"}, false, ""},
		{"user-early, systemd 256", "USER=root\nCLASS=user-early\n", Session{"root", "", "", "no"}, true, ""},
		{"no user", "TYPE=tty\n", Session{}, false, "names no user"},
		{"two users", "USER=a\nUSER=b\n", Session{}, false, "stands twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			redacted := redactSession([]byte(tt.text))
			if bytes.Contains(redacted, []byte("192.0.2.7")) || bytes.Contains(redacted, []byte("4711")) || !bytes.Equal(redacted, redactSession(redacted)) {
				t.Errorf("redacted: %q", redacted)
			}
			got, person, err := parseSession(redacted)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || got != tt.want || person != tt.person {
				t.Errorf("got %+v, %v, %v; want %+v, %v", got, person, err, tt.want, tt.person)
			}
		})
	}
}

// utmpEntry is one record with what may not leave the node in it.
func utmpEntry(size int, kind uint16, pid uint32, line, user string) []byte {
	b := make([]byte, size)
	binary.NativeEndian.PutUint16(b, kind)
	binary.NativeEndian.PutUint32(b[utmpPID:], pid)
	copy(b[utmpLine:], line)
	copy(b[utmpID:], "id")
	copy(b[utmpUser:], user+"\x00canary") // what an earlier entry has left
	copy(b[utmpHost:], "canary.example.org")
	binary.NativeEndian.PutUint32(b[size-60:], 0x7f7f7f7f) // a time
	return b
}

func TestUTMP(t *testing.T) {
	for _, size := range []int{utmpShort, utmpLong} {
		b := bytes.Join([][]byte{utmpEntry(size, 2, 0, "~", "reboot"), utmpEntry(size, 7, 42, "pts/3", "core"), utmpEntry(size, 8, 43, "tty1", "")}, nil)
		redacted := redactUTMP(b)
		if bytes.Contains(redacted, []byte("canary")) || !bytes.Equal(redacted, redactUTMP(redacted)) || bytes.Contains(redacted, []byte{0x7f, 0x7f}) {
			t.Errorf("%d bytes a record: redacted %q", size, redacted)
		}
		got, err := parseUTMP(redacted)
		want := []utmpRecord{{2, 0, Login{"reboot", "~"}}, {7, 42, Login{"core", "pts/3"}}, {8, 43, Login{"", "tty1"}}}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(utmpRecord{})); err != nil || d != "" {
			t.Errorf("%d bytes a record: %v\n%s", size, err, d)
		}
	}
	for _, text := range []string{"x", strings.Repeat("x", utmpShort)} {
		if got := redactUTMP([]byte(text)); string(got) != "no utmp" {
			t.Errorf("%.10q is redacted to %.40q", text, got)
		}
	}
	if _, err := parseUTMP([]byte("no utmp")); err == nil {
		t.Error("what is no utmp was accepted")
	}
}

func FuzzUTMP(f *testing.F) {
	f.Add(utmpEntry(utmpShort, 7, 42, "pts/3", "core"))
	f.Add(utmpEntry(utmpLong, 7, 42, "pts/3", "core"))
	f.Add([]byte("no utmp"))
	f.Fuzz(func(t *testing.T, b []byte) {
		once := redactUTMP(b)
		if twice := redactUTMP(once); !bytes.Equal(once, twice) {
			t.Errorf("redacted twice: %q, then %q", once, twice)
		}
		records, err := parseUTMP(once)
		if err == nil && len(records)*utmpSize(once) != len(once) && len(once) > 0 {
			t.Errorf("%d records of %d bytes", len(records), len(once))
		}
	})
}

func TestParseTerminal(t *testing.T) {
	for _, tt := range []struct {
		text string
		want bool
		bad  bool
	}{
		{"42 (bash) S 41 42 42 34816 50 4194304 1 2\n", true, false},
		{"42 (sh) S 1 42 42 0 -1 4194304\n", false, false},
		{"42 (a) S (b)) S 41 42 42 1025 50\n", true, false},
		{"42 (bash) S 41 42\n", false, true},
		{"42 (bash) S 41 42 42 x 50\n", false, true},
		{"", false, true},
	} {
		got, err := parseTerminal([]byte(tt.text))
		if got != tt.want || (err != nil) != tt.bad {
			t.Errorf("%q: got %v, %v", tt.text, got, err)
		}
	}
}

func FuzzSession(f *testing.F) {
	f.Add(sessionFile)
	f.Add("42 (bash) S 41 42 42 34816 50 4194304 1 2\n")
	f.Fuzz(func(t *testing.T, text string) {
		once := redactSession([]byte(text))
		if twice := redactSession(once); !bytes.Equal(once, twice) {
			t.Errorf("redacted twice: %q, then %q", once, twice)
		}
		if s, _, err := parseSession(once); err == nil && s.User == "" {
			t.Errorf("a session of nobody: %+v", s)
		}
		parseTerminal([]byte(text))
	})
}

// readSessionsOf reads the fact with these processes.
func readSessionsOf(t *testing.T, files map[string]string, p ...process) (SessionState, []Gap) {
	t.Helper()
	h := (&memHost{files: files}).host()
	h.gathering.processes = func() (*processTable, error) { return &processTable{processes: p}, nil }
	v, gaps, err := Sessions.Read(context.Background(), h)
	if err != nil {
		t.Fatal(err)
	}
	return v, gaps
}

func TestSessions(t *testing.T) {
	const uid = "0a1b2c3d-0000-4000-8000-000000000001"
	pod := placement{container: "c1", pod: uid, cgroup: "/kubepods/besteffort/pod" + uid + "/c1"}
	files := map[string]string{
		"run/systemd/sessions/4": sessionFile, "run/systemd/sessions/4.ref/x": "", "run/systemd/sessions/.#4": "USER=x\n",
		"run/systemd/machines/core-toolbox": "NAME=core-toolbox\n", "run/systemd/machines/unit:machine-core.scope": "-> core-toolbox",
		"run/utmp":                         string(utmpEntry(utmpShort, 7, 50, "pts/0", "core")) + string(utmpEntry(utmpShort, 7, 51, "tty1", "root")),
		"var/lib/toolbox/root-image/bin/x": "",
		"var/log/pods/default_node-debugger-n1-abcde_" + uid + "/x": "", "var/log/pods/kube-system_proxy_u/x": "",
		"proc/50/stat": "50 (bash) S 1 50 50 34816 50 0\n", "proc/60/stat": "60 (sh) S 1 60 60 0 -1 0\n",
	}
	got, gaps := readSessionsOf(t, files,
		process{pid: 50, dir: "proc/50", exe: "/usr/bin/bash", placement: placement{unit: "/user.slice/user-N.slice/session-N.scope"}},
		process{pid: 60, dir: "proc/60", exe: "/usr/bin/sh", placement: placement{unit: "/system.slice/x.service"}},
		process{pid: 64, dir: "proc/60", comm: "ash", exe: "/bin/busybox", placement: placement{unit: "/"}},
		process{pid: 65, dir: "proc/60", comm: "timeout", exe: "/bin/busybox"},
		process{pid: 61, dir: "proc/61", exe: "/usr/bin/bash", args: []string{"bash", "--", "/usr/bin/script"}},
		process{pid: 62, dir: "proc/62", exe: "/usr/bin/bash", placement: pod},
		process{pid: 63, dir: "proc/63", exe: "/usr/bin/zsh"}, // gone meanwhile
		process{pid: 70, dir: "proc/70", comm: "toolbox", exe: "/usr/bin/toolbox", placement: placement{container: "c2"}},
		process{pid: 71, dir: "proc/71", exe: "/usr/bin/host-ctr", placement: placement{cgroup: `/system.slice/system-host\x2dcontainers.slice/host-containers@admin.service`}},
		process{pid: 72, dir: "proc/72", exe: "/usr/bin/amazon-ssm-agent", placement: placement{cgroup: "/default/control", container: "control"}},
	)
	want := SessionState{
		Logind:   "yes",
		Sessions: []Session{{"core", "tty", "sshd", "yes"}},
		Logins:   []Login{{"core", "pts"}},
		Shells: []Shell{
			{"/bin/busybox", "/", "no"},
			{"/usr/bin/bash", "/user.slice/user-N.slice/session-N.scope", "yes"},
			{"/usr/bin/sh", "/system.slice/x.service", "no"},
		},
		DebugPods:      []DebugPod{{"default/node-debugger-n1-abcde", true}},
		Toolboxes:      []Toolbox{{"root-image", "left"}, {"core-toolbox", "machine"}, {"toolbox", "podman"}},
		HostContainers: []string{"admin", "control"},
	}
	if d := cmp.Diff(want, got); d != "" || len(gaps) > 0 {
		t.Errorf("%v (-want +got):\n%s", gaps, d)
	}
}

func TestSessionsThatCannotBeRead(t *testing.T) {
	shell := process{pid: 50, dir: "proc/50", exe: "/usr/bin/bash"}
	for _, tt := range []struct{ name, file, content, part string }{
		{"sessions denied", "run/systemd/sessions/4", "! denied", "sessions"},
		{"a session that is none", "run/systemd/sessions/4", "CLASS=user\n", "sessions"},
		{"utmp denied", "run/utmp", "! denied", "logins"},
		{"utmp that is none", "run/utmp", "hello", "logins"},
		{"a terminal that is not shown", "proc/50/stat", "! denied", "shells"},
		{"machines denied", "run/systemd/machines", "! denied", "toolboxes"},
		{"logs of pods denied", "var/log/pods", "! denied", "debugPods"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{"run/systemd/x": "", "proc/50/stat": "50 (bash) S 1 50 50 0 50 0\n"}
			files[tt.file] = tt.content
			_, gaps := readSessionsOf(t, files, shell)
			if len(gaps) != 1 || gaps[0].Part != tt.part {
				t.Errorf("got %v; want one gap in %s", gaps, tt.part)
			}
		})
	}
	t.Run("no logind, no utmp: both are values", func(t *testing.T) {
		v, gaps := readSessionsOf(t, map[string]string{"run/": ""})
		if v.Logind != "absent" || len(gaps) > 0 {
			t.Errorf("got %q, %v", v.Logind, gaps)
		}
	})
	t.Run("without /run nothing is known", func(t *testing.T) {
		v, gaps := readSessionsOf(t, nil)
		if v.Logind != "" || len(gaps) != 1 {
			t.Errorf("got %q, %v", v.Logind, gaps)
		}
	})
}

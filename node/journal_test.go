package node

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// netlinkText is from a machine with Linux 6.18; the two sockets of audit (9) are
// added: one that sends, as sshd's does, and one in the group of journald's.
const netlinkText = `sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
00000000eebbe2d9 0   0          00000000 0        0        0     2        0        4       
00000000c5442744 4   0          00000000 0        0        0     2        0        562     
00000000e9232711 9   812        00000000 0        0        0     2        0        564     
`

const followedText = netlinkText + "00000000e9232712 9   1          00000001 0        0        0     2        0        565     \n"

func logsHost(files map[string]string, info map[string]FileInfo, processes ...process) *Host {
	h := (&memHost{files: files, info: info}).host()
	h.gathering.processes = func() (*processTable, error) { return &processTable{processes: processes}, nil }
	return h
}

func TestLogs(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef"
	const journal, runs = "var/log/journal/" + id, "usr/lib/systemd/systemd-journald"
	journald := process{pid: 300, comm: "systemd-journal", exe: "/" + runs}
	audit := KernelAudit{"yes", "no"}
	modes := func(list ...LogMode) []LogMode { return append([]LogMode{}, list...) }
	none := []LogFolder{{"/var/log/journal", "no", modes()}, {"/run/log/journal", "no", modes()}}
	base := func(more map[string]string) map[string]string {
		files := map[string]string{"proc/1/loginuid": "4294967295", "proc/1/net/netlink": netlinkText}
		for k, v := range more {
			files[k] = v
		}
		return files
	}
	for _, row := range []struct {
		name      string
		files     map[string]string
		info      map[string]FileInfo
		processes []process
		want      LogState
		gaps      []string
	}{
		{name: "Talos: no journald", files: base(nil), want: LogState{"absent", map[string]LogSetting{}, none, audit}},
		{name: "journals that grow in number are one mode", processes: []process{journald},
			files: base(map[string]string{runs: "", journal + "/system.journal": "", journal + "/system@a.journal": "", journal + "/user-1000.journal": "", "var/log/journal/remote/x.journal": ""}),
			info: map[string]FileInfo{
				"var/log/journal": {Type: Directory, Mode: 0o2755, GID: 190}, journal: {Type: Directory, Mode: 0o2755, GID: 190},
				journal + "/system.journal": {Type: Regular, Mode: 0o640, GID: 190}, journal + "/system@a.journal": {Type: Regular, Mode: 0o640, GID: 190}, journal + "/user-1000.journal": {Type: Regular, Mode: 0o644, GID: 190},
			},
			want: LogState{"runs", map[string]LogSetting{}, []LogFolder{
				{"/var/log/journal", "yes", modes(LogMode{Directory, 0o2755, 0, 190}, LogMode{Regular, 0o640, 0, 190}, LogMode{Regular, 0o644, 0, 190})}, none[1]}, audit}},
		{name: "drop-ins: the name decides the order, the folder which of two", processes: []process{journald},
			files: base(map[string]string{
				"etc/systemd/journald.conf":                      "[Journal]\nStorage=auto\nSeal=yes\n",
				"usr/lib/systemd/journald.conf":                  "[Journal]\nCompress=no\n",
				"usr/lib/systemd/journald.conf.d/50-a.conf":      "[Journal]\nStorage=persistent\nSeal=\n",
				"run/systemd/journald.conf.d/40-b.conf":          "[Journal]\nStorage=none\n[Other]\nStorage=x\n",
				"etc/systemd/journald.conf.d/60-c.conf":          "-> /dev/null",
				"usr/lib/systemd/journald.conf.d/60-c.conf":      "[Journal]\nStorage=volatile\n",
				"usr/lib/systemd/journald.conf.d/70-d.conf.orig": "[Journal]\nStorage=volatile\n",
				"etc/systemd/journald.conf.d/80-e.conf":          "[Journal]\nForwardToSocket=203.0.113.7:2000\n",
				"dev/null":                                       "",
			}),
			want: LogState{"runs", map[string]LogSetting{
				"Storage":         {"persistent", "/usr/lib/systemd/journald.conf.d/50-a.conf"},
				"ForwardToSocket": {"set", "/etc/systemd/journald.conf.d/80-e.conf"},
			}, none, audit}},
		{name: "somebody reads the kernel's records", files: map[string]string{"proc/1/loginuid": "", "proc/1/net/netlink": followedText},
			want: LogState{"absent", map[string]LogSetting{}, none, KernelAudit{"yes", "yes"}}},
		{name: "a kernel without audit", files: map[string]string{"proc/1/comm": "systemd\n"}, want: LogState{"absent", map[string]LogSetting{}, none, KernelAudit{"no", "no"}}},
		{name: "denied", processes: []process{journald},
			files: map[string]string{"etc/systemd/journald.conf": "! denied", "var/log/journal": "! denied", "proc/1/loginuid": "", "proc/1/net/netlink": "! denied"},
			want:  LogState{"runs", map[string]LogSetting{}, []LogFolder{{"/var/log/journal", "unknown", modes()}, none[1]}, KernelAudit{"yes", ""}},
			gaps:  []string{"settings: reading /etc/systemd/journald.conf: permission denied", "folders: looking at /var/log/journal: permission denied", "audit: reading /proc/1/net/netlink: permission denied"}},
		{name: "one machine's journals are denied: the gap has no id in it", processes: []process{journald}, files: base(map[string]string{journal: "! denied"}),
			want: LogState{"runs", map[string]LogSetting{}, []LogFolder{{"/var/log/journal", "yes", modes(LogMode{Directory, 0o755, 0, 0})}, none[1]}, audit},
			gaps: []string{"folders: looking at /var/log/journal/<machine-id>: permission denied"}},
		{name: "a configuration that systemd would warn of", files: base(map[string]string{"etc/systemd/journald.conf": "Storage=none\n"}),
			want: LogState{"absent", map[string]LogSetting{}, none, audit}, gaps: []string{`settings: line 1 "Storage=none": want key=value in a section`}},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, gaps, err := Logs.Read(context.Background(), logsHost(row.files, row.info, row.processes...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			var texts []string
			for _, g := range gaps {
				texts = append(texts, g.Part+": "+g.Reason)
				if strings.Contains(g.String(), id) {
					t.Errorf("the gap %q differs between equal nodes", g)
				}
			}
			if diff := cmp.Diff(row.gaps, texts); diff != "" {
				t.Errorf("gaps, -want +got:\n%s", diff)
			}
		})
	}
}

func TestLogPrograms(t *testing.T) {
	h := logsHost(nil, nil,
		process{pid: 1, exe: "/usr/lib/systemd/systemd"},
		process{pid: 2, exe: "/usr/sbin/chronyd"}, process{pid: 3, exe: "/usr/sbin/chronyd"},
		process{pid: 4, exe: "/usr/bin/fluent-bit", placement: placement{container: "abc"}},
		process{pid: 5, comm: "auditd", exeErr: &Error{"reading link", "/proc/5/exe", Denied, ""}},
	)
	got, gaps, err := LogPrograms.Read(context.Background(), h)
	if err != nil || len(gaps) > 0 {
		t.Fatalf("got %v, %v", gaps, err)
	}
	want := LogProgramState{[]LogProgram{{Name: "chronyd", Role: "keeps-time", Path: "/usr/sbin/chronyd"}, {Name: "fluent-bit", Role: "ships", Container: true}}, "some"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	h.gathering.processes = func() (*processTable, error) {
		return &processTable{gaps: []Gap{{What: "processes", Code: Denied}}}, nil
	}
	if got, gaps, err = LogPrograms.Read(context.Background(), h); err != nil || len(gaps) != 1 || got.Containers != "none" {
		t.Errorf("got %+v, %v, %v, want the gap of the process table", got, gaps, err)
	}
	h.gathering.processes = func() (*processTable, error) { return nil, &Error{"listing", "/proc", Absent, ""} }
	if got, _, err = LogPrograms.Read(context.Background(), h); err == nil {
		t.Errorf("without processes: got %+v, want an error", got)
	}
}

func TestParseSystemdConfig(t *testing.T) {
	for _, row := range []struct {
		name, text string
		want       []systemdSetting
		err        string
	}{
		{"as shipped, all commented out", "#  This file is part of systemd.\n\n[Journal]\n#Storage=auto\n", nil, ""},
		{"blanks and a comment of the other kind", "[Journal]\n ; x\n Storage = persistent \n", []systemdSetting{{"Storage", "persistent"}}, ""},
		{"a line in two parts with a comment between", "[Journal]\nTTYPath=/dev/ \\\n# x\ntty1\n", []systemdSetting{{"TTYPath", "/dev/  tty1"}}, ""},
		{"an empty value takes back", "[Journal]\nStorage=\n", []systemdSetting{{"Storage", ""}}, ""},
		{"another section", "[Upload]\nURL=x\n[Journal]\nA=1\n[X]\nA=2\n", []systemdSetting{{"A", "1"}}, ""},
		{"no newline at the end", "[Journal]\nA=1", []systemdSetting{{"A", "1"}}, ""},
		{"no section", "A=1\n", nil, `line 1 "A=1": want key=value in a section`},
		{"no value", "[Journal]\nStorage\n", nil, `line 2 "Storage": want key=value in a section`},
		{"an open section", "[Journal\n", nil, `line 1 "[Journal": the section is not closed`},
		{"a last line that goes on", "[Journal]\nA=1 \\\n", nil, "line 2: the last line is continued and there is none"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := parseSystemdConfig([]byte(row.text), "Journal")
			if diff := cmp.Diff(row.want, got, cmp.AllowUnexported(systemdSetting{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if text := errorText(err); text != row.err {
				t.Errorf("got error %q, want %q", text, row.err)
			}
		})
	}
}

func FuzzParseSystemdConfig(f *testing.F) {
	f.Add([]byte("#  This file is part of systemd.\n\n[Journal]\nStorage=persistent\nTTYPath=/dev/ \\\n tty1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseSystemdConfig(b, "Journal")
		if err != nil && got != nil || len(got) > strings.Count(string(b), "=") {
			t.Errorf("got %v, %v of %q", got, err, b)
		}
		for _, s := range got {
			if s.key == "" || strings.ContainsAny(s.key, "=\n") || strings.Contains(s.value, "\n") {
				t.Errorf("got %q of %q", s, b)
			}
		}
	})
}

func TestSystemdCommentsStay(t *testing.T) {
	text := "# the password is canary-4711\n[Journal]\n  ; canary-4711\nTTYPath=/dev/ \\\n\nStorage=none\n"
	got := redactSystemdConfig([]byte(text))
	if bytes.Contains(got, []byte("canary")) || !bytes.Equal(redactSystemdConfig(got), got) {
		t.Errorf("got %q", got)
	}
	before, err := parseSystemdConfig([]byte(text), "Journal")
	after, afterErr := parseSystemdConfig(got, "Journal")
	if diff := cmp.Diff(before, after, cmp.AllowUnexported(systemdSetting{})); diff != "" || err != nil || afterErr != nil {
		t.Errorf("%v, %v: -before +after:\n%s", err, afterErr, diff)
	}
}

// A folder of journals that somebody filled is not looked through to its end.
func TestJournalsAreBounded(t *testing.T) {
	files := map[string]string{}
	for i := range 30 {
		files[fmt.Sprintf("var/log/journal/m%d/%d.journal", i%3, i)] = ""
	}
	for _, most := range []int{100, 20} {
		f, gaps := readLogFolder((&memHost{files: files}).host(), "var/log/journal", most)
		if len(f.Modes) != 2 {
			t.Errorf("at most %d: got %+v", most, f)
		}
		if whole := len(gaps) == 0; whole != (most == 100) {
			t.Errorf("at most %d: got gaps %v", most, gaps)
		}
		for _, g := range gaps {
			if g.Code != TooLarge || g.Part != "folders" || g.Count != 0 {
				t.Errorf("got %+v", g)
			}
		}
	}
}

func TestParseAuditFollowed(t *testing.T) {
	for _, row := range []struct {
		name, text string
		want       bool
		err        string
	}{
		{"a program that sends records only", netlinkText, false, ""},
		{"one that reads them", followedText, true, ""},
		{"the group's number with another protocol", strings.Replace(followedText, " 9   1 ", " 15  1 ", 1), false, ""},
		{"empty", "", false, "the table of netlink sockets is empty"},
		{"another table", "Num RefCount\n", false, `first line "Num RefCount\n": not the heading of a table of netlink sockets`},
		{"a short line", netlinkText + "0 9\n", false, `netlink line 5 "0 9\n": 2 fields, want at least 4`},
		{"groups that are no number", netlinkText + "0 9 1 x\n", false, `netlink line 5 "0 9 1 x\n": groups "x"`},
	} {
		got, err := parseAuditFollowed([]byte(row.text))
		if got != row.want || errorText(err) != row.err {
			t.Errorf("%s: got %t, %q, want %t, %q", row.name, got, errorText(err), row.want, row.err)
		}
	}
}

func FuzzParseAuditFollowed(f *testing.F) {
	f.Add([]byte(netlinkText))
	f.Add([]byte(followedText))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := parseAuditFollowed(b); got && (err != nil || !strings.Contains(string(b), "9")) {
			t.Errorf("got %t, %v of %q", got, err, b)
		}
	})
}

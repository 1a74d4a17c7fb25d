package node

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Of the manual page proc_pid_maps(5), and a few lines of Debian 13.
const someMaps = `00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/dbus-daemon
00651000-00652000 r--p 00051000 08:02 173521      /usr/bin/dbus-daemon
00652000-00655000 rw-p 00052000 08:02 173521      /usr/bin/dbus-daemon
00e03000-00e24000 rw-p 00000000 00:00 0           [heap]
35b1800000-35b1820000 r-xp 00000000 08:02 135522  /usr/lib64/ld-2.15.so
35b1a21000-35b1a22000 rw-p 00000000 00:00 0
f2c6ff8c000-7f2c7078c000 rw-p 00000000 00:00 0    [stack:986]
7ffd4a0e5000-7ffd4a0e7000 r-xp 00000000 00:00 0                          [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
`

func TestMaps(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		want       []codeMap
		err        string
	}{
		{"of the manual page", someMaps, []codeMap{{"8:2", 173521, "/usr/bin/dbus-daemon", false}, {"8:2", 135522, "/usr/lib64/ld-2.15.so", false}}, ""},
		{"nothing", "", nil, ""},
		{"a device in hexadecimal", "0-1 r-xp 0 fe:1a 7 /x\n", []codeMap{{"254:26", 7, "/x", false}}, ""},
		{"deleted", "0-1 r-xp 0 fe:01 7 /opt/x.so (deleted)\n", []codeMap{{"254:1", 7, "/opt/x.so", true}}, ""},
		{"spaces in a name", "0-1 r-xp 0 fe:01 7                  /opt/a  b c\n", []codeMap{{"254:1", 7, "/opt/a  b c", false}}, ""},
		{"a newline in a name", `0-1 r-xp 0 fe:01 7 /opt/a\012b` + "\n", []codeMap{{"254:1", 7, "/opt/a\nb", false}}, ""},
		{"one of two parts of a file", "0-1 r-xp 0 8:1 7 /x\n2-3 r-xp 1000 8:1 7 /x\n", []codeMap{{"8:1", 7, "/x", false}}, ""},
		{"a name that looks like another line", "0-1 r-xp 0 8:1 7 /x 0-0 r-xp 0 8:1 5 /a\n0-0 r-xp 0 8:1 5 /a\n", []codeMap{{"8:1", 7, "/x 0-0 r-xp 0 8:1 5 /a", false}, {"8:1", 5, "/a", false}}, ""},
		{"no permissions", "0-1 rwxq 0 8:1 7 /x\n", nil, `memory map "0-1 rwxq 0 8:1 7 /x" has no permissions`},
		{"a letter in the wrong place", "0-1 xr-p 0 8:1 7 /x\n", nil, `memory map "0-1 xr-p 0 8:1 7 /x" has no permissions`},
		{"no range", "01 r-xp 0 8:1 7 /x\n", nil, `memory map "01 r-xp 0 8:1 7 /x" has no range or offset`},
		{"no offset", "0-1 r--p z 8:1 7 /x\n", nil, `memory map "0-1 r--p z 8:1 7 /x" has no range or offset`},
		{"no device", "0-1 r-xp 0 81 7 /x\n", nil, `memory map "0-1 r-xp 0 81 7 /x" has no device`},
		{"no inode", "0-1 r-xp 0 8:1 -7 /x\n", nil, `memory map "0-1 r-xp 0 8:1 -7 /x" has no inode`},
		{"cut", "0-1 r-xp 0", nil, `memory map "0-1 r-xp 0" has too few fields`},
	} {
		for _, redacted := range []bool{false, true} {
			b := []byte(tt.line)
			if redacted {
				b = redactMaps(b)
			}
			got, err := parseMaps(b)
			if err != nil && err.Error() != tt.err || err == nil && tt.err != "" {
				t.Errorf("%s, redacted %t: got error %v, want %q", tt.name, redacted, err, tt.err)
			}
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(codeMap{})); d != "" && tt.err == "" {
				t.Errorf("%s, redacted %t (-want +got):\n%s", tt.name, redacted, d)
			}
		}
	}
	// Where things are in memory is a secret of the process.
	if got, want := string(redactMaps([]byte(someMaps))), "0-0 r-xp 0 08:02 173521 /usr/bin/dbus-daemon\n0-0 r-xp 0 08:02 135522 /usr/lib64/ld-2.15.so\n"; got != want {
		t.Errorf("redacted: got %q, want %q", got, want)
	}
}

func FuzzMaps(f *testing.F) {
	f.Add([]byte(someMaps))
	f.Add([]byte("0-1 r-xp 0 fe:01 7 /memfd:x (deleted)\n0-1 r-xp 0 00:01 7 /dev/zero (deleted)\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		once := redactMaps(b)
		if twice := redactMaps(once); string(twice) != string(once) {
			t.Errorf("redacting again changes %q to %q", once, twice)
		}
		whole, err := parseMaps(b)
		redacted, redactedErr := parseMaps(once)
		if (err == nil) != (redactedErr == nil) {
			t.Errorf("%q: %v, and redacted %v", b, err, redactedErr)
		}
		if err != nil {
			return
		}
		if d := cmp.Diff(whole, redacted, cmp.AllowUnexported(codeMap{})); d != "" {
			t.Errorf("%q (-whole +redacted):\n%s", b, d)
		}
	})
}

func TestMappings(t *testing.T) {
	const ns = "mnt:[4026532500]"
	type brief struct {
		path, on                           string
		deleted, memory, detached, ownRoot bool
		programs, sha256                   string
	}
	for _, tt := range []struct {
		name   string
		mounts string
		p      aProcess
		maps   string
		files  map[string]string
		ino    map[string]uint64
		want   []brief
		gaps   []string
	}{
		{"of the image", flatcarMounts, aProcess{exe: "/usr/bin/sshd"}, "0-1 r-xp 0 fe:03 5 /usr/bin/sshd\n0-1 r-xp 0 fe:03 6 /usr/lib/libc.so.6\n", nil, nil,
			[]brief{{path: "/usr/bin/sshd", on: "/usr"}, {path: "/usr/lib/libc.so.6", on: "/usr"}}, nil},
		{"beside it, a program and its library", flatcarMounts, aProcess{exe: "/opt/bin/kubelet"}, "0-1 r-xp 0 fe:09 5 /opt/bin/kubelet\n0-1 r-xp 0 fe:09 6 /opt/lib/x.so\n",
			map[string]string{"opt/bin/kubelet": "ELF"}, map[string]uint64{"opt/bin/kubelet": 5},
			[]brief{{path: "/opt/bin/kubelet", on: "/", programs: "/opt/bin/kubelet", sha256: sum("ELF")}, {path: "/opt/lib/x.so", on: "/", programs: "/opt/bin/kubelet"}}, nil},
		{"another file is there by now", flatcarMounts, aProcess{exe: "/opt/bin/kubelet"}, "0-1 r-xp 0 fe:09 5 /opt/bin/kubelet\n",
			map[string]string{"opt/bin/kubelet": "ELF"}, map[string]uint64{"opt/bin/kubelet": 9},
			[]brief{{path: "/opt/bin/kubelet", on: "/", programs: "/opt/bin/kubelet"}}, nil},
		{"it cannot be hashed", flatcarMounts, aProcess{exe: "/opt/bin/kubelet"}, "0-1 r-xp 0 fe:09 5 /opt/bin/kubelet\n",
			map[string]string{"opt/bin/kubelet": "! denied"}, nil,
			[]brief{{path: "/opt/bin/kubelet", on: "/", programs: "/opt/bin/kubelet"}}, []string{"1 of 1 executables that run from storage that can be written could not be read: looking at /opt/bin/kubelet: permission denied"}},
		{"deleted", flatcarMounts, aProcess{exe: "/usr/bin/sshd"}, "0-1 r-xp 0 fe:03 6 /usr/lib/libc.so.6 (deleted)\n", nil, nil,
			[]brief{{path: "/usr/lib/libc.so.6", on: "/usr", deleted: true, programs: "/usr/bin/sshd"}}, nil},
		{"in memory, under a name made up anew", flatcarMounts, aProcess{exe: "/usr/bin/sshd"}, "0-1 rwxs 0 00:01 6 /memfd:jit-0123456789ab (deleted)\n", nil, nil,
			[]brief{{path: "/memfd:jit-<id>", memory: true, deleted: true, programs: "/usr/bin/sshd"}}, nil},
		{"shared memory without a name", flatcarMounts, aProcess{exe: "/usr/bin/sshd"}, "0-1 rwxs 0 00:01 6 /dev/zero (deleted)\n", nil, nil,
			[]brief{{path: "/dev/zero", memory: true, deleted: true, programs: "/usr/bin/sshd"}}, nil},
		{"from a mount that is gone", flatcarMounts, aProcess{exe: "/usr/bin/sshd"}, "0-1 r-xp 0 00:63 6 /usr/lib/evil.so\n", nil, nil,
			[]brief{{path: "/usr/lib/evil.so", detached: true, programs: "/usr/bin/sshd"}}, nil},
		{"from below a mount that came later", flatcarMounts + "40 27 0:77 / /usr ro - overlay sysext ro,lowerdir=/run/systemd/sysext/meta/usr:/usr\n41 40 0:78 / /usr/lib rw - tmpfs tmpfs rw\n", aProcess{exe: "/usr/bin/sshd"}, "0-1 r-xp 0 fe:03 6 /usr/lib/libc.so.6\n", nil, nil,
			[]brief{{path: "/usr/lib/libc.so.6", on: "/usr"}}, nil},
		{"talos: the kubelet in its image", talosMounts, aProcess{exe: "/usr/local/bin/kubelet", cgroup: "0::/podruntime/kubelet\n", mntns: ns, mountinfo: kubeletImage}, "0-1 r-xp 0 00:3d 6 /usr/local/bin/kubelet\n", nil, nil,
			[]brief{{path: "/usr/local/bin/kubelet", on: "/", ownRoot: true, programs: "/usr/local/bin/kubelet"}}, nil},
		{"a container", flatcarMounts, aProcess{exe: "/x", cgroup: "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + strings.Repeat("a", 64) + ".scope\n", mntns: ns, mountinfo: containerMounts}, "0-1 r-xp 0 00:33 6 /x\n", nil, nil, []brief{}, nil},
		{"maps that may not be read", flatcarMounts, aProcess{exe: "/usr/bin/sshd"}, "! denied", nil, nil, []brief{}, []string{"1 of 2 memory maps of host processes could not be read: reading /proc/<pid>/maps: permission denied"}},
		{"maps that are none", flatcarMounts, aProcess{exe: "/usr/bin/sshd"}, "hello\n", nil, nil, []brief{}, []string{`1 of 2 memory maps of host processes could not be read: reading /proc/<pid>/maps: malformed: memory map "hello" has too few fields`}},
		{"a process that ended meanwhile", flatcarMounts, aProcess{exe: "/usr/bin/sshd"}, "! absent", nil, nil, []brief{}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := procHost(tt.mounts, map[int]aProcess{7: tt.p}, tt.files)
			m.files["proc/7/maps"] = tt.maps
			m.files["proc/1/maps"] = ""
			m.info = map[string]FileInfo{}
			for name, ino := range tt.ino {
				m.info[name] = FileInfo{Type: Regular, Mode: 0o755, Ino: ino}
			}
			all, gaps, err := Mappings.Read(t.Context(), m.host())
			if err != nil {
				t.Fatal(err)
			}
			got := []brief{}
			for _, v := range all {
				got = append(got, brief{v.Path, v.On.Path, v.Deleted, v.Memory, v.Detached, v.OwnRoot, strings.Join(v.Programs, " "), v.SHA256})
			}
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(brief{})); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if d := cmp.Diff(append([]string{}, tt.gaps...), append([]string{}, gapTexts(gaps)...)); d != "" {
				t.Errorf("gaps (-want +got):\n%s", d)
			}
			b, err := json.Marshal(all)
			var back []Mapping
			if err != nil || strictJSON(b, &back) != nil || cmp.Diff(all, back) != "" {
				t.Errorf("JSON does not round trip: %v %s", err, b)
			}
		})
	}
	if _, _, err := Mappings.Read(t.Context(), (&memHost{files: map[string]string{"etc/": ""}}).host()); err == nil {
		t.Error("without processes: got a value")
	}
}

// Equal programs on two nodes make equal facts, in whatever order they run.
func TestMappingsAreStable(t *testing.T) {
	read := func(first, second int) string {
		m := procHost(flatcarMounts, map[int]aProcess{first: {exe: "/opt/a"}, second: {exe: "/opt/b"}}, map[string]string{"opt/a": "A", "opt/b": "B"})
		m.files["proc/1/maps"] = ""
		for pid, name := range map[int]string{first: "a", second: "b"} {
			m.files["proc/"+strconv.Itoa(pid)+"/maps"] = "0-1 r-xp 0 fe:09 " + strconv.Itoa(pid) + " /opt/" + name + "\n0-1 r-xp 0 fe:09 5 /opt/lib.so\n"
		}
		m.info = map[string]FileInfo{"opt/a": {Type: Regular, Ino: uint64(first)}, "opt/b": {Type: Regular, Ino: uint64(second)}}
		all, _, err := Mappings.Read(t.Context(), m.host())
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if a, b := read(7, 8), read(812, 9); a != b {
		t.Errorf("two equal nodes (-one +other):\n%s", cmp.Diff(a, b))
	}
}

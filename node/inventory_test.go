package node

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// storageHost has these files, of which those in runnable can be executed.
func storageHost(mounts string, files map[string]string, runnable map[string]uint32) *memHost {
	m := &memHost{files: map[string]string{"proc/1/mountinfo": mounts, "etc/": "", "run/": ""}, info: map[string]FileInfo{}, xattrs: map[string]string{}}
	maps.Copy(m.files, files)
	for name, mode := range runnable {
		m.info[name] = FileInfo{Type: Regular, Mode: mode, Size: int64(len(files[name])), Dev: "8:1", Ino: uint64(len(name))}
	}
	return m
}

func sum(content string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(content))) }

// keptHost is a host that is gathered from again and again.
type keptHost struct{ *Host }

func (k keptHost) read(t *testing.T, roots []string, limits inventoryLimits) (Inventory, []string) {
	t.Helper()
	g := newGathering(t.Context(), k.Host, time.Time{})
	view := &Host{FS: k.FS, Kernel: k.Kernel, gathering: g, evidence: &evidence{}}
	inv, gaps, err := readInventory(t.Context(), view, roots, &k.walked.staying, limits)
	if err != nil {
		t.Fatal(err)
	}
	return inv, append([]string{}, gapTexts(gaps)...)
}

func pathsOf(inv Inventory) []string {
	out := []string{}
	for _, f := range inv.Files {
		out = append(out, f.Path)
	}
	return out
}

const (
	writableRoot  = "26 1 254:9 / / rw,relatime - ext4 /dev/vda9 rw\n"
	storageMounts = writableRoot + `27 26 254:3 / /usr ro,relatime - squashfs /dev/mapper/usr ro
28 26 0:24 / /run rw,nosuid - tmpfs tmpfs rw,mode=755
31 26 0:22 / /home rw - tmpfs tmpfs rw
32 26 0:40 / /etc rw - overlay overlay rw,lowerdir=/usr/share/flatcar/etc,upperdir=/sysroot/etc,workdir=/w
33 26 7:1 / /opt/image ro - squashfs /dev/loop1 ro
34 26 0:41 / /opt/shown ro - overlay sysext ro,lowerdir=/run/systemd/sysext/meta/opt:/opt
35 26 0:42 / /var/lib/kubelet/pods/x/vol rw - tmpfs tmpfs rw
36 26 0:43 / /opt/proc rw - proc proc rw
37 26 254:9 /data /opt/data rw,noexec - ext4 /dev/vda9 rw
`
)

func TestStoredExecutables(t *testing.T) {
	const netRaw = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	files := map[string]string{
		"opt/bin/kubelet": "\x7fELF kubelet", "opt/bin/run.sh": "#!/bin/sh\n", "opt/bin/readme": "text", "opt/bin/empty": "", "opt/bin/link": "-> kubelet",
		"opt/image/tool": "\x7fELF", "opt/shown/tool": "\x7fELF shown", "opt/proc/x": "\x7fELF", "opt/data/x": "MZ",
		"usr/local/bin/x": "\x7fELF on the image",
		"etc/own.sh":      "#!own", "etc/same.sh": "#!same", "etc/chmod.sh": "#!same",
		"usr/share/flatcar/etc/same.sh": "#!same", "usr/share/flatcar/etc/chmod.sh": "#!same", "usr/share/flatcar/etc/own.sh": "#!oth",
		"home/core/tool": "\x7fELF tool", "home/core/.local/share/containers/storage/x": "\x7fELF",
		"var/lib/kubelet/pods/x/vol/f": "\x7fELF", "var/lib/kubelet/plugins/csi/driver": "\x7fELF driver",
		"var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs/bin/sh": "\x7fELF",
		"var/lib/cloud/instances/i-0abc/scripts/run":                                      "#!",
		"var/lib/moved/io.containerd.content.v1.content/blobs/x":                          "\x7fELF",
		"var/lib/rancher/k3s/agent/containerd/x":                                          "\x7fELF",
		"var/lib/rancher/k3s/data/" + strings.Repeat("ab", 32) + "/bin/k3s":               "\x7fELF k3s",
		"root": "-> /opt/bin",
	}
	run := map[string]uint32{}
	for name := range files {
		if !strings.HasPrefix(files[name], "-> ") && name != "opt/bin/readme" {
			run[name] = 0o755
		}
	}
	run["etc/chmod.sh"] = 0o4755
	m := storageHost(storageMounts, files, run)
	m.xattrs["opt/bin/kubelet\x00security.capability"] = netRaw
	m.info["home/core"] = FileInfo{Type: Directory, Mode: 0o777}
	got, gaps, err := StoredExecutables.Read(t.Context(), m.host())
	if err != nil || len(gaps) > 0 {
		t.Fatalf("got gaps %v, error %v", gaps, err)
	}
	exe := func(path, kind, content string, change func(*StoredExecutable)) StoredExecutable {
		f := StoredExecutable{Path: path, Kind: kind, Mode: 0o755, Size: int64(len(content)), SHA256: sum(content)}
		if change != nil {
			change(&f)
		}
		return f
	}
	want := Inventory{
		Looked: []string{"/etc", "/home", "/opt", "/usr/local", "/var/lib"},
		Files: []StoredExecutable{
			exe("/etc/chmod.sh", "script", "#!same", func(f *StoredExecutable) { f.Mode = 0o4755 }),
			exe("/etc/own.sh", "script", "#!own", nil),
			exe("/etc/same.sh", "script", "#!same", func(f *StoredExecutable) { f.Copy = "/usr/share/flatcar/etc/same.sh" }),
			exe("/home/core/tool", "elf", "\x7fELF tool", func(f *StoredExecutable) { f.OpenFolder = "/home/core" }),
			exe("/opt/bin/empty", "empty", "", nil),
			exe("/opt/bin/kubelet", "elf", "\x7fELF kubelet", func(f *StoredExecutable) { f.Capabilities = []string{"cap_net_raw=ep"} }),
			exe("/opt/bin/run.sh", "script", "#!/bin/sh\n", nil),
			exe("/opt/data/x", "other", "MZ", nil),
			exe("/opt/shown/tool", "elf", "\x7fELF shown", nil),
			exe("/var/lib/kubelet/plugins/csi/driver", "elf", "\x7fELF driver", nil),
			exe("/var/lib/rancher/k3s/data/<id>/bin/k3s", "elf", "\x7fELF k3s", nil),
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	b, err := json.Marshal(got)
	var back Inventory
	if err != nil || strictJSON(b, &back) != nil || cmp.Diff(got, back) != "" {
		t.Errorf("JSON does not round trip: %v %s", err, b)
	}

	passing, _, err := PassingExecutables.Read(t.Context(), m.host())
	if d := cmp.Diff([]string{"/var/lib/cloud/instances/i-0abc/scripts/run"}, pathsOf(passing)); d != "" || err != nil {
		t.Errorf("passing, %v (-want +got):\n%s", err, d)
	}
}

func TestStoredExecutablesThatCannotBeRead(t *testing.T) {
	kubelet := map[string]string{"opt/bin/kubelet": "\x7fELF"}
	run := map[string]uint32{"opt/bin/kubelet": 0o755}
	with := func(more map[string]string) map[string]string {
		out := maps.Clone(kubelet)
		maps.Copy(out, more)
		return out
	}
	const unread = "folders and executables could not be read: "
	for _, tt := range []struct {
		name  string
		files map[string]string
		spoil func(*memHost)
		want  []string // paths
		gaps  []string
	}{
		{"all read", kubelet, nil, []string{"/opt/bin/kubelet"}, []string{}},
		{"a file that may not be seen", with(map[string]string{"opt/bin/x": "! denied"}), nil, []string{"/opt/bin/kubelet"}, []string{unread + "looking at /opt/bin/x: permission denied"}},
		{"a root that may not be seen", with(map[string]string{"home": "! denied"}), nil, []string{"/opt/bin/kubelet"}, []string{unread + "looking at /home: permission denied"}},
		{"a folder below a FUSE mount", with(map[string]string{"opt/fuse": "! untouched"}), nil, []string{"/opt/bin/kubelet"}, []string{unread + "looking at /opt/fuse: below a FUSE, network or autofs mount, which is not touched"}},
		{"capabilities that nobody knows", kubelet, func(m *memHost) { m.xattrs["opt/bin/kubelet\x00security.capability"] = "\x00\x00\x00\x07" }, []string{"/opt/bin/kubelet"}, []string{unread + "reading attribute of /opt/bin/kubelet: malformed: file capabilities 00000007 are of no revision that is known"}},
		{"a link in a circle in place of a root", with(map[string]string{"home": "-> /home"}), nil, []string{"/opt/bin/kubelet"}, []string{unread + "looking at /home: too many symbolic links"}},
		{"a root that leads where no other is", with(map[string]string{"home": "-> /srv/home", "srv/home/x": "\x7fELF"}), func(m *memHost) { m.info["srv/home/x"] = FileInfo{Type: Regular, Mode: 0o755, Size: 4} }, []string{"/opt/bin/kubelet", "/srv/home/x"}, []string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := storageHost(writableRoot, tt.files, run)
			if tt.spoil != nil {
				tt.spoil(m)
			}
			inv, gaps, err := StoredExecutables.Read(t.Context(), m.host())
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, pathsOf(inv)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if d := cmp.Diff(tt.gaps, append([]string{}, gapTexts(gaps)...)); d != "" {
				t.Errorf("gaps (-want +got):\n%s", d)
			}
		})
	}
	nothing := map[string]string{}
	for _, root := range stayingRoots {
		nothing[root[1:]] = "! denied"
	}
	hidden := &memHost{files: map[string]string{"proc/1/mountinfo": writableRoot}}
	maps.Copy(hidden.files, nothing)
	for name, m := range map[string]*memHost{"no mount table": {files: kubelet}, "nothing may be seen": hidden} {
		if _, _, err := StoredExecutables.Read(t.Context(), m.host()); err == nil {
			t.Errorf("%s: got a value", name)
		}
	}
}

// What one reading does not reach the next one does.
func TestInventoryGoesOn(t *testing.T) {
	files, run := map[string]string{}, map[string]uint32{}
	var all []string
	for i := range 10 {
		name := fmt.Sprintf("opt/%c/x", 'a'+i)
		files[name], run[name] = "\x7fELF "+name, 0o755
		all = append(all, "/"+name)
	}
	m := storageHost(writableRoot, files, run)
	hashed := 0
	m.asked = func(op, _ string) {
		if op == "digest" {
			hashed++
		}
	}
	host := keptHost{&Host{FS: m}}
	limits := defaultLimits
	limits.entries = 6 // three folders and their files
	roots := []string{"/opt"}
	stopped := func(at string) []string {
		return []string{"what is to be run from storage that can be written, from " + at + " on, could not be read: looking through " + at + ": too large: stopped after 6 names; the next reading goes on there"}
	}
	for hour, want := range []struct {
		paths int
		gaps  []string
	}{
		{3, stopped("/opt/d")}, {6, stopped("/opt/g")}, {9, stopped("/opt/j")},
		{10, []string{}}, // to the end, and the first folders again
	} {
		inv, gaps := host.read(t, roots, limits)
		if d := cmp.Diff(all[:want.paths], pathsOf(inv)); d != "" {
			t.Errorf("hour %d (-want +got):\n%s", hour, d)
		}
		if d := cmp.Diff(want.gaps, gaps); d != "" {
			t.Errorf("hour %d: gaps (-want +got):\n%s", hour, d)
		}
	}
	if hashed != 12 {
		t.Errorf("%d files were hashed, want 10 and two of them again", hashed)
	}

	// A file that went away, one that came and one that changed are seen when the
	// search has come to them: within as many hours as it takes to go round.
	delete(m.files, "opt/a/x")
	m.files["opt/a/y"], m.info["opt/a/y"] = "\x7fELF y", FileInfo{Type: Regular, Mode: 0o755, Size: 6, Ino: 9}
	m.files["opt/j/x"] = "\x7fELF other"
	delete(m.files, "opt/e/x")
	var inv Inventory
	for range 4 {
		inv, _ = host.read(t, roots, limits)
	}
	got := map[string]string{}
	for _, f := range inv.Files {
		got[f.Path] = f.SHA256
	}
	if _, there := got["/opt/a/x"]; there || got["/opt/a/y"] != sum("\x7fELF y") || got["/opt/j/x"] != sum("\x7fELF other") || len(got) != 9 {
		t.Errorf("after the changes: got %v", got)
	}

	// Within its bounds everything is seen at once.
	for range 2 {
		inv, gaps := host.read(t, roots, defaultLimits)
		if len(inv.Files) != 9 || len(gaps) != 0 || host.walked.staying.cursor != "" {
			t.Errorf("with all the time: got %d files, gaps %v, cursor %q", len(inv.Files), gaps, host.walked.staying.cursor)
		}
	}
}

func TestInventoryIsBounded(t *testing.T) {
	files, run := map[string]string{}, map[string]uint32{}
	for _, name := range []string{"opt/a", "opt/b", "opt/c/d/e"} {
		files[name], run[name] = "\x7fELF "+strings.Repeat("x", 95), 0o755
	}
	stopped := func(at, why string) []string {
		return []string{"what is to be run from storage that can be written, from " + at + " on, could not be read: looking through " + at + ": too large: " + why + "; the next reading goes on there"}
	}
	const unread = "folders and executables could not be read: "
	for _, tt := range []struct {
		name  string
		limit func(*inventoryLimits)
		want  []string
		gaps  []string
	}{
		{"none hit", func(*inventoryLimits) {}, []string{"/opt/a", "/opt/b", "/opt/c/d/e"}, []string{}},
		{"names", func(l *inventoryLimits) { l.entries = 1 }, []string{"/opt/a"}, stopped("/opt/b", "stopped after 1 names")},
		{"bytes", func(l *inventoryLimits) { l.bytes = 150 }, []string{"/opt/a"}, stopped("/opt/b", "stopped at a bound of 150 bytes")},
		{"bytes, of which one file has more: it is read all the same", func(l *inventoryLimits) { l.bytes = 50 }, []string{"/opt/a"}, stopped("/opt/b", "stopped at a bound of 50 bytes")},
		{"time", func(l *inventoryLimits) { l.time = 0 }, []string{}, stopped("/opt/a", "stopped after 0s")},
		{"executables", func(l *inventoryLimits) { l.kept = 2 }, []string{"/opt/a", "/opt/b"}, []string{"all that is to be run from storage that can be written could not be read: looking through storage that can be written: too large: more than 2 executables; the rest is not listed"}},
		{"depth", func(l *inventoryLimits) { l.depth = 1 }, []string{"/opt/a", "/opt/b"}, []string{unread + "listing /opt/c: too large: more than 1 folders below each other"}},
		{"a folder of too many names", func(l *inventoryLimits) { l.folder = 2 }, []string{}, []string{unread + "listing /opt: too large"}},
		{"a file that is too large is listed without its digest", func(l *inventoryLimits) { l.file = 10 }, []string{"/opt/a", "/opt/b", "/opt/c/d/e"}, []string{unread + "hashing /opt/a: too large"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			limits := defaultLimits
			tt.limit(&limits)
			inv, gaps := keptHost{&Host{FS: storageHost(writableRoot, files, run)}}.read(t, []string{"/opt"}, limits)
			if d := cmp.Diff(tt.want, pathsOf(inv)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if d := cmp.Diff(tt.gaps, gaps); d != "" {
				t.Errorf("gaps (-want +got):\n%s", d)
			}
		})
	}
}

// Equal nodes have equal facts, though names are made up on each, and the search
// stops at another of them.
func TestInventoryOfEqualNodes(t *testing.T) {
	const one, other = "11111111-2222-4333-8444-555555555555", "aaaaaaaa-2222-4333-8444-555555555555"
	read := func(first, second string, entries int) (Inventory, []Gap) {
		files, run := map[string]string{}, map[string]uint32{}
		for name, content := range map[string]string{"opt/x/" + first + "/a": "\x7fELF a", "opt/x/" + second + "/a": "\x7fELF b", "opt/x/" + second + "/b": "\x7fELF b"} {
			files[name], run[name] = content, 0o755
		}
		m := storageHost(writableRoot, files, run)
		m.info["opt/x/"+first] = FileInfo{Type: Directory, Mode: 0o777}
		h := (&Host{FS: m})
		limits := defaultLimits
		limits.entries = entries
		view := &Host{FS: m, gathering: newGathering(t.Context(), h, noon), evidence: &evidence{}}
		inv, gaps, err := readStored(t.Context(), view, limits)
		if err != nil {
			t.Fatal(err)
		}
		return inv, gaps
	}
	a, _ := read(one, other, 100)
	b, _ := read(other, one, 100)
	if d := cmp.Diff(a, b); d != "" || len(a.Files) != 3 {
		t.Errorf("files of one and the other:\n%s", d)
	}
	_, gaps := read(one, other, 3)
	_, otherGaps := read(other, one, 3)
	if d := cmp.Diff(gaps, otherGaps); d != "" || len(gaps) != 1 {
		t.Errorf("gaps of one and the other:\n%s", d)
	}
}

func FuzzPathOrder(f *testing.F) {
	f.Add("/a/b", "/a-b", "/a/c")
	f.Add("/opt", "/opt/x", "/opt.d")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		if (before(a, b) > 0) != (before(b, a) < 0) || before(a, a) != 0 || before(a, b) == 0 && a != b {
			t.Errorf("%q and %q have no order", a, b)
		}
		if before(a, b) < 0 && before(b, c) < 0 && before(a, c) >= 0 {
			t.Errorf("%q, %q and %q go round in a circle", a, b, c)
		}
		// What is in a folder comes after it and before whatever comes after the folder.
		if in := a + "/" + c; before(a, in) >= 0 || before(a, b) < 0 && !strings.HasPrefix(b, a+"/") && before(in, b) >= 0 {
			t.Errorf("%q is not between %q and %q", in, a, b)
		}
	})
}

func TestFileCapabilities(t *testing.T) {
	for _, tt := range []struct {
		name, raw string
		want      []string
		err       string
	}{
		{"cap_net_raw+ep", "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", []string{"cap_net_raw=ep"}, ""},
		{"none", "\x00\x00\x00\x02" + strings.Repeat("\x00", 16), []string{}, ""},
		{"permitted, inheritable, of the second word", "\x00\x00\x00\x02" + "\x01\x00\x00\x00\x01\x00\x00\x00" + "\x80\x00\x00\x00\x00\x00\x00\x80", []string{"cap_chown=ip", "cap_bpf=p", "cap_63=i"}, ""},
		{"revision 1", "\x01\x00\x00\x01\x00\x00\x20\x00\x00\x00\x00\x00", []string{"cap_sys_admin=ep"}, ""},
		{"revision 3 of a user namespace", "\x01\x00\x00\x03\x00\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xa0\x86\x01\x00", []string{"cap_sys_admin=ep [rootid=100000]"}, ""},
		{"revision 4", "\x01\x00\x00\x04", nil, "file capabilities 01000004 are of no revision that is known"},
		{"cut", "\x01\x00", nil, "file capabilities 0100 are cut"},
		{"cut within", "\x01\x00\x00\x02\x00", nil, "file capabilities 0100000200 are 5 bytes, want 20"},
		{"a flag nobody knows", "\x03\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00", nil, "file capabilities 030000010000000000000000 have flags that are not known"},
	} {
		got, err := parseCapabilities([]byte(tt.raw))
		if err != nil && err.Error() != tt.err || err == nil && tt.err != "" {
			t.Errorf("%s: got error %v, want %q", tt.name, err, tt.err)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
}

func FuzzFileCapabilities(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x01\x00\x00\x03\x00\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xa0\x86\x01\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		caps, err := parseCapabilities(b)
		if err != nil {
			return
		}
		set := false
		for _, c := range b[4:min(len(b), 20)] {
			set = set || c != 0
		}
		if set != (len(caps) > 0) {
			t.Errorf("%x: got %v", b, caps)
		}
		for i, c := range caps {
			if !strings.HasPrefix(c, "cap_") || slices.Contains(caps[:i], c) {
				t.Errorf("%x: got %v", b, caps)
			}
		}
	})
}

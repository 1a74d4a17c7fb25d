package node

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseMountLine(t *testing.T) {
	tests := map[string]struct {
		line string
		want mount
	}{
		"an ordinary root (generic/mountinfo-ubuntu-node-pid1.txt has its like)": {
			"29 1 253:0 / / rw,relatime shared:1 - ext4 /dev/mapper/vg-root rw",
			mount{29, 1, "253:0", "/", "/", []string{"rw", "relatime"}, "ext4", "/dev/mapper/vg-root", []string{"rw"}},
		},
		"no optional fields":         {"1 0 0:2 / / rw - rootfs rootfs rw", mount{1, 0, "0:2", "/", "/", []string{"rw"}, "rootfs", "rootfs", []string{"rw"}}},
		"three optional fields":      {"9 1 0:2 / /a rw shared:3 master:1 propagate_from:2 - tmpfs t rw", mount{9, 1, "0:2", "/", "/a", []string{"rw"}, "tmpfs", "t", []string{"rw"}}},
		"a blank in the mount point": {`9 1 0:2 / /mnt/a\040b rw - tmpfs t rw`, mount{9, 1, "0:2", "/", "/mnt/a b", []string{"rw"}, "tmpfs", "t", []string{"rw"}}},
		"an equals sign in a value":  {"9 1 0:2 / /a rw - overlay o rw,lowerdir=/a=b:/c", mount{9, 1, "0:2", "/", "/a", []string{"rw"}, "overlay", "o", []string{"rw", "lowerdir=/a=b:/c"}}},
		"an empty source":            {"9 1 0:2 / /a rw - tmpfs  rw", mount{9, 1, "0:2", "/", "/a", []string{"rw"}, "tmpfs", "", []string{"rw"}}},
		"an escaped comma":           {`9 1 0:2 / /a rw - overlay o rw,lowerdir=/a\054b,x`, mount{9, 1, "0:2", "/", "/a", []string{"rw"}, "overlay", "o", []string{"rw", "lowerdir=/a,b", "x"}}},
		"a quoted SELinux context with a comma": {
			`9 1 0:2 / /a rw - tmpfs t rw,context="system_u:object_r:container_file_t:s0:c1,c2",size=64k`,
			mount{9, 1, "0:2", "/", "/a", []string{"rw"}, "tmpfs", "t", []string{"rw", `context="system_u:object_r:container_file_t:s0:c1,c2"`, "size=64k"}},
		},
		"a quoted context at the end": {
			`9 1 0:2 / /a rw - tmpfs t rw,rootcontext="a,b"`,
			mount{9, 1, "0:2", "/", "/a", []string{"rw"}, "tmpfs", "t", []string{"rw", `rootcontext="a,b"`}},
		},
		"a quote in a path":            {`9 1 0:2 / /a rw - overlay o rw,lowerdir=/5"disk,x`, mount{9, 1, "0:2", "/", "/a", []string{"rw"}, "overlay", "o", []string{"rw", `lowerdir=/5"disk`, "x"}}},
		"a colon escaped by overlayfs": {`9 1 0:2 / /a rw - overlay o rw,lowerdir=/a\134:b`, mount{9, 1, "0:2", "/", "/a", []string{"rw"}, "overlay", "o", []string{"rw", `lowerdir=/a\:b`}}},
		"a namespace":                  {"9 1 0:4 net:[4026532281] /run/netns/x rw shared:5 - nsfs nsfs rw", mount{9, 1, "0:4", "net:[4026532281]", "/run/netns/x", []string{"rw"}, "nsfs", "nsfs", []string{"rw"}}},
		"a cgroup outside the view":    {"9 1 0:4 /../.. /sys/fs/cgroup ro - cgroup2 cgroup rw", mount{9, 1, "0:4", "/../..", "/sys/fs/cgroup", []string{"ro"}, "cgroup2", "cgroup", []string{"rw"}}},
		"a mount point that is gone":   {`9 1 8:1 /x//deleted /mnt rw - ext4 /dev/sda1 rw`, mount{9, 1, "8:1", "/x//deleted", "/mnt", []string{"rw"}, "ext4", "/dev/sda1", []string{"rw"}}},
		"a high major number":          {"9 1 259:1048575 / /a rw - xfs /dev/nvme0n1p1 rw", mount{9, 1, "259:1048575", "/", "/a", []string{"rw"}, "xfs", "/dev/nvme0n1p1", []string{"rw"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseMountLine(tt.line, optionLists{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(mount{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseMountinfoRefuses(t *testing.T) {
	tests := map[string]struct{ table, want string }{
		"an empty file":                     {"", "the mount table is empty"},
		"no newline at the end":             {"9 1 0:2 / /a rw - tmpfs t rw", "the mount table is cut"},
		"a mount id that is no number":      {"xx 1 0:2 / /a rw - tmpfs t rw\n", `mount line 1 "xx 1 0:2 / /a rw - tmpfs t rw": mount id: "xx" is not a number`},
		"a sign":                            {"+9 1 0:2 / /a rw - tmpfs t rw\n", `mount id: "+9" is not a number`},
		"a leading zero":                    {"09 1 0:2 / /a rw - tmpfs t rw\n", `mount id: "09" is not a number`},
		"a parent that is no number":        {"9 -1 0:2 / /a rw - tmpfs t rw\n", `parent id: "-1" is not a number`},
		"a blank in the last field":         {"9 1 0:2 / /a rw - overlay o rw,lowerdir=/a b\n", "4 fields after the separator, want 3"},
		"a source that is missing":          {"9 1 0:2 / /a rw - tmpfs rw\n", "2 fields after the separator, want 3"},
		"no separator":                      {"9 1 0:2 / /a rw shared:1 tmpfs t rw\n", "no separator after the optional fields"},
		"an empty line":                     {"9 1 0:2 / /a rw - tmpfs t rw\n\n", `mount line 2 ""`},
		"a device without minor":            {"9 1 8 / /a rw - tmpfs t rw\n", `device "8" is not major:minor`},
		"a device that is no number":        {"9 1 8:x / /a rw - tmpfs t rw\n", `device "8:x": "x" is not a number`},
		"a relative mount point":            {"9 1 0:2 / a rw - tmpfs t rw\n", `mount point "a" is not absolute`},
		"neither ro nor rw":                 {"9 1 0:2 / /a relatime - tmpfs t rw\n", `mount options ["relatime"] do not begin with ro or rw`},
		"no super options":                  {"9 1 0:2 / /a rw - tmpfs t \n", `super options [""] do not begin with ro or rw`},
		"an escape that is cut":             {`9 1 0:2 / /a\04 rw - tmpfs t rw` + "\n", "ends within an escape"},
		"an escape that is not octal":       {`9 1 0:2 / /a\0x9 rw - tmpfs t rw` + "\n", "is not an escape of three octal digits"},
		"an escape beyond a byte":           {`9 1 0:2 / /a\777 rw - tmpfs t rw` + "\n", "is not an escape of three octal digits"},
		"a quote that stays open":           {`9 1 0:2 / /a rw - tmpfs t rw,context="a,b` + "\n", "has an open quote"},
		"something behind a quote":          {`9 1 0:2 / /a rw - tmpfs t rw,context="a"b,c` + "\n", "goes on after a quote"},
		"bytes that are not UTF-8":          {"9 1 0:2 / /a\xff rw - tmpfs t rw\n", "not UTF-8"},
		"one mount twice":                   {"9 1 0:2 / /a rw - tmpfs t rw\n9 1 0:2 / /a rw - tmpfs t rw\n", "mount line 2 \"9 1 0:2 / /a rw - tmpfs t rw\": mount id 9 stands twice"},
		"a line of 1 MiB is quoted in part": {strings.Repeat("x", 1<<20) + "\n", `mount line 1 "` + strings.Repeat("x", 200) + `": no separator`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseMountinfo([]byte(tt.table))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want … %s …", err, tt.want)
			}
		})
	}
}

// corpus lists the mount tables that were published, without their sidecars.
func mountinfoSamples(t testing.TB) []string {
	t.Helper()
	var files []string
	for _, dir := range []string{"generic", "microos", "fcos", "talos", "lab"} {
		root := filepath.Join("../../shared/corpus", dir)
		err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && strings.Contains(d.Name(), "mountinfo") && !strings.HasSuffix(p, ".yaml") {
				files = append(files, p)
			}
			return err
		})
		if err != nil {
			t.Skipf("SKIPPED: the corpus of real mount tables is not here: %v", err)
		}
	}
	return files
}

func TestParseMountinfoCorpus(t *testing.T) {
	// What no kernel wrote is refused, and this is why.
	refused := map[string]string{
		// Edited by its authors: show_mountinfo of the kernel's fs/proc_namespace.c
		// begins the last field with ro or rw.
		"generic/mountinfo-ubuntu-node-pid1.txt": `mount line 6 "29 1 259:2 / / rw,relatime shared:1 - ext4 /dev/dm-2 errors=remount-ro,data=ordered": super options`,
	}
	for _, p := range mountinfoSamples(t) {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		name, _ := filepath.Rel("../../shared/corpus", p)
		m, err := parseMountinfo(b)
		want, ok := refused[name]
		switch {
		case err == nil && ok:
			t.Errorf("%s: parsed, want it refused for %q", name, want)
		case err != nil && (!ok || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v", name, err)
		case err == nil:
			t.Logf("%s: %d mounts", name, len(m))
		default:
			t.Logf("%s: refused: %s", name, want)
		}
	}
}

// formatMountinfo writes mounts as the kernel would, without optional fields.
func formatMountinfo(mounts []mount) string {
	escape := func(s, more string) string {
		var b strings.Builder
		for i := range len(s) {
			if strings.IndexByte(" \t\n#\\"+more, s[i]) >= 0 {
				fmt.Fprintf(&b, `\%03o`, s[i])
			} else {
				b.WriteByte(s[i])
			}
		}
		return b.String()
	}
	list := func(options []string) string {
		var out []string
		for _, o := range options {
			_, v, _ := strings.Cut(o, "=")
			if strings.HasPrefix(v, `"`) { // its commas are quoted
				out = append(out, escape(o, ""))
			} else {
				out = append(out, escape(o, ","))
			}
		}
		return strings.Join(out, ",")
	}
	var b strings.Builder
	for _, m := range mounts {
		fmt.Fprintf(&b, "%d %d %s %s %s %s - %s %s %s\n", m.id, m.parent, m.dev, escape(m.root, ""), escape(m.path, ""), list(m.options), m.fstype, escape(m.source, ""), list(m.super))
	}
	return b.String()
}

func FuzzMountinfo(f *testing.F) {
	f.Add("29 1 253:0 / / rw,relatime shared:1 - ext4 /dev/mapper/vg-root rw\n")
	f.Add(`9 1 0:2 / /mnt/a\040b rw - overlay  rw,lowerdir=/a\054b:/c=d,context="u:r:t:s0:c1,c2"` + "\n")
	for _, p := range mountinfoSamples(nopSkip{f}) {
		if b, err := os.ReadFile(p); err == nil {
			f.Add(string(b))
		}
	}
	f.Fuzz(func(t *testing.T, in string) {
		m, err := parseMountinfo([]byte(in))
		if err != nil {
			return
		}
		if len(m) != strings.Count(in, "\n") {
			t.Fatalf("%d lines gave %d mounts", strings.Count(in, "\n"), len(m))
		}
		quoted := slices.ContainsFunc(m, func(m mount) bool {
			return slices.ContainsFunc(slices.Concat(m.options, m.super), func(o string) bool { return strings.Contains(o, `"`) })
		})
		if !quoted { // a quote that was escaped cannot be told from one that was not
			again, err := parseMountinfo([]byte(formatMountinfo(m)))
			if err != nil {
				t.Fatalf("written again: %v", err)
			}
			if diff := cmp.Diff(m, again, cmp.AllowUnexported(mount{})); diff != "" {
				t.Fatalf("parsed, written and parsed again (-first +again):\n%s", diff)
			}
		}
		// Whatever parses, the table's answers are within it.
		table := newMountTable("", nil, m)
		for i := range m {
			if at := table.lookup(m[i].path); at < -1 || at >= len(m) {
				t.Fatalf("lookup of %q ends in %d of %d", m[i].path, at, len(m))
			}
			if n := table.layer(i); n < 0 || n >= len(m) {
				t.Fatalf("layer %d of %d", n, len(m))
			}
		}
		untouchable(m)
	})
}

// nopSkip lets a fuzz test do without the corpus.
type nopSkip struct{ *testing.F }

func (nopSkip) Skipf(string, ...any) {}

func manyMounts(n int) string {
	var b strings.Builder
	b.WriteString("1 0 253:0 / / ro - erofs /dev/dm-0 ro\n")
	for i := range n {
		path := "/var/lib/kubelet/pods/0f1e/volumes/v" + strconv.Itoa(i)
		if i%3 == 0 {
			path = "/mnt/data/v" + strconv.Itoa(i/30) // ten on each
		}
		fmt.Fprintf(&b, "%d 1 0:%d / %s rw,relatime shared:%d - tmpfs tmpfs rw,seclabel,size=65536k,inode64\n", i+2, i+30, path, i)
	}
	return b.String()
}

func BenchmarkMounts3000(b *testing.B) {
	m := &memHost{files: map[string]string{"proc/1/mountinfo": manyMounts(3000)}}
	for b.Loop() {
		if _, _, err := Mounts.Read(b.Context(), m.host()); err != nil {
			b.Fatal(err)
		}
	}
}

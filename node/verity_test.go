package node

import (
	"bufio"
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	rootHash = "fd64f7c9e0ee5f4f7a2bf65ef7f1742000139688c86235861e59c5d597b3c60f"
	salt     = "abababababababababababababababababababababababababababababababab"
	table    = "1 254:0 254:0 4096 4096 3960 3961 sha256 " + rootHash + " " + salt
)

func TestParseVerity(t *testing.T) {
	want := VerityTarget{
		Version: 1, Data: "254:0", Hash: "254:0", DataBlockSize: 4096, HashBlockSize: 4096, DataBlocks: 3960, HashStart: 3961,
		Algorithm: "sha256", RootHash: rootHash, Salt: salt, Args: []string{},
	}
	for _, tt := range []struct {
		name, params string
		want         func(*VerityTarget)
	}{
		{"no optional arguments", table, func(*VerityTarget) {}},
		{"none, and it says so", table + " 0", func(*VerityTarget) {}},
		{"as Bottlerocket has them", table + " 2 restart_on_corruption ignore_zero_blocks",
			func(v *VerityTarget) { v.Args = []string{"restart_on_corruption", "ignore_zero_blocks"} }},
		{"ignore_corruption", table + " 1 ignore_corruption", func(v *VerityTarget) { v.Args = []string{"ignore_corruption"} }},
		{"arguments with values", table + " 10 use_fec_from_device 254:1 fec_roots 2 fec_blocks 3 fec_start 4 root_hash_sig_key_desc ignore_corruption",
			func(v *VerityTarget) {
				v.Args = []string{"use_fec_from_device 254:1", "fec_roots 2", "fec_blocks 3", "fec_start 4", "root_hash_sig_key_desc ignore_corruption"}
			}},
		{"an argument that no manual knows", table + " 1 trust_me", func(v *VerityTarget) { v.Args = []string{"trust_me"} }},
		{"no salt", strings.Replace(table, salt, "-", 1), func(v *VerityTarget) { v.Salt = "-" }},
		{"Chromium's version 0", "0" + table[1:], func(v *VerityTarget) { v.Version = 0 }},
		{"capitals", strings.Replace(table, rootHash, strings.ToUpper(rootHash), 1), func(*VerityTarget) {}},
		{"many blanks", strings.ReplaceAll(table, " ", "   "), func(*VerityTarget) {}},
	} {
		want := want
		tt.want(&want)
		got, err := ParseVerity(tt.params)
		if diff := cmp.Diff(&want, got); err != nil || diff != "" {
			t.Errorf("%s: got error %v and (-want +got):\n%s", tt.name, err, diff)
		}
	}
	for name, params := range map[string]string{
		"nothing":                         "",
		"a field short":                   strings.TrimSuffix(table, " "+salt),
		"another version":                 "2" + table[1:],
		"a block size that is no power":   strings.Replace(table, "4096", "4095", 1),
		"a block size of 0":               strings.Replace(table, "4096", "0", 1),
		"blocks that are no number":       strings.Replace(table, "3960", "0x10", 1),
		"negative blocks":                 strings.Replace(table, "3960", "-1", 1),
		"a hash that is not hexadecimal":  strings.Replace(table, rootHash, "zz", 1),
		"a hash of odd length":            strings.Replace(table, rootHash, rootHash[1:], 1),
		"more arguments than announced":   table + " 1 ignore_corruption ignore_zero_blocks",
		"fewer arguments than announced":  table + " 2 ignore_corruption",
		"arguments without their number":  table + " ignore_corruption",
		"an argument without its value":   table + " 1 fec_roots",
		"a linear target's parameters":    "254:0 0",
		"a number of arguments with sign": table + " +1 ignore_corruption",
	} {
		if got, err := ParseVerity(params); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
}

func TestParseVerityStatus(t *testing.T) {
	for status, want := range map[string]string{
		"V": "V", "C": "C", "V -": "V", "V 0": "V", "C 12": "C",
		"": "error", "X": "error", "VV": "error", "V x": "error", "V 1 2": "error", "V ": "error", " V": "error",
	} {
		got, err := parseVerityStatus(status)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("parseVerityStatus(%q): got %q, want %q", status, got, want)
		}
	}
}

func FuzzVerityParams(f *testing.F) {
	f.Add(table)
	f.Add(table + " 3 use_fec_from_device 254:1 ignore_zero_blocks")
	f.Fuzz(func(t *testing.T, params string) {
		v, err := ParseVerity(params)
		if err != nil {
			return
		}
		// Written out again, it reads as the same: nothing was left out.
		text := fmt.Sprintf("%d %s %s %d %d %d %d %s %s %s", v.Version, v.Data, v.Hash, v.DataBlockSize, v.HashBlockSize,
			v.DataBlocks, v.HashStart, v.Algorithm, v.RootHash, v.Salt)
		words := strings.Fields(strings.Join(v.Args, " "))
		text += " " + strings.Join(append([]string{strconv.Itoa(len(words))}, words...), " ")
		again, err := ParseVerity(text)
		if diff := cmp.Diff(v, again); err != nil || diff != "" {
			t.Errorf("%q: got error %v and (-first +second):\n%s", params, err, diff)
		}
	})
}

func TestBootedHashes(t *testing.T) {
	const cos = "0 4077568 verity payload=PARTUUID=1D70214B hashtree=PARTUUID=1D70214B hashstart=4077568 alg=sha256 root_hexdigest=" + rootHash + " salt=" + salt
	none := []string{}
	for _, tt := range []struct {
		name, cmdline string
		want          []BootedHash
		errors        int
	}{
		{"no verity at all", "root=LABEL=ROOT verity.usr=PARTUUID=x", []BootedHash{}, 0},
		{"Flatcar", "verity.usrhash=" + rootHash, []BootedHash{{"verity.usrhash", "usr", rootHash, none}}, 0},
		{"Flatcar, with a second one by hand", "verity.usrhash=aa verity.usrhash=" + rootHash,
			[]BootedHash{{"verity.usrhash", "usr", "aa", none}, {"verity.usrhash", "usr", rootHash, none}}, 0},
		{"systemd", "roothash=" + strings.ToUpper(rootHash) + " usrhash=bb", []BootedHash{{"roothash", "root", rootHash, none}, {"usrhash", "usr", "bb", none}}, 0},
		{"Bottlerocket", `"dm-mod.create=root,,,ro,0 31680 verity ` + table + ` 2 restart_on_corruption ignore_zero_blocks" -- x`,
			[]BootedHash{{"dm-mod.create", "root", rootHash, []string{"restart_on_corruption", "ignore_zero_blocks"}}}, 0},
		{"the same with an underscore", `dm_mod.create="root,,,ro,0 31680 verity ` + table + `"`, []BootedHash{{"dm-mod.create", "root", rootHash, none}}, 0},
		{"two devices, one of them linear", `dm-mod.create="lin,,,rw,0 16 linear 8:1 0,16 16 linear 8:2 0;vroot,,3,ro,0 31680 verity ` + table + `"`,
			[]BootedHash{{"dm-mod.create", "vroot", rootHash, none}}, 0},
		{"COS up to 101", `"dm=1 vroot none ro 1,` + cos + `"`, []BootedHash{{"dm", "vroot", rootHash, none}}, 0},
		{"COS with a sealed OEM partition", `dm="2 vroot none ro 1,` + cos + `,oemroot none ro 1, ` + cos + ` error_behavior=eio"`,
			[]BootedHash{{"dm", "vroot", rootHash, none}, {"dm", "oemroot", rootHash, []string{"error_behavior=eio"}}}, 0},
		{"a hash that is none", "usrhash=xyz verity.usrhash=", []BootedHash{}, 2},
		{"a table that is none", `dm-mod.create=root,,,ro dm="1 vroot none ro 2,0 8 verity" dm="1 vroot none ro 1,0 8 verity a=b"`, []BootedHash{}, 3},
		{"a broken table does not hide a good word", "dm-mod.create=x usrhash=aa", []BootedHash{{"usrhash", "usr", "aa", none}}, 1},
		{"tables for process 1 are none", `-- dm-mod.create="root,,,ro,0 31680 verity ` + table + `"`, []BootedHash{}, 0},
	} {
		words, err := parseCmdline([]byte(tt.cmdline))
		if err != nil {
			t.Fatal(err)
		}
		got, errs := bootedHashes(words)
		if diff := cmp.Diff(tt.want, got); diff != "" || len(errs) != tt.errors {
			t.Errorf("%s: got errors %v, want %d, and (-want +got):\n%s", tt.name, errs, tt.errors, diff)
		}
	}
}

// Every published command line gives the root hashes that stand in it.
func TestBootedHashesSamples(t *testing.T) {
	for name, text := range sampleCmdlines(t) {
		words, err := parseCmdline(redactCmdline([]byte(text)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, errs := bootedHashes(words)
		if len(errs) > 0 {
			t.Errorf("%s: %v", name, errs)
		}
		want := strings.Count(text, "root_hexdigest=") + strings.Count(text, " verity 0 ") + strings.Count(text, " verity 1 ")
		for _, w := range strings.Fields(text) {
			if key, _, _ := strings.Cut(w, "="); hashWords[key] != "" {
				want++
			}
		}
		if len(got) != want {
			t.Errorf("%s: got %d hashes, want %d: %v", name, len(got), want, got)
		}
		for _, h := range got {
			if len(h.Hash) != 64 || !strings.Contains(text, h.Hash) || !slices.Contains([]string{"root", "vroot", "usr", "oemroot"}, h.Name) {
				t.Errorf("%s: got %+v", name, h)
			}
		}
	}
}

func FuzzBootedHashes(f *testing.F) {
	f.Add("dm-mod.create", "root,,,ro,0 31680 verity "+table+" 2 restart_on_corruption ignore_zero_blocks;oem,,,ro,0 8 linear 8:1 0")
	f.Add("dm", "2 vroot none ro 1,0 8 verity payload=a root_hexdigest=aa salt=bb,oemroot none ro 1, 0 8 verity root_hexdigest=cc")
	f.Add("roothash", rootHash)
	f.Fuzz(func(t *testing.T, key, value string) {
		hashes, _ := bootedHashes([]Word{{Key: key, Value: value, Valued: true}})
		for _, h := range hashes {
			if !isHex(h.Hash) || !strings.Contains(strings.ToLower(value), h.Hash) {
				t.Errorf("%s=%q: hash %q does not stand in it", key, value, h.Hash)
			}
		}
	})
}

// labHost is one of the lab's guests as it was recorded: mount table, command
// line, what sysfs says of block devices, and the kernel's tables.
func labHost(t *testing.T, dir string) *memHost {
	t.Helper()
	read := func(name string) string {
		for _, text := range sampleFiles(t, "lab/"+dir+"/"+name) {
			return text
		}
		return ""
	}
	m := &memHost{files: map[string]string{
		"proc/1/mountinfo": read("mountinfo"),
		"proc/cmdline":     read("../before/cmdline"),
	}, kernel: map[Question]any{}}
	var tables []DMTable
	slaves := map[string][]string{}
	for line := range strings.Lines(read("sys-block")) {
		line = strings.TrimSuffix(line, "\n")
		name, rest, ok := strings.Cut(line, " ro=")
		if !ok { // "dm-0/dm/name=root"
			file, text, _ := strings.Cut(line, "=")
			m.files["sys/block/"+file] = text + "\n"
			continue
		}
		var ro, size, dev string
		if _, err := fmt.Sscanf(rest, "%s size=%s dev=%s", &ro, &size, &dev); err != nil {
			t.Fatalf("%s: sys-block %q: %v", dir, line, err)
		}
		for file, text := range map[string]string{"ro": ro, "size": size, "dev": dev} {
			m.files["sys/block/"+name+"/"+file] = text + "\n"
		}
		m.files["sys/dev/block/"+dev] = "-> ../../block/" + name
		_, below, _ := strings.Cut(rest, "slaves=[")
		below, _, _ = strings.Cut(below, "]")
		slaves[name] = strings.Fields(below)
		if strings.HasPrefix(name, "dm-") {
			tables = append(tables, DMTable{Dev: dev})
		}
	}
	for name, below := range slaves {
		m.files["sys/block/"+name+"/slaves/"] = ""
		for _, s := range below {
			m.files["sys/block/"+name+"/slaves/"+s] = "-> ../../" + s
		}
	}
	for i := range tables {
		name := strings.TrimSuffix(m.files["sys/block/dm-"+strconv.Itoa(i)+"/dm/name"], "\n")
		tables[i].Name = name
		tables[i].Targets = []DMTarget{{}}
		target := &tables[i].Targets[0]
		for file, into := range map[string]*string{"dmsetup-table": &target.Params, "dmsetup-status": &target.Status} {
			f := strings.SplitN(strings.TrimSpace(read(file)), " ", 5)
			if len(f) != 5 || f[0] != name+":" {
				t.Fatalf("%s: %s: %q", dir, file, f)
			}
			target.Start, _ = strconv.ParseUint(f[1], 10, 64)
			target.Length, _ = strconv.ParseUint(f[2], 10, 64)
			target.Type, *into = f[3], f[4]
		}
	}
	m.kernel[Question{AskDM, ""}] = tables
	return m
}

// The lab's guests, before and after a block was overwritten, as recorded.
func TestReadVerityLab(t *testing.T) {
	for _, tt := range []struct {
		dir, device, mounted, status string
		args                         []string
		booted                       int
	}{
		{"a-dmcreate-DM_INIT-squashfs/before", "vroot", "/", "V", []string{}, 1},
		{"a-dmcreate-DM_INIT-squashfs/after", "vroot", "/", "C", []string{}, 1},
		{"a-dmcreate-PARTLESS-254/before", "root", "/", "V", []string{"restart_on_corruption", "ignore_zero_blocks"}, 1},
		{"a-dmcreate-emul-erofs/before", "vroot", "/", "V", []string{"restart_on_corruption", "ignore_zero_blocks"}, 1},
		{"b-systemd-roothash-erofs/before", "root", "/", "V", []string{}, 1},
		{"b-systemd-usrhash-squashfs/before", "usr", "/usr", "V", []string{}, 1},
		{"b-systemd-usrhash-squashfs/after", "usr", "/usr", "C", []string{}, 1},
		{"c-initrd-erofs/before", "root", "/", "V", []string{}, 0},
		{"c-initrd-erofs/after", "root", "/", "C", []string{}, 0},
		{"c-initrd-erofs-ignorecorrupt/before", "root", "/", "V", []string{"ignore_corruption"}, 0},
		{"c-initrd-erofs-ignorecorrupt/after", "root", "/", "C", []string{"ignore_corruption"}, 0},
		{"c-initrd-squashfs/before", "root", "/", "V", []string{}, 0},
		{"c-initrd-squashfs/after", "root", "/", "C", []string{}, 0},
		{"k8s-vm/before", "root", "/", "V", []string{}, 1},
		{"s-cos-verity-overlay-etc/before", "vroot", "/", "V", []string{}, 1},
		{"n-plain-squashfs-noverity/before", "", "", "", nil, 0},
		{"n-rw-ext4/before", "", "", "", nil, 0},
		{"s-ostree-readonly-sysroot/before", "", "", "", nil, 0},
		{"t-ovmf-secureboot/before", "", "", "", nil, 0},
		{"t-ovmf-tpm/before", "", "", "", nil, 0},
	} {
		t.Run(tt.dir, func(t *testing.T) {
			m := labHost(t, tt.dir)
			if strings.Contains(tt.dir, "ostree") { // the recording has no link of the deployment, and needs none
				m.files["sysroot/"] = ""
			}
			got, gaps, err := Verity.Read(context.Background(), m.host())
			if err != nil || len(gaps) > 0 || got.NoTables != nil {
				t.Fatalf("got error %v, gaps %v, no tables %v", err, gaps, got.NoTables)
			}
			if len(got.Booted) != tt.booted {
				t.Errorf("got %d booted hashes, want %d", len(got.Booted), tt.booted)
			}
			if tt.device == "" {
				if len(got.Devices) != 0 {
					t.Errorf("got devices %+v, want none", got.Devices)
				}
				return
			}
			if len(got.Devices) != 1 {
				t.Fatalf("got %d devices, want 1", len(got.Devices))
			}
			d := got.Devices[0]
			if d.Name != tt.device || !slices.Equal(d.Mounted, []string{tt.mounted}) || !d.ReadOnly || d.Suspended {
				t.Errorf("got %+v, want %s read-only on %s", d, tt.device, tt.mounted)
			}
			if d.UUID != "" && d.UUID != "CRYPT-VERITY-<uuid>-"+tt.device {
				t.Errorf("got UUID %q", d.UUID)
			}
			if d.Verity == nil || d.Verity.Status != tt.status || !d.Verity.Whole || d.Verity.Data != "vda" || !slices.Contains(d.On, d.Verity.Hash) {
				t.Fatalf("got target %+v on %v, want status %s, whole, on vda", d.Verity, d.On, tt.status)
			}
			if diff := cmp.Diff(tt.args, d.Verity.Args); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
			for _, b := range got.Booted {
				if b.Hash != d.Verity.RootHash || b.Name != d.Name {
					t.Errorf("got booted %+v, want the active root hash %s of %s", b, d.Verity.RootHash, d.Name)
				}
			}
			if strings.Contains(fmt.Sprint(d), "254:0") || strings.Contains(fmt.Sprint(d), "253:") {
				t.Errorf("a device number is left: %+v", d)
			}
		})
	}
}

func TestReadVerityLabLoopAndSubvolume(t *testing.T) {
	m := labHost(t, "s-talos-squashfs-loop-overlay/before")
	got, gaps, err := Verity.Read(context.Background(), m.host())
	want := []LoopDevice{{Backing: "/rootfs.sqsh (deleted)", ReadOnly: true, Mounted: []string{"/"}}}
	if diff := cmp.Diff(want, got.Loops); err != nil || len(gaps) > 0 || diff != "" {
		t.Errorf("got error %v, gaps %v and (-want +got):\n%s", err, gaps, diff)
	}

	m = labHost(t, "s-microos-btrfs-ro-snapshot/before")
	m.kernel[Question{AskSubvolume, "."}] = Subvolume{ReadOnly: true}
	got, gaps, err = Verity.Read(context.Background(), m.host())
	if diff := cmp.Diff([]MountedSubvolume{{"/", true}}, got.Subvolumes); err != nil || len(gaps) > 0 || diff != "" {
		t.Errorf("got error %v, gaps %v and (-want +got):\n%s", err, gaps, diff)
	}
	delete(m.kernel, Question{AskSubvolume, "."})
	got, gaps, err = Verity.Read(context.Background(), m.host())
	if want := []string{"the read-only property of the subvolume on /"}; err != nil || len(got.Subvolumes) > 0 || !slices.Equal(whats(gaps), want) {
		t.Errorf("without an answer: got %v, gaps %v, error %v; want a gap", got.Subvolumes, gaps, err)
	}
}

// verityHost is a machine with a verity root on a partition, a LUKS volume and
// a volume that only a pod has mounted.
func verityHost() *memHost {
	m := &memHost{files: map[string]string{
		"proc/cmdline": "ro\n",
		"proc/1/mountinfo": "1 0 253:0 / / ro - erofs /dev/dm-0 ro\n2 1 253:1 / /var rw - xfs /dev/dm-1 rw\n" +
			"3 2 253:2 / /var/lib/kubelet/pods/a/volumes/x rw - ext4 /dev/dm-2 rw\n4 2 253:1 / /opt rw - xfs /dev/dm-1 rw\n",
		"sys/dev/block/8:3":           "-> ../../block/sda3",
		"sys/block/sda3/uevent":       "DEVNAME=sda3\nPARTNAME=ROOT-A\n",
		"sys/block/sda3/dev":          "8:3\n",
		"sys/block/sda/dev":           "8:0\n",
		"sys/block/dm-0/slaves/sda3":  "-> ../../sda3",
		"sys/block/dm-1/slaves/":      "",
		"sys/block/dm-2/slaves/":      "",
		"sys/block/loop0/dev":         "7:0\n", // not in use
		"sys/block/loop1/dev":         "7:1\n",
		"sys/block/loop1/ro":          "0\n",
		"sys/block/loop1/dm/x":        "",
		"sys/block/loop10/dev":        "7:10\n",
		"sys/block/loop10/ro":         "1\n",
		"sys/block/loop2/dev":         "7:2\n",
		"sys/block/loop2/ro":          "1\n",
		"sys/block/loop2/loop/x":      "",
		"sys/block/loop10/loop/x":     "",
		"sys/block/loop1/loop/x":      "",
		"sys/block/loop1/loop/offset": "0\n",
	}, kernel: map[Question]any{}}
	m.files["sys/block/loop1/loop/backing_file"] = "/var/lib/kubelet/plugins/kubernetes.io/csi/a/dev\n"
	m.files["sys/block/loop2/loop/backing_file"] = "/b.raw\n"
	m.files["sys/block/loop10/loop/backing_file"] = "/a.raw\n"
	var tables []DMTable
	for i, d := range []struct{ name, uuid, kind, params, status string }{
		{"root", "", "verity", "1 8:3 8:3 4096 4096 2 3 sha256 aa - 2 use_fec_from_device 8:3", "V 7"},
		{"luks", "CRYPT-LUKS2-0123456789abcdef0123456789abcdef-luks", "crypt", "aes-xts-plain64 5ec7e70000 0 8:3 0", "x"},
		{"pv", "LVM-" + strings.Repeat("a", 64), "linear", "8:3 0", ""},
	} {
		dir := "sys/block/dm-" + strconv.Itoa(i) + "/"
		dev := "253:" + strconv.Itoa(i)
		for file, text := range map[string]string{"dm/name": d.name, "dm/uuid": d.uuid, "dm/suspended": "0", "ro": "1", "size": "16", "dev": dev} {
			m.files[dir+file] = text + "\n"
		}
		m.files["sys/dev/block/"+dev] = "-> ../../block/dm-" + strconv.Itoa(i)
		tables = append(tables, DMTable{Name: d.name, UUID: d.uuid, Dev: dev, Targets: []DMTarget{{0, 16, d.kind, d.params, d.status}}})
	}
	m.kernel[Question{AskDM, ""}] = tables
	return m
}

func TestReadVerity(t *testing.T) {
	read := func(change func(*memHost, []DMTable)) (VerityState, []Gap, error) {
		m := verityHost()
		if change != nil {
			change(m, m.kernel[Question{AskDM, ""}].([]DMTable))
		}
		return Verity.Read(context.Background(), m.host())
	}
	t.Run("all of it", func(t *testing.T) {
		got, gaps, err := read(nil)
		want := VerityState{
			Devices: []DMDevice{
				{
					Name: "luks", UUID: "CRYPT-LUKS2-<uuid>-luks", ReadOnly: true, On: []string{}, Mounted: []string{"/opt", "/var"},
					Targets: []DMTarget{{0, 16, "crypt", "", ""}}, // parameters of crypt hold the key
				},
				{
					Name: "root", ReadOnly: true, On: []string{"ROOT-A"}, Mounted: []string{"/"},
					Targets: []DMTarget{{0, 16, "verity", "1 ROOT-A ROOT-A 4096 4096 2 3 sha256 aa - 2 use_fec_from_device ROOT-A", "V"}},
					Verity: &VerityTarget{
						Version: 1, Data: "ROOT-A", Hash: "ROOT-A", DataBlockSize: 4096, HashBlockSize: 4096, DataBlocks: 2, HashStart: 3,
						Algorithm: "sha256", RootHash: "aa", Salt: "-", Args: []string{"use_fec_from_device ROOT-A"}, Status: "V", Whole: true,
					},
				},
			},
			Booted: []BootedHash{},
			Loops: []LoopDevice{
				{Backing: "/a.raw", ReadOnly: true, Mounted: []string{}},
				{Backing: "/b.raw", ReadOnly: true, Mounted: []string{}},
			},
			Subvolumes:     []MountedSubvolume{},
			ComposefsImage: "absent",
		}
		if diff := cmp.Diff(want, got); err != nil || len(gaps) > 0 || diff != "" {
			t.Errorf("got error %v, gaps %v and (-want +got):\n%s", err, gaps, diff)
		}
	})
	t.Run("no right to ask is no gap", func(t *testing.T) {
		got, gaps, err := read(func(m *memHost, _ []DMTable) {
			m.errors = map[Question]*Error{{AskDM, ""}: {"asking the kernel for", AskDM, Denied, "needs CAP_SYS_ADMIN"}}
		})
		if err != nil || len(gaps) > 0 || got.NoTables == nil || got.NoTables.Code != Denied || got.Devices[1].Targets != nil {
			t.Errorf("got error %v, gaps %v, no tables %v", err, gaps, got.NoTables)
		}
	})
	t.Run("a file tree has no tables", func(t *testing.T) {
		m := verityHost()
		m.kernel = nil
		got, _, err := Verity.Read(context.Background(), m.host())
		if err != nil || got.NoTables == nil || got.NoTables.Code != NoKernel {
			t.Errorf("got error %v, no tables %v", err, got.NoTables)
		}
	})
	for _, tt := range []struct {
		name   string
		change func(*memHost, []DMTable)
		gap    string
	}{
		{"a table that cannot be parsed", func(_ *memHost, d []DMTable) { d[0].Targets[0].Params = "1 8:3" }, "the device-mapper table of root"},
		{"a status that cannot be parsed", func(_ *memHost, d []DMTable) { d[0].Targets[0].Status = "" }, "the device-mapper table of root"},
		{"a device without a table", func(_ *memHost, d []DMTable) { d[0].Dev = "253:9" }, "the device-mapper table of root"},
		{"a table of another name", func(_ *memHost, d []DMTable) { d[0].Name = "vroot" }, "the device-mapper table of root"},
		{"the devices below denied", func(m *memHost, _ []DMTable) {
			delete(m.files, "sys/block/dm-0/slaves/sda3")
			m.files["sys/block/dm-0/slaves"] = "! denied"
		}, "the devices below root"},
		{"a flag that is none", func(m *memHost, _ []DMTable) { m.files["sys/block/dm-0/ro"] = "2\n" }, "a device-mapper device"},
		{"a size that is none", func(m *memHost, _ []DMTable) { m.files["sys/block/dm-0/size"] = "x\n" }, "a device-mapper device"},
		{"a name denied", func(m *memHost, _ []DMTable) { m.files["sys/block/dm-0/dm/name"] = "! denied" }, "a device-mapper device"},
		{"a loop device denied", func(m *memHost, _ []DMTable) { m.files["sys/block/loop2/loop/backing_file"] = "! denied" }, "a loop device"},
		{"no sysfs", func(m *memHost, _ []DMTable) {
			for name := range m.files {
				if strings.HasPrefix(name, "sys/") {
					delete(m.files, name)
				}
			}
		}, "the block devices"},
		{"a hash that is none", func(m *memHost, _ []DMTable) { m.files["proc/cmdline"] = "usrhash=x\n" }, "the root hashes on the kernel command line"},
		{"ostree-booted that is none", func(m *memHost, _ []DMTable) {
			m.files["run/ostree-booted"] = "x"
			m.files["proc/1/mountinfo"] += "9 1 8:1 /ostree/deploy/a/deploy/" + rootHash + ".0/etc /etc rw - xfs /dev/sda1 rw\n"
		}, "/run/ostree-booted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, gaps, err := read(tt.change)
			if err != nil || !slices.Equal(whats(gaps), []string{tt.gap}) {
				t.Errorf("got error %v and gaps %v, want one of %s", err, gaps, tt.gap)
			}
			for _, d := range got.Devices {
				if d.Name == "root" && strings.HasPrefix(tt.gap, "the device-mapper table") && d.Verity != nil {
					t.Errorf("got target %+v, want none", d.Verity)
				}
			}
		})
	}
	t.Run("a device that went away meanwhile is no gap", func(t *testing.T) {
		got, gaps, err := read(func(m *memHost, _ []DMTable) { delete(m.files, "sys/block/dm-0/dm/name") })
		if err != nil || len(gaps) > 0 || len(got.Devices) != 1 {
			t.Errorf("got error %v, gaps %v, %d devices", err, gaps, len(got.Devices))
		}
	})
	t.Run("part of a device", func(t *testing.T) {
		got, _, _ := read(func(_ *memHost, d []DMTable) { d[0].Targets[0].Length = 8 })
		if got.Devices[1].Verity.Whole {
			t.Error("a target of half the device is called whole")
		}
	})
	t.Run("verity and something else is no verity device", func(t *testing.T) {
		got, gaps, err := read(func(_ *memHost, d []DMTable) {
			d[0].Targets = append(d[0].Targets, DMTarget{16, 8, "linear", "8:3 0", ""})
		})
		if err != nil || len(gaps) > 0 || got.Devices[1].Verity != nil || len(got.Devices[1].Targets) != 2 {
			t.Errorf("got error %v, gaps %v, %+v", err, gaps, got.Devices[1])
		}
	})
	t.Run("a linear target under the name of the verity device", func(t *testing.T) {
		got, gaps, err := read(func(_ *memHost, d []DMTable) { d[0].Targets[0] = DMTarget{0, 16, "linear", "8:3 0", ""} })
		want := []DMTarget{{0, 16, "linear", "ROOT-A 0", ""}}
		if diff := cmp.Diff(want, got.Devices[1].Targets); err != nil || len(gaps) > 0 || got.Devices[1].Verity != nil || diff != "" {
			t.Errorf("got error %v, gaps %v and (-want +got):\n%s", err, gaps, diff)
		}
	})
	t.Run("no mount table, no fact", func(t *testing.T) {
		if got, _, err := read(func(m *memHost, _ []DMTable) { delete(m.files, "proc/1/mountinfo") }); err == nil {
			t.Errorf("got %+v, want an error", got)
		}
	})
}

func TestReadComposefsImage(t *testing.T) {
	dir := "sysroot/ostree/deploy/default/deploy/" + rootHash + ".0"
	files := func() map[string]string {
		return map[string]string{
			"proc/cmdline":       "ostree=/ostree/boot.1/default/x/0\n",
			"proc/1/mountinfo":   "1 0 0:30 / / ro - overlay composefs ro\n2 1 8:4 /ostree/deploy/default/deploy/" + rootHash + ".0/etc /etc rw - xfs /dev/sda4 rw\n",
			"run/ostree-booted":  string(unhex(t, glibFour)),
			"sys/block/":         "",
			dir + "/.ostree.cfs": "x",
		}
	}
	question := Question{AskVerity, dir + "/.ostree.cfs"}
	for _, tt := range []struct {
		name   string
		change func(*memHost)
		want   string
		gaps   []string
	}{
		{"fs-verity on", func(m *memHost) { m.kernel[question] = FileVerity{true} }, "on", nil},
		{"fs-verity off", func(m *memHost) { m.kernel[question] = FileVerity{false} }, "off", nil},
		{"no answer", func(*memHost) {}, "", []string{"fs-verity of the composefs image"}},
		{"a deployment without an image", func(m *memHost) {
			delete(m.files, dir+"/.ostree.cfs")
			m.files[dir+"/etc/"] = ""
		}, "absent", nil},
		{"an image that cannot be seen", func(m *memHost) { m.files[dir+"/.ostree.cfs"] = "! denied" }, "", []string{"fs-verity of the composefs image"}},
		{"an image that only a loop device shows", func(m *memHost) {
			delete(m.files, dir+"/.ostree.cfs")
			m.files["sys/block/loop0/dev"], m.files["sys/block/loop0/ro"] = "7:0\n", "1\n"
			m.files["sys/block/loop0/loop/backing_file"] = "/" + dir + "/.ostree.cfs (deleted)\n"
		}, "", []string{"fs-verity of the composefs image"}},
	} {
		m := &memHost{files: files(), kernel: map[Question]any{{AskDM, ""}: []DMTable{}}}
		tt.change(m)
		got, gaps, err := Verity.Read(context.Background(), m.host())
		if err != nil || got.ComposefsImage != tt.want || !slices.Equal(whats(gaps), tt.gaps) {
			t.Errorf("%s: got %q, gaps %v, error %v; want %q and gaps %v", tt.name, got.ComposefsImage, gaps, err, tt.want, tt.gaps)
		}
		if got.Ostree == nil || got.Ostree.Composefs != "true" {
			t.Errorf("%s: got ostree %+v", tt.name, got.Ostree)
		}
	}
}

func TestDeploymentPathSample(t *testing.T) {
	for name, text := range sampleFiles(t, "fcos/losetup-ostree-cfs-*.txt") {
		s := bufio.NewScanner(strings.NewReader(text))
		for s.Scan() {
			if f := deploymentPath.FindStringSubmatch(path.Dir(strings.Fields(s.Text())[3])); f == nil || f[1] != "default" {
				t.Errorf("%s: %q is not taken for a deployment", name, s.Text())
			}
		}
	}
}

func FuzzVerityStatus(f *testing.F) {
	f.Add("V -")
	f.Fuzz(func(t *testing.T, status string) {
		if got, err := parseVerityStatus(status); err == nil && (status[:1] != got || !slices.Contains([]string{"V", "C"}, got)) {
			t.Errorf("%q: got %q", status, got)
		}
	})
}

package hostfs

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/seaworthy/seaworthy/node"
)

// dmDevice is a device-mapper device as the kernel would answer for it. The
// buffers of these tests are built from include/uapi/linux/dm-ioctl.h as
// drivers/md/dm-ioctl.c fills them.
type dmDevice struct {
	name, uuid string
	dev        uint64
	targets    [][3]string // type, table, status
}

func (d dmDevice) answer(text int) []byte {
	b := dmRequest(dmBuffer, 0, d.name)
	e := binary.NativeEndian
	copy(b[176:], d.uuid)
	e.PutUint64(b[40:], d.dev)
	e.PutUint32(b[20:], uint32(len(d.targets)))
	at, used := dmHeadSize, 305 // offsetof(struct dm_ioctl, data), where nothing is added
	for i, t := range d.targets {
		e.PutUint64(b[at:], uint64(i)*1000)
		e.PutUint64(b[at+8:], 1000)
		copy(b[at+24:at+40], t[0])
		n := copy(b[at+dmTargetSize:], t[text])
		used = at + dmTargetSize + n + 1
		end := (used + 7) &^ 7 // next is aligned, and the size is not
		e.PutUint32(b[at+20:], uint32(end-dmHeadSize))
		at = end
	}
	e.PutUint32(b[12:], uint32(used))
	return b
}

func dmList(names ...string) []byte {
	b := dmRequest(dmBuffer, 0, "")
	e := binary.NativeEndian
	at := dmHeadSize
	for i, name := range names {
		e.PutUint64(b[at:], uint64(253<<8+i))
		n := copy(b[at+12:], name)
		// The number of events, flags and the uuid follow the name.
		end := (at+12+n+1+7)&^7 + 8 + 16
		if i < len(names)-1 {
			e.PutUint32(b[at+8:], uint32(end-at))
		}
		at = end
	}
	e.PutUint32(b[12:], uint32(at))
	return b
}

const verityTable = "1 253:0 253:0 4096 4096 26049 26050 sha256 cc7d5f6c0d4a2e1fbfc2e2e2a5a9c0b3ae4be67d63b2a51e0b5e6e1a2a0f7b11 -"

var (
	usr = dmDevice{"usr", "CRYPT-VERITY-1b2c-usr", 253<<8 | 1, [][3]string{{"verity", verityTable, "V"}}}
	vol = dmDevice{"vg-data", "LVM-x", 253<<8 | 5<<20 | 2, [][3]string{{"linear", "8:3 2048", ""}, {"linear", "8:4 0", ""}}}
	// crypt prints its key to whoever may ask.
	luks = dmDevice{"luks", "CRYPT-LUKS2-x", 253 << 8, [][3]string{{"crypt", "aes-xts-plain64 00112233445566778899aabbccddeeff 0 8:5 32768", ""}}}
	none = dmDevice{"empty", "", 253<<8 | 9, nil}
)

func TestDMTable(t *testing.T) {
	for _, tt := range []struct {
		dev  dmDevice
		want node.DMTable
	}{
		{usr, node.DMTable{Name: "usr", UUID: "CRYPT-VERITY-1b2c-usr", Dev: "253:1", Targets: []node.DMTarget{{Length: 1000, Type: "verity", Params: verityTable, Status: "V"}}}},
		{vol, node.DMTable{Name: "vg-data", UUID: "LVM-x", Dev: "253:1282", Targets: []node.DMTarget{
			{Length: 1000, Type: "linear", Params: "8:3 2048"}, {Start: 1000, Length: 1000, Type: "linear", Params: "8:4 0"},
		}}},
		{luks, node.DMTable{Name: "luks", UUID: "CRYPT-LUKS2-x", Dev: "253:0", Targets: []node.DMTarget{{Length: 1000, Type: "crypt", Params: "<redacted>"}}}},
		{none, node.DMTable{Name: "empty", Dev: "253:9", Targets: []node.DMTarget{}}},
	} {
		got, err := dmTable(tt.dev.answer(1), tt.dev.answer(2))
		if err != nil {
			t.Errorf("%s: %v", tt.dev.name, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", tt.dev.name, diff)
		}
	}
}

func TestDMTableRefuses(t *testing.T) {
	put := func(at int, v uint32) []byte {
		b := usr.answer(1)
		binary.NativeEndian.PutUint32(b[at:], v)
		return b
	}
	noEnd := usr.answer(1)
	for i := range 16 {
		noEnd[dmHeadSize+24+i] = 'x'
	}
	other := usr
	other.dev++
	for name, tt := range map[string]struct {
		table []byte
		want  string
	}{
		"cut within the head":                {usr.answer(1)[:100], "a device-mapper answer of 100 bytes is cut"},
		"more targets than there are":        {put(20, 2), "target 1 at 0 is followed by one at 152 of 150"},
		"a size beyond the buffer":           {put(12, 1<<20), "device-mapper data at 312 to 1048576"},
		"data within the head":               {put(16, 100), "device-mapper data at 100"},
		"a target that ends before it began": {put(dmHeadSize+20, 8), "is followed by one at 8"},
		"a target that ends nowhere":         {put(dmHeadSize+20, 1<<31), "is followed by one at 2147483648"},
		"a last target that ends too far":    {put(dmHeadSize+20, 160), "is followed by one at 160 of 150"},
		"a type without an end":              {noEnd, "type of device-mapper target 1"},
		"another device under the same name": {other.answer(1), "changed while it was read"},
		"another table":                      {put(dmHeadSize, 8), "the table of device-mapper device \"usr\" changed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dmTable(tt.table, usr.answer(2))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want … %s …", err, tt.want)
			}
		})
	}
}

func TestDMNames(t *testing.T) {
	for _, want := range [][]string{nil, {"usr"}, {"usr", "luks-a b", "x"}} {
		got, err := parseDMNames(dmList(want...))
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	bad := dmList("usr", "x")
	binary.NativeEndian.PutUint32(bad[dmHeadSize+8:], 4)
	if _, err := parseDMNames(bad); err == nil || !strings.Contains(err.Error(), "is followed by one at 4") {
		t.Errorf("a chain that turns back: got %v", err)
	}
}

// What is asked is what the kernel's headers call so.
func TestDMConstants(t *testing.T) {
	for name, tt := range map[string][2]int{
		"DM_STATUS_TABLE_FLAG": {dmStatusTable, unix.DM_STATUS_TABLE_FLAG},
		"DM_BUFFER_FULL_FLAG":  {dmBufferFull, unix.DM_BUFFER_FULL_FLAG},
		"DM_NOFLUSH_FLAG":      {dmNoFlush, unix.DM_NOFLUSH_FLAG},
		"DM_SECURE_DATA_FLAG":  {dmSecureData, unix.DM_SECURE_DATA_FLAG},
		"DM_NAME_LEN":          {dmNameSize, unix.DM_NAME_LEN},
		"DM_UUID_LEN":          {dmUUIDSize, unix.DM_UUID_LEN},
		"struct dm_ioctl":      {dmHeadSize, unix.SizeofDmIoctl},
		"struct dm_target":     {dmTargetSize, unix.SizeofDmTargetSpec},
	} {
		if tt[0] != tt[1] {
			t.Errorf("%s: got %#x, want %#x", name, tt[0], tt[1])
		}
	}
}

func FuzzDM(f *testing.F) {
	for _, d := range []dmDevice{usr, vol, luks, none} {
		f.Add(d.answer(1)[:1024], d.answer(2)[:1024])
	}
	f.Add(dmList("usr", "x")[:512], []byte{})
	recorded := recordedDM(f)
	for name, answer := range recorded {
		f.Add(answer, recorded[strings.Replace(name, " table ", " status ", 1)])
	}
	f.Fuzz(func(t *testing.T, table, status []byte) {
		if names, err := parseDMNames(table); err == nil {
			for _, name := range names {
				if strings.Contains(name, "\x00") || !strings.Contains(string(table), name) {
					t.Errorf("the name %q does not stand in the answer", name)
				}
			}
		}
		got, err := dmTable(table, status)
		if err != nil {
			return
		}
		for _, target := range got.Targets {
			if target.Params != "<redacted>" && !strings.Contains(string(table), target.Params) {
				t.Errorf("the table %q does not stand in the answer", target.Params)
			}
			if target.Type == "crypt" && target.Params != "<redacted>" {
				t.Errorf("the table of a crypt target is %q", target.Params)
			}
		}
	})
}

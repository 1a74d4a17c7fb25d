package hostfs

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
)

// recordedDM returns what kernels answered, by "KERNEL ANSWER DEVICE".
func recordedDM(t testing.TB) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile("testdata/device-mapper.txt")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 4 {
			t.Fatalf("line %.80q has %d fields, want 4", line, len(f))
		}
		b, err := hex.DecodeString(f[3])
		if err != nil {
			t.Fatalf("line %.80q: %v", line, err)
		}
		out[strings.TrimSpace(strings.Join(f[:3], " "))] = b
	}
	return out
}

// The kernel's own answers to the list, and to one that did not fit.
func TestRecordedDMLists(t *testing.T) {
	answers := recordedDM(t)
	for name, want := range map[string][]string{
		"6.12 list":        {`a\x20name`, "errzero", "hmac", "inactive", "lin", "manysegments", `na\xc3\xafve-\xc3\xbc`, "notable", "onlin", "orig", "secret", "susp", "vroot"},
		"6.1 list":         {`a\x20name`, "inactive", "lin", "manysegments", `na\xc3\xafve-\xc3\xbc`, "notable", "orig", "secret", "susp", "vroot"},
		"6.1 list of none": nil,
	} {
		got, err := parseDMNames(answers[name])
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", name, diff)
		}
	}
	for _, name := range []string{"6.12 list cut", "6.12 table vroot cut"} {
		h, err := parseDMHead(answers[name])
		if err != nil || h.flags&dmBufferFull == 0 || h.data(answers[name]) != nil {
			t.Errorf("%s: got flags %#x, %d bytes of data, %v, want a full buffer without data", name, h.flags, len(h.data(answers[name])), err)
		}
	}
}

// What dmsetup(8) printed of the same devices in the same machines is what comes
// out, without keys.
func TestRecordedDMTables(t *testing.T) {
	const (
		salt   = "abababababababababababababababababababababababababababababababab"
		verity = "1 254:0 254:0 4096 4096 "
		newer  = verity + "9910 9911 sha256 16de2446db72f9ee0109f94c6f8c89c00b70c7f88a7b13469b4938b05f13ed27 " + salt
		older  = verity + "9909 9910 sha256 5ebca223fd9b02addbd3e314e3c36de5254adaa24c695f6a4660e9d028977b6e " + salt
		hash   = "225585c77584932b9703f6b25030a313e5f4c2d771f4046b0cc55ce3978c6b7c"
		uuid   = "CRYPT-VERITY-aaaaaaaabbbb4ccc8dddeeeeeeeeeeee-root"
	)
	one := func(length uint64, kind, params, status string) []node.DMTarget {
		return []node.DMTarget{{Length: length, Type: kind, Params: params, Status: status}}
	}
	answers := recordedDM(t)
	for name, want := range map[string]node.DMTable{
		"6.1 root":                        {Name: "root", UUID: uuid, Dev: "253:0", Targets: one(79272, "verity", verity+"9909 9910 sha256 "+hash+" "+strings.ReplaceAll(salt, "ab", "cd"), "V")},
		"6.1 secret":                      {Name: "secret", Dev: "253:1", Targets: one(2048, "crypt", "<redacted>", "")},
		"6.1 vroot":                       {Name: "vroot", Dev: "253:0", Targets: one(79272, "verity", older, "V")},
		"6.1 vroot ignoring corruption":   {Name: "vroot", Dev: "253:0", Targets: one(79272, "verity", older+" 1 ignore_corruption", "C")},
		`6.12 a\x20name`:                  {Name: `a\x20name`, Dev: "253:4", Targets: one(64, "linear", "254:32 8192", "")},
		"6.12 errzero":                    {Name: "errzero", Dev: "253:7", Targets: []node.DMTarget{{Length: 32, Type: "error"}, {Start: 32, Length: 32, Type: "error"}}},
		"6.12 hmac":                       {Name: "hmac", Dev: "253:2", Targets: one(8, "integrity", "<redacted>", "0 117808 -")},
		"6.12 inactive":                   {Name: "inactive", Dev: "253:10", Targets: []node.DMTarget{}},
		"6.12 notable":                    {Name: "notable", Dev: "253:9", Targets: []node.DMTarget{}},
		"6.12 onlin":                      {Name: "onlin", UUID: "LVM-abcdefghijklmnopqrstuvwxyz012345ABCDEFGHIJKLMNOPQRSTUVWXYZ678901", Dev: "253:6", Targets: one(64, "linear", "253:3 0", "")},
		"6.12 root with error correction": {Name: "root", UUID: uuid, Dev: "253:0", Targets: one(79280, "verity", verity+"9910 9911 sha256 dd5549f03964ec2095196a60370b598dc76e0fa3518dfe79e46baaec682bd279 "+salt+" 8 use_fec_from_device 254:16 fec_blocks 10239 fec_start 0 fec_roots 2", "V")},
		"6.12 secret":                     {Name: "secret", Dev: "253:1", Targets: one(2048, "crypt", "<redacted>", "")},
		"6.12 susp":                       {Name: "susp", Dev: "253:11", Targets: one(64, "linear", "254:32 8192", "")},
		"6.12 vroot":                      {Name: "vroot", Dev: "253:0", Targets: one(79280, "verity", newer, "V")},
		"6.12 vroot corrupted":            {Name: "vroot", Dev: "253:0", Targets: one(79280, "verity", newer, "C")},
	} {
		t.Run(name, func(t *testing.T) {
			kernel, device, _ := strings.Cut(name, " ")
			table := answers[kernel+" table "+device]
			if len(want.Targets) > 0 && want.Targets[0].Params == "<redacted>" && !bytes.Contains(table, []byte("deadbeefcafef00d")) {
				t.Error("the kernel's answer has no key in it, so that this test cannot fail")
			}
			got, err := dmTable(table, answers[kernel+" status "+device])
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

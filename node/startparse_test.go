package node

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A startRow is a text of a format and what it starts, or part of why it is refused.
type startRow struct {
	name, text string
	want       []string
	refused    string
}

func testStarts(t *testing.T, parse func([]byte) ([]string, error), rows []startRow) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			got, err := parse([]byte(row.text))
			if row.refused != "" {
				if err == nil || !strings.Contains(err.Error(), row.refused) {
					t.Errorf("got %q, %v; want a refusal with %q", got, err, row.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(row.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

// startParsers are all parsers of definitions.
var startParsers = map[string]func([]byte) ([]string, error){
	"unit": parseUnit, "crontab": parseSystemCrontab, "table": parseUserCrontab, "anacrontab": parseAnacrontab,
	"udev": parseUdevRules, "modules": parseModulesLoad, "modprobe": parseModprobe, "pam": parsePAM, "binfmt": parseBinfmtFile,
	"cni": parseCNI, "credentials": parseCredentialProviders,
}

// FuzzStarts holds every parser to this: it does not break; what it returns is
// not empty, stands once, and stands in the text once escapes and joints are
// taken away; and what the redactor keeps of the text is reduced, reads as the
// parser said, and is left alone the second time.
func FuzzStarts(f *testing.F) {
	for _, text := range []string{
		"[Service]\nExecStart=-/usr/bin/a b\n", "* * * * * root /bin/a\n", "@reboot /bin/a % in\n", "1 5 daily run-parts /etc/cron.daily\n",
		`ACTION=="add", RUN+="/bin/a b"` + "\n", "overlay\nbr_netfilter\n", "install a /bin/b\n", "auth required pam_exec.so /bin/a\n",
		":n:M::ab::/bin/a:F\n", "kind: Pod\nspec: {containers: [{image: a}]}\n", `{"plugins":[{"type":"bridge"}]}`,
		"kind: CredentialProviderConfig\nproviders: [{name: a}]\n", "starts \"/bin/a\"\nvaries\n", "refused \"x\"\n", "10.1.2.3\n", "a\\\n", "'\x00",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for name, parse := range startParsers {
			starts, err := parse(b)
			for i, s := range starts {
				if s == "" || cmp.Equal(distinct(starts[:i+1]), distinct(starts[:i])) {
					t.Errorf("%s: %q is empty or stands twice", name, starts)
				}
			}
			redact := reducer(parse, "node-1")
			kept := redact(b)
			again, _, refusal := parseReduced(kept)
			if _, _, whole := readReduced(kept); whole != nil {
				t.Errorf("%s: what is kept is not reduced: %v", name, whole)
			}
			if _, _, reduced := readReduced(b); reduced != nil && (!cmp.Equal(starts, again) || (err != nil) != (refusal != nil)) {
				t.Errorf("%s: got %q, %v of %q, %v", name, again, refusal, starts, err)
			}
			if twice := redact(kept); string(twice) != string(kept) {
				t.Errorf("%s: redacted twice: %q of %q", name, twice, kept)
			}
		}
	})
}

// What is no definition may be a file of secrets that somebody has linked to:
// nothing of it may come out of a parser that follows links, nor out of a refusal.
func TestNothingOfASecretIsKept(t *testing.T) {
	const secret = "c4n4ry"
	followed := map[string]bool{"unit": true, "udev": true, "pam": true, "cni": true, "credentials": true}
	for _, text := range []string{
		"root:$6$c4n4ry:19000:0:99999:7:::\n", "c4n4ry\n", "c4n4ry c4n4ry c4n4ry\n", "password = c4n4ry\n", "[default]\naws_secret_access_key = c4n4ry\n",
		"machine h login l password c4n4ry\n", `{"type":"service_account","private_key":"c4n4ry"}`, "kind: Secret\ndata: {a: c4n4ry}\n", "-----BEGIN PRIVATE KEY-----\nc4n4ry\n",
	} {
		for name, parse := range startParsers {
			starts, err := parse([]byte(text))
			if followed[name] && strings.Contains(strings.Join(starts, " "), secret) {
				t.Errorf("%s keeps %q of %q", name, starts, text)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%s quotes %q: %v", name, text, err)
			}
		}
	}
}

func TestVariesByNode(t *testing.T) {
	for _, tt := range []struct {
		text string
		want bool
	}{
		{"Environment=IP=10.1.2.3", true},
		{"listen 127.0.0.1 and 0.0.0.0", false},
		{"the metadata server is 169.254.169.254", false},
		{"mac 52:54:00:12:34:56", true},
		{"fe80::1:2:3:4", true},
		{"12:30:00", false},
		{"UUID=721fad77-c395-4420-a926-eff48fa62bfc", true},
		{"machine-id 0123456789abcdef0123456789abcdef", true},
		{"--hostname-override=node-17", true},
		{"nothing of it", false},
	} {
		if got := variesByNode([]byte(tt.text), "node-17"); got != tt.want {
			t.Errorf("%q: got %v", tt.text, got)
		}
	}
	if variesByNode([]byte("localhost"), "localhost") {
		t.Error("localhost is no node's name")
	}
}

func TestReducerKeepsProgramsAlone(t *testing.T) {
	b := reducer(parseSystemCrontab, "n")([]byte("TOKEN=s3cret\n* * * * * root /usr/bin/a --token=s3cret 10.0.0.1\n"))
	if got, want := string(b), "starts \"/usr/bin/a\"\nvaries\n"; got != want {
		t.Errorf("got %q want %q", got, want)
	}
	b = reducer(parseSystemCrontab, "n")([]byte("s3cret\n"))
	if got, want := string(b), "refused \"line 1 has no command\"\n"; got != want {
		t.Errorf("got %q want %q", got, want)
	}
	if _, _, err := parseReduced([]byte("starts /bin/a\n")); err == nil {
		t.Error("a word without quotes is taken")
	}
	if _, _, err := parseReduced([]byte(`starts "a"`)); err == nil {
		t.Error("a line that is cut is taken")
	}
}

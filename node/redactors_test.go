package node

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// aToken is a JSON Web Token with these claims and no valid signature.
func aToken(claims string) string {
	return "eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2lnbmF0dXJl"
}

func TestToken(t *testing.T) {
	const subject = `"sub":"system:serviceaccount:default:default"`
	for _, tt := range []struct {
		name, file string
		want       tokenClaims
	}{
		{"as the kubelet asks for it", aToken(`{` + subject + `,"aud":["https://kubernetes.default.svc.cluster.local"],"iat":1700000000,"exp":1700003607,"kubernetes.io":{"namespace":"default","pod":{"name":"p","uid":"u"}}}`),
			tokenClaims{"yes", "hour", "no", "pod", "api-server"}},
		{"extended to a year by the API server", aToken(`{` + subject + `,"aud":["https://kubernetes.default.svc"],"iat":1700000000,"exp":1731536000,"kubernetes.io":{"pod":{"name":"p"},"warnafter":1700003607}}`),
			tokenClaims{"yes", "year", "yes", "pod", "api-server"}},
		{"for another audience", aToken(`{` + subject + `,"aud":["sts.amazonaws.com"],"iat":0,"exp":86400,"kubernetes.io":{"pod":{}}}`), tokenClaims{"yes", "day", "no", "pod", "other"}},
		{"one audience as text", aToken(`{` + subject + `,"aud":"vault","iat":0,"exp":600000,"kubernetes.io":{"secret":{}}}`), tokenClaims{"yes", "month", "no", "other", "other"}},
		{"of a Secret", aToken(`{"iss":"kubernetes/serviceaccount",` + subject + `,"kubernetes.io/serviceaccount/secret.name":"s"}`), tokenClaims{"yes", "never", "no", "none", "none"}},
		{"for ten years", aToken(`{` + subject + `,"iat":1,"exp":315360001}`), tokenClaims{"yes", "longer", "no", "none", "none"}},
		{"for somebody else", aToken(`{"sub":"ann","exp":1}`), tokenClaims{Token: "no"}},
		{"a password", "hunter2", tokenClaims{Token: "no"}},
		{"three words", "a.b.c", tokenClaims{Token: "no"}},
		{"what looks redacted and is not", `{"token":"yes","lifetime":"hunter2"}`, tokenClaims{Token: "no"}},
	} {
		got, err := parseToken(redactToken([]byte(tt.file)))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func FuzzRedactToken(f *testing.F) {
	f.Add(aToken(`{"sub":"system:serviceaccount:a:b","iat":1,"exp":2}`))
	f.Add(`{"token":"yes","lifetime":"hunter2"}`)
	f.Add("..")
	f.Fuzz(func(t *testing.T, s string) { leavesOnlyWords(t, s, redactToken) })
}

func TestSettings(t *testing.T) {
	for _, tt := range []struct{ name, file, want string }{
		{"Docker with a password", `{"auths":{"r.example":{"auth":"dTpw"}}}`, "secret"},
		{"Docker with a helper alone", `{"credHelpers":{"r.example":"ecr-login"},"credsStore":"desktop","auths":{"r.example":{}}}`, "none"},
		{"AWS keys", "[default]\naws_access_key_id = AKIAX\naws_secret_access_key = x/y\n", "secret"},
		{"AWS with a program", "[default]\ncredential_process = /opt/bin/get\nrole_arn=arn:x\n", "none"},
		{"azure.json of a managed identity", `{"aadClientId":"msi","aadClientSecret":"msi","useManagedIdentityExtension":true}`, "none"},
		{"azure.json with a secret", `{"aadClientSecret":"hunter2"}`, "secret"},
		{"Google", `{"type":"authorized_user","refresh_token":"1//x"}`, "secret"},
		{"workload identity of Google", `{"type":"external_account","token_url":"https://sts.googleapis.com/v1/token","subject_token_type":"urn:ietf:params:oauth:token-type:jwt"}`, "none"},
		{"vSphere's Secret by its name", "global:\n  secretName: cpi\n  secretNamespace: kube-system\n", "none"},
		{"vSphere's password", "[Global]\nuser = \"a\"\npassword = \"hunter2\"\n", "secret"},
		{"a region", "[Global]\nZone = eu-1a\n", "none"},
		{"an empty file", "\n", "none"},
		{"sentences", "hello there\n", "unknown"},
		{"a comment alone", "# nothing\n", "unknown"},
	} {
		if got, want := string(redactSettings([]byte(tt.file))), `{"holds":"`+tt.want+`"}`; got != want {
			t.Errorf("%s: got %s, want %s", tt.name, got, want)
		}
	}
}

func FuzzRedactSettings(f *testing.F) {
	f.Add(`{"holds":"hunter2"}`)
	f.Add("[a]\npassword=x")
	f.Add("a: [b: {c: d}]")
	f.Fuzz(func(t *testing.T, s string) { leavesOnlyWords(t, s, redactSettings) })
}

func FuzzRedactKubeconfig(f *testing.F) {
	f.Add("current-context: c\ncontexts: [{name: c, context: {user: u}}]\nusers: [{name: u, user: {client-certificate: a.pem}}]\n")
	f.Add(`{"credential":"token","certificate":"hunter2"}`)
	f.Add(`{"credential":"hunter2"}`)
	f.Add(`{"credential":"none","notAfter":"2026-01-01T00:00:00Z"}`)
	f.Fuzz(func(t *testing.T, s string) {
		once := redactKubeconfig([]byte(s))
		if twice := redactKubeconfig(once); !bytes.Equal(once, twice) {
			t.Fatalf("redacting %q: once %q, twice %q", s, once, twice)
		}
		if _, ok := redactedKubeconfig(once); !ok {
			t.Fatalf("redacting %q left %q", s, once)
		}
	})
}

// leavesOnlyWords holds a redactor to changing nothing twice and leaving nothing but a
// few short words.
func leavesOnlyWords(t *testing.T, s string, redact func([]byte) []byte) {
	t.Helper()
	once := redact([]byte(s))
	if twice := redact(once); !bytes.Equal(once, twice) {
		t.Fatalf("redacting %q: once %q, twice %q", s, once, twice)
	}
	if len(once) > 120 || strings.Contains(string(once), "hunter2") {
		t.Fatalf("redacting %q left %q", s, once)
	}
}

func TestEnvironment(t *testing.T) {
	for _, tt := range []struct {
		variable string
		secret   bool
	}{
		{"DB_PASSWORD=hunter2", true},
		{"AWS_SECRET_ACCESS_KEY=x/y1", true},
		{"AWS_ACCESS_KEY_ID=AKIAX", false}, // a name
		{"GITHUB_TOKEN=ghp_x", true},
		{"STRIPE_API_KEY=sk_x", true},
		{"PGPASS=hunter2", true},
		{"HTTP_PROXY=http://u:hunter2@proxy:3128", true},
		{"HTTP_PROXY=http://proxy:3128", false},
		{"DATABASE_URL=postgres://u:hunter2@db/x", true},
		{"GOOGLE_APPLICATION_CREDENTIALS=/var/run/key.json", false}, // a path
		{"AWS_WEB_IDENTITY_TOKEN_FILE=/var/run/token", false},
		{"TOKEN_TTL=3600s", false},
		{"USE_TOKEN=true", false},
		{"TOKEN=", false},
		{"PWD=/root/secret", false},
		{"OLDPWD=home", false},
		{"GPG_KEY=E3FF2839C048B25C", false}, // images of Python
		{"CREDENTIALS_DIRECTORY=x/y/z", false},
		{"LANG=C.UTF-8", false},
		{"KEYMAP=german", false},
		{"BASH_FUNC_token%%=() { echo; }", false}, // no name
		{"hunter2", false},
	} {
		left := redactEnvironment([]byte(tt.variable + "\x00"))
		if got := len(parseEnvironment(left)) == 1; got != tt.secret {
			t.Errorf("%s: got %t, want %t", tt.variable, got, tt.secret)
		}
		if strings.Contains(string(left), "hunter2") {
			t.Errorf("%s: the value was kept: %q", tt.variable, left)
		}
	}
}

func FuzzRedactEnvironment(f *testing.F) {
	f.Add("A=b\x00DB_PASSWORD=hunter2\x00")
	f.Add("=\x00TOKEN\x00_=x\x00A_URL=x://a:b@c")
	f.Fuzz(func(t *testing.T, s string) {
		once := redactEnvironment([]byte(s))
		if twice := redactEnvironment(once); !bytes.Equal(once, twice) {
			t.Fatalf("redacting %q: once %q, twice %q", s, once, twice)
		}
		for _, name := range parseEnvironment(once) {
			if !variableName.MatchString(name) || !strings.Contains(s, name+"=") {
				t.Fatalf("redacting %q left the name %q", s, name)
			}
		}
		for _, entry := range slices.DeleteFunc(strings.Split(string(once), "\x00"), func(e string) bool { return e == "" }) {
			if !strings.HasSuffix(entry, "="+redacted) {
				t.Fatalf("redacting %q left %q", s, entry)
			}
		}
	})
}

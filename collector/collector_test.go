package collector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/collector/store"
	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/wire"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

var epoch = time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC)

// checks are enough to see each verdict. kernel-is counts how often it judges.
func checks(judged *atomic.Int64) []verify.Check {
	help := verify.Help{Why: "because", How: "by looking", Remedy: map[string]string{"": "boot another kernel"}}
	refs := []verify.Ref{{Standard: "NIST SP 800-53 r5", ID: "SI-2"}}
	return []verify.Check{
		{
			ID: "kernel-is", Rev: 1, Title: "the kernel is the newest", Topic: verify.KernelTopic, Severity: verify.High, Refs: refs, Help: help,
			Judge: verify.On(node.Kernel, func(k node.KernelState, g verify.Given) verify.Finding {
				judged.Add(1)
				if k.Release == "panic" {
					panic("hostile")
				}
				if k.Release == "6.6.95" {
					until := g.At.Add(time.Hour)
					return verify.Finding{Verdict: verify.Fail, Code: "old", Reason: "6.6.95 is old", Items: []string{"6.6.95"}, Until: &until}
				}
				return verify.Finding{Verdict: verify.Pass, Code: "new", Reason: k.Release + " is new"}
			}),
		},
		{
			ID: "init-known", Rev: 1, Title: "process 1 is known", Topic: verify.Immutability, Severity: verify.Low, Refs: refs, Help: help,
			Judge: verify.On(node.OS, func(os node.System, _ verify.Given) verify.Finding {
				return verify.Finding{Verdict: verify.Pass, Code: "known", Reason: os.Init}
			}),
		},
	}
}

type rig struct {
	*Server
	now    time.Time
	judged atomic.Int64
	log    bytes.Buffer
}

func newRig(t testing.TB) *rig {
	t.Helper()
	st, err := store.Open(filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	r := &rig{now: epoch}
	r.Server, err = New(Config{
		Store: st, Checks: checks(&r.judged), Now: func() time.Time { return r.now }, Version: "v0.1.0",
		Profiles: []*profiles.Profile{{Name: profiles.Generic, Title: "Linux host", Digest: "d1"}},
		Log:      slog.New(slog.NewTextHandler(&r.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func report(name, release string) wire.Report {
	return wire.Report{
		Version: wire.Version, Cluster: "prod", Node: name, Agent: "v0.1.0", Interval: time.Minute, At: epoch,
		Facts: node.Facts{
			"os": {
				Value: node.System{Release: map[string]string{"ID": "flatcar", "VERSION_ID": "4230.2.1", "PRETTY_NAME": "Flatcar 4230.2.1"}, Markers: []string{}, Init: "systemd", PIDNamespace: "initial"},
				Gaps:  []node.Gap{}, Evidence: []node.Evidence{{What: "/etc/os-release", SHA256: strings.Repeat("ab", 32)}},
			},
			"kernel":   {Value: node.KernelState{Release: release, Taints: []node.Taint{}, Modules: []node.Module{}}, Gaps: []node.Gap{}, Evidence: []node.Evidence{}},
			"identity": {Value: node.Identification{Name: "what the node calls itself", BootID: "b"}, Gaps: []node.Gap{}, Evidence: []node.Evidence{}},
		},
	}
}

// ask makes a request from this machine.
func (r *rig) ask(t testing.TB, method, path, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.RemoteAddr, req.Host = "127.0.0.1:5000", "127.0.0.1:8440"
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, c := range change {
		c(req)
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w
}

func (r *rig) post(t testing.TB, report wire.Report) {
	t.Helper()
	b, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	if w := r.ask(t, "POST", "/v1/reports", string(b)); w.Code != 200 {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
}

func decode(t testing.TB, w *httptest.ResponseRecorder, into any) {
	t.Helper()
	if kind := w.Header().Get("Content-Type"); kind != "application/json" {
		t.Errorf("got %d with type %q, want JSON: %s", w.Code, kind, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
}

func TestReportIsAcknowledgedJudgedAndListed(t *testing.T) {
	r := newRig(t)
	server := httptest.NewServer(r)
	defer server.Close()
	ack, err := wire.Client{URL: server.URL}.Send(t.Context(), report("node-7", "6.6.95"))
	if err != nil {
		t.Fatal(err)
	}
	if !ack.Received.Equal(epoch) {
		t.Errorf("got %s, want the collector's clock", ack.Received)
	}
	r.post(t, report("node-8", "6.6.99"))
	r.now = epoch.Add(4 * time.Minute)
	r.post(t, report("node-8", "6.6.99"))

	var list []map[string]any
	decode(t, r.ask(t, "GET", "/v1/nodes", ""), &list)
	line := func(name string, pass, fail float64, last, state string) map[string]any {
		return map[string]any{
			"cluster": "prod", "name": name, "os": map[string]any{"id": "flatcar", "version": "4230.2.1"},
			"profile": map[string]any{"name": "generic", "digest": "d1"}, "level": list[0]["level"],
			"summary":   map[string]any{"pass": pass, "fail": fail, "unknown": 0.0, "not-applicable": 0.0},
			"firstSeen": "2026-11-25T03:00:00Z", "lastSeen": last, "state": state,
		}
	}
	want := []map[string]any{
		line("node-7", 1, 1, "2026-11-25T03:00:00Z", "silent"),
		line("node-8", 2, 0, "2026-11-25T03:04:00Z", "reporting"),
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Error(diff)
	}
	if level, ok := list[0]["level"].(map[string]any); !ok || level["number"] == nil || level["claimed"] == nil || level["name"] == nil {
		t.Errorf("got level %v", list[0]["level"])
	}
	if !strings.Contains(r.log.String(), `msg="node changed" cluster=prod node=node-7 profile=generic level=0 fail=1 unknown=0 states=1`) {
		t.Errorf("the change is not in the log: %s", r.log.String())
	}
}

func TestNodeAsJSON(t *testing.T) {
	r := newRig(t)
	sent := report("node-7", "6.6.95")
	r.post(t, sent)
	var got struct {
		verify.Report
		Presence presence
		History  []spanLine
	}
	decode(t, r.ask(t, "GET", "/v1/nodes/prod/node-7", ""), &got)
	if diff := cmp.Diff(sent.Facts, got.Facts); diff != "" {
		t.Error(diff)
	}
	if got.Node != "node-7" || got.Witness != "agent" || got.Version != "v0.1.0" || !got.At.Equal(epoch) {
		t.Errorf("got node %q, witness %q, version %q, at %s", got.Node, got.Witness, got.Version, got.At)
	}
	want := presence{Cluster: "prod", State: "reporting", FirstSeen: epoch, LastSeen: epoch, Interval: "1m0s", Agent: "v0.1.0", Gathered: epoch}
	if diff := cmp.Diff(want, got.Presence); diff != "" {
		t.Error(diff)
	}
	if len(got.History) != 1 || got.History[0].Until != nil || len(got.Findings) != 2 {
		t.Errorf("got history %v, findings %v", got.History, got.Findings)
	}
}

func TestEachStateIsJudgedOnceUntilItMayChange(t *testing.T) {
	r := newRig(t)
	for i := range 10 {
		r.post(t, report(fmt.Sprintf("node-%d", i), "6.6.95"))
	}
	look := func() int64 {
		r.ask(t, "GET", "/v1/nodes", "")
		r.ask(t, "GET", "/", "")
		r.ask(t, "GET", "/v1/nodes/prod/node-3", "")
		return r.judged.Load()
	}
	if got := look(); got != 1 {
		t.Errorf("ten equal nodes: judged %d times, want once", got)
	}
	r.now = epoch.Add(59 * time.Minute)
	if got := look(); got != 1 {
		t.Errorf("before Until: judged %d times, want once", got)
	}
	r.now = epoch.Add(time.Hour)
	if got := look(); got != 2 {
		t.Errorf("at Until: judged %d times, want twice", got)
	}
	for i := range 10 {
		r.post(t, report(fmt.Sprintf("node-%d", i), "6.6.99"))
	}
	look()
	if len(r.kept) != 1 {
		t.Errorf("%d verdicts are kept, want that of the one state that is left", len(r.kept))
	}
}

func TestRefusals(t *testing.T) {
	good, err := json.Marshal(report("node-7", "6.6.95"))
	if err != nil {
		t.Fatal(err)
	}
	body := string(good)
	elsewhere := func(r *http.Request) { r.RemoteAddr = "192.0.2.7:5000" }
	header := func(k, v string) func(*http.Request) { return func(r *http.Request) { r.Header.Set(k, v) } }
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	for _, test := range []struct {
		name, method, path, body string
		change                   func(*http.Request)
		status                   int
		want                     string // in the error
	}{
		{"a body that is no report", "POST", "/v1/reports", "{", nil, 400, "at byte 1: it ends in the middle"},
		{"an unknown field", "POST", "/v1/reports", strings.Replace(body, `"agent"`, `"agend"`, 1), nil, 400, "agend: no such field"},
		{"a name with a slash", "POST", "/v1/reports", strings.Replace(body, "node-7", "node/7", 1), nil, 400, "node: the name"},
		{"too large", "POST", "/v1/reports", strings.Repeat(" ", wire.MaxReport+1), nil, 413, "more than 8388608 bytes"},
		{"a form", "POST", "/v1/reports", body, header("Content-Type", "text/plain"), 415, "application/json"},
		{"compressed", "POST", "/v1/reports", body, header("Content-Encoding", "gzip"), 415, "gzip"},
		{"reading the reports", "GET", "/v1/reports", "", nil, 405, "POST only"},
		{"deleting a node", "DELETE", "/v1/nodes/prod/node-7", "", nil, 405, "GET, HEAD only"},
		{"a node that never reported", "GET", "/v1/nodes/prod/node-7", "", nil, 404, "no node of this name"},
		{"a node with half a name", "GET", "/v1/nodes/prod", "", nil, 404, "nothing at /v1/nodes/prod"},
		{"another version", "GET", "/v2/nodes", "", nil, 404, ""},
		{"the old root", "GET", "/v1", "", nil, 404, "nothing at /v1"},
		{"from elsewhere", "GET", "/v1/nodes", "", elsewhere, 403, "its own machine only"},
		{"a report from elsewhere", "POST", "/v1/reports", body, elsewhere, 403, "its own machine only"},
		{"a name that was made to point here", "GET", "/v1/nodes", "", host("evil.example:8440"), 421, "evil.example"},
		{"the address in a name", "GET", "/v1/nodes", "", host("127.0.0.1.evil.example"), 421, "evil.example"},
		{"no name", "GET", "/v1/nodes", "", host(""), 421, "not called"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			var change []func(*http.Request)
			if test.change != nil {
				change = append(change, test.change)
			}
			w := r.ask(t, test.method, test.path, test.body, change...)
			if w.Code != test.status {
				t.Fatalf("got %d %s, want %d", w.Code, w.Body, test.status)
			}
			if test.want == "" { // a page
				return
			}
			var said wire.Refusal
			decode(t, w, &said)
			if !strings.Contains(said.Error, test.want) {
				t.Errorf("got %q, want %q", said.Error, test.want)
			}
		})
	}
}

func TestNamesOfThisMachine(t *testing.T) {
	r := newRig(t)
	for _, host := range []string{"localhost", "LOCALHOST:8440", "localhost.", "127.0.0.1", "127.1.2.3:1", "[::1]:8440", "[::1]"} {
		if w := r.ask(t, "GET", "/healthz", "", func(req *http.Request) { req.Host = host }); w.Code != 200 {
			t.Errorf("%s: got %d", host, w.Code)
		}
	}
}

func TestRemoteLetsOthersIn(t *testing.T) {
	r := newRig(t)
	r.Remote = true
	from := func(local string) func(*http.Request) {
		return func(req *http.Request) {
			addr, err := net.ResolveTCPAddr("tcp", local)
			if err != nil {
				t.Fatal(err)
			}
			req.RemoteAddr, req.Host = "192.0.2.7:5000", "seaworthy.example"
			*req = *req.WithContext(context.WithValue(req.Context(), http.LocalAddrContextKey, addr))
		}
	}
	if w := r.ask(t, "GET", "/v1/nodes", "", from("192.0.2.1:8440")); w.Code != 200 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if w := r.ask(t, "GET", "/v1/nodes", "", from("127.0.0.1:8440")); w.Code != 421 {
		t.Errorf("over loopback the name is still checked: got %d", w.Code)
	}
}

func TestRouteWithoutCallerIsForNobody(t *testing.T) {
	r := newRig(t)
	h := r.guard(route{pattern: "GET /x", handle: func(*Server, http.ResponseWriter, *http.Request) error { return nil }})
	req := httptest.NewRequest("GET", "/x", nil)
	req.RemoteAddr = "127.0.0.1:5000"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	if w.Code != 403 {
		t.Errorf("got %d, want 403", w.Code)
	}
	for _, rt := range routes {
		if rt.who == 0 {
			t.Errorf("%s has no caller", rt.pattern)
		}
	}
}

func TestEveryAnswerIsSecured(t *testing.T) {
	r := newRig(t)
	r.post(t, report("node-7", "6.6.95"))
	for _, path := range []string{"/", "/nodes/prod/node-7", "/checks", "/checks/kernel-is", "/style.css", "/icon.svg", "/healthz", "/v1/nodes", "/nothing", "/v1/nothing"} {
		w := r.ask(t, "GET", path, "")
		for k, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; style-src 'self';", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
		} {
			if got := w.Header().Get(k); !strings.HasPrefix(got, want) {
				t.Errorf("%s: got %s %q", path, k, got)
			}
		}
		if got := w.Header().Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("%s: it lets %s read", path, got)
		}
		if strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			for _, never := range []string{"<script", "style=", "onclick", "://cdn", "https://"} {
				if strings.Contains(w.Body.String(), never) {
					t.Errorf("%s: the page has %q", path, never)
				}
			}
		}
	}
}

func TestHealth(t *testing.T) {
	r := newRig(t)
	if w := r.ask(t, "GET", "/healthz", ""); w.Code != 200 || w.Body.String() != "ok\n" {
		t.Errorf("got %d %q", w.Code, w.Body)
	}
	if err := r.Store.Close(); err != nil {
		t.Fatal(err)
	}
	if w := r.ask(t, "GET", "/healthz", ""); w.Code != 503 {
		t.Errorf("without its database: got %d %q", w.Code, w.Body)
	}
}

func TestNoAcknowledgementWithoutTheDatabase(t *testing.T) {
	r := newRig(t)
	if err := r.Store.Close(); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(r)
	defer server.Close()
	_, err := wire.Client{URL: server.URL}.Send(t.Context(), report("node-7", "6.6.95"))
	var refused *wire.SendError
	if !errors.As(err, &refused) || refused.Final() || refused.Status != 503 || refused.After != 10*time.Second {
		t.Errorf("got %v, want a passing 503 with ten seconds to wait", err)
	}
	if strings.Contains(err.Error(), ".db") || !strings.Contains(r.log.String(), "the database is closed") {
		t.Errorf("the reason is for the log, not for the caller: %v; %s", err, r.log.String())
	}
}

// A node can claim what breaks a judge. It proves nothing, and breaks no more.
func TestHostileFacts(t *testing.T) {
	r := newRig(t)
	r.post(t, report("node-7", "panic"))
	var got verify.Report
	decode(t, r.ask(t, "GET", "/v1/nodes/prod/node-7", ""), &got)
	if got.Findings[0].Verdict != verify.Unknown || got.Summary.Unknown != 1 {
		t.Errorf("got %+v, want unknown", got.Findings[0])
	}
	markup := `<script>alert(1)</script>"'&`
	hostile := report("node-8", markup)
	hostile.Agent = markup
	hostile.Facts["os"] = node.Fact{Value: node.System{Release: map[string]string{"ID": markup, "PRETTY_NAME": markup}, Init: markup}, Gaps: []node.Gap{{What: markup, Code: node.Code(markup), Reason: markup}}}
	r.post(t, hostile)
	for _, path := range []string{"/", "/nodes/prod/node-8", "/checks/kernel-is"} {
		w := r.ask(t, "GET", path, "")
		if w.Code != 200 || strings.Contains(w.Body.String(), "<script") {
			t.Errorf("%s: got %d, want a page without the node's markup", path, w.Code)
		}
	}
}

func TestServeEndsWhatItHasBegun(t *testing.T) {
	r := newRig(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Serve(ctx, l) }()
	resp, err := http.Get("http://" + l.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil || string(b) != "ok\n" {
		t.Errorf("got %q, %v", b, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Config{}); err == nil || !strings.Contains(err.Error(), "generic") {
		t.Errorf("no profile: got %v", err)
	}
	if _, err := New(Config{Checks: []verify.Check{{ID: "x"}}}); err == nil || !strings.Contains(err.Error(), "check x") {
		t.Errorf("a bad check: got %v", err)
	}
}

// Never a panic, never a 5xx, and what is accepted can be read in every way.
func FuzzReportBody(f *testing.F) {
	for _, r := range []wire.Report{report("node-7", "6.6.95"), report("n", "panic")} {
		b, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
		f.Add(string(b[:len(b)/2]))
		f.Add(strings.Replace(string(b), `"os"`, `"mounts"`, 1))
	}
	for _, s := range node.Sources() {
		f.Add(fmt.Sprintf(`{"version":1,"node":"a","at":"2026-11-25T03:12:00Z","facts":{%q:{"value":null}}}`, s.Info().Name))
	}
	f.Add(`{"version":1,"node":"a","at":"0000-01-01T00:00:00Z","interval":1,"facts":{"mounts":{"value":[{"path":"/","options":[],"super":[]}]}}}`)
	f.Add(`{"version":1,"node":"a","at":"9999-12-31T23:59:59.999999999-23:59","facts":{"os":{"missing":{"code":"","reason":""}}}}`)
	r := newRig(f)
	f.Fuzz(func(t *testing.T, body string) {
		w := r.ask(t, "POST", "/v1/reports", body)
		switch {
		case w.Code >= 500:
			t.Fatalf("got %d %s", w.Code, w.Body)
		case w.Code != 200:
			var said wire.Refusal
			decode(t, w, &said)
			if said.Error == "" {
				t.Error("it is refused without a reason")
			}
			return
		}
		sent, err := wire.Decode([]byte(body))
		if err != nil {
			t.Fatalf("accepted, and not decodable: %v", err)
		}
		path := "/nodes/" + sent.Cluster + "/" + sent.Node
		for _, p := range []string{"/v1/nodes", "/v1" + path, path, "/"} {
			if w := r.ask(t, "GET", p, ""); w.Code != 200 {
				t.Errorf("%s after it was accepted: got %d %s", p, w.Code, w.Body)
			}
		}
		var got verify.Report
		decode(t, r.ask(t, "GET", "/v1"+path, ""), &got)
		if len(got.Facts) != len(sent.Facts) {
			t.Errorf("got %d facts, %d were accepted", len(got.Facts), len(sent.Facts))
		}
	})
}

package wire

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
)

func TestSend(t *testing.T) {
	received := time.Date(2026, 11, 25, 3, 12, 1, 0, time.UTC)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got, err := Decode(b)
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(report(), got); diff != "" {
			t.Error(diff)
		}
		if what := r.Method + " " + r.URL.Path + " " + r.Header.Get("Content-Type"); what != "POST /v1/reports application/json" {
			t.Errorf("got %q", what)
		}
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(Ack{received})
	}))
	defer collector.Close()
	for _, url := range []string{collector.URL, collector.URL + "/"} {
		ack, err := Client{URL: url}.Send(t.Context(), report())
		if err != nil {
			t.Fatal(err)
		}
		if !ack.Received.Equal(received) {
			t.Errorf("got %v, want %v", ack.Received, received)
		}
	}
}

func TestSendTellsFinalFromPassing(t *testing.T) {
	for _, test := range []struct {
		name   string
		status int
		header map[string]string
		body   string
		final  bool
		after  time.Duration
		want   string // in the error
	}{
		{"refused body", 400, nil, `{"error":"reading the report: node: the name is empty","field":"node"}`, true, 0, "answered 400: reading the report: node: the name is empty"},
		{"nobody", 403, nil, `{"error":"who are you"}`, true, 0, "who are you"},
		{"a page of another server", 404, nil, "<html>\n  <h1>nginx</h1>", true, 0, `"<html> <h1>nginx</h1>"`},
		{"endless answer", 500, nil, strings.Repeat("x", 1<<20), false, 0, "…"},
		{"too large", 413, nil, "", true, 0, "413 Request Entity Too Large"},
		{"too many", 429, map[string]string{"Retry-After": "7"}, `{"error":"slow down"}`, false, 7 * time.Second, "slow down"},
		{"full disk", 503, map[string]string{"Retry-After": "30"}, `{"error":"the disk is full"}`, false, 30 * time.Second, "the disk is full"},
		{"a date to wait for", 503, map[string]string{"Retry-After": "Wed, 25 Nov 2026 03:12:00 GMT"}, ``, false, 0, "503"},
		{"a redirect", 307, map[string]string{"Location": "http://elsewhere.example/v1/reports"}, "", true, 0, `redirects to "http://elsewhere.example/v1/reports"`},
		{"a page that says fine", 200, nil, "<html>fine</html>", false, 0, "is this a collector?"},
		{"an empty acknowledgement", 200, nil, "{}", false, 0, "is this a collector?"},
	} {
		t.Run(test.name, func(t *testing.T) {
			collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for k, v := range test.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}))
			defer collector.Close()
			_, err := Client{URL: collector.URL}.Send(t.Context(), report())
			var got *SendError
			if !errors.As(err, &got) {
				t.Fatalf("got %v, want a SendError", err)
			}
			if got.Final() != test.final || got.After != test.after || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 500 {
				t.Errorf("got final %v, after %v: %v; want final %v, after %v: …%s…", got.Final(), got.After, err, test.final, test.after, test.want)
			}
		})
	}
}

func TestSendWithoutCollector(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	_, err := Client{URL: gone.URL}.Send(t.Context(), report())
	var got *SendError
	if !errors.As(err, &got) || got.Final() || got.Status != 0 {
		t.Errorf("got %v, want a passing error without status", err)
	}
}

func TestSendRefusesWhatNoCollectorTakes(t *testing.T) {
	r := report()
	r.Facts["os"] = node.Fact{Value: node.System{Init: strings.Repeat("x", MaxReport)}}
	_, err := Client{URL: "http://127.0.0.1:1"}.Send(context.Background(), r)
	var got *SendError
	if !errors.As(err, &got) || !got.Final() || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("got %v, want a final error that says how many bytes", err)
	}
}

func TestSendToNoURL(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:8440", "ftp://x", "http://[::1"} {
		_, err := Client{URL: url}.Send(t.Context(), report())
		var got *SendError
		if !errors.As(err, &got) || !got.Final() {
			t.Errorf("%q: got %v, want a final error", url, err)
		}
	}
}

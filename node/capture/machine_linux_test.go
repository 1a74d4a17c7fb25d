package capture_test

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
	"github.com/seaworthy/seaworthy/node/hostfs"
)

// What is read off this machine is read off its capture too, byte for byte.
func TestReplayOfThisMachine(t *testing.T) {
	live, err := hostfs.Machine("/")
	if err != nil {
		t.Skipf("SKIPPED: this machine cannot be read: %v", err)
	}
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	h, tape := capture.Record(live)
	tape.Header = capture.Header{Kind: capture.Recorded, Node: "here", At: at, Program: "test"}
	want := gathered(t, h, at)

	var file bytes.Buffer
	if err := tape.Write(&file); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d records, %d bytes", len(tape.Exchanges()), file.Len())
	again, err := capture.Read(bytes.NewReader(file.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, gathered(t, again.Host(), at)); diff != "" {
		t.Errorf("facts (-live +replayed):\n%s", diff)
	}

	// Facts that came back from JSON are the same facts.
	var facts node.Facts
	if err := json.Unmarshal([]byte(want), &facts); err != nil {
		t.Fatal(err)
	}
	b, err := json.MarshalIndent(facts, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(b)); diff != "" {
		t.Errorf("facts (-written +read and written again):\n%s", diff)
	}
}

func gathered(t *testing.T, h *node.Host, at time.Time) string {
	t.Helper()
	b, err := json.MarshalIndent(node.Gather(context.Background(), h, at), "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

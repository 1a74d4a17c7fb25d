package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
)

func TestDescribe(t *testing.T) {
	tape := capture.New(capture.Header{
		Kind: capture.Composed, Node: "node-7", At: time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC), Program: "a test",
		Sources: []string{"https://example.com/a", "https://example.com/b"}, Note: "two lines\nof text",
	})
	tape.File("etc/os-release", "ID=secret-content\n")
	tape.File("proc/1/mountinfo", "secret content")
	for _, pid := range []string{"2", "317", "40000"} {
		tape.File("proc/"+pid+"/cgroup", "secret content")
	}
	tape.Refuse("proc/40001/cgroup", node.Denied, "")
	tape.Answer(node.Question{Kind: node.AskUname}, node.Uname{Release: "secret-content"})
	golden(t, "capture-show.txt", describe("node-7.capture", tape))
}

func TestAnyProcess(t *testing.T) {
	for _, row := range []struct{ what, want string }{
		{"/proc/1/mountinfo", "/proc/1/mountinfo"},
		{"/proc/2/cgroup", "/proc/N/cgroup"},
		{"/proc/317/task/318/comm", "/proc/N/task/N/comm"},
		{"/proc/1/fd/12", "/proc/1/fd/N"},
		{"/proc/12", "/proc/N"},
		{"/proc/sys/kernel/ostype", "/proc/sys/kernel/ostype"},
		{"/sys/block/12/ro", "/sys/block/12/ro"},
	} {
		if got := anyProcess(row.what); got != row.want {
			t.Errorf("anyProcess(%q): got %q, want %q", row.what, got, row.want)
		}
	}
}

func TestWriteWholeLeavesNothingHalf(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "capture")
	full := errors.New("no space left on device")
	err := writeWhole(name, func(w io.Writer) error {
		if _, err := io.WriteString(w, "half"); err != nil {
			t.Fatal(err)
		}
		return full
	})
	if !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("got %v, %v, want an empty folder", left, err)
	}
}

func TestWriteWholeIsForTheOwnerAlone(t *testing.T) {
	name := filepath.Join(t.TempDir(), "capture")
	if err := writeWhole(name, func(w io.Writer) error { _, err := io.WriteString(w, "whole"); return err }); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); runtime.GOOS != "windows" && got != 0o600 {
		t.Errorf("got mode %o, want 600", got)
	}
}

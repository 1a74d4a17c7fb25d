package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// lockFile is held open and locked by the one `up` that uses a folder. The
// kernel lets go of it when the process ends, however it ends, so it is never
// stale; what is written in it tells others where that `up` is.
type lockFile struct{ f *os.File }

// lockFolder locks dir or says which process holds it.
func lockFolder(dir string) (*lockFile, error) {
	name := filepath.Join(dir, "lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	free, err := tryLock(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %q: %w", name, err)
	}
	if !free {
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, 1<<10))
		holder := strings.Join(strings.Fields(string(b)), " ")
		if err != nil || holder == "" {
			holder = "a process that does not say which"
		}
		return nil, fmt.Errorf("another seaworthy up uses %q: %s; stop that one with Ctrl-C, or give this one its own --db", dir, clean(holder))
	}
	return &lockFile{f}, nil
}

// announce writes into the lock where this process is.
func (l *lockFile) announce(text string) error {
	if err := l.f.Truncate(0); err != nil {
		return err
	}
	_, err := l.f.WriteAt([]byte(text+"\n"), 0)
	return err
}

// release unlocks the folder. The file stays: removing it could take the lock
// from under a process that has just opened it.
func (l *lockFile) release() {
	_ = l.f.Truncate(0) // what stands in it only helps people
	l.f.Close()
}

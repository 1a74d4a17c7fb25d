package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Holder is the process that has a database.
type Holder struct {
	PID   int       `json:"pid"`
	Host  string    `json:"host"`
	Since time.Time `json:"since"`
	Where string    `json:"where"` // its address, once it has one
}

// InUseError says that another process has the database.
type InUseError struct {
	Path   string
	Holder Holder // zero where it could not be read
}

func (e *InUseError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "opening the database %q: another collector has it", e.Path)
	if e.Holder.PID != 0 {
		fmt.Fprintf(&b, " (process %d on %s, since %s", e.Holder.PID, e.Holder.Host, e.Holder.Since.UTC().Format(time.RFC3339))
		if e.Holder.Where != "" {
			fmt.Fprintf(&b, ", at %s", e.Holder.Where)
		}
		b.WriteString(")")
	}
	b.WriteString("; end it, or choose another file with --db")
	return b.String()
}

// errLocked is what lockFile answers when another process has the lock.
var errLocked = errors.New("locked by another process")

// lock is a lock on a file beside the database. The kernel drops it when the
// process ends, however it ends. The file stays: removing it would let two
// processes lock two files of one name.
type lock struct {
	file   *os.File
	holder Holder
}

func takeLock(path string) (*lock, error) {
	name := path + ".lock"
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the database %q: the folder cannot be written; make it writable for this user or choose another file with --db: %w", path, err)
	}
	if err := lockFile(f); err != nil {
		defer f.Close()
		if !errors.Is(err, errLocked) {
			return nil, fmt.Errorf("locking %q: %w", name, err)
		}
		var holder Holder
		// Unreadable or half written: then nothing is known of the holder.
		if json.NewDecoder(io.LimitReader(f, 4096)).Decode(&holder) != nil {
			holder = Holder{}
		}
		return nil, &InUseError{path, holder}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "an unnamed host"
	}
	l := &lock{f, Holder{PID: os.Getpid(), Host: host, Since: time.Now().UTC().Truncate(time.Second)}}
	if err := l.announce(""); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return l, nil
}

func (l *lock) announce(where string) error {
	l.holder.Where = where
	b, err := json.Marshal(l.holder)
	if err != nil {
		return fmt.Errorf("writing %q: %w", l.file.Name(), err)
	}
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("writing %q: %w", l.file.Name(), err)
	}
	if _, err := l.file.WriteAt(append(b, '\n'), 0); err != nil {
		return fmt.Errorf("writing %q: %w", l.file.Name(), err)
	}
	return nil
}

func (l *lock) release() error { return l.file.Close() }

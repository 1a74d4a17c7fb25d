// Package store keeps what nodes reported, in one SQLite file.
//
// Facts are stored by content: a thousand equal nodes cost the space of one.
// What a node was is kept as intervals of states, and nothing is ever replaced
// but the volatile facts. What Put has returned for survives a killed process
// and a power cut: the file is in WAL mode with synchronous=FULL.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	_ "modernc.org/sqlite" // the driver, in Go
)

// ErrNoNode says that no such node has ever reported.
var ErrNoNode = errors.New("no such node has reported")

// ErrClosed says that the store was closed before the report was written.
var ErrClosed = errors.New("the database is closed")

// Store is an open database. Its methods may be called at the same time.
type Store struct {
	path    string
	lock    *lock
	read    *sql.DB // several connections that cannot write
	write   *sql.DB // the one connection that writes
	puts    chan *put
	written chan struct{} // closed when the writer has ended

	mu     sync.RWMutex // guards closed, so that nothing is sent on a closed channel
	closed bool
}

// Open opens the database in the file at path and takes it for this process
// alone; a file that another process has is refused with an [InUseError]. The
// file and its folder are made where they are missing.
func Open(path string) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	if err := makeFile(path); err != nil {
		return nil, err
	}
	s := &Store{path: path, puts: make(chan *put), written: make(chan struct{})}
	if s.lock, err = takeLock(path); err != nil {
		return nil, err
	}
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.release())
	}
	return s, nil
}

func (s *Store) start() (err error) {
	if s.write, err = s.connect("_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)", 1); err != nil {
		return err
	}
	if err := s.migrate(context.Background()); err != nil {
		return err
	}
	if s.read, err = s.connect("_pragma=query_only(1)", 4); err != nil {
		return err
	}
	go s.writer()
	return nil
}

// makeFile creates the file for its owner alone: facts name programs and
// sockets of hosts. SQLite gives its side files the same mode.
func makeFile(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("opening the database %q: its folder cannot be made, choose another with --db: %w", path, err)
	}
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("opening the database %q: it is not a regular file, choose another with --db", path)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("opening the database %q: it cannot be written; make it writable for this user or choose another with --db: %w", path, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("opening the database %q: %w", path, err)
	}
	return syncDir(dir)
}

// syncDir makes the name of a new file survive a power cut.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" { // has no such thing
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("opening the folder of the database: %w", err)
	}
	err = d.Sync()
	if err := errors.Join(err, d.Close()); err != nil {
		return fmt.Errorf("syncing the folder of the database %q: %w", dir, err)
	}
	return nil
}

func (s *Store) connect(options string, connections int) (*sql.DB, error) {
	// The path is escaped because '?' and '#' would end it.
	name := filepath.ToSlash(s.path)
	if !strings.HasPrefix(name, "/") {
		name = "/" + name // C:/… on Windows
	}
	dsn := "file://" + (&url.URL{Path: name}).EscapedPath() + "?_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&" + options
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, s.explain("opening", err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	if err := db.PingContext(context.Background()); err != nil {
		return nil, errors.Join(s.explain("opening", err), db.Close())
	}
	return db, nil
}

// Announce notes where this process can be found, for whoever is refused the
// database while it runs.
func (s *Store) Announce(where string) error { return s.lock.announce(where) }

// Ready reports why the database cannot be read, or nil.
func (s *Store) Ready(ctx context.Context) error {
	var one int
	if err := s.read.QueryRowContext(ctx, "SELECT 1 FROM sqlite_schema LIMIT 1").Scan(&one); err != nil {
		return s.explain("reading", err)
	}
	return nil
}

// Close writes what Put has begun and lets go of the file.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.puts)
	s.mu.Unlock()
	<-s.written
	return s.release()
}

func (s *Store) release() error {
	var errs []error
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(append(errs, s.lock.release())...)
}

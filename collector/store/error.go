package store

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// explain says what an error of SQLite means for whoever runs the collector
// and what to do. Source: https://www.sqlite.org/rescode.html
func (s *Store) explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	advice := ""
	var e *sqlite.Error
	if errors.As(err, &e) {
		switch e.Code() & 0xff { // the primary code
		case sqlite3.SQLITE_FULL:
			advice = "the disk is full; free some space, what was acknowledged is safe: "
		case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
			advice = "it cannot be written; make file and folder writable for this user or choose another with --db: "
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			advice = "it is damaged or no database; restore a copy, or move it away to begin anew: "
		case sqlite3.SQLITE_IOERR:
			advice = "the disk does not answer as it should; the kernel's log says more: "
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
			advice = "another program holds it; end that program, or give it a copy: "
		}
	}
	return fmt.Errorf("%s the database %q: %s%w", doing, s.path, advice, err)
}

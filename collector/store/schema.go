package store

import (
	"context"
	"fmt"
)

// applicationID marks the file as ours ("SeaW"). See
// https://www.sqlite.org/pragma.html#pragma_application_id
const applicationID = 0x53656157

// schemas are the steps from one version of the schema to the next; the
// version of a file is its user_version. A step is never edited once released.
// Times are milliseconds since 1970 UTC by the collector's clock, except
// gathered, which is the node's.
var schemas = []string{`
-- A fact by its content. Equal bytes of two sources are two facts.
CREATE TABLE facts (
	source TEXT NOT NULL,
	digest TEXT NOT NULL,
	bytes  BLOB NOT NULL, -- wire.Canonical
	PRIMARY KEY (source, digest)
);
-- Which facts a node has, of one scope, by the digest of that list.
CREATE TABLE maps (
	digest TEXT PRIMARY KEY,
	scope  TEXT NOT NULL CHECK (scope IN ('cohort', 'node'))
) WITHOUT ROWID;
CREATE TABLE map_facts (
	map    TEXT NOT NULL REFERENCES maps (digest),
	source TEXT NOT NULL,
	fact   TEXT NOT NULL,
	PRIMARY KEY (map, source),
	FOREIGN KEY (source, fact) REFERENCES facts (source, digest)
) WITHOUT ROWID;
-- What a node is: its cohort facts and its own.
CREATE TABLE states (
	id     INTEGER PRIMARY KEY,
	cohort TEXT NOT NULL REFERENCES maps (digest),
	node   TEXT NOT NULL REFERENCES maps (digest),
	UNIQUE (cohort, node)
);
CREATE TABLE nodes (
	id         INTEGER PRIMARY KEY,
	cluster    TEXT NOT NULL,
	name       TEXT NOT NULL,
	agent      TEXT NOT NULL,
	interval   INTEGER NOT NULL, -- promised, in nanoseconds
	first_seen INTEGER NOT NULL,
	last_seen  INTEGER NOT NULL,
	gathered   INTEGER NOT NULL,
	state      INTEGER NOT NULL REFERENCES states (id),
	volatile   BLOB NOT NULL, -- latest only: canonical facts by source
	volatile_digest TEXT NOT NULL,
	evidence   BLOB NOT NULL, -- of the latest report: evidence by source
	UNIQUE (cluster, name)
);
-- Which state a node was in, from when until when; open while it is.
CREATE TABLE spans (
	id       INTEGER PRIMARY KEY,
	node     INTEGER NOT NULL REFERENCES nodes (id),
	state    INTEGER NOT NULL REFERENCES states (id),
	since    INTEGER NOT NULL,
	until    INTEGER,
	evidence BLOB NOT NULL -- of the report that began it
);
CREATE INDEX spans_by_node ON spans (node, id);
-- When a node reported as it had promised, from when until when; open while
-- it does.
CREATE TABLE presence (
	id    INTEGER PRIMARY KEY,
	node  INTEGER NOT NULL REFERENCES nodes (id),
	since INTEGER NOT NULL,
	until INTEGER
);
CREATE INDEX presence_by_node ON presence (node, id);
`, `
-- Where the facts are from, where that is no live node; empty where it is.
ALTER TABLE nodes ADD COLUMN origin TEXT NOT NULL DEFAULT '';
ALTER TABLE nodes ADD COLUMN note TEXT NOT NULL DEFAULT '';
`}

// migrate brings the file to the newest schema, or refuses it.
func (s *Store) migrate(ctx context.Context) error {
	var version, application, tables int
	var sound string
	for _, q := range []struct {
		sql  string
		into any
	}{
		{"PRAGMA user_version", &version},
		{"PRAGMA application_id", &application},
		{"SELECT count(*) FROM sqlite_schema", &tables},
		{"PRAGMA quick_check(1)", &sound},
	} {
		if err := s.write.QueryRowContext(ctx, q.sql).Scan(q.into); err != nil {
			return s.explain("opening", err)
		}
	}
	switch {
	case sound != "ok":
		return fmt.Errorf("opening the database %q: it is damaged; restore a copy, or move it away to begin anew: %s", s.path, sound)
	case tables > 0 && application != applicationID:
		return fmt.Errorf("opening the database %q: it belongs to another program; choose another file with --db", s.path)
	case version > len(schemas):
		return fmt.Errorf("opening the database %q: its schema is version %d, this program knows %d; use the newer program that wrote it", s.path, version, len(schemas))
	}
	for version < len(schemas) {
		tx, err := s.write.BeginTx(ctx, nil)
		if err != nil {
			return s.explain("upgrading", err)
		}
		step := fmt.Sprintf("%s; PRAGMA application_id = %d; PRAGMA user_version = %d", schemas[version], applicationID, version+1)
		if _, err := tx.ExecContext(ctx, step); err != nil {
			_ = tx.Rollback() // the first error says it
			return s.explain("upgrading", err)
		}
		if err := tx.Commit(); err != nil {
			return s.explain("upgrading", err)
		}
		version++
	}
	return nil
}

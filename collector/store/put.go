package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/wire"
)

// SilentAfter is how many of its own intervals a node may miss before it
// counts as silent.
const SilentAfter = 3

// maxBatch is how many reports share one commit.
const maxBatch = 256

// put is one report on its way to the writer.
type put struct {
	ctx      context.Context
	report   wire.Report
	received time.Time

	facts          map[node.Scope][]factRow // of the cohort and node scopes
	cohort, node   string                   // digests of these
	volatile       []byte
	volatileDigest string
	evidence       []byte

	changed bool
	done    chan error
}

type factRow struct {
	source, digest string
	bytes          []byte
}

// Put keeps a report that came in at the time received and returns once it is
// durable. It says whether the node is new or its state has changed. The same
// report may be put again.
func (s *Store) Put(ctx context.Context, r wire.Report, received time.Time) (changed bool, err error) {
	p, err := prepare(r)
	if err != nil {
		return false, err
	}
	p.ctx, p.received = ctx, received
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return false, ErrClosed
	}
	select {
	case s.puts <- p:
		s.mu.RUnlock()
	case <-ctx.Done():
		s.mu.RUnlock()
		return false, ctx.Err()
	}
	// From here on it is written whatever ctx says, so wait for the truth.
	err = <-p.done
	return p.changed, err
}

// prepare does all that needs no database.
func prepare(r wire.Report) (*put, error) {
	p := &put{report: r, done: make(chan error, 1), facts: map[node.Scope][]factRow{}}
	scopes := map[string]node.Scope{}
	for _, src := range node.Sources() {
		scopes[src.Info().Name] = src.Info().Scope
	}
	volatile := map[string]json.RawMessage{}
	evidence := map[string][]node.Evidence{}
	for _, name := range slices.Sorted(maps.Keys(r.Facts)) {
		fact := r.Facts[name]
		b, err := wire.Canonical(fact)
		if err != nil {
			return nil, fmt.Errorf("storing fact %s: %w", name, err)
		}
		switch scope := scopes[name]; scope {
		case node.Cohort, node.Node:
			p.facts[scope] = append(p.facts[scope], factRow{name, wire.Digest(b), b})
		case node.Volatile:
			volatile[name] = b
		default:
			return nil, fmt.Errorf("storing fact %s: no source is called so", name)
		}
		if len(fact.Evidence) > 0 {
			evidence[name] = fact.Evidence
		}
	}
	var errs [4]error
	p.cohort, errs[0] = mapDigest(p.facts[node.Cohort])
	p.node, errs[1] = mapDigest(p.facts[node.Node])
	p.volatile, errs[2] = json.Marshal(volatile)
	p.evidence, errs[3] = json.Marshal(evidence)
	p.volatileDigest = wire.Digest(p.volatile)
	return p, errors.Join(errs[:]...)
}

// mapDigest is the address of a list of facts.
func mapDigest(rows []factRow) (string, error) {
	digests := map[string]string{}
	for _, r := range rows {
		digests[r.source] = r.digest
	}
	b, err := json.Marshal(digests)
	return wire.Digest(b), err
}

// writer commits reports until the channel is closed. Those that wait while
// one commit reaches the disk share the next.
func (s *Store) writer() {
	defer close(s.written)
	for first := range s.puts {
		batch := []*put{first}
	collect:
		for len(batch) < maxBatch {
			select {
			case p, ok := <-s.puts:
				if !ok {
					break collect
				}
				batch = append(batch, p)
			default:
				break collect
			}
		}
		s.commit(batch)
	}
}

// always is the context of the writer: a commit carries the reports of several
// callers, and none of them may cancel those of the others.
var always = context.Background()

// commit writes a batch in one transaction and tells each of its fate.
func (s *Store) commit(batch []*put) {
	fates := make([]error, len(batch))
	err := s.transact(func(tx *sql.Tx) error {
		for i, p := range batch {
			if fates[i] = p.ctx.Err(); fates[i] != nil {
				continue // nobody waits for it, and nothing was promised
			}
			if _, err := tx.ExecContext(always, "SAVEPOINT report"); err != nil {
				return err
			}
			if fates[i] = p.apply(tx); fates[i] != nil {
				if _, err := tx.ExecContext(always, "ROLLBACK TO report"); err != nil {
					return errors.Join(fates[i], err)
				}
			}
			if _, err := tx.ExecContext(always, "RELEASE report"); err != nil {
				return err
			}
		}
		return nil
	})
	for i, p := range batch {
		p.done <- s.explain("writing", errors.Join(fates[i], err))
	}
}

func (s *Store) transact(do func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(always, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// apply writes one report.
func (p *put) apply(tx *sql.Tx) error {
	r, at := p.report, p.received.UnixMilli()
	var id, lastSeen int64
	var interval time.Duration
	var cohort, own string
	err := tx.QueryRowContext(always, `SELECT n.id, n.last_seen, n.interval, s.cohort, s.node FROM nodes n JOIN states s ON s.id = n.state
		WHERE n.cluster = ? AND n.name = ?`, r.Cluster, r.Node).Scan(&id, &lastSeen, &interval, &cohort, &own)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return p.create(tx, at)
	case err != nil:
		return err
	}
	at = max(at, lastSeen) // a clock that was set back must not shorten what was
	if time.Duration(at-lastSeen)*time.Millisecond > Silence(interval) {
		if err := p.returned(tx, id, lastSeen, at); err != nil {
			return err
		}
	}
	if cohort != p.cohort || own != p.node {
		p.changed = true
		if err := p.enter(tx, id, at); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(always, `UPDATE nodes SET origin = ?, note = ?, agent = ?, interval = ?, last_seen = ?, gathered = ?, volatile = ?, volatile_digest = ?, evidence = ? WHERE id = ?`,
		r.Origin.Kind, r.Origin.Note, r.Agent, int64(r.Interval), at, r.At.UnixMilli(), p.volatile, p.volatileDigest, p.evidence, id)
	return err
}

// Silence is how long a node that promised an interval may stay away.
func Silence(interval time.Duration) time.Duration {
	if interval <= 0 {
		interval = wire.DefaultInterval
	}
	return SilentAfter * interval
}

func (p *put) create(tx *sql.Tx, at int64) error {
	p.changed = true
	state, err := p.state(tx)
	if err != nil {
		return err
	}
	r := p.report
	done, err := tx.ExecContext(always, `INSERT INTO nodes (cluster, name, origin, note, agent, interval, first_seen, last_seen, gathered, state, volatile, volatile_digest, evidence)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.Cluster, r.Node, r.Origin.Kind, r.Origin.Note, r.Agent, int64(r.Interval), at, at, r.At.UnixMilli(), state, p.volatile, p.volatileDigest, p.evidence)
	if err != nil {
		return err
	}
	id, err := done.LastInsertId()
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(always, "INSERT INTO spans (node, state, since, evidence) VALUES (?, ?, ?, ?)", id, state, at, p.evidence); err != nil {
		return err
	}
	_, err = tx.ExecContext(always, "INSERT INTO presence (node, since) VALUES (?, ?)", id, at)
	return err
}

// enter ends the state that the node was in and begins the new one.
func (p *put) enter(tx *sql.Tx, id, at int64) error {
	state, err := p.state(tx)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(always, "UPDATE spans SET until = ? WHERE node = ? AND until IS NULL", at, id); err != nil {
		return err
	}
	if _, err := tx.ExecContext(always, "INSERT INTO spans (node, state, since, evidence) VALUES (?, ?, ?, ?)", id, state, at, p.evidence); err != nil {
		return err
	}
	_, err = tx.ExecContext(always, "UPDATE nodes SET state = ? WHERE id = ?", state, id)
	return err
}

// returned ends the presence of a node that was silent and begins a new one.
func (p *put) returned(tx *sql.Tx, id, lastSeen, at int64) error {
	if _, err := tx.ExecContext(always, "UPDATE presence SET until = ? WHERE node = ? AND until IS NULL", lastSeen, id); err != nil {
		return err
	}
	_, err := tx.ExecContext(always, "INSERT INTO presence (node, since) VALUES (?, ?)", id, at)
	return err
}

// state finds the state of the report or makes it, with all that it is made of.
func (p *put) state(tx *sql.Tx) (id int64, err error) {
	find := func() error {
		return tx.QueryRowContext(always, "SELECT id FROM states WHERE cohort = ? AND node = ?", p.cohort, p.node).Scan(&id)
	}
	if err := find(); !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	for scope, digest := range map[node.Scope]string{node.Cohort: p.cohort, node.Node: p.node} {
		if err := putMap(tx, scope, digest, p.facts[scope]); err != nil {
			return 0, err
		}
	}
	if _, err := tx.ExecContext(always, "INSERT INTO states (cohort, node) VALUES (?, ?)", p.cohort, p.node); err != nil {
		return 0, err
	}
	return id, find()
}

func putMap(tx *sql.Tx, scope node.Scope, digest string, rows []factRow) error {
	done, err := tx.ExecContext(always, "INSERT INTO maps (digest, scope) VALUES (?, ?) ON CONFLICT DO NOTHING", digest, string(scope))
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return err // it was there, and so are its facts
	}
	for _, f := range rows {
		if _, err := tx.ExecContext(always, "INSERT INTO facts (source, digest, bytes) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", f.source, f.digest, f.bytes); err != nil {
			return err
		}
		if _, err := tx.ExecContext(always, "INSERT INTO map_facts (map, source, fact) VALUES (?, ?, ?)", digest, f.source, f.digest); err != nil {
			return err
		}
	}
	return nil
}

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/wire"
)

// Node is what is known of one node beside its facts.
type Node struct {
	Cluster   string
	Name      string
	Origin    wire.Origin   // of the latest facts, as the agent says
	Agent     string        // version of the agent, as it says
	Interval  time.Duration // how often it means to report, as it says
	FirstSeen time.Time     // by the collector's clock
	LastSeen  time.Time     // by the collector's clock
	Gathered  time.Time     // when its latest facts were read, by its own clock
	State     State
	Volatile  string // digest of its volatile facts
}

// Silent reports whether the node has stayed away for longer than its own
// interval allows.
func (n Node) Silent(at time.Time) bool { return at.Sub(n.LastSeen) > Silence(n.Interval) }

// State is what a node is: the digests of its cohort facts and of its own.
type State struct {
	Cohort string
	Node   string
}

// Span is an interval of time in one state. Until is zero while it lasts.
type Span struct {
	State State
	Since time.Time
	Until time.Time
}

// Detail is all that is known of one node.
type Detail struct {
	Node
	Facts   node.Facts
	Digests map[string]string // of the facts, by source; volatile ones have none
	History []Span            // newest first, at most [MaxHistory]
}

// MaxHistory is how many changes of a node are returned; more are kept.
const MaxHistory = 100

const nodeColumns = `n.cluster, n.name, n.origin, n.note, n.agent, n.interval, n.first_seen, n.last_seen, n.gathered, s.cohort, s.node, n.volatile_digest`

func scanNode(row interface{ Scan(...any) error }, more ...any) (n Node, err error) {
	var first, last, gathered int64
	into := []any{&n.Cluster, &n.Name, &n.Origin.Kind, &n.Origin.Note, &n.Agent, &n.Interval, &first, &last, &gathered, &n.State.Cohort, &n.State.Node, &n.Volatile}
	err = row.Scan(append(into, more...)...)
	n.FirstSeen, n.LastSeen, n.Gathered = fromMillis(first), fromMillis(last), fromMillis(gathered)
	return n, err
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// Nodes lists every node that ever reported, by cluster and name.
func (s *Store) Nodes(ctx context.Context) ([]Node, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT "+nodeColumns+" FROM nodes n JOIN states s ON s.id = n.state ORDER BY n.cluster, n.name")
	if err != nil {
		return nil, s.explain("reading", err)
	}
	defer rows.Close()
	nodes := []Node{}
	for rows.Next() {
		n, err := scanNode(rows)
		if err != nil {
			return nil, s.explain("reading", err)
		}
		nodes = append(nodes, n)
	}
	return nodes, s.explain("reading", rows.Err())
}

// Node returns one node with its facts, or [ErrNoNode].
func (s *Store) Node(ctx context.Context, cluster, name string) (Detail, error) {
	// One transaction, so that state, facts and history are of one moment.
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return Detail{}, s.explain("reading", err)
	}
	d, err := readDetail(ctx, tx, cluster, name)
	if err := errors.Join(err, tx.Rollback()); err != nil {
		if errors.Is(err, ErrNoNode) {
			return Detail{}, fmt.Errorf("%w: %s/%s", ErrNoNode, cluster, name)
		}
		return Detail{}, s.explain("reading", err)
	}
	return d, nil
}

func readDetail(ctx context.Context, tx *sql.Tx, cluster, name string) (d Detail, err error) {
	var id int64
	var volatile, evidence []byte
	d.Node, err = scanNode(tx.QueryRowContext(ctx, "SELECT "+nodeColumns+`, n.id, n.volatile, n.evidence
		FROM nodes n JOIN states s ON s.id = n.state WHERE n.cluster = ? AND n.name = ?`, cluster, name), &id, &volatile, &evidence)
	if errors.Is(err, sql.ErrNoRows) {
		return d, ErrNoNode
	}
	if err != nil {
		return d, err
	}
	if err := d.readFacts(ctx, tx); err != nil {
		return d, err
	}
	latest := map[string]json.RawMessage{}
	if err := json.Unmarshal(volatile, &latest); err != nil {
		return d, fmt.Errorf("decoding the volatile facts: %w", err)
	}
	for source, b := range latest {
		d.Facts[source] = decodeFact(source, b)
	}
	read := map[string][]node.Evidence{}
	if err := json.Unmarshal(evidence, &read); err != nil {
		return d, fmt.Errorf("decoding the evidence: %w", err)
	}
	for source, list := range read {
		if fact, ok := d.Facts[source]; ok {
			fact.Evidence = list
			d.Facts[source] = fact
		}
	}
	return d, d.readHistory(ctx, tx, id)
}

func (d *Detail) readFacts(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, `SELECT f.source, f.digest, f.bytes FROM map_facts m JOIN facts f ON f.source = m.source AND f.digest = m.fact
		WHERE m.map IN (?, ?)`, d.State.Cohort, d.State.Node)
	if err != nil {
		return err
	}
	defer rows.Close()
	d.Facts, d.Digests = node.Facts{}, map[string]string{}
	for rows.Next() {
		var source, digest string
		var b []byte
		if err := rows.Scan(&source, &digest, &b); err != nil {
			return err
		}
		d.Facts[source], d.Digests[source] = decodeFact(source, b), digest
	}
	return rows.Err()
}

// decodeFact reads a stored fact. One that this version of the program cannot
// read, because another wrote it, is missing: its checks are then unknown.
func decodeFact(source string, b []byte) node.Fact {
	wrapped, err := json.Marshal(map[string]json.RawMessage{source: b})
	if err == nil {
		var facts node.Facts
		if err = json.Unmarshal(wrapped, &facts); err == nil {
			return facts[source]
		}
	}
	return node.Fact{
		Missing: &node.Missing{Code: node.Malformed, Reason: fmt.Sprintf("this version cannot read what is stored: %v", err)},
		Gaps:    []node.Gap{}, Evidence: []node.Evidence{},
	}
}

func (d *Detail) readHistory(ctx context.Context, tx *sql.Tx, id int64) error {
	rows, err := tx.QueryContext(ctx, `SELECT s.cohort, s.node, p.since, p.until FROM spans p JOIN states s ON s.id = p.state
		WHERE p.node = ? ORDER BY p.id DESC LIMIT ?`, id, MaxHistory)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var span Span
		var since int64
		var until sql.NullInt64
		if err := rows.Scan(&span.State.Cohort, &span.State.Node, &since, &until); err != nil {
			return err
		}
		span.Since = fromMillis(since)
		if until.Valid {
			span.Until = fromMillis(until.Int64)
		}
		d.History = append(d.History, span)
	}
	return rows.Err()
}

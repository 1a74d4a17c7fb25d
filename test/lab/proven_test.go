//go:build linux

package lab

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/verify"
)

// provenDoc is where the table of what was seen stands.
const provenDoc = "../../docs/proven.md"

// proof collects a row for all that a run has seen to be so.
type proof struct{ rows [4][]string }

var proven proof

// The sections of the table.
const (
	shapeRows = iota
	attackRows
	confinedRows
	otherRows
)

func (p *proof) add(section int, cells ...string) {
	for i, c := range cells {
		cells[i] = strings.ReplaceAll(c, "|", `\|`)
	}
	p.rows[section] = append(p.rows[section], "| "+strings.Join(cells, " | ")+" |")
}

// repeat is the command that repeats a row.
func repeat(test string) string { return "`go test ./test/lab -full -run '" + test + "'`" }

func (p *proof) shape(s Shape, r verify.Report) {
	count := fmt.Sprintf("%d pass, %d fail, %d unknown, %d not applicable", r.Summary.Pass, r.Summary.Fail, r.Summary.Unknown, r.Summary.NotApplicable)
	p.add(shapeRows, s.Name, s.What, s.Like, s.Profile, fmt.Sprintf("%d %s", r.Level.Number, r.Level.Name), count, repeat("TestShapes/"+s.Name))
}

func (p *proof) attack(a Attack, s Shape, before, after verify.Report) {
	caught := "nothing changes: " + a.Why
	if len(a.Changes) > 0 {
		words := make([]string, len(a.Changes))
		for i, c := range a.Changes {
			words[i] = fmt.Sprintf("%s: %s → %s", c.Check, c.Before, c.After)
		}
		caught = strings.Join(words, "<br>")
	}
	p.add(attackRows, a.Name, a.What, s.Name, fmt.Sprintf("%d → %d", before.Level.Number, after.Level.Number), caught, cmp.Or(a.Mutation.Check, "–"), repeat("TestAttacks/"+a.Name+"/"+s.Name+"$|TestMutations/"+a.Name+"$"))
}

// settle holds every row that this run has seen against docs/proven.md, and after a
// run of everything every row there against what was seen. With -update it writes
// the page anew, of which a run of a part leaves the other rows.
func (p *proof) settle() error {
	all := *full && flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == ""
	b, err := os.ReadFile(provenDoc)
	if err != nil && !(*update && errors.Is(err, fs.ErrNotExist)) {
		return err
	}
	was := rowsOf(string(b))
	seen, known := 0, 0
	for i := range p.rows {
		seen, known = seen+len(p.rows[i]), known+len(was[i])
	}
	fmt.Printf("%d of the %d rows of docs/proven.md were run\n", seen, known)
	if names := leftOut(); len(names) > 0 {
		fmt.Printf("%d guests and attacks take long, and make lab runs them: %s\n", len(names), strings.Join(names, ", "))
	}
	for i := range p.rows {
		for _, row := range was[i] {
			known := slices.ContainsFunc(p.rows[i], func(r string) bool { return again(r) == again(row) })
			switch {
			case *update && !all && !known:
				p.rows[i] = append(p.rows[i], row)
			case !*update && all && !known:
				return fmt.Errorf("docs/proven.md has what this run has not seen (make lab UPDATE=1 writes it): %s", row)
			}
		}
		for _, row := range p.rows[i] {
			if !*update && !slices.Contains(was[i], row) {
				return fmt.Errorf("docs/proven.md does not have what this run has seen (make lab UPDATE=1 writes it): %s", row)
			}
		}
		slices.Sort(p.rows[i])
	}
	if !*update {
		return nil
	}
	return os.WriteFile(provenDoc, []byte(p.document()), 0o644)
}

// again is the last cell of a row: no two rows of a section have the same.
func again(row string) string { return row[strings.LastIndex(strings.TrimSuffix(row, " |"), " | "):] }

// rowsOf are the rows of the page's sections.
func rowsOf(doc string) (rows [4][]string) {
	section := -1
	for line := range strings.Lines(doc) {
		switch line = strings.TrimSuffix(line, "\n"); {
		case strings.HasPrefix(line, "## "):
			section++
		case section >= 0 && strings.HasPrefix(line, "| ") && strings.HasSuffix(line, "` |"):
			rows[section] = append(rows[section], line)
		}
	}
	return rows
}

func (p *proof) document() string {
	var b strings.Builder
	b.WriteString(provenIntro)
	for i, title := range [...]string{
		shapeRows: `## Roots

What the real agent found in each guest: every finding is compared with a file
in test/lab/testdata.

| guest | its root | in the shape of | profile | level | findings | again |
| --- | --- | --- | --- | --- | --- | --- |`,
		attackRows: `## Attacks

Each was done to a running guest, or before it was up. These findings changed,
and no other. Then the check named under "mutation" was broken in the source,
and it no longer saw the attack: the row could have failed.

| attack | what is done | guest | level | what changes | mutation | again |
| --- | --- | --- | --- | --- | --- | --- |`,
		confinedRows: `## With fewer rights

What an agent with fewer rights cannot tell, beside one that has all. Nothing
that is not so for root passes.

| rights | what they are | what becomes unknown | again |
| --- | --- | --- | --- |`,
		otherRows: `## What else was seen

| claim | what was done | what was seen | again |
| --- | --- | --- | --- |`,
	} {
		b.WriteString("\n" + title + "\n" + strings.Join(p.rows[i], "\n") + "\n")
	}
	return b.String()
}

const provenIntro = `# Proven on real kernels

` + "`make lab`" + ` writes this page. It boots guests under QEMU with real kernels (Debian's
cloud kernels, and one built here), real device-mapper tables, file systems and damage, runs the real
agent in them and judges what it reports. The images are made by test/lab: they
have the shape of a system, and none of them is that system.
`

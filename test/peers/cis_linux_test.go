package peers

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	diff "github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/seaworthy/seaworthy/collector/demo"
	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
	"github.com/seaworthy/seaworthy/profiles"
	"github.com/seaworthy/seaworthy/verify"
)

var update = flag.Bool("update", false, "write docs/peers.md anew")

const (
	cisDoc      = "../../docs/peers.md"
	cisTruth    = "truth.yaml"
	cisStandard = "CIS Kubernetes"
)

// truth is what truth.yaml says.
type truth struct {
	Nodes   []truthOfNode   `json:"nodes"`
	Damages []truthOfDamage `json:"damages"`
}

// truthOfNode is what is so on recorded nodes, and from what in their captures
// it follows.
type truthOfNode struct {
	Nodes  []string `json:"nodes"`
	Items  []string `json:"items"`
	Truth  string   `json:"truth"` // holds, broken, does-not-apply or unknowable
	Why    string   `json:"why"`
	Excuse string   `json:"excuse"` // the answer of kube-bench that the capture is to blame for
}

// truthOfDamage says which items a damage breaks.
type truthOfDamage struct {
	Check string   `json:"check"` // the damage to this check
	Items []string `json:"items"`
	Left  string   `json:"left"` // why it is left out of the table
}

func readTruth(t *testing.T) truth {
	t.Helper()
	b, err := os.ReadFile(cisTruth)
	if err != nil {
		t.Fatal(err)
	}
	var tr truth
	if err := yaml.UnmarshalStrict(b, &tr); err != nil {
		t.Fatalf("%s: %v", cisTruth, err)
	}
	seen := map[string]bool{}
	for _, e := range tr.Nodes {
		if truthWords[e.Truth] == "" || e.Why == "" || len(e.Nodes) == 0 || len(e.Items) == 0 {
			t.Errorf("%s: an entry that does not say what is so, where, and why: %+v", cisTruth, e)
		}
		for _, n := range e.Nodes {
			for _, item := range e.Items {
				if seen[n+" "+item] {
					t.Errorf("%s: %s on %s stands twice", cisTruth, item, n)
				}
				seen[n+" "+item] = true
			}
		}
	}
	return tr
}

// of is the truth about an item of a node.
func (tr truth) of(node, item string) (truthOfNode, bool) {
	for _, e := range tr.Nodes {
		if slices.Contains(e.Nodes, node) && slices.Contains(e.Items, item) {
			return e, true
		}
	}
	return truthOfNode{}, false
}

var truthWords = map[string]string{
	"holds":          "holds",
	"broken":         "does not hold",
	"does-not-apply": "does not apply",
	"unknowable":     "cannot be known",
}

// answer is what a program says of an item: one of pass, fail, not-applicable,
// undecided, and nothing where it does not look at it.
type answer struct {
	says string
	word string // its own words
}

// ofKubeBench reads WARN, which stands for what failed without being scored, for
// what could not be carried out and for what a person must look at, as none of
// pass and fail.
func ofKubeBench(status string) answer {
	a := answer{"undecided", status}
	switch status {
	case "PASS":
		a.says = "pass"
	case "FAIL":
		a.says = "fail"
	}
	return a
}

// score is how an answer stands to the truth.
type score string

const (
	right     score = "right"
	wrong     score = "wrong"
	unread    score = "passed unseen" // a pass without anything that it could rest on
	undecided score = "undecided"
	nothing   score = "no answer"
	excused   score = "not counted"
)

var scores = []score{right, wrong, unread, undecided, nothing, excused}

// scored holds an answer against the truth. A pass of what does not apply is
// right: kube-bench has no other word for it.
func scored(a answer, truth string) score {
	switch {
	case a.says == "nothing":
		return nothing
	case truth == "unknowable" && a.says == "pass":
		return unread
	case truth == "unknowable" && a.says == "undecided",
		truth == "holds" && a.says == "pass",
		truth == "broken" && a.says == "fail",
		truth == "does-not-apply" && (a.says == "not-applicable" || a.says == "pass"):
		return right
	case a.says == "undecided":
		return undecided
	}
	return wrong
}

// ours is what Seaworthy says of every item of CIS on a node: the findings of
// the checks that cite it. What fails counts first, and what passes before what
// is unknown: several checks hold the setting and the live port against one item.
func ours(t *testing.T, tape *capture.Tape) func(item string) answer {
	t.Helper()
	all, _, err := profiles.Load()
	if err != nil {
		t.Fatal(err)
	}
	facts := node.Gather(context.Background(), tape.Host(), tape.Header.At)
	profile, _ := verify.Detect(facts, all)
	findings := map[string]verify.Finding{}
	for _, f := range verify.NewReport("test", verify.Checks(), facts, profile, tape.Header.At).Findings {
		findings[f.Check] = f
	}
	return func(item string) answer {
		var of []verify.Finding
		for _, c := range checksOf(item) {
			of = append(of, findings[c])
		}
		if len(of) == 0 {
			return answer{"nothing", "no check"}
		}
		first := []verify.Verdict{verify.Fail, verify.Pass, verify.Unknown, verify.NotApplicable}
		slices.SortStableFunc(of, func(a, b verify.Finding) int {
			return cmp.Compare(slices.Index(first, a.Verdict), slices.Index(first, b.Verdict))
		})
		var words []string
		for _, f := range of {
			words = append(words, fmt.Sprintf("%s %s (%s)", f.Verdict, f.Check, f.Code))
		}
		says := of[0].Verdict.String()
		if of[0].Verdict == verify.Unknown {
			says = "undecided"
		}
		return answer{says, strings.Join(words, ", ")}
	}
}

// checksOf are the checks that cite an item.
func checksOf(item string) []string {
	var out []string
	for _, c := range verify.Checks() {
		if slices.Contains(c.Refs, verify.Ref{Standard: cisStandard, ID: item}) {
			out = append(out, c.ID)
		}
	}
	return out
}

// TestBesideKubeBench holds docs/peers.md to what kube-bench and Seaworthy say
// of the recorded nodes and of damaged ones. Where they differ, or one differs
// from the truth, truth.yaml must say what is so.
func TestBesideKubeBench(t *testing.T) {
	b := needKubeBench(t)
	tr := readTruth(t)
	nodes, onNodes := besideOnNodes(t, b, tr)
	damages, onDamages := besideOnDamages(t, b, tr)
	doc := strings.NewReplacer("{version}", b.version, "{benchmark}", kubeBenchBenchmark).Replace(cisIntroduction) + "\n" + nodes + "\n" + damages +
		"\n## How often each was right\n\nOn the recorded nodes:\n\n" + onNodes + "\nBefore and after an edit:\n\n" + onDamages
	if t.Failed() {
		return // what is not settled is not written
	}
	if *update {
		if err := os.WriteFile(cisDoc, []byte(doc), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	was, err := os.ReadFile(cisDoc)
	if err != nil {
		t.Fatal(err)
	}
	if d := diff.Diff(string(was), doc); d != "" {
		t.Errorf("docs/peers.md is not what is so now; go test ./test/peers -run %s -update writes it (-file +now):\n%s", t.Name(), d)
	}
}

// besideOnNodes is the part of the document on the nodes that are kept, and how
// often each program was right on them.
func besideOnNodes(t *testing.T, b kubeBench, tr truth) (doc, counts string) {
	names, err := demo.Names()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	text.WriteString("## Recorded nodes\n")
	kubeBenchDid, weDid := map[score]int{}, map[score]int{}
	alike := map[string][]string{} // nodes without a kubelet, by what is said of them
	used := map[string]bool{}
	for _, name := range names {
		tape, err := demo.Tape(name)
		if err != nil {
			t.Fatal(err)
		}
		results, say := b.run(t, tape), ours(t, tape)
		if !slices.ContainsFunc(processesOf(t, tape), func(p process) bool { return p.name == "kubelet" }) {
			said := theirCounts(results) + "; Seaworthy: " + ourCounts(results, say)
			alike[said] = append(alike[said], name)
			continue
		}
		fmt.Fprintf(&text, "\n### %s\n\n%s\n\n| item | kube-bench | Seaworthy | truth | why |\n|---|---|---|---|---|\n", name, cell(tape.Header.Note))
		used[name] = true
		for _, r := range results {
			they, we := ofKubeBench(r.Status), say(r.Item)
			e, known := tr.of(name, r.Item)
			if !known {
				t.Errorf("%s, %s: kube-bench says %s (%.60s%.60s), Seaworthy %s, and %s does not say what is so", name, r.Item, r.Status, r.Reason, r.Actual, we.word, cisTruth)
				continue
			}
			theirScore, ourScore := scored(they, e.Truth), scored(we, e.Truth)
			if e.Excuse == r.Status {
				theirScore = excused
			}
			kubeBenchDid[theirScore]++
			weDid[ourScore]++
			fmt.Fprintf(&text, "| %s | %s: %s | %s: %s | %s | %s |\n", r.Item, they.word, theirScore, cell(we.word), ourScore, truthWords[e.Truth], cell(e.Why))
		}
	}
	for _, e := range tr.Nodes {
		for _, n := range e.Nodes {
			if !used[n] {
				t.Errorf("%s speaks of %s, which has no kubelet or is not kept", cisTruth, n)
			}
		}
	}
	text.WriteString("\n### Captures without a kubelet\n\nThese hold no process that is a kubelet: the composed ones because nobody published any, the lab's because none ran. " +
		"A benchmark of the kubelet has no subject there; what the programs say is shown and counted nowhere.\n\n")
	for _, said := range slices.Sorted(maps.Keys(alike)) {
		fmt.Fprintf(&text, "- %s: kube-bench: %s.\n", strings.Join(alike[said], ", "), said)
	}
	return text.String(), scoreTable(kubeBenchDid, weDid)
}

func theirCounts(results []kubeBenchResult) string {
	by := map[string][]string{}
	for _, r := range results {
		by[r.Status] = append(by[r.Status], r.Item)
	}
	return listed(by)
}

func ourCounts(results []kubeBenchResult, say func(string) answer) string {
	by := map[string][]string{}
	for _, r := range results {
		by[say(r.Item).says] = append(by[say(r.Item).says], r.Item)
	}
	return listed(by)
}

func listed(by map[string][]string) string {
	most := slices.MaxFunc(slices.Sorted(maps.Keys(by)), func(a, b string) int { return cmp.Compare(len(by[a]), len(by[b])) })
	var parts []string
	for _, word := range slices.Sorted(maps.Keys(by)) {
		if word != most {
			parts = append(parts, word+" "+strings.Join(by[word], " "))
		}
	}
	return strings.Join(append(parts, most+" the others"), ", ")
}

func scoreTable(they, we map[score]int) string {
	var b strings.Builder
	b.WriteString("| program |")
	for _, s := range scores {
		b.WriteString(" " + string(s) + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(scores)) + "\n")
	for _, row := range []struct {
		name string
		did  map[score]int
	}{{"kube-bench", they}, {"Seaworthy", we}} {
		b.WriteString("| " + row.name + " |")
		for _, s := range scores {
			b.WriteString(" " + strconv.Itoa(row.did[s]) + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// cell is text that stands in a table.
func cell(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;").Replace(s)
}

// besideOnDamages is the part of the document on nodes that were made unsound by
// one edit, so that the truth before and after is known from the edit, and how often each
// program was right on them.
func besideOnDamages(t *testing.T, b kubeBench, tr truth) (doc, counts string) {
	breaks := map[string][]string{}
	for _, d := range tr.Damages {
		if d.Left == "" {
			breaks[d.Check] = d.Items
		}
	}
	var text strings.Builder
	text.WriteString(cisDamages)
	they, we := map[score]int{}, map[score]int{}
	for _, d := range append(slices.Clone(demo.Damages()), ownDamages(t)...) {
		items := breaks[d.Check]
		if len(items) == 0 {
			left := slices.ContainsFunc(tr.Damages, func(l truthOfDamage) bool { return l.Check == d.Check })
			if !left && slices.ContainsFunc(citesOf(d.Check), func(item string) bool { return strings.HasPrefix(item, "4.") }) {
				t.Errorf("%s does not say which items the damage to %s breaks", cisTruth, d.Check)
			}
			continue
		}
		var rows [2]struct {
			they map[string]string
			we   func(string) answer
		}
		for i, edits := range [2][]func(*capture.Tape){{d.Sound}, {d.Sound, d.Do}} {
			tape, err := demo.Tape(d.Node)
			if err != nil {
				t.Fatal(err)
			}
			for _, edit := range edits {
				if edit != nil {
					edit(tape)
				}
			}
			rows[i].they, rows[i].we = map[string]string{}, ours(t, tape)
			for _, r := range b.run(t, tape) {
				rows[i].they[r.Item] = r.Status
			}
		}
		for _, item := range items {
			line := fmt.Sprintf("| %s | %s |", item, cell(d.What))
			for i, truth := range []string{"holds", "broken"} {
				theirs, our := ofKubeBench(rows[i].they[item]), rows[i].we(item)
				theirScore, ourScore := scored(theirs, truth), scored(our, truth)
				if truth == "broken" && theirs.word == "WARN" && rows[0].they[item] == "PASS" {
					theirScore = right // the PASS before shows that this WARN is of an item that is not scored
				}
				they[theirScore]++
				we[ourScore]++
				line += fmt.Sprintf(" %s: %s | %s: %s |", theirs.word, theirScore, our.says, ourScore)
			}
			text.WriteString(line + "\n")
		}
	}
	text.WriteString("\nLeft out:\n\n")
	for _, d := range tr.Damages {
		if d.Left != "" {
			fmt.Fprintf(&text, "- the damage to %s (%s): %s.\n", d.Check, strings.Join(d.Items, ", "), d.Left)
		}
	}
	return text.String(), scoreTable(they, we)
}

// citesOf are the items that a check cites.
func citesOf(check string) []string {
	var out []string
	for _, c := range verify.Checks() {
		for _, r := range c.Refs {
			if c.ID == check && r.Standard == cisStandard {
				out = append(out, r.ID)
			}
		}
	}
	return out
}

// ownDamages are edits that matter for a reader of files. Each is done to the
// kubelet that the damage to kubelet-anonymous-off starts from.
func ownDamages(t *testing.T) []demo.Damage {
	i := slices.IndexFunc(demo.Damages(), func(d demo.Damage) bool { return d.Check == "kubelet-anonymous-off" })
	if i < 0 {
		t.Fatal("no damage to kubelet-anonymous-off")
	}
	of := demo.Damages()[i]
	const strong = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
	const kubelet = "/usr/bin/kubelet\x00--kubeconfig\x00/etc/kubernetes/kubelet/kubeconfig\x00--config\x00/etc/kubernetes/kubelet/config\x00"
	return []demo.Damage{{
		Check: "drop-in", Node: of.Node, What: "a drop-in of --config-dir lets anonymous requests in",
		Sound: of.Sound,
		Do: func(tape *capture.Tape) {
			const dir = "etc/kubernetes/kubelet.conf.d"
			tape.Content("proc/1155/cmdline", kubelet+"--config-dir=/"+dir+"\x00")
			tape.Dir(dir, node.DirEntry{Name: "90-debug.conf", Type: node.Regular})
			tape.Content(dir+"/90-debug.conf", "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nauthentication: {anonymous: {enabled: true}}\n")
			tape.Info(dir+"/90-debug.conf", node.FileInfo{Type: node.Regular, Mode: 0o600, Size: 1, Dev: "0:1"})
		},
	}, {
		Check: "weak-suite", Node: of.Node, What: "a weak cipher suite was allowed",
		Sound: func(tape *capture.Tape) {
			of.Sound(tape)
			editConfig(tape, func(c string) string { return c + "tlsCipherSuites: [" + strong + "]\n" })
		},
		Do: func(tape *capture.Tape) {
			editConfig(tape, func(c string) string { return strings.Replace(c, strong, strong+", TLS_RSA_WITH_3DES_EDE_CBC_SHA", 1) })
		},
	}, {
		Check: "commented", Node: of.Node, What: "the item is said in a comment and not set (rotation)",
		Sound: of.Sound,
		Do: func(tape *capture.Tape) {
			editConfig(tape, func(c string) string {
				return strings.Replace(c, "rotateCertificates: true", "# rotateCertificates: true", 1)
			})
		},
	}}
}

// editConfig changes the configuration of the kubelet of the damages.
func editConfig(tape *capture.Tape, edit func(string) string) {
	const name = "etc/kubernetes/kubelet/config"
	for _, e := range tape.Exchanges() {
		if e.Op == "read" && e.What == "/"+name {
			tape.Content(name, edit(e.Answer))
		}
	}
}

package web

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/verify"
)

func draw(t testing.TB, page func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := page(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func fleetOf(t testing.TB, s *Site, nodes ...Node) string {
	t.Helper()
	return draw(t, func(w io.Writer) error { return s.Fleet(w, nodes, "http://127.0.0.1:8440", epoch) })
}

func nodeOf(t testing.TB, s *Site, n Node) string {
	t.Helper()
	return draw(t, func(w io.Writer) error { return s.Node(w, n, epoch) })
}

var (
	tag   = regexp.MustCompile(`<[^>]*>`)
	space = regexp.MustCompile(`\s+`)
)

// text is what a reader sees of some markup.
func text(markup string) string {
	return strings.TrimSpace(space.ReplaceAllString(html.UnescapeString(tag.ReplaceAllString(markup, " ")), " "))
}

// parts are the texts of what the expression's group finds, in order.
func parts(page, expression string) []string {
	var out []string
	for _, m := range regexp.MustCompile("(?s)"+expression).FindAllStringSubmatch(page, -1) {
		out = append(out, text(m[1]))
	}
	return out
}

func TestFleetAnswersFirst(t *testing.T) {
	s := sampleSite(t)
	ok := func(name string) Node { return sample(s, "a", name) }
	fails, silentOne, unsure := sample(s, "a", "f", unreserved), sample(s, "a", "s", gone), sample(s, "a", "u", unpatched)
	for _, test := range []struct {
		nodes []Node
		want  string
	}{
		{nil, "No node has reported yet."},
		{[]Node{ok("1")}, "1 of 1 node reports and is sound."},
		{[]Node{ok("1"), ok("2")}, "2 of 2 nodes report; all are sound."},
		{[]Node{ok("1"), ok("2"), fails}, "3 of 3 nodes report; 2 are sound, 1 fails a check."},
		{[]Node{ok("1"), silentOne}, "1 of 2 nodes reports; 1 is sound."},
		{[]Node{silentOne}, "0 of 1 node reports; none is sound."},
		{[]Node{fails, fails, unsure, unsure}, "4 of 4 nodes report; none is sound, 2 fail a check, 2 have something unknown."},
		{[]Node{{Cluster: "a", Name: "never judged"}}, "1 of 1 node reports; none is sound, 1 has something unknown."},
	} {
		page := fleetOf(t, s, test.nodes...)
		if got := parts(page, `<h1>(.*?)</h1>`); len(got) != 1 || got[0] != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestFleetSaysHowToBegin(t *testing.T) {
	page := fleetOf(t, sampleSite(t))
	if !strings.Contains(text(page), "seaworthy-agent --collector http://127.0.0.1:8440 --interval 60s") {
		t.Error("an empty fleet does not say how to start an agent")
	}
	if strings.Contains(page, "<table") {
		t.Error("an empty fleet has an empty table")
	}
}

func TestFleetShowsWhatToDoWorstFirst(t *testing.T) {
	s := sampleSite(t)
	page := fleetOf(t, s, sampleFleet(s)...)
	todo := page[strings.Index(page, `id="todo"`):strings.Index(page, `<details`)]
	want := []string{
		"– One node has stopped reporting talos-a2 (last seen 2026-11-24 22:12:00 ) 1 node",
		"✗ image-read-only critical /usr is writable 1 node",
		"✗ runtime-socket-closed critical container docker-gc (pod kube-system/docker-gc-x7) can open /run/containerd/containerd.sock by hostPath /run and gid 0 1 node",
		"! kube-reserved-set medium kubeReserved is not set; the system slices peaked at 612 MiB since boot 2 nodes",
	}
	if diff := cmp.Diff(want, parts(todo, `<li class="task[^"]*">(.*?)</li>`)); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(todo, `href="/checks/image-read-only"`) || !strings.Contains(todo, `href="/nodes/prod-us/talos-a2"`) {
		t.Error("what is to do has no link")
	}
}

func TestFleetWithNothingToDo(t *testing.T) {
	s := sampleSite(t)
	page := text(fleetOf(t, s, sample(s, "a", "n")))
	if !strings.Contains(page, "Nothing fails, and every node reports.") || !strings.Contains(page, "as of 2026-11-25 03:12:00 UTC") {
		t.Errorf("it does not say that nothing is to do and when it looked: %s", page)
	}
}

func TestMapShowsExceptionsFirstAndInWords(t *testing.T) {
	s := sampleSite(t)
	page := fleetOf(t, s, sample(s, "b", "sound"), sample(s, "b", "away", gone), sample(s, "b", "open", unpatched), sample(s, "b", "poor", unreserved), sample(s, "b", "bad", mutable))
	cells := regexp.MustCompile(`class="cell (\w+)" href="([^"]*)" title="[^"]*" aria-label="([^"]*)"><b>(\d)</b><i>(.)</i>`).FindAllStringSubmatch(page, -1)
	var got []string
	for _, c := range cells {
		got = append(got, strings.Join(c[1:], " | "))
	}
	want := []string{
		"bad | /nodes/b/bad | bad: level 0 mutable, 1 failing, 1 unknown | 0 | ✗",
		"poor | /nodes/b/poor | poor: level 3 verified, 1 failing, 0 unknown | 3 | !",
		"silent | /nodes/b/away | away: level 3 verified, 0 failing, 0 unknown, silent since 2026-11-24 22:12:00 UTC | 3 | –",
		"open | /nodes/b/open | open: level 3 verified, 0 failing, 1 unknown | 3 | ?",
		"sound | /nodes/b/sound | sound: level 3 verified, 0 failing, 0 unknown | 3 | ✓",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFleetTables(t *testing.T) {
	s := sampleSite(t)
	page := fleetOf(t, s, sample(s, "a", "n1"), sample(s, "b", "n2", holder, gone))
	want := []string{
		"– n2 b 3 verified 1 0 Flatcar Container Linux 4230.2.1 6.6.95-flatcar silent 2026-11-24 22:12:00",
		"✓ n1 a 3 verified 0 0 Flatcar Container Linux 4230.2.1 6.6.95-flatcar 2026-11-25 03:11:40",
		"a 1 1 1 0 0 3 verified",
		"b 1 0 0 0 0 3 verified",
	}
	if diff := cmp.Diff(want, parts(page, `<tr(?: class="\w+")?>\s*(<th scope="row".*?)</tr>`)); diff != "" {
		t.Error(diff)
	}
}

// A large fleet is cut, and the page says so.
func TestLargeFleet(t *testing.T) {
	s := sampleSite(t)
	var nodes []Node
	for i := range maxCells + 7 {
		nodes = append(nodes, Node{Cluster: "a", Name: fmt.Sprintf("n%d", i), Report: verify.Report{Findings: []verify.Finding{{Check: "secure-boot", Verdict: verify.Pass}}}})
	}
	page := fleetOf(t, s, append(nodes, sample(s, "z", "the-bad-one", holder))...)
	if got := strings.Count(page, `class="cell `); got != maxCells {
		t.Errorf("got %d cells, want %d", got, maxCells)
	}
	seen := text(page)
	for _, want := range []string{"8 nodes in better state are not drawn", "1,508 nodes in better state are not listed", "the-bad-one"} {
		if !strings.Contains(seen, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestNodePage(t *testing.T) {
	s := sampleSite(t)
	page := nodeOf(t, s, sample(s, "prod-eu", "node-30", holder, unreserved, unpatched, mutable))
	seen := text(page)
	for _, want := range []string{
		"✗ It is not sound: 3 checks fail, 2 are unknown.",
		"Flatcar Container Linux 4230.2.1 · kernel 6.6.95-flatcar · profile flatcar",
		"Level 0 mutable",
		"Why not higher /usr is writable: the superblock of /dev/vda3 is rw",
		"Last seen (UTC) 2026-11-25 03:11:40",
		"Reports every 1m",
		"12 of 300 the taint of modules could not be read",
		"asking the kernel for the device-mapper tables: permission denied",
	} {
		if !strings.Contains(seen, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	steps := []string{
		"1 read-only ✗ fail /usr is writable",
		"2 image ✓ pass the file system of the image cannot be written while it runs",
		"3 verified ? unknown the device-mapper table cannot be read without CAP_SYS_ADMIN; the systemd unit has it",
		"4 anchored – not-applicable Flatcar without Secure Boot does not anchor its image",
		"5 attested – not-applicable nothing is attested yet",
	}
	if diff := cmp.Diff(steps, parts(page, `<li class="\w+">(<span class="rung".*?)</li>`)); diff != "" {
		t.Error(diff)
	}
	topics := []string{"immutability 1 failing, 1 unknown", "runtime 1 failing", "reservation 1 failing", "kernel 1 unknown", "boot nothing fails"}
	if diff := cmp.Diff(topics, parts(page, `<h3 class="topic">(.*?)</h3>`)); diff != "" {
		t.Error(diff)
	}
	findings := parts(page, `<article class="finding \w+">(.*?)</article>`)
	want := "✗ runtime-socket-closed critical fail container docker-gc (pod kube-system/docker-gc-x7) can open /run/containerd/containerd.sock by hostPath /run and gid 0 " +
		"/run/containerd/containerd.sock docker-gc /run/containerd/containerd.sock.ttrpc docker-gc Expected no undeclared container reaches a runtime socket " +
		"To put it right Remove the hostPath mount from the pod, or declare the pod in a site overlay. Rests on mounts 0123456789ab · code holder , revision 1"
	if len(findings) != 5 || findings[2] != want {
		t.Errorf("got %d findings, the third %q, want 5 and %q", len(findings), findings[2], want)
	}
	for _, source := range []string{"mounts", "kernel", "verity", "identity"} {
		if !strings.Contains(page, `id="fact-`+source+`"`) {
			t.Errorf("the fact %s is not there", source)
		}
	}
}

func TestNodeAnswers(t *testing.T) {
	s := sampleSite(t)
	for _, test := range []struct {
		node Node
		want string
	}{
		{sample(s, "a", "n"), "✓ It is sound: every check that applies passes."},
		{sample(s, "a", "n", unpatched), "? Nothing fails, and it is not proven sound: 1 is unknown."},
		{sample(s, "a", "n", unreserved), "! It is not sound: 1 check fails."},
		{sample(s, "a", "n", gone), "– It has stopped reporting; when it last did, every check that applies passed."},
		{sample(s, "a", "n", gone, holder), "– It has stopped reporting; when it last did: 1 check fails."},
		{Node{Cluster: "a", Name: "n"}, "? Nothing has been judged."},
	} {
		if got := parts(nodeOf(t, s, test.node), `<p class="answer \w+">(.*?)</p>`); len(got) != 1 || got[0] != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestNodePageSaysWhenNoRemedyIsKnown(t *testing.T) {
	s := sampleSite(t)
	n := sample(s, "a", "n", func(n *Node) { set(n, "secure-boot", verify.Fail, "off", "Secure Boot is off") })
	if page := text(nodeOf(t, s, n)); !strings.Contains(page, "To put it right Enrol the vendor's keys") {
		t.Error("the remedy for Flatcar is not there")
	}
	n.Report.Profile.Name = "talos"
	if page := text(nodeOf(t, s, n)); !strings.Contains(page, "To put it right No remedy is known for this system.") {
		t.Error("it does not say that no remedy is known for Talos")
	}
}

// On an ordinary host the checks of an image are one line.
func TestOrdinaryHostIsNoWall(t *testing.T) {
	s := sampleSite(t)
	page := nodeOf(t, s, sample(s, "a", "n", mutable, func(n *Node) { n.Report.Profile.Name = "generic" }))
	if got := parts(page, `<article class="finding \w+">(.*?)</article>`); len(got) != 0 {
		t.Errorf("got %d findings at full length, want none: %q", len(got), got)
	}
	if !strings.Contains(text(page), "5 checks that only make sense where the system is an image") {
		t.Error("the line for them is not there")
	}
}

func TestClock(t *testing.T) {
	s := sampleSite(t)
	for _, test := range []struct {
		off  time.Duration
		want string
	}{
		{0, ""},
		{-5 * time.Minute, ""},
		{30 * time.Second, ""},
		{2 * time.Hour, "the node's clock is at least 2h0m0s ahead of the collector's"},
		{-2 * time.Hour, "that is 2h0m0s before the report came in: the report was held up, or the node's clock is behind"},
	} {
		n := sample(s, "a", "n")
		n.Gathered = n.LastSeen.Add(test.off)
		if got := clock(n); got != test.want {
			t.Errorf("%s off: got %q, want %q", test.off, got, test.want)
		}
	}
}

// What could not be read for one reason is told once a topic.
func TestUnknownForOneReasonStandsTogether(t *testing.T) {
	s := sampleSite(t)
	const denied = "reading /proc/1/mountinfo: permission denied"
	gaps := []string{"a: denied", "b: denied", "c: denied", "d: denied", "e: denied"}
	n := sample(s, "a", "n", func(n *Node) {
		set(n, "image-read-only", verify.Unknown, "fact-denied", denied)
		set(n, "image-unwritable", verify.Unknown, "fact-denied", denied)
		set(n, "image-anchored", verify.Unknown, "fact-denied", denied)
		set(n, "secure-boot", verify.Unknown, "fact-denied", denied)
		set(n, "kernel-patched", verify.Unknown, "gap-denied", "a: denied; and 4 more", gaps...)
		set(n, "kube-reserved-set", verify.Fail, "not-set", "nothing is reserved: cpu; memory", "cpu", "memory")
	})
	page := nodeOf(t, s, n)
	findings := parts(page, `<article class="finding \w+">(.*?)</article>`)
	var heads []string
	for _, f := range findings {
		head, _, _ := strings.Cut(f, " Expected")
		heads = append(heads, head)
	}
	want := []string{
		"! kube-reserved-set medium fail nothing is reserved cpu memory",
		"? image-read-only critical unknown " + denied,
		"? secure-boot medium unknown " + denied,
		"? kernel-patched high unknown a: denied; and 4 more a: denied b: denied c: denied and 2 more",
	}
	if diff := cmp.Diff(want, heads); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if also := "2 more checks are unknown for this reason ? image-unwritable high Expected: the file system of the image cannot be written while it runs"; !strings.Contains(text(page), also) {
		t.Errorf("the page does not say %q", also)
	}
}

func TestManyItemsAndLargeFactsAreCutInTheOpen(t *testing.T) {
	s := sampleSite(t)
	var items []string
	for i := range maxItems + 5 {
		items = append(items, fmt.Sprint("item ", i))
	}
	n := sample(s, "a", "n", func(n *Node) { set(n, "secure-boot", verify.Fail, "off", "off", items...) })
	n.Report.Facts["identity"] = node.Fact{Value: node.Identification{Name: strings.Repeat("é", maxValue)}}
	page := text(nodeOf(t, s, n))
	for _, want := range []string{"and 5 more", "The rest is in the JSON ."} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestCheckPage(t *testing.T) {
	s := sampleSite(t)
	page := draw(t, func(w io.Writer) error { return s.Check(w, "secure-boot", sampleFleet(s), epoch) })
	for _, want := range []string{
		"Expected: Secure Boot is on", "It fails on none of 31 nodes.", "There is nothing to do.", "31 nodes pass or are not concerned",
		"Flatcar Container Linux Enrol the vendor's keys", "Linux host, Talos Linux No remedy is known.", "NIST SP 800-53 r5: SC-34",
	} {
		if !strings.Contains(text(page), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	page = draw(t, func(w io.Writer) error { return s.Check(w, "kube-reserved-set", sampleFleet(s), epoch) })
	if !strings.Contains(text(page), "It fails on 2 of 31 nodes.") || !strings.Contains(page, `href="/nodes/prod-eu/node-31"`) {
		t.Error("the failing nodes are not there")
	}
}

func TestCheckList(t *testing.T) {
	s := sampleSite(t)
	page := draw(t, func(w io.Writer) error { return s.CheckList(w, sampleFleet(s), epoch) })
	if got := parts(page, `<h1>(.*?)</h1>`); got[0] != "9 checks; 3 fail somewhere." {
		t.Errorf("got %q", got)
	}
	rows := parts(page, `<tr>(<th scope="row".*?)</tr>`)
	if len(rows) != 9 || rows[0] != "image-read-only every file system of the OS image is read-only critical 1 0 30 0" {
		t.Errorf("got %q", rows)
	}
}

func TestDemoIsOnEveryPage(t *testing.T) {
	s := sampleSite(t)
	n := sample(s, "a", "n")
	pages := func() map[string]string {
		return map[string]string{
			"fleet": fleetOf(t, s, n), "empty": fleetOf(t, s), "node": nodeOf(t, s, n),
			"check":   draw(t, func(w io.Writer) error { return s.Check(w, "secure-boot", nil, epoch) }),
			"checks":  draw(t, func(w io.Writer) error { return s.CheckList(w, nil, epoch) }),
			"problem": draw(t, func(w io.Writer) error { return s.Problem(w, "Nothing here.", epoch) }),
		}
	}
	for name, page := range pages() {
		if strings.Contains(page, "DEMO") {
			t.Errorf("%s: it says DEMO", name)
		}
		for _, must := range []string{`<html lang="en">`, `<main id="main">`, `href="#main"`, `<nav aria-label=`, `name="viewport"`, `<h1>`} {
			if strings.Count(page, must) != 1 {
				t.Errorf("%s: it has %d of %s, want 1", name, strings.Count(page, must), must)
			}
		}
	}
	s.Demo = true
	for name, page := range pages() {
		if !strings.Contains(text(page), "DEMO Every node here was recorded, or composed from published samples. None is yours.") {
			t.Errorf("%s: it does not say DEMO", name)
		}
	}
}

// A node that is not alive says so wherever it stands.
func TestOrigin(t *testing.T) {
	s := sampleSite(t)
	n := sample(s, "prod", "n", func(n *Node) { n.Origin, n.Note = "composed", "The kernel is that of another release.\na/sample.txt" })
	var fleet, page strings.Builder
	if err := errors.Join(s.Fleet(&fleet, []Node{n}, "http://c", epoch), s.Node(&page, n, epoch)); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{"fleet": text(fleet.String()), "node": text(page.String())} {
		if !strings.Contains(got, "composed") {
			t.Errorf("%s: it does not say that the node is composed", name)
		}
	}
	for _, want := range []string{"The kernel is that of another release.", "made from 1 source", "a/sample.txt"} {
		if !strings.Contains(text(page.String()), want) {
			t.Errorf("node: it does not say %q", want)
		}
	}
}

// Whatever a node says is text.
func TestHostileNode(t *testing.T) {
	s := sampleSite(t)
	evil := `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	n := sample(s, "prod", "n", func(n *Node) { set(n, "secure-boot", verify.Fail, evil, evil, evil) })
	n.Agent, n.OS, n.Kernel, n.Report.OS.Version, n.Origin, n.Note = evil, evil, evil, evil, evil, evil
	n.Report.Level.Name, n.Report.Level.Reasons, n.Report.Level.Unprotected = evil, []string{evil}, []string{evil}
	n.Report.Facts["mounts"] = node.Fact{Value: []node.Mount{{Path: evil}}, Gaps: []node.Gap{{What: evil, Reason: evil}}, Evidence: []node.Evidence{{What: evil, SHA256: evil}}}
	n.Report.Facts["os"] = node.Fact{Missing: &node.Missing{Code: node.Code(evil), Reason: evil}}
	for _, page := range []string{fleetOf(t, s, n), nodeOf(t, s, n), draw(t, func(w io.Writer) error { return s.Check(w, "secure-boot", []Node{n}, epoch) })} {
		if strings.Contains(page, "<script") || strings.Contains(page, "<img src=x") {
			t.Error("markup of the node is markup of the page")
		}
	}
}

func TestStyleLoadsNothing(t *testing.T) {
	for _, never := range []string{"url(", "@import", "http"} {
		if bytes.Contains(Style, []byte(never)) {
			t.Errorf("the style sheet has %q", never)
		}
	}
}

// Each text on its ground has the contrast of WCAG 2.2 AA, in light and dark.
func TestContrast(t *testing.T) {
	sheet := string(Style)
	dark := sheet[strings.Index(sheet, "prefers-color-scheme: dark"):]
	for name, part := range map[string]string{"light": sheet[:strings.Index(sheet, "@media")], "dark": dark[:strings.Index(dark, "\n}")]} {
		colours := map[string]string{}
		for _, m := range regexp.MustCompile(`--([\w-]+): #([0-9a-f]{6});`).FindAllStringSubmatch(part, -1) {
			colours[m[1]] = m[2]
		}
		pairs := [][2]string{{"bad", "bad-ground"}, {"poor", "poor-ground"}, {"open", "open-ground"}, {"sound", "sound-ground"}}
		for _, ink := range []string{"ink", "soft", "link", "bad", "poor", "open", "sound"} {
			pairs = append(pairs, [2]string{ink, "ground"}, [2]string{ink, "sheet"})
		}
		for _, p := range pairs {
			if got := contrast(t, colours[p[0]], colours[p[1]]); got < 4.5 {
				t.Errorf("%s: %s on %s has a contrast of %.2f, want 4.5", name, p[0], p[1], got)
			}
		}
	}
}

// contrast is defined in https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
func contrast(t *testing.T, a, b string) float64 {
	luminance := func(hex string) (l float64) {
		rgb, err := strconv.ParseUint(hex, 16, 32)
		if err != nil {
			t.Fatalf("colour %q: %v", hex, err)
		}
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			c := float64(rgb>>(16-8*i)&0xff) / 255
			if c <= 0.04045 {
				l += weight * c / 12.92
			} else {
				l += weight * math.Pow((c+0.055)/1.055, 2.4)
			}
		}
		return l
	}
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

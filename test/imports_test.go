// Package test holds the tests of the whole: the rules of the house, programs
// as programs, recorded nodes and the published samples.
package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/seaworthy/seaworthy"

// may lists every package with what of ours it may import. "*" ends a pattern.
// Tests of a package may import more; what ships may not.
var may = map[string][]string{
	"profiles":            {},
	"profiles/standards":  {},
	"node":                {},
	"node/hostfs":         {"node"},
	"node/capture":        {"node"},
	"node/systemd":        {"node"},
	"node/deep":           {"node", "node/hostfs"},
	"node/wire":           {"node"},
	"verify":              {"node", "profiles"},
	"collector/store":     {"node", "node/wire"},
	"collector/web":       {"node", "profiles", "verify"},
	"collector":           {"node", "node/wire", "profiles", "verify", "collector/store", "collector/web"},
	"collector/demo":      {"node", "node/capture"},
	"cmd/seaworthy":       {"node", "node/*", "profiles", "profiles/*", "verify", "collector", "collector/*"},
	"cmd/seaworthy-agent": {"node", "node/*", "profiles", "verify"},
	"test":                {},
	"test/peers":          {},
	"test/lab":            {"node/wire", "profiles", "verify"},
	"test/lab/guest":      {"test/lab"},
	"test/lab/judge":      {"test/lab"},
}

// never lists what a package and everything of ours that it imports may not
// import from elsewhere, with the reason. "" stands for all that ships.
var never = map[string]map[string]string{
	"": {
		"os/exec": "sources read the kernel and documented interfaces; nothing is ever executed",
		"unsafe":  "nothing here is worth it",
		"C":       "what ships is one static binary without cgo",
		"testing": "production code does not test",
	},
	"verify": {
		"os": "a judge is pure", "net": "a judge is pure", "net/http": "a judge is pure",
		"io/fs": "a judge is pure", "log": "libraries return, commands log", "log/slog": "libraries return, commands log",
	},
	"node": {
		"log": "libraries return, commands log", "log/slog": "libraries return, commands log",
		"os": "a source touches the machine through node.Host alone", "net": "a source touches the machine through node.Host alone",
		"net/http": "a source touches the machine through node.Host alone",
	},
	"cmd/seaworthy-agent": {
		"k8s.io/*": "the agent stays small", "modernc.org/*": "the agent stores nothing",
		"github.com/siderolabs/*": "the agent stays small", "html/template": "the agent renders nothing",
	},
}

// source is one Go file of the tree.
type source struct {
	dir  string // relative to the root
	name string
	test bool
	file *ast.File
}

// sources parses the imports of every Go file. It does not ask "go list", whose
// answer the test cache would repeat after an import was added.
func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir("..", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel("..", p)
		if d.IsDir() {
			if rel != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || rel == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		out = append(out, source{filepath.ToSlash(filepath.Dir(rel)), d.Name(), strings.HasSuffix(p, "_test.go"), f})
		return nil
	})
	if err != nil {
		t.Fatalf("reading the tree: %v", err)
	}
	return out
}

func imports(s source) []string {
	var out []string
	for _, i := range s.file.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			continue
		}
		out = append(out, p)
	}
	return out
}

func allowed(patterns []string, p string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if dir, ok := strings.CutSuffix(pattern, "*"); ok {
			return strings.HasPrefix(p, dir)
		}
		return p == pattern
	})
}

func TestImportDirections(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		rule, known := may[s.dir]
		if !known {
			t.Errorf("%s/%s: the package has no line in the table of who may know whom", s.dir, s.name)
			continue
		}
		for _, p := range imports(s) {
			ours, ok := strings.CutPrefix(p, module+"/")
			if ok && !allowed(rule, ours) {
				t.Errorf("%s/%s imports %s, which it may not know", s.dir, s.name, ours)
			}
		}
	}
}

func TestForbiddenImports(t *testing.T) {
	of := map[string][]source{}
	for _, s := range sources(t) {
		if !s.test && !inLab(s.dir) {
			of[s.dir] = append(of[s.dir], s)
		}
	}
	for root, bad := range never {
		roots := []string{root}
		if root == "" {
			roots = slices.Sorted(maps.Keys(of))
		}
		for _, r := range roots {
			for _, dir := range reach(of, r, root == "cmd/seaworthy-agent") {
				for _, s := range of[dir] {
					for _, p := range imports(s) {
						for pattern, why := range bad {
							if allowed([]string{pattern}, p) && !excused(dir, p) {
								t.Errorf("%s/%s imports %s: %s", s.dir, s.name, p, why)
							}
						}
					}
				}
			}
		}
	}
}

// inLab says whether a package is of the laboratory, which builds and boots guests
// and does not ship.
func inLab(dir string) bool { return dir == "test/lab" || strings.HasPrefix(dir, "test/lab/") }

// excused says where an import that is forbidden everywhere has its one place.
func excused(dir, p string) bool {
	// Device-mapper and btrfs ioctls take pointers.
	return dir == "node/hostfs" && p == "unsafe"
}

// reach lists dir and, if deep, all packages of ours that it imports.
func reach(of map[string][]source, dir string, deep bool) []string {
	seen := []string{}
	var visit func(string)
	visit = func(d string) {
		if slices.Contains(seen, d) {
			return
		}
		seen = append(seen, d)
		if !deep {
			return
		}
		for _, s := range of[d] {
			for _, p := range imports(s) {
				if ours, ok := strings.CutPrefix(p, module+"/"); ok {
					visit(ours)
				}
			}
		}
	}
	visit(dir)
	return seen
}

// TestNoClockInJudges holds verify to its input: the clock is an argument.
func TestNoClockInJudges(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || s.dir != "verify" && s.dir != "profiles" && s.dir != "node" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until"}, sel.Sel.Name) {
				t.Errorf("%s/%s calls time.%s: take the time as an argument", s.dir, s.name, sel.Sel.Name)
			}
			return true
		})
	}
}

func TestOnePackageComment(t *testing.T) {
	comments := map[string][]string{}
	seen := map[string]bool{}
	for _, s := range sources(t) {
		if s.test && s.dir != "test" {
			continue
		}
		seen[s.dir] = true
		if s.file.Doc != nil {
			comments[s.dir] = append(comments[s.dir], s.name)
		}
	}
	for dir := range seen {
		if len(comments[dir]) != 1 {
			t.Errorf("package %s has %d package comments (%s), want 1", dir, len(comments[dir]), strings.Join(comments[dir], ", "))
		}
	}
}

func TestNoInitAndNoReplace(t *testing.T) {
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s/%s has an init function: lists are written out", s.dir, s.name)
			}
		}
	}
	b, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 0 && (f[0] == "replace" || f[0] == "exclude") {
			t.Errorf("go.mod has a %s directive: %s", f[0], strings.TrimSpace(line))
		}
	}
}

// TestTopLevelStays holds the root of the repository to what it is meant to hold.
func TestTopLevelStays(t *testing.T) {
	want := []string{
		".ci", ".git", ".gitignore", ".golangci.yml", ".seaworthy", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "SECURITY.md",
		"bin", "cmd", "collector", "deploy", "docs", "go.mod", "go.sum", "node", "profiles", "test", "verify",
	}
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(want, e.Name()) {
			t.Errorf("%s stands at the top level; it needs a place below one of %s", e.Name(), strings.Join(want, " "))
		}
	}
}

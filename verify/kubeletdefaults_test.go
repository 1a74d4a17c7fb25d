package verify

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/seaworthy/seaworthy/node"
)

// undocumented are the settings of which the comments of k8s.io/kubelet give no
// default before a minor version: most were no setting until then.
var undocumented = map[string]int{
	"authentication.x509.clientCAFile": never,
	"enableDebugFlagsHandler":          21,
	"enableProfilingHandler":           21,
	"enableSystemLogQuery":             27,
	"memorySwap.swapBehavior":          never,
	"mergeDefaultEvictionSettings":     33,
	"reservedSystemCPUs":               never,
	"seccompDefault":                   22,
}

const never = 1000

// TestKubeletDefaultsAreDocumented compares the table with what the module says of
// every minor version: that which go.mod has, and the older ones where the module
// proxy serves them.
func TestKubeletDefaultsAreDocumented(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("SKIPPED: there is no go command")
	}
	out, err := exec.Command(goTool, "list", "-m", "-f", "{{.Version}} {{.Dir}}", "k8s.io/kubelet").Output()
	version, dir, ok := strings.Cut(strings.TrimSpace(string(out)), " ")
	if err != nil || !ok || dir == "" {
		t.Skipf("SKIPPED: the module k8s.io/kubelet is not here: %q, %v", out, err)
	}
	newest, err := strconv.Atoi(strings.Split(version, ".")[1])
	if err != nil {
		t.Fatalf("version %q: %v", version, err)
	}
	seen := map[string]bool{}
	for minor := newest; minor >= 18; minor-- {
		t.Run(fmt.Sprintf("1.%d", minor), func(t *testing.T) {
			if minor != newest {
				dir = downloaded(t, goTool, fmt.Sprintf("k8s.io/kubelet@v0.%d.0", minor))
			}
			documented := documentedDefaults(t, filepath.Join(dir, "config/v1beta1/types.go"))
			k := node.KubeletState{Config: "/k", Version: fmt.Sprintf("v1.%d.0", minor)}
			for _, key := range slices.Sorted(maps.Keys(kubeletDefaults)) {
				want, ok := documented[key]
				if !ok {
					if minor >= undocumented[key] {
						t.Errorf("%s: no default is documented", key)
					}
					continue
				}
				seen[key] = true
				got, _, _ := defaultOf(k, key)
				if !sameDefault(key, got, want) {
					t.Errorf("%s: got %s, documented is %s", key, got, want)
				}
			}
		})
	}
	for key := range kubeletDefaults {
		if !seen[key] && undocumented[key] != never {
			t.Errorf("%s was compared with no documentation", key)
		}
	}
}

// downloaded is the folder of an older module, in the module cache.
func downloaded(t *testing.T, goTool, module string) string {
	t.Helper()
	out, err := exec.Command(goTool, "mod", "download", "-json", module).Output()
	var m struct{ Dir, Error string }
	if json.Unmarshal(out, &m) != nil || m.Dir == "" {
		t.Skipf("SKIPPED: %s is not in the module cache and could not be downloaded: %s %v", module, m.Error, err)
	}
	return m.Dir
}

// sameDefault compares a default as compact JSON with a documented one; nothing is
// written as nil, "", [] or {}.
func sameDefault(key, got, want string) bool {
	var a, b any
	if json.Unmarshal([]byte(got), &a) != nil || json.Unmarshal([]byte(want), &b) != nil {
		return false
	}
	nothing := func(v any) bool {
		return v == nil || reflect.ValueOf(v).Kind() != reflect.Float64 && reflect.ValueOf(v).Kind() != reflect.Bool && reflect.ValueOf(v).Len() == 0
	}
	if key == "tlsMinVersion" && nothing(b) { // which stands for component-base's own
		return got == `"VersionTLS12"`
	}
	if m, ok := b.(map[string]any); ok && key == "evictionHard" {
		delete(m, "imagefs.inodesFree") // came in 1.31 and is not judged
	}
	return nothing(a) && nothing(b) || reflect.DeepEqual(a, b)
}

// documentedDefaults are the defaults that the comments of a types.go give, by
// dotted name, as JSON.
func documentedDefaults(t *testing.T, file string) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	structs := map[string]*ast.StructType{}
	ast.Inspect(f, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			if s, ok := spec.Type.(*ast.StructType); ok {
				structs[spec.Name.Name] = s
			}
		}
		return true
	})
	out := map[string]string{}
	var walk func(s *ast.StructType, prefix string)
	walk = func(s *ast.StructType, prefix string) {
		for _, field := range s.Fields.List {
			if field.Tag == nil || len(field.Names) == 0 {
				continue
			}
			tag, err := strconv.Unquote(field.Tag.Value)
			name, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
			if err != nil || name == "" {
				continue
			}
			documented(out, prefix+name, field.Doc.Text())
			typ := field.Type
			if star, ok := typ.(*ast.StarExpr); ok {
				typ = star.X
			}
			if id, ok := typ.(*ast.Ident); ok && structs[id.Name] != nil {
				walk(structs[id.Name], prefix+name+".")
			}
		}
	}
	walk(structs["KubeletConfiguration"], "")
	return out
}

// documented adds what a comment says after "Default:" or "Defaults:": a value in
// the same line, or a map in the lines below.
func documented(out map[string]string, key, comment string) {
	lines := strings.Split(comment, "\n")
	for i, line := range lines {
		word, rest, ok := strings.Cut(line, ":")
		if !ok || word != "Default" && word != "Defaults" {
			continue
		}
		if rest, _, _ = strings.Cut(rest, " ("); strings.TrimSpace(rest) == "" {
			var block []string
			for _, l := range lines[i+1:] {
				if !strings.HasPrefix(l, " ") && !strings.HasPrefix(l, "\t") {
					break
				}
				block = append(block, strings.ReplaceAll(l, "\t", "  "))
			}
			rest = strings.Join(block, "\n")
		}
		var v any
		if yaml.Unmarshal([]byte(strings.Replace(rest, "nil", "null", 1)), &v) == nil {
			flatten(out, key, v)
		}
	}
}

func flatten(out map[string]string, key string, v any) {
	if m, ok := v.(map[string]any); ok && kubeletDefaults[key] == nil {
		for k, inner := range m {
			flatten(out, key+"."+k, inner)
		}
		return
	}
	b, err := json.Marshal(v)
	if err == nil {
		out[key] = string(b)
	}
}

package hostfs

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy/seaworthy/node"
)

// goBlob is a blob as the linker writes it.
func goBlob(version, info string) []byte {
	b := make([]byte, goBuildHeader)
	copy(b, goBuildMagic)
	b[14], b[15] = 8, goBuildInline
	for _, text := range []string{version, info} {
		b = binary.AppendUvarint(b, uint64(len(text)))
		b = append(b, text...)
	}
	return b
}

const frame = "0123456789abcdef"

func TestParseGoBuild(t *testing.T) {
	// The flags are those of hack/lib/version.sh of Kubernetes.
	upstream := "path\tk8s.io/kubernetes/cmd/kubelet\nmod\tk8s.io/kubernetes\t(devel)\t\n" +
		"build\t-ldflags=\"all= -X 'k8s.io/client-go/pkg/version.gitVersion=v1.30.0' -X 'k8s.io/component-base/version.gitVersion=v1.31.2' -X 'k8s.io/component-base/version.gitMajor=1' -s -w\"\nbuild\tCGO_ENABLED=1\n"
	old := goBlob("go1.17", "")
	old[15] = 0
	for _, tt := range []struct {
		name string
		blob []byte
		want node.GoBuild
		code node.Code
	}{
		{"Kubernetes' own build", goBlob("go1.22.8", frame+upstream+frame), node.GoBuild{Go: "go1.22.8", Module: "k8s.io/kubernetes", Version: "(devel)", Kubernetes: "v1.31.2"}, ""},
		{"a module that carries its version, paths trimmed", goBlob("go1.26.0", frame+"path\tk8s.io/kubernetes/cmd/kubelet\nmod\tk8s.io/kubernetes\tv1.36.3\th1:x=\nbuild\t-trimpath=true\n"+frame), node.GoBuild{Go: "go1.26.0", Module: "k8s.io/kubernetes", Version: "v1.36.3"}, ""},
		{"without modules", goBlob("go1.22.8", ""), node.GoBuild{Go: "go1.22.8"}, ""},
		{"before Go 1.18", old, node.GoBuild{}, node.Unsupported},
		{"nothing", nil, node.GoBuild{}, node.Unsupported},
		{"another section", bytes.Repeat([]byte{1}, 64), node.GoBuild{}, node.Unsupported},
		{"cut", goBlob("go1.22.8", frame+upstream+frame)[:60], node.GoBuild{}, node.Malformed},
		{"no lines", goBlob("go1.22.8", frame+"mod\tx\n"+frame), node.GoBuild{}, node.Malformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseGoBuild(tt.blob)
			var e *node.Error
			if errors.As(err, &e); (err == nil) != (tt.code == "") || err != nil && e.Code != tt.code {
				t.Errorf("error %v, want code %q", err, tt.code)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// What is kept is text of the blob, and nothing more than four pieces of it.
func FuzzParseGoBuild(f *testing.F) {
	f.Add(goBlob("go1.22.8", frame+"path\tx\nmod\ty\tv1.0.0\t\nbuild\t-ldflags=\"-X k8s.io/component-base/version.gitVersion=v1.31.2\"\n"+frame))
	f.Add(goBlob("", ""))
	f.Fuzz(func(t *testing.T, blob []byte) {
		b, err := parseGoBuild(blob)
		if err != nil && b != (node.GoBuild{}) {
			t.Errorf("an error and %+v", b)
		}
		if !bytes.Contains(blob, []byte(b.Kubernetes)) {
			t.Errorf("%q is not in the blob", b.Kubernetes)
		}
		if j, err := json.Marshal(b); err != nil || len(j) > 6*len(blob)+100 {
			t.Errorf("%d bytes of %d, %v", len(j), len(blob), err)
		}
	})
}

// TestGoBuildOfAProgram builds one as Kubernetes builds its own.
func TestGoBuildOfAProgram(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("SKIPPED: there is no go command")
	}
	root := t.TempDir()
	write(t, root+"/src/go.mod", "module k8s.io/kubernetes\n")
	write(t, root+"/src/main.go", "package main\n\nfunc main() {}\n")
	write(t, root+"/script", "#!/bin/sh\n")
	cmd := exec.Command(goTool, "build", "-buildvcs=false", "-ldflags=-s -w -X 'k8s.io/component-base/version.gitVersion=v1.31.2'", "-o", filepath.Join(root, "kubelet"), ".")
	cmd.Dir = root + "/src"
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GO111MODULE=on")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	for kind, tree := range trees(t, root) {
		k := &kernel{tree}
		got, err := k.goBuild("kubelet")
		want := node.GoBuild{Go: runtime.Version(), Module: "k8s.io/kubernetes", Version: "(devel)", Kubernetes: "v1.31.2"}
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", kind, got, err, want)
		}
		_, err = k.Ask(node.Question{Kind: node.AskGoBuild, Of: "script"})
		if want := "asking the kernel for go-build of /script: not supported here: it is no ELF file"; err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", kind, err, want)
		}
		_, err = k.Ask(node.Question{Kind: node.AskGoBuild, Of: "none"})
		if want := "asking the kernel for go-build of /none: no such file"; err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", kind, err, want)
		}
	}
}

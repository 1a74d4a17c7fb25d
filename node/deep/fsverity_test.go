package deep

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seaworthy/seaworthy/node"
)

// Files at the edges of what a tree of fs-verity can look like have the digest
// that fsverity(1) computes of them.
func TestFileDigest(t *testing.T) {
	needTool(t, "fsverity")
	salt := strings.Repeat("5a", 32)
	for _, tt := range []struct {
		size    int
		measure node.FileMeasure
	}{
		{0, node.FileMeasure{Algorithm: "sha256", BlockSize: 4096}},
		{1, node.FileMeasure{Algorithm: "sha256", BlockSize: 4096}},
		{4095, node.FileMeasure{Algorithm: "sha256", BlockSize: 4096}},
		{4096, node.FileMeasure{Algorithm: "sha256", BlockSize: 4096}},
		{4097, node.FileMeasure{Algorithm: "sha256", BlockSize: 4096}},
		{128 * 4096, node.FileMeasure{Algorithm: "sha256", BlockSize: 4096}},
		{128*4096 + 1, node.FileMeasure{Algorithm: "sha256", BlockSize: 4096}},
		{129 * 4096, node.FileMeasure{Algorithm: "sha256", BlockSize: 4096}},
		{256 * 4096, node.FileMeasure{Algorithm: "sha256", BlockSize: 4096}},
		{3<<20 + 77, node.FileMeasure{Algorithm: "sha256", BlockSize: 4096}},
		{3<<20 + 77, node.FileMeasure{Algorithm: "sha256", BlockSize: 4096, Salt: salt}},
		{3<<20 + 77, node.FileMeasure{Algorithm: "sha256", BlockSize: 4096, Salt: "01"}},
		{3<<20 + 77, node.FileMeasure{Algorithm: "sha512", BlockSize: 4096}},
		{3<<20 + 77, node.FileMeasure{Algorithm: "sha512", BlockSize: 4096, Salt: salt}},
		{3<<20 + 77, node.FileMeasure{Algorithm: "sha256", BlockSize: 1024}},
		{3<<20 + 77, node.FileMeasure{Algorithm: "sha512", BlockSize: 65536}},
		{32*32*1024 + 1, node.FileMeasure{Algorithm: "sha256", BlockSize: 1024}},
		{17<<20 + 1, node.FileMeasure{Algorithm: "sha256", BlockSize: 4096}},
	} {
		content := noise(tt.size)
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		args := []string{"digest", "--compact", "--hash-alg=" + tt.measure.Algorithm, fmt.Sprintf("--block-size=%d", tt.measure.BlockSize)}
		if tt.measure.Salt != "" {
			args = append(args, "--salt="+tt.measure.Salt)
		}
		out, err := exec.Command("fsverity", append(args, file)...).CombinedOutput()
		if err != nil {
			t.Fatalf("fsverity %q: %v\n%s", args, err, out)
		}
		want := tt.measure.Algorithm + ":" + strings.TrimSpace(string(out))
		paces := &pace{}
		paces.begin(t.Context(), 0)
		digest := func() string {
			got, err := fileDigest(t.Context(), bytes.NewReader(content), int64(len(content)), tt.measure, paces, func(int64, []byte) {})
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		if got := digest(); got != want {
			t.Errorf("%d bytes, %+v: got %s, want %s", tt.size, tt.measure, got, want)
		}
		if tt.size > 0 {
			content[tt.size-1] ^= 1
			if digest() == want {
				t.Errorf("%d bytes, %+v: the last byte was changed, and the digest is the same", tt.size, tt.measure)
			}
		}
	}
}

// What cannot be computed is refused.
func TestFileDigestRefuses(t *testing.T) {
	paces := &pace{}
	paces.begin(t.Context(), 0)
	for name, m := range map[string]node.FileMeasure{
		"another hash":  {Algorithm: "md5", BlockSize: 4096},
		"a long salt":   {Algorithm: "sha256", BlockSize: 4096, Salt: strings.Repeat("00", 33)},
		"no block size": {Algorithm: "sha256"},
		"no power":      {Algorithm: "sha256", BlockSize: 5000},
	} {
		if got, err := fileDigest(t.Context(), bytes.NewReader(nil), 0, m, paces, func(int64, []byte) {}); err == nil {
			t.Errorf("%s: got %s, want an error", name, got)
		}
	}
}

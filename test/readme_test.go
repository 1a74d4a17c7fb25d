package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestREADME holds the output that README shows to what the program prints, and
// the targets that it names to the Makefile.
func TestREADME(t *testing.T) {
	b, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(b)
	program := filepath.Join(t.TempDir(), "seaworthy")
	build := exec.Command("go", "build", "-o", program, "../cmd/seaworthy")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	scan := exec.Command(program, "scan", "--capture", "../collector/demo/recorded-lab-flatcar.capture")
	scan.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, _ := scan.Output() // it exits with 3: something fails there
	if shown := "```\n" + strings.TrimRight(string(out), "\n") + "\n```"; !strings.Contains(readme, shown) {
		t.Errorf("README does not show what a scan of the recorded node prints:\n%s", out)
	}
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"up", "test", "demo"} {
		if !strings.Contains(readme, "make "+target) || !strings.Contains(string(makefile), "\n"+target+":") {
			t.Errorf("make %s is missing in README or in the Makefile", target)
		}
	}
}

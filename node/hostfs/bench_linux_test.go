package hostfs

import "testing"

// A scan of 300 processes asks some thousand such questions.
func BenchmarkReadProcess(b *testing.B) {
	h, err := Machine("/")
	if err != nil {
		b.Skip(err)
	}
	for b.Loop() {
		if _, err := h.ReadFile("proc/1/comm", 4096); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadLinkOfProcess(b *testing.B) {
	h, err := Machine("/")
	if err != nil {
		b.Skip(err)
	}
	for b.Loop() {
		_, _ = h.ReadLink("proc/1/ns/mnt") // without the right to see it, the refusal costs the same
	}
}

func BenchmarkReadFile(b *testing.B) {
	root := b.TempDir()
	write(b, root+"/etc/os-release", "ID=x\n")
	for kind, tree := range trees(b, root) {
		b.Run(kind, func(b *testing.B) {
			for b.Loop() {
				if _, err := tree.ReadFile("etc/os-release", 4096, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

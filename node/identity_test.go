package node

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIdentity(t *testing.T) {
	const boot = "7f2a1fad-84e8-4c09-8b03-76930cf18c15"
	tests := map[string]struct {
		files   map[string]string
		want    Identification
		gaps    []string
		wantErr string
	}{
		"on the host": {
			files: map[string]string{
				"proc/sys/kernel/hostname": "n1\n", "proc/sys/kernel/random/boot_id": boot + "\n", "etc/hostname": "old\n",
				"proc/self/ns/uts": "-> uts:[4026531838]", "proc/1/ns/uts": "-> uts:[4026531838]",
			},
			want: Identification{"n1", boot},
		},
		"in a pod, whose name is not the node's": {
			files: map[string]string{
				"proc/sys/kernel/hostname": "agent-x7k2p\n", "proc/sys/kernel/random/boot_id": boot + "\n", "etc/hostname": "n1\n",
				"proc/self/ns/uts": "-> uts:[4026532500]", "proc/1/ns/uts": "-> uts:[4026531838]",
			},
			want: Identification{"n1", boot},
		},
		"in a pod on a node without /etc/hostname": {
			files: map[string]string{
				"proc/sys/kernel/hostname": "agent-x7k2p\n", "proc/sys/kernel/random/boot_id": boot + "\n",
				"proc/self/ns/uts": "-> uts:[4026532500]", "proc/1/ns/uts": "-> uts:[4026531838]",
			},
			want: Identification{"", boot},
			gaps: []string{"the node's name could not be read: reading /etc/hostname: no such file"},
		},
		"a file tree": {
			files: map[string]string{"etc/hostname": "n1\n"},
			want:  Identification{"n1", ""},
			gaps:  []string{"the boot identifier could not be read: reading /proc/sys/kernel/random/boot_id: no such file"},
		},
		"nothing at all": {
			files:   map[string]string{"etc/os-release": ""},
			wantErr: "reading /proc/sys/kernel/random/boot_id: no such file",
		},
		"a name that is denied": {
			files: map[string]string{"proc/sys/kernel/hostname": "! denied", "proc/sys/kernel/random/boot_id": boot + "\n"},
			want:  Identification{"", boot},
			gaps:  []string{"the node's name could not be read: reading /proc/sys/kernel/hostname: permission denied"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, gaps, err := Identity.Read(t.Context(), (&memHost{files: tt.files}).host())
			if msg := errorText(err); msg != tt.wantErr {
				t.Fatalf("got error %q, want %q", msg, tt.wantErr)
			}
			if diff := cmp.Diff(append([]string{}, tt.gaps...), gapTexts(gaps)); diff != "" {
				t.Errorf("gaps (-want +got):\n%s", diff)
			}
			if err == nil && got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

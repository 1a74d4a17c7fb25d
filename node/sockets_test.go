package node

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sock makes name a unix socket of the host.
func (m *memHost) sock(name string, mode, uid, gid uint32) *memHost {
	m.files[name] = ""
	if m.info == nil {
		m.info = map[string]FileInfo{}
	}
	m.info[name] = FileInfo{Type: Socket, Mode: mode, UID: uid, GID: gid, Dev: "0:24", Ino: 7}
	return m
}

func TestRuntimeSockets(t *testing.T) {
	root := []Folder{{"/", 0o755, 0, 0}, {"/run", 0o755, 0, 0}}
	containerd := RuntimeSocket{
		Engine: "containerd", Path: "/run/containerd/containerd.sock", Type: Socket, Mode: 0o660,
		Parents: append(root[:2:2], Folder{"/run/containerd", 0o711, 0, 0}),
	}
	for _, tt := range []struct {
		name  string
		files map[string]string
		xattr string
		want  []RuntimeSocket
		gaps  []string
	}{
		{"none", nil, "", []RuntimeSocket{}, nil},
		{"containerd", map[string]string{"run/containerd/containerd.sock": ""}, "", []RuntimeSocket{containerd}, nil},
		{"one socket through /var/run is one socket", map[string]string{"run/containerd/containerd.sock": "", "var/run": "-> /run"}, "", []RuntimeSocket{containerd}, nil},
		{"bottlerocket: dockershim.sock is a link to containerd's", map[string]string{"run/containerd/containerd.sock": "", "run/dockershim.sock": "-> /run/containerd/containerd.sock"}, "", []RuntimeSocket{containerd}, nil},
		{"flatcar: docker-containerd.sock too", map[string]string{"run/containerd/containerd.sock": "", "run/docker/libcontainerd/docker-containerd.sock": "-> ../../containerd/containerd.sock"}, "", []RuntimeSocket{containerd}, nil},
		{"a link that leads nowhere is no socket", map[string]string{"run/dockershim.sock": "-> containerd/containerd.sock"}, "", []RuntimeSocket{}, nil},
		{
			"a link to a place that is not well known", map[string]string{"run/docker.sock": "-> /srv/d.sock", "srv/d.sock": ""}, "",
			[]RuntimeSocket{{Engine: "docker", Path: "/run/docker.sock", Link: "/srv/d.sock", Type: Socket, Mode: 0o660, Parents: []Folder{{"/", 0o755, 0, 0}, {"/srv", 0o755, 0, 0}}}}, nil,
		},
		{
			"/var/run is a folder of its own", map[string]string{"var/run/docker.sock": ""}, "",
			[]RuntimeSocket{{Engine: "docker", Path: "/var/run/docker.sock", Type: Socket, Mode: 0o660, Parents: []Folder{{"/", 0o755, 0, 0}, {"/var", 0o755, 0, 0}, {"/var/run", 0o755, 0, 0}}}}, nil,
		},
		{
			"podman of a user", map[string]string{"run/user/1000/podman/podman.sock": ""}, "",
			[]RuntimeSocket{{Engine: "podman", Path: "/run/user/1000/podman/podman.sock", Type: Socket, Mode: 0o660, Parents: append(root[:2:2], Folder{"/run/user", 0o755, 0, 0}, Folder{"/run/user/1000", 0o755, 0, 0}, Folder{"/run/user/1000/podman", 0o755, 0, 0})}}, nil,
		},
		{
			"a label", map[string]string{"run/api.sock": ""}, "system_u:object_r:api_socket_t:s0\x00",
			[]RuntimeSocket{{Engine: "bottlerocket-api", Path: "/run/api.sock", Type: Socket, Mode: 0o660, Label: "system_u:object_r:api_socket_t:s0", Parents: root}}, nil,
		},
		{"a folder that may not be searched", map[string]string{"run/crio/crio.sock": "! denied"}, "", []RuntimeSocket{}, []string{"socket /run/crio/crio.sock could not be read: looking at /run/crio/crio.sock: permission denied"}},
		{"a link loop", map[string]string{"run/docker.sock": "-> docker.sock"}, "", []RuntimeSocket{}, []string{"socket /run/docker.sock could not be read: looking at /run/docker.sock: too many symbolic links"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &memHost{files: map[string]string{}, info: map[string]FileInfo{"run/containerd": {Type: Directory, Mode: 0o711}}, xattrs: map[string]string{}}
			for name, text := range tt.files {
				if m.files[name] = text; text == "" {
					m.sock(name, 0o660, 0, 0)
				}
				if tt.xattr != "" {
					m.xattrs[name+"\x00security.selinux"] = tt.xattr
				}
			}
			m.asked = func(op, name string) {
				if op == "read" {
					t.Errorf("%s was opened", name)
				}
			}
			got, gaps, err := RuntimeSockets.Read(t.Context(), m.host())
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if d := cmp.Diff(append([]string{}, tt.gaps...), gapTexts(gaps)); d != "" {
				t.Errorf("gaps (-want +got):\n%s", d)
			}
		})
	}
}

func TestWellKnownSocketsAreRelative(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range wellKnownSockets {
		if strings.HasPrefix(w.path, "/") || strings.HasPrefix(w.path, "var/run/") || seen[w.path] {
			t.Errorf("%s: it is absolute, below the link var/run, or stands twice", w.path)
		}
		seen[w.path] = true
	}
}

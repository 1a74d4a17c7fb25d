package profiles

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const siteOverlay = `name: example-prod
expectations:
  - for: {profile: flatcar, cluster: prod-eu, pool: gpu, labels: {driver: nvidia}}
    owner: gpu-team@example.org
    reason: driver of the GPU nodes
    review: 2027-03-01
    executables:
      - path: /opt/nvidia/bin/nvidia-persistenced
        sha256: 7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed
    mounts:
      - path: /opt/nvidia
    sysctls: {net.ipv4.conf.all.rp_filter: "== 2"}
  - owner: platform@example.org
    reason: backup of etcd
    review: 2026-12-01
    holders:
      - path: /run/containerd/containerd.sock backup/etcd-backup-*
`

func TestParseOverlay(t *testing.T) {
	o, err := ParseOverlay([]byte(siteOverlay))
	if err != nil {
		t.Fatal(err)
	}
	if o.Name != "example-prod" || len(o.Digest) != 64 || len(o.Expectations) != 2 {
		t.Fatalf("got %+v", o)
	}
	site := &Site{"gpu-team@example.org", time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)}
	want := Expectation{
		For:   Selector{"flatcar", "prod-eu", "gpu", map[string]string{"driver": "nvidia"}},
		Owner: site.Owner, Reason: "driver of the GPU nodes", Review: site.Review,
		Places: map[string][]Place{
			"executables": {{
				Path:   "/opt/nvidia/bin/nvidia-persistenced",
				SHA256: "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
				Why:    "driver of the GPU nodes (gpu-team@example.org)", Site: site,
			}},
			"mounts": {{Path: "/opt/nvidia", Why: "driver of the GPU nodes (gpu-team@example.org)", Site: site}},
		},
		Sysctls: map[string]string{"net.ipv4.conf.all.rp_filter": "== 2"},
	}
	if diff := cmp.Diff(want, o.Expectations[0]); diff != "" {
		t.Errorf("the first expectation (-want +got):\n%s", diff)
	}
}

func TestMistakesInAnOverlay(t *testing.T) {
	const head = "name: a\nexpectations:\n  - owner: o\n    reason: r\n    review: 2027-03-01\n"
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "1:1: the file is empty: it needs a name and expectations"},
		{"a list", "- a\n", "1:1: this is not a mapping with the keys name, expectations\n1:1: name is missing\n1:1: expectations is missing"},
		{"a tab", "name: a\n\texpectations: []\n", "2:1: found a tab character that violates indentation"},
		{"no reason, no owner, no day", "name: a\nexpectations:\n  - mounts: [{path: /opt/x}]\n", "3:5: owner is missing\n3:5: reason is missing\n3:5: review is missing"},
		{"a key that does not exist", head + "    mount: [{path: /opt/x}]\n    mounts: [{path: /opt/y}]\n", `6:5: there is no key "mount" here: there are for, owner, reason, review, `},
		{"a key twice", head + "    owner: p\n    mounts: [{path: /opt/y}]\n", `6:5: the key "owner" stands twice`},
		{"no day", "name: a\nexpectations:\n  - owner: o\n    reason: r\n    review: next year\n    mounts: [{path: /opt/x}]\n", `5:13: review: "next year" is no date like 2027-03-01`},
		{"nothing declared", head, "3:5: this declares nothing: it needs one of "},
		{"the whole file system", head + "    executables: [{path: /*}]\n", `6:26: executables: "/*": it would declare everything`},
		{"a path with ..", head + "    executables: [{path: /opt/../usr/bin/x}]\n", `it is not an absolute path without . and ..`},
		{"a star in the middle", head + "    executables: [{path: /opt/*/bin/x}]\n", `a * may only stand at the end, as /*`},
		{"a writable /usr", head + "    mounts: [{path: /usr}]\n", `6:21: mounts: "/usr": it belongs to the OS image, which a level rests on: no overlay makes it writable`},
		{"a writable folder of the image", head + "    mounts: [{path: /usr/lib/modules/*}]\n", `it belongs to the OS image`},
		{"a sum that is none", head + "    executables: [{path: /opt/x, sha256: abc}]\n", `6:42: sha256: "abc" is no SHA-256 in 64 hexadecimal digits`},
		{"a holder without a pod", head + "    holders: [{path: /run/containerd/containerd.sock}]\n", `it is not "SOCKET NAMESPACE/NAME"`},
		{"a client of any engine", head + "    clients: [{path: '* /usr/bin/ctr'}]\n", `it is not "ENGINE PATH"`},
		{"a client by its name alone", head + "    clients: [{path: containerd ctr}]\n", `it is not "ENGINE PATH"`},
		{"any value of a parameter", head + "    sysctls: {kernel.kptr_restrict: any}\n", `6:14: sysctls: kernel.kptr_restrict: "any" is not one of == X, >= N, <= N`},
		{"an anchor in place of a mapping", head + "    mounts: [&a {path: /opt/x}, *a]\n", "this is not a mapping"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, err := ParseOverlay([]byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, %v, want %s", o, err, tt.want)
			}
		})
	}
}

func TestOverlayIsLaidOverTheNodesThatItIsFor(t *testing.T) {
	o, err := ParseOverlay([]byte(siteOverlay))
	if err != nil {
		t.Fatal(err)
	}
	vendor := &Profile{Name: "flatcar", Processes: Processes{Allowed: []Place{{Path: "/opt/bin/kubelet"}}}, Sysctls: map[string]string{"net.ipv4.conf.all.rp_filter": ">= 1"}}
	gpu := Where{Cluster: "prod-eu", Pool: "gpu", Labels: map[string]string{"driver": "nvidia", "zone": "a"}}
	for _, tt := range []struct {
		name     string
		profile  string
		where    Where
		declared int
	}{
		{"a node of the pool", "flatcar", gpu, 2},
		{"another system", "talos", gpu, 1},
		{"another cluster", "flatcar", Where{Cluster: "prod-us", Pool: "gpu", Labels: gpu.Labels}, 1},
		{"a node whose pool is not known", "flatcar", Where{Cluster: "prod-eu", Labels: gpu.Labels}, 1},
		{"a node without the label", "flatcar", Where{Cluster: "prod-eu", Pool: "gpu"}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base := *vendor
			base.Name = tt.profile
			p := base.With(o, tt.where)
			if p.Overlay != o.Digest || len(p.Declared) != tt.declared {
				t.Errorf("got overlay %q with %d expectations, want %q with %d", p.Overlay, len(p.Declared), o.Digest, tt.declared)
			}
			executables, limit := 1, ">= 1"
			if tt.declared == 2 {
				executables, limit = 2, "== 2"
			}
			if len(p.Processes.Allowed) != executables || p.Sysctls["net.ipv4.conf.all.rp_filter"] != limit || len(p.Runtime.Holders) != 1 {
				t.Errorf("got %+v", p)
			}
		})
	}
	if len(vendor.Processes.Allowed) != 1 || vendor.Sysctls["net.ipv4.conf.all.rp_filter"] != ">= 1" || vendor.Overlay != "" {
		t.Errorf("the vendor's profile was changed: %+v", vendor)
	}
	if vendor.With(nil, gpu) != vendor {
		t.Error("no overlay changed the profile")
	}
}

func FuzzParseOverlay(f *testing.F) {
	f.Add([]byte(siteOverlay))
	f.Add([]byte("name: a\nexpectations: [{owner: o, reason: r, review: 2027-03-01, mounts: [{path: /opt}]}]"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := ParseOverlay(b)
		if err != nil {
			var m Mistakes
			if !errors.As(err, &m) || len(m) == 0 || m[0].Line < 1 || m[0].Column < 1 {
				t.Errorf("an error without a place: %v", err)
			}
			return
		}
		for _, e := range o.Expectations {
			if e.Owner == "" || e.Reason == "" || e.Review.IsZero() {
				t.Errorf("accepted without owner, reason or review: %+v", e)
			}
			for _, p := range e.Places["mounts"] {
				if outsideImage(p.Path) != "" {
					t.Errorf("accepted the mount %q", p.Path)
				}
			}
		}
	})
}

package node

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadDeployment(t *testing.T) {
	const sum = rootHash
	const dir = "sysroot/ostree/deploy/fedora-coreos/deploy/" + sum + ".0"
	stock := map[string]string{
		"proc/cmdline":      "ostree=/ostree/boot.1/fedora-coreos/" + sum + "/0\n",
		"proc/1/mountinfo":  "1 0 8:4 /ostree/deploy/fedora-coreos/deploy/" + sum + ".0 / rw - xfs /dev/sda4 rw\n",
		"run/ostree-booted": "",
		dir + ".origin":     "[origin]\ncontainer-image-reference=ostree-remote-image:fedora:docker://quay.io/fedora/fedora-coreos:stable\ncustom-url=https://me:s3cret@h/?s=s3cret\n",
	}
	plain := map[string]string{"proc/cmdline": "ro\n", "proc/1/mountinfo": "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"}
	ostree := OstreeDeployment{
		Stateroot: "fedora-coreos", Checksum: sum, Unlocked: []string{}, Layered: []string{}, Overrides: []string{},
		Origin: "ostree-remote-image:fedora:docker://quay.io/fedora/fedora-coreos:stable",
	}
	state := "run/ostree/deployment-state/" + sum + ".0/"
	for _, tt := range []struct {
		name   string
		base   map[string]string
		change map[string]string
		want   func(*Deployment)
		gaps   []string
	}{
		{"a system without ostree", plain, nil, func(d *Deployment) { d.Ostree = nil }, nil},
		{"stock Fedora CoreOS", stock, nil, func(*Deployment) {}, nil},
		{"unlocked", stock, map[string]string{state + "unlocked-development": "", state + "other": ""},
			func(d *Deployment) { d.Ostree.Unlocked = []string{"development"} }, nil},
		{"unlocked after a hotfix", stock, map[string]string{
			state + "unlocked-transient": "", dir + ".origin": "[origin]\nrefspec=fedora:a\nunlocked=hotfix\n",
		}, func(d *Deployment) { d.Ostree.Unlocked, d.Ostree.Origin = []string{"hotfix", "transient"}, "fedora:a" }, nil},
		{"another deployment's marker", stock, map[string]string{"run/ostree/deployment-state/" + sum + ".1/unlocked-development": ""},
			func(*Deployment) {}, nil},
		{"markers denied", stock, map[string]string{strings.TrimSuffix(state, "/"): "! denied"},
			func(*Deployment) {}, []string{"whether the booted deployment is unlocked"}},
		{"layered packages and overrides", stock, map[string]string{dir + ".origin": "[origin]\nbaserefspec=fedora:a\n[packages]\nrequested=vim;strace;\n" +
			"requested-local=" + sum + ":my-1.0-1.x86_64;\n[overrides]\nremove=moby-engine;\nreplace-local=" + sum + ":kernel-6.1-1.x86_64;\n"},
			func(d *Deployment) {
				d.Ostree.Origin = "fedora:a"
				d.Ostree.Layered = []string{"my-1.0-1.x86_64", "strace", "vim"}
				d.Ostree.Overrides = []string{"kernel-6.1-1.x86_64 (replace)", "moby-engine (remove)"}
			}, nil},
		{"no origin", stock, map[string]string{dir + ".origin": "-"}, func(d *Deployment) { d.Ostree.Origin = "" }, nil},
		{"an origin of another form", stock, map[string]string{dir + ".origin": "origin\n"},
			func(d *Deployment) { d.Ostree.Origin = "" }, []string{"the origin of the booted deployment"}},
		{"a deployment that cannot be found", stock, map[string]string{"proc/1/mountinfo": plain["proc/1/mountinfo"]},
			func(d *Deployment) { d.Ostree = nil }, []string{"the booted ostree deployment"}},
		{"Flatcar's extensions", plain, map[string]string{
			"etc/extensions/docker-flatcar.raw": "-> /usr/share/flatcar/sysext/docker-flatcar.raw", "etc/extensions/off.raw": "-> /dev/null",
			"etc/extensions/README": "x", "etc/extensions/.hidden.raw": "x", "var/lib/extensions/kubernetes.raw": "x",
			"run/extensions/debug/usr/bin/gdb": "x", "usr/lib/confexts/00-flatcar-default.raw": "x", "run/confexts/a.raw.v/a_1.raw": "x",
		}, func(d *Deployment) {
			d.Ostree = nil
			d.Extensions = []Extension{
				{Kind: "sysext", Name: "docker-flatcar", Path: "/etc/extensions/docker-flatcar.raw", Link: "/usr/share/flatcar/sysext/docker-flatcar.raw"},
				{Kind: "sysext", Name: "off", Path: "/etc/extensions/off.raw", Link: "/dev/null"},
				{Kind: "sysext", Name: "debug", Path: "/run/extensions/debug"},
				{Kind: "sysext", Name: "kubernetes", Path: "/var/lib/extensions/kubernetes.raw"},
				{Kind: "confext", Name: "a", Path: "/run/confexts/a.raw.v"},
				{Kind: "confext", Name: "00-flatcar-default", Path: "/usr/lib/confexts/00-flatcar-default.raw"},
			}
		}, nil},
		{"extensions denied", plain, map[string]string{"var/lib/extensions": "! denied"},
			func(d *Deployment) { d.Ostree = nil }, []string{"the extensions in /var/lib/extensions"}},
		{"a writable layer over /usr", plain, map[string]string{"var/lib/extensions.mutable/usr/": "", "var/lib/extensions.mutable/.systemd-usr-workdir/": ""},
			func(d *Deployment) { d.Ostree, d.MutableExtensions = nil, []string{"/var/lib/extensions.mutable/usr"} }, nil},
		{"Talos with an extension", plain, map[string]string{"etc/extensions.yaml": talosExtensions}, func(d *Deployment) {
			d.Ostree = nil
			d.Extensions = []Extension{
				{Kind: "talos", Name: "gvisor", Version: "20220117.0-v1.0.0", Path: "/etc/extensions.yaml"},
				{Kind: "talos", Name: "schematic", Version: "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba", Path: "/etc/extensions.yaml"},
			}
		}, nil},
		{"a Talos list of another form", plain, map[string]string{"etc/extensions.yaml": "layers: 3\n"},
			func(d *Deployment) { d.Ostree = nil }, []string{"the Talos extensions"}},
		{"units masked, at run time and for good", plain, map[string]string{
			"run/systemd/system/transactional-update.service": "-> /dev/null", "etc/systemd/system/update-engine.service": "-> ../../../dev/null",
			"run/systemd/system/update-engine.service": "-> /dev/null", "etc/systemd/system/locksmithd.service": "",
			"etc/systemd/system/zincati.service": "-> /usr/lib/systemd/system/zincati.service", "run/systemd/system/sshd.service": "-> /dev/null",
			"etc/systemd/system/rpm-ostreed.service": "[Unit]\n",
		}, func(d *Deployment) {
			d.Ostree, d.Masked = nil, []string{"locksmithd.service", "transactional-update.service", "update-engine.service"}
		}, nil},
		{"a unit that cannot be looked at", plain, map[string]string{"etc/systemd/system/zincati.service": "! denied"},
			func(d *Deployment) { d.Ostree = nil }, []string{"whether zincati.service is masked"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := maps.Clone(tt.base)
			for name, text := range tt.change {
				if files[name] = text; text == "-" {
					delete(files, name)
				}
			}
			got, gaps, err := ImageDeployment.Read(context.Background(), (&memHost{files: files}).host())
			o := ostree
			want := Deployment{Ostree: &o, Extensions: []Extension{}, MutableExtensions: []string{}, Masked: []string{}}
			tt.want(&want)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("got error %v and (-want +got):\n%s", err, diff)
			}
			if !slices.Equal(whats(gaps), tt.gaps) {
				t.Errorf("got gaps %v, want %v", gaps, tt.gaps)
			}
		})
	}
	clean := redactOrigin([]byte(stock[dir+".origin"]))
	if strings.Contains(string(clean), "s3cret") || string(redactOrigin(clean)) != string(clean) {
		t.Errorf("got origin %s", clean)
	}
}

// talosExtensions has the layout of Talos' own list with the names of a
// published sample; see TestTalosExtensionsSample.
const talosExtensions = `layers:
    - image: 000.ghcr.io-user-1-gvisor-c927b54-dirty.sqsh
      metadata:
        name: gvisor
        version: 20220117.0-v1.0.0
        author: somebody
        description: |
            gVisor
        compatibility:
            talos:
                version: '> v0.15.0-alpha.1'
    - image: ""
      metadata:
        name: schematic
        version: 376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba
`

func TestTalosExtensionsSample(t *testing.T) {
	type extension struct{ Name, Version string }
	for name, list := range factSamples[[]extension](t, "extensions") {
		if !strings.HasPrefix(name, "talos/") {
			continue
		}
		var text strings.Builder
		text.WriteString("layers:\n")
		var want []Extension
		for _, x := range list {
			fmt.Fprintf(&text, "- image: x\n  metadata:\n    name: %s\n    version: %q\n", x.Name, x.Version)
			want = append(want, Extension{Kind: "talos", Name: x.Name, Version: x.Version})
		}
		got, err := parseTalosExtensions([]byte(text.String()))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: got error %v and (-want +got):\n%s", name, err, diff)
		}
	}
}

func FuzzTalosExtensions(f *testing.F) {
	f.Add([]byte(talosExtensions))
	f.Add([]byte("layers: []\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseTalosExtensions(b)
		if err != nil {
			return
		}
		for _, x := range got {
			if x.Name == "" || x.Kind != "talos" {
				t.Errorf("%q: got %+v", b, x)
			}
		}
	})
}

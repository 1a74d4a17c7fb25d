package profiles

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func load(t *testing.T) ([]*Profile, *Common) {
	t.Helper()
	all, common, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return all, common
}

func TestLoadKnowsTheSystems(t *testing.T) {
	all, _ := load(t)
	var names []string
	for _, p := range all {
		names = append(names, p.Name)
		if p.Title == "" {
			t.Errorf("%s has no title", p.Name)
		}
		if len(p.Digest) != 64 {
			t.Errorf("%s: digest %q is no SHA-256", p.Name, p.Digest)
		}
	}
	want := []string{"bottlerocket", "cos", "fedora-coreos", "flatcar", "generic", "microos", "talos"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("profiles (-want +got):\n%s", diff)
	}
}

func TestGenericExpectsNothing(t *testing.T) {
	all, common := load(t)
	i := slices.IndexFunc(all, func(p *Profile) bool { return p.Name == Generic })
	got := *all[i]
	got.Words, got.Digest = nil, ""
	want := Profile{Name: Generic, Title: "Linux host", Ordinary: true, Boot: Boot{Forbidden: common.Forbidden}, Containers: common.Containers, Persistence: common.Persistence}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("generic (-want +got):\n%s", diff)
	}
}

// TestEveryProfileIsWellFormed holds each profile to the words that the loader
// cannot know.
func TestEveryProfileIsWellFormed(t *testing.T) {
	all, _ := load(t)
	letter := regexp.MustCompile(`^[A-Z]$`)
	expectation := regexp.MustCompile(`^(any|(==|>=|<=) [0-9]+)$`)
	for _, p := range all {
		oneOf := func(what, got string, allowed ...string) {
			if !slices.Contains(allowed, got) {
				t.Errorf("%s: %s is %q, want one of %q", p.Name, what, got, allowed)
			}
		}
		oneOf("image.anchor", p.Image.Anchor, "", "uki", "signed-kernel", "signed-config")
		oneOf("boot.secureBoot", p.Boot.SecureBoot, "", "required")
		oneOf("boot.lockdown", p.Boot.Lockdown, "", "required", "secure-boot", "not-offered")
		oneOf("boot.sigEnforce", p.Boot.SigEnforce, "", "required", "lockdown")
		oneOf("boot.mac", p.Boot.MAC, "", "selinux", "apparmor", "selinux-permissive")
		for _, e := range p.Runtime.Engines {
			oneOf("an engine", e, "containerd", "crio", "docker", "podman", "host-containerd", "system-containerd")
		}
		if p.Image.Level < 0 || p.Image.Level > 4 {
			t.Errorf("%s: level %d is none that anything offers", p.Name, p.Image.Level)
		}
		if p.Image.Verity && p.Image.Level < 3 {
			t.Errorf("%s: verified on read, but level %d", p.Name, p.Image.Level)
		}
		if p.Image.Anchor != "" && p.Image.Level < 4 {
			t.Errorf("%s: anchored, but level %d", p.Name, p.Image.Level)
		}
		for _, l := range p.Boot.Taints {
			if !letter.MatchString(l) {
				t.Errorf("%s: taint %q is no letter", p.Name, l)
			}
		}
		for name, want := range p.Sysctls {
			if !expectation.MatchString(want) {
				t.Errorf("%s: sysctl %s has the expectation %q", p.Name, name, want)
			}
		}
		for option, want := range p.Kernel.Config {
			if strings.HasPrefix(option, "CONFIG_") || !slices.Contains([]string{"y", "m", "n", "any"}, want) {
				t.Errorf("%s: build option %s has the expectation %q", p.Name, option, want)
			}
		}
		for _, r := range p.Extensions.Mounts {
			if !strings.HasPrefix(r.Path, "/") || r.Why == "" || len(r.Options) == 0 {
				t.Errorf("%s: restriction %+v is not absolute, has no options or no reason", p.Name, r)
			}
			for _, o := range r.Options {
				oneOf("an option of "+r.Path, o, "nosuid", "nodev", "noexec")
			}
		}
		for word, why := range p.Boot.Forbidden {
			if why == "" {
				t.Errorf("%s: the word %q is forbidden without a reason", p.Name, word)
			}
		}
		for _, place := range slices.Concat(p.Image.Writable, p.Processes.Allowed, p.Inventory.Allowed, p.Inventory.Setuid, p.Inventory.Capabilities, p.Inventory.Mappings, p.Inventory.Libraries, p.Extensions.Allowed, p.Extensions.Etc) {
			if !strings.HasPrefix(place.Path, "/") || place.Why == "" {
				t.Errorf("%s: place %+v is not absolute or has no reason", p.Name, place)
			}
		}
		for _, s := range p.Image.Shadows {
			if !strings.HasPrefix(s.Path, "/") || s.Why == "" {
				t.Errorf("%s: shadow %+v is not absolute or has no reason", p.Name, s)
			}
		}
		for _, s := range p.Detect.Signals {
			set := 0
			for _, field := range []string{s.KernelSuffix, s.Cmdline, s.Path, s.Mount, s.DM} {
				if field != "" {
					set++
				}
			}
			if set != 1 || strings.HasPrefix(s.Path, "/") {
				t.Errorf("%s: signal %+v sets %d fields, or its path is absolute", p.Name, s, set)
			}
		}
		if p.Name == Generic {
			continue
		}
		if len(p.Detect.OSRelease) == 0 || !slices.ContainsFunc(p.Detect.Signals, func(s Signal) bool { return !s.Not }) {
			t.Errorf("%s can never be detected", p.Name)
		}
		for _, part := range []string{"detect", "image", "image.writable", "boot", "processes", "runtime"} {
			if p.Sources[part] == "" {
				t.Errorf("%s does not say where %s was read", p.Name, part)
			}
		}
		for name := range maps.Keys(p.Sources) {
			if !regexp.MustCompile(`^(detect|image(\.[a-zA-Z]+)?|boot|sysctls|processes|runtime|kubelet|inventory)$`).MatchString(name) {
				t.Errorf("%s cites a source for %q, which is no part of a profile", p.Name, name)
			}
		}
	}
}

func TestLoadFS(t *testing.T) {
	const common = "sysctls: {kernel.kptr_restrict: \">= 1\", kernel.dmesg_restrict: \"== 1\"}\nforbidden: {rd.break: stops, single: stops}\n"
	tests := []struct {
		name    string
		profile string
		want    *Profile // without digest
		err     string
	}{{
		name:    "common expectations are inherited, the profile's own stay",
		profile: "name: x\nsysctls: {kernel.kptr_restrict: any}\nboot: {forbidden: {single: our reason}}\n",
		want: &Profile{Name: "x",
			Sysctls: map[string]string{"kernel.kptr_restrict": "any", "kernel.dmesg_restrict": "== 1"},
			Boot:    Boot{Forbidden: map[string]string{"rd.break": "stops", "single": "our reason"}}},
	}, {
		name:    "a word that is stock is not forbidden",
		profile: "name: x\nordinary: true\nboot: {allowed: [single]}\n",
		want: &Profile{Name: "x", Ordinary: true,
			Boot: Boot{Allowed: []string{"single"}, Forbidden: map[string]string{"rd.break": "stops"}}},
	}, {
		name:    "an ordinary host does not inherit the hardening list",
		profile: "name: x\nordinary: true\n",
		want:    &Profile{Name: "x", Ordinary: true, Boot: Boot{Forbidden: map[string]string{"rd.break": "stops", "single": "stops"}}},
	}, {
		name:    "an unknown key is refused, not passed over",
		profile: "name: x\nimage: {levle: 3}\n",
		err:     `unknown field "levle"`,
	}, {
		name:    "a key that stands twice is refused",
		profile: "name: x\nname: x\n",
		err:     `key "name" already set`,
	}, {
		name:    "a profile has the name of its file",
		profile: "name: z\n",
		err:     `profile x.yaml calls itself "z"`,
	}, {
		name:    "a value of the wrong kind is refused",
		profile: "name: x\nimage: {verity: perhaps}\n",
		err:     "decoding profile x.yaml",
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := LoadFS(fstest.MapFS{
				"common.yaml": {Data: []byte(common)},
				"x.yaml":      {Data: []byte(tt.profile)},
			})
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got error %v, want one with %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got[0].Digest = ""
			if diff := cmp.Diff([]*Profile{tt.want}, got); diff != "" {
				t.Errorf("profile (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDigestFollowsTheData(t *testing.T) {
	digest := func(common, profile string) string {
		t.Helper()
		all, _, err := LoadFS(fstest.MapFS{"common.yaml": {Data: []byte(common)}, "x.yaml": {Data: []byte(profile)}})
		if err != nil {
			t.Fatal(err)
		}
		return all[0].Digest
	}
	a := digest("forbidden: {}\n", "name: x\n")
	if b := digest("forbidden: {}\n", "name: x\n"); a != b {
		t.Errorf("the same data has the digests %s and %s", a, b)
	}
	if b := digest("forbidden: {}\n", "name: x\ntitle: t\n"); a == b {
		t.Error("another profile has the same digest")
	}
	if b := digest("forbidden: {a: b}\n", "name: x\n"); a == b {
		t.Error("another common.yaml has the same digest")
	}
}

func TestLoadFSWithoutCommon(t *testing.T) {
	if _, _, err := LoadFS(fstest.MapFS{}); err == nil {
		t.Error("loading profiles without common.yaml: got no error")
	}
}

package node

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// unitTexts are the units of a fact as a test compares them.
func unitTexts(lists ...[]UnitFile) []string {
	var out []string
	for _, u := range slices.Concat(lists...) {
		text := u.Path
		for _, add := range []struct{ word, value string }{{"->", u.Target}, {"of", u.Of}, {"origin", u.Origin}, {"manager", u.Manager}, {"over", u.Overrides}} {
			if add.value != "" {
				text += " " + add.word + " " + add.value
			}
		}
		if len(u.Starts) > 0 {
			text += fmt.Sprint(" starts ", u.Starts)
		}
		out = append(out, text)
	}
	return out
}

func TestUnits(t *testing.T) {
	const a, b = "[Service]\nExecStart=/opt/a\n", "[Timer]\nOnBootSec=1\n"
	m := &memHost{files: map[string]string{
		"run/systemd/system/":                                               "",
		"etc/systemd/system/a.service":                                      a,
		"etc/systemd/system/README":                                         "x",
		"etc/systemd/system/a.timer":                                        b,
		"etc/systemd/system/sshd.service":                                   a,
		"usr/lib/systemd/system/sshd.service":                               a,
		"etc/systemd/system/masked.service":                                 "-> /dev/null",
		"dev/null":                                                          "",
		"etc/systemd/system/kubelet.service.d/10.conf":                      a,
		"etc/systemd/system/kubelet.service.d/notes":                        "x",
		"etc/systemd/system/multi-user.target.wants/a.service":              "-> ../a.service",
		"etc/systemd/system/timers.target.wants/gone.timer":                 "-> /usr/lib/gone.timer",
		"etc/systemd/system-generators/gen":                                 "\x7fELF",
		"etc/systemd/system-generators/.hidden":                             "x",
		"run/systemd/generator/b.service":                                   a,
		"run/systemd/generator.late/boot.mount":                             "[Mount]\n",
		"run/systemd/transient/run-u17.service":                             a,
		"run/systemd/transient/run-p812-i9120.timer":                        b,
		"run/systemd/transient/session-3.scope":                             "[Scope]\n",
		"run/systemd/transient/user-0.slice.d/50.conf":                      "[Slice]\n",
		"usr/local/lib/systemd/system/rke2-agent.service":                   a,
		"root/.config/systemd/user/u.service":                               a,
		"var/lib/systemd/linger/core":                                       "",
		"home/core/.config/systemd/user/v.service":                          a,
		"home/other/.config/systemd/user/not-lingering.service":             a,
		"etc/systemd/system/x-721fad77-c395-4420-a926-eff48fa62bfc.service": a,
	}}
	v, gaps, err := Units.Read(t.Context(), m.host())
	if err != nil || len(gaps) > 0 {
		t.Fatalf("%v %v", err, gaps)
	}
	if v.Systemd != "yes" {
		t.Errorf("systemd %q", v.Systemd)
	}
	for _, tt := range []struct {
		name string
		got  []UnitFile
		want []string
	}{
		{"units", v.Units, []string{
			"/etc/systemd/system/a.service starts [/opt/a]",
			"/etc/systemd/system/masked.service -> /dev/null",
			"/etc/systemd/system/sshd.service over /usr/lib/systemd/system/sshd.service starts [/opt/a]",
			"/etc/systemd/system/x-<uuid>.service starts [/opt/a]",
			"/home/core/.config/systemd/user/v.service manager user starts [/opt/a]",
			"/root/.config/systemd/user/u.service manager user starts [/opt/a]",
			"/run/systemd/generator.late/boot.mount origin generated",
			"/run/systemd/generator/b.service origin generated starts [/opt/a]",
			"/run/systemd/transient/run-uN.service origin transient starts [/opt/a]",
			"/usr/local/lib/systemd/system/rke2-agent.service starts [/opt/a]",
		}},
		{"timers", v.Timers, []string{"/etc/systemd/system/a.timer", "/run/systemd/transient/run-pN.timer origin transient"}},
		{"drop-ins", v.DropIns, []string{"/etc/systemd/system/kubelet.service.d/10.conf of kubelet.service starts [/opt/a]"}},
		{"links", v.Links, []string{
			"/etc/systemd/system/multi-user.target.wants/a.service -> /etc/systemd/system/a.service of multi-user.target starts [/opt/a]",
			"/etc/systemd/system/timers.target.wants/gone.timer of timers.target",
		}},
		{"generators", v.Generators, []string{"/etc/systemd/system-generators/gen"}},
	} {
		if d := cmp.Diff(tt.want, unitTexts(tt.got)); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
	for _, u := range v.Units {
		if (u.Origin != "") != (u.SHA256 == "") && u.Link == "" {
			t.Errorf("%s: what is made anew at each boot has no digest, the others have: %q", u.Path, u.SHA256)
		}
	}
}

func TestUnitsWithoutAndWithRefusals(t *testing.T) {
	for _, tt := range []struct {
		name    string
		files   map[string]string
		systemd string
		gaps    []string
	}{
		{"no systemd", map[string]string{"etc/": ""}, "no", nil},
		{"it is no folder", map[string]string{"run/systemd/system": "x"}, "no", []string{"units failed what is in /run/systemd/system"}},
		{"it may not be seen", map[string]string{"run/systemd/system": "! denied"}, "", []string{"systemd denied whether systemd runs", "units denied what is in /run/systemd/system"}},
		{"a folder may not be listed", map[string]string{"run/systemd/system/": "", "etc/systemd/system": "! denied"}, "yes", []string{"units denied what is in /etc/systemd/system"}},
		{"folders of each part", map[string]string{"run/systemd/system/": "", "etc/systemd/system/x.service.d": "! denied", "etc/systemd/system-generators": "! denied"}, "yes", []string{"generators denied what is in /etc/systemd/system-generators"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, gaps, err := Units.Read(t.Context(), (&memHost{files: tt.files}).host())
			if err != nil || v.Systemd != tt.systemd {
				t.Errorf("%v, systemd %q", err, v.Systemd)
			}
			if d := cmp.Diff(tt.gaps, partTexts(gaps)); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func TestStableUnitName(t *testing.T) {
	for in, want := range map[string]string{
		"run-u123.service":                            "run-uN.service",
		"run-p812-i9120.service":                      "run-pN.service",
		"run-r0123456789abcdef0123456789abcdef.scope": "run-rN.scope",
		"run-read.service":                            "run-read.service",
		"run-user.mount":                              "run-user.mount",
		`dev-disk-by\x2duuid-721fad77\x2dc395\x2d4420\x2da926\x2deff48fa62bfc.swap`: `dev-disk-by\x2duuid-<uuid>.swap`,
	} {
		if got := stableUnitName(in); got != want {
			t.Errorf("%s: got %s want %s", in, got, want)
		}
	}
}

func TestLoadedUnits(t *testing.T) {
	q := Question{Kind: AskSystemd}
	kubelet := LoadedUnit{Name: "kubelet.service", Fragment: "/etc/systemd/system/kubelet.service", DropIns: []string{}, State: "enabled", Starts: []string{"/usr/bin/kubelet"}}
	answer := SystemdUnits{Asked: "yes", Units: []LoadedUnit{
		{Name: "run-u7.service", Fragment: "/run/systemd/transient/run-u7.service"},
		{Name: "run-u9.service", Fragment: "/run/systemd/transient/run-u9.service"},
		{Name: "a.scope", Fragment: "/run/systemd/transient/a.scope"},
		{Name: "gone.service"},
		{Name: "dbus.service", Fragment: "/usr/lib/systemd/system/dbus.service"},
		{Name: "getty@tty1.service", Fragment: "/lib/systemd/system/getty@.service", DropIns: []string{"/etc/systemd/system/getty@.service.d/a.conf"}},
		kubelet,
	}}
	v, gaps, err := LoadedUnits.Read(t.Context(), (&memHost{kernel: map[Question]any{q: answer}}).host())
	want := SystemdUnits{Asked: "yes", Units: []LoadedUnit{
		{Name: "getty@tty1.service", Fragment: "/lib/systemd/system/getty@.service", DropIns: []string{"/etc/systemd/system/getty@.service.d/a.conf"}},
		kubelet,
		{Name: "run-uN.service", Fragment: "/run/systemd/transient/run-uN.service"},
	}}
	if d := cmp.Diff(want, v); d != "" || err != nil || len(gaps) > 0 {
		t.Errorf("%v %v\n%s", err, gaps, d)
	}
	v, _, err = LoadedUnits.Read(t.Context(), (&memHost{kernel: map[Question]any{q: SystemdUnits{Asked: "no"}}}).host())
	if d := cmp.Diff(SystemdUnits{Asked: "no", Units: []LoadedUnit{}}, v); d != "" || err != nil {
		t.Errorf("nobody asked: %v\n%s", err, d)
	}
	_, _, err = LoadedUnits.Read(t.Context(), (&memHost{errors: map[Question]*Error{q: {"asking the kernel for", AskSystemd, Denied, ""}}}).host())
	if codeOf(err) != Denied {
		t.Errorf("denied: got %v", err)
	}
	_, _, err = LoadedUnits.Read(t.Context(), (&memHost{}).host())
	if codeOf(err) != NoKernel {
		t.Errorf("a tree: got %v", err)
	}
}

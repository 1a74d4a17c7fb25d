package node

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func definitionPaths(list []Definition) []string {
	out := []string{}
	for _, d := range list {
		out = append(out, d.Path)
	}
	return out
}

func TestStartup(t *testing.T) {
	m := &memHost{
		files: map[string]string{
			"proc/filesystems":                     "nodev\tsysfs\n",
			"etc/crontab":                          "17 * * * * root /opt/a\n",
			"etc/anacrontab":                       "1 5 x /opt/a\n",
			"etc/cron.d/x":                         "* * * * * root /opt/b\n",
			"etc/cron.d/.placeholder":              "",
			"etc/cron.daily/y":                     "#!/bin/sh\n",
			"var/spool/cron/crontabs/root":         "* * * * * /opt/c\n",
			"var/spool/cron/root":                  "* * * * * /opt/d\n",
			"var/spool/cron/atjobs/a0000201c2d3e4": "s3cret",
			"etc/rc.local":                         "#!/bin/sh\n",
			"etc/init.d/README":                    "x",
			"etc/init.d/evil":                      "x",
			"etc/NetworkManager/dispatcher.d/z":    "x",
			"etc/networkd-dispatcher/routable.d/z": "x",
			"etc/tmpfiles.d/a.conf":                "x",
			"etc/tmpfiles.d/a.conf.bak":            "x",
			"var/lib/systemd/linger/core":          "",
			"run/udev/rules.d/9.rules":             "RUN+=\"/opt/e\"\n",
			"etc/modules-load.d/k8s.conf":          "overlay\n",
			"etc/modprobe.d/a.conf":                "install b /opt/f\n",
			"etc/profile":                          "x",
			"etc/profile.d/a.sh":                   "x",
			"etc/environment":                      "http_proxy=http://u:s3cret@p\n",
			"etc/pam.d/sshd":                       "auth required pam_unix.so\n",
			"root/.bashrc":                         "x",
			"etc/ld.so.conf":                       "include x\n",
			"etc/ld.so.conf.d/a.conf":              "/opt/lib\n",
			"etc/binfmt.d/a.conf":                  ":a:M::x::/opt/g:\n",
			"etc/cni/net.d/10.conflist":            `{"plugins":[{"type":"x"}]}`,
			"etc/cni/net.d/kubeconfig":             "s3cret",
			"opt/cni/bin/.x":                       "x",
			"opt/cni/bin/bridge":                   "x",
		},
		info: map[string]FileInfo{"etc/init.d/evil": {Type: Regular, Mode: 0o755, Size: 1}},
	}
	v, gaps, err := Startup.Read(t.Context(), m.host())
	if err != nil {
		t.Fatal(err)
	}
	// This composed tree has no processes, so that it is not known whether a kubelet runs.
	if d := cmp.Diff([]string{"kubeletPlugins"}, slices.Compact(slices.Sorted(func(yield func(string) bool) {
		for _, g := range gaps {
			if !yield(g.Part) {
				return
			}
		}
	}))); d != "" {
		t.Errorf("gaps %v\n%s", gaps, d)
	}
	for _, tt := range []struct {
		name string
		got  []Definition
		want []string
	}{
		{"cron", v.Cron, []string{"/etc/anacrontab", "/etc/cron.d/x", "/etc/cron.daily/y", "/etc/crontab", "/var/spool/cron/atjobs/<job>", "/var/spool/cron/crontabs/root", "/var/spool/cron/root"}},
		{"boot", v.Boot, []string{"/etc/NetworkManager/dispatcher.d/z", "/etc/init.d/evil", "/etc/networkd-dispatcher/routable.d/z", "/etc/rc.local", "/etc/tmpfiles.d/a.conf", "/var/lib/systemd/linger/core"}},
		{"udev", v.Udev, []string{"/run/udev/rules.d/9.rules"}},
		{"modules", v.Modules, []string{"/etc/modprobe.d/a.conf", "/etc/modules-load.d/k8s.conf"}},
		{"login", v.Login, []string{"/etc/environment", "/etc/pam.d/sshd", "/etc/profile", "/etc/profile.d/a.sh", "/root/.bashrc"}},
		{"libraries", v.Libraries, []string{"/etc/ld.so.conf", "/etc/ld.so.conf.d/a.conf"}},
		{"binfmt", v.Binfmt, []string{"/etc/binfmt.d/a.conf"}},
		{"network", v.Network, []string{"/etc/cni/net.d/10.conflist", "/opt/cni/bin/.x", "/opt/cni/bin/bridge"}},
	} {
		if d := cmp.Diff(tt.want, definitionPaths(tt.got)); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
	for _, d := range slices.Concat(v.Cron, v.Login) {
		if (d.Path == "/etc/environment" || d.Path == "/var/spool/cron/atjobs/<job>") && (d.SHA256 != "" || d.Size != 0) {
			t.Errorf("%s may hold a credential and has a digest", d.Path)
		}
	}
}

func TestStartupAbsentAndDenied(t *testing.T) {
	v, _, err := Startup.Read(t.Context(), (&memHost{files: map[string]string{"etc/": "", "proc/filesystems": "x\n"}}).host())
	if err != nil {
		t.Fatal(err)
	}
	for name, list := range map[string][]Definition{"cron": v.Cron, "boot": v.Boot, "udev": v.Udev, "modules": v.Modules, "login": v.Login, "libraries": v.Libraries, "binfmt": v.Binfmt, "network": v.Network} {
		if list == nil || len(list) > 0 {
			t.Errorf("%s: got %+v, want an empty list", name, list)
		}
	}
	if _, _, err := Startup.Read(t.Context(), (&memHost{}).host()); codeOf(err) != Absent {
		t.Errorf("no /etc: got %v", err)
	}
	for part, name := range map[string]string{
		"cron": "var/spool/cron", "boot": "etc/tmpfiles.d", "udev": "etc/udev/rules.d", "modules": "etc/modprobe.d", "login": "etc/pam.d",
		"libraries": "etc/ld.so.conf", "binfmt": "etc/binfmt.d", "network": "opt/cni/bin", "handlers": "proc/filesystems",
	} {
		_, gaps, err := Startup.Read(t.Context(), (&memHost{files: map[string]string{"etc/x": "", "proc/filesystems": "x\n", name: "! denied"}}).host())
		if err != nil || !slices.ContainsFunc(gaps, func(g Gap) bool { return g.Part == part && g.Code == Denied }) {
			t.Errorf("%s: got %v, %v", part, gaps, err)
		}
	}
}

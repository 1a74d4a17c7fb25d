package node

import (
	"cmp"
	"context"
	"slices"
	"strings"
)

// StartupFiles are what starts programs beside systemd's units, from files that
// can be written on some systems. A nil list was not read. Files of an image's
// own folders (/usr/lib) are not listed: they are judged with the image.
type StartupFiles struct {
	// Cron are tables and folders of cron(8), anacron(8) and at(1); of a job of at
	// the folder alone.
	Cron []Definition `json:"cron"`
	// Boot are scripts and rules that act at boot or when the network changes:
	// rc.local, init scripts, dispatchers, tmpfiles.d(5), sysusers.d(5), dracut.conf(5),
	// and the marks of users whose services start at boot (loginctl(1), linger).
	Boot []Definition `json:"boot"`
	// Udev are rules of udev(7).
	Udev []Definition `json:"udev"`
	// Modules are lists of modules-load.d(5) and settings of modprobe.d(5).
	Modules []Definition `json:"modules"`
	// Login are what runs when somebody logs in: profiles, PAM, the message of the day.
	Login []Definition `json:"login"`
	// Libraries are /etc/ld.so.conf and its parts: folders of libraries for ld.so(8).
	Libraries []Definition `json:"libraries"`
	// Binfmt are files of binfmt.d(5), Handlers what the kernel has registered.
	Binfmt   []Definition    `json:"binfmt"`
	Handlers []BinfmtHandler `json:"handlers"`
	// Network are configurations and plugins of CNI.
	Network []Definition `json:"network"`
	// Kubelet says how the kubelet was found, as in [KubeletState].
	Kubelet string `json:"kubelet"`
	// KubeletPlugins are volume plugins, credential providers, and the sockets of
	// device plugins.
	KubeletPlugins []Definition `json:"kubeletPlugins"`
}

// Startup is what starts programs again after a boot, beside systemd's units.
var Startup = Source[StartupFiles]{
	Name:  "startup",
	Doc:   "what starts programs beside systemd's units: cron, udev, modules, logins, handlers of formats, network and kubelet plugins",
	Scope: Cohort,
	Every: Hour,
	Read: func(_ context.Context, h *Host) (StartupFiles, []Gap, error) {
		if _, err := h.ReadDir("etc", maxDefinitions); err != nil {
			return StartupFiles{}, nil, err
		}
		c := newDefinitions(h)
		v := StartupFiles{Cron: c.cron(), Boot: c.boot(), Udev: c.places("udev", udevPlaces), Modules: c.modules(), Login: c.login(),
			Libraries: c.libraries(), Binfmt: c.places("binfmt", binfmtPlaces), Network: c.network()}
		handlers, err := readBinfmt(h)
		if err != nil {
			c.gaps = append(c.gaps, GapOf("the handlers of binfmt_misc", err).In("handlers"))
		}
		v.Handlers = handlers
		c.kubelet(&v)
		for _, list := range []*[]Definition{&v.Cron, &v.Boot, &v.Udev, &v.Modules, &v.Login, &v.Libraries, &v.Binfmt, &v.Network, &v.KubeletPlugins} {
			slices.SortFunc(*list, compareDefinitions)
			*list = slices.CompactFunc(*list, func(a, b Definition) bool { return compareDefinitions(a, b) == 0 })
		}
		return v, c.gaps, nil
	},
}

func compareDefinitions(a, b Definition) int {
	return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Link, b.Link), cmp.Compare(a.Target, b.Target), slices.Compare(a.Starts, b.Starts), cmp.Compare(a.SHA256, b.SHA256))
}

// definitionPlace is a folder of definitions.
type definitionPlace struct {
	path string
	how  content
	want func(DirEntry) bool
}

var udevPlaces = []definitionPlace{
	{"etc/udev/rules.d", followed(parseUdevRules), named(".rules")},
	{"run/udev/rules.d", followed(parseUdevRules), named(".rules")},
	{"usr/local/lib/udev/rules.d", followed(parseUdevRules), named(".rules")},
}

var binfmtPlaces = []definitionPlace{
	{"etc/binfmt.d", parsed(parseBinfmtFile), named(".conf")},
	{"run/binfmt.d", parsed(parseBinfmtFile), named(".conf")},
	{"usr/local/lib/binfmt.d", parsed(parseBinfmtFile), named(".conf")},
}

func (c *definitions) places(part string, places []definitionPlace) []Definition {
	out := []Definition{}
	for _, p := range places {
		out = append(out, c.folder(part, p.path, p.how, p.want)...)
	}
	return out
}

func (c *definitions) single(part string, how content, names ...string) []Definition {
	var out []Definition
	for _, name := range names {
		if d, ok := c.file(part, name, how); ok {
			out = append(out, d)
		}
	}
	return out
}

func (c *definitions) cron() []Definition {
	out := []Definition{}
	out = append(out, c.single("cron", parsed(parseSystemCrontab), "etc/crontab")...)
	out = append(out, c.single("cron", parsed(parseAnacrontab), "etc/anacrontab")...)
	out = append(out, c.folder("cron", "etc/cron.d", parsed(parseSystemCrontab), nil)...)
	for _, period := range []string{"hourly", "daily", "weekly", "monthly", "yearly"} {
		out = append(out, c.folder("cron", "etc/cron."+period, hashed, nil)...)
	}
	// cronie, Debian's cron and SUSE's have users' tables in these.
	tables := func(e DirEntry) bool {
		return e.Type != Directory && !strings.HasPrefix(e.Name, ".") && e.Name != "lastrun" && e.Name != "deny"
	}
	for _, dir := range []string{"var/spool/cron", "var/spool/cron/crontabs", "var/spool/cron/tabs"} {
		out = append(out, c.folder("cron", dir, parsed(parseUserCrontab), tables)...)
	}
	for _, dir := range []string{"var/spool/at", "var/spool/cron/atjobs", "var/spool/atjobs"} {
		out = append(out, c.atJobs(dir)...)
	}
	return out
}

func (c *definitions) libraries() []Definition {
	out := []Definition{}
	out = append(out, c.single("libraries", hashed, "etc/ld.so.conf")...)
	return append(out, c.folder("libraries", "etc/ld.so.conf.d", hashed, named(".conf"))...)
}

// atJobs lists the jobs of at(1). A job's name is its number and time; what it
// holds is the whole environment of who gave it.
func (c *definitions) atJobs(dir string) []Definition {
	jobs := c.folder("cron", dir, listed, func(e DirEntry) bool { return e.Type == Regular && !strings.HasPrefix(e.Name, ".") })
	for i := range jobs {
		jobs[i].Path, jobs[i].Target = "/"+dir+"/<job>", ""
	}
	return jobs
}

func (c *definitions) boot() []Definition {
	out := []Definition{}
	out = append(out, c.single("boot", hashed, "etc/rc.local", "etc/rc.d/rc.local", "etc/init.d/after.local", "etc/init.d/boot.local")...)
	for _, dir := range []string{"etc/init.d", "etc/rc.d/init.d"} {
		for _, d := range c.folder("boot", dir, hashed, nil) {
			if d.Mode&0o111 != 0 { // a README stands there on systems without any
				out = append(out, d)
			}
		}
	}
	for _, dir := range []string{
		"etc/NetworkManager/dispatcher.d", "etc/NetworkManager/dispatcher.d/pre-up.d", "etc/NetworkManager/dispatcher.d/pre-down.d", "etc/NetworkManager/dispatcher.d/no-wait.d",
		"etc/dhcp/dhclient-enter-hooks.d", "etc/dhcp/dhclient-exit-hooks.d", "etc/dhcp/dhclient.d",
		"etc/network/if-pre-up.d", "etc/network/if-up.d", "etc/network/if-down.d", "etc/network/if-post-down.d", "etc/wicked/scripts",
		"etc/kernel/install.d", "etc/initramfs-tools/hooks", "etc/initramfs-tools/scripts", "etc/ppp/ip-up.d",
	} {
		out = append(out, c.folder("boot", dir, hashed, nil)...)
	}
	out = append(out, c.tree("boot", "etc/networkd-dispatcher", 1, hashed, nil)...)
	for _, dir := range []string{
		"etc/dracut.conf.d", "etc/tmpfiles.d", "run/tmpfiles.d", "usr/local/lib/tmpfiles.d", "etc/sysusers.d", "run/sysusers.d", "usr/local/lib/sysusers.d",
	} {
		out = append(out, c.folder("boot", dir, hashed, named(".conf"))...)
	}
	return append(out, c.folder("boot", "var/lib/systemd/linger", listed, nil)...)
}

func (c *definitions) modules() []Definition {
	out := []Definition{}
	out = append(out, c.single("modules", parsed(parseModulesLoad), "etc/modules")...)
	for _, root := range []string{"etc", "run", "usr/local/lib"} {
		out = append(out, c.folder("modules", root+"/modules-load.d", parsed(parseModulesLoad), named(".conf"))...)
		out = append(out, c.folder("modules", root+"/modprobe.d", parsed(parseModprobe), named(".conf"))...)
	}
	return out
}

func (c *definitions) login() []Definition {
	out := []Definition{}
	out = append(out, c.single("login", hashed,
		"etc/profile", "etc/bashrc", "etc/bash.bashrc", "etc/zshrc", "etc/ssh/sshrc",
		"root/.bash_profile", "root/.bash_login", "root/.profile", "root/.bashrc", "root/.ssh/rc")...)
	out = append(out, c.single("login", hashed, "etc/security/pam_env.conf")...)
	// Settings of proxies hold passwords.
	out = append(out, c.single("login", listed, "etc/environment", "root/.ssh/environment")...)
	out = append(out, c.folder("login", "etc/profile.d", hashed, named(".sh", ".csh"))...)
	out = append(out, c.folder("login", "etc/update-motd.d", hashed, nil)...)
	return append(out, c.folder("login", "etc/pam.d", followed(parsePAM), nil)...)
}

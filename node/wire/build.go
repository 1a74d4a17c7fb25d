package wire

import "runtime/debug"

// BuildVersion is what the running program calls itself: the module's version, and the
// revision where it was built from a working tree.
func BuildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return buildVersion(info)
}

func buildVersion(info *debug.BuildInfo) string {
	v := info.Main.Version
	if v != "" && v != "(devel)" {
		return v
	}
	v = "devel"
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if revision := settings["vcs.revision"]; revision != "" {
		v += "-" + revision[:min(12, len(revision))]
	}
	if settings["vcs.modified"] == "true" {
		v += "+dirty"
	}
	return v
}

package node

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
)

// ModuleFolder is where the modules of the running kernel lie.
type ModuleFolder struct {
	// Path is the folder /lib/modules/RELEASE without symbolic links; "" where
	// there is none.
	Path string `json:"path"`
	// Kernel is the kernel's own file in it, where the system keeps it there
	// (vmlinuz on ostree, openSUSE and Fedora), "" where not.
	Kernel string `json:"kernel"`
	// List is the modules.dep that was read, "" where it was not.
	List string `json:"list"`
	// Loaded are the loaded modules and the files that they are of, sorted by name.
	Loaded []LoadedModule `json:"loaded"`
}

// LoadedModule is one loaded module and its file.
type LoadedModule struct {
	Name string `json:"name"`
	// File is its path without symbolic links, by the folder's modules.dep; "" for
	// a module that is not listed there or whose file is gone.
	File string `json:"file"`
}

// ModuleFiles are the files of the modules that are loaded. The list modules.dep
// takes the place of a walk: modules.dep(5). Which file a module was really read
// from the kernel does not keep.
var ModuleFiles = Source[ModuleFolder]{
	Name:  "module-files",
	Doc:   "the files of loaded kernel modules, by modules.dep of the running kernel",
	Scope: Cohort,
	Every: Hour,
	Read:  readModuleFiles,
}

// maxModulesDep bounds modules.dep; a distribution with 6,000 modules has 800 KiB.
const maxModulesDep = 8 << 20

func readModuleFiles(_ context.Context, h *Host) (ModuleFolder, []Gap, error) {
	v := ModuleFolder{Loaded: []LoadedModule{}}
	release, err := readLine(h, "proc/sys/kernel/osrelease")
	if err != nil {
		return v, nil, err
	}
	if release == "" || strings.ContainsAny(release, "/\x00") {
		return v, nil, &Error{"reading", "/proc/sys/kernel/osrelease", Malformed, fmt.Sprintf("%.200q is no release", release)}
	}
	modules, err := readModules(h)
	if err != nil {
		return v, nil, err
	}
	for _, m := range modules {
		v.Loaded = append(v.Loaded, LoadedModule{Name: m.Name})
	}
	if v.Path, err = realPath(h, "/lib/modules/"+release); IsAbsent(err) {
		v.Path = ""
		return v, nil, nil
	} else if err != nil {
		return v, nil, err
	}
	var gaps []Gap
	switch info, err := h.Stat(v.Path[1:] + "/vmlinuz"); {
	case err == nil && info.Type == Regular:
		v.Kernel = v.Path + "/vmlinuz"
	case err != nil && !IsAbsent(err):
		gaps = append(gaps, GapOf("the kernel's file", err).In("kernel"))
	}
	if len(v.Loaded) == 0 {
		return v, gaps, nil
	}
	b, err := h.ReadFile(v.Path[1:]+"/modules.dep", maxModulesDep)
	if err != nil {
		return v, append(gaps, GapOf("the list of modules", err).In("loaded")), nil
	}
	files, err := parseModulesDep(b)
	if err != nil {
		err = fmt.Errorf("reading %s/modules.dep: %w", v.Path, err)
		return v, append(gaps, GapOf("the list of modules", err).In("loaded")), nil
	}
	v.List = v.Path + "/modules.dep"
	t := tally{what: "files of modules", of: len(v.Loaded)}
	for i, m := range v.Loaded {
		file, listed := files[m.Name]
		if !listed {
			continue
		}
		at, err := realPath(h, path.Join(v.Path, file))
		switch {
		case err == nil:
			v.Loaded[i].File = at
		case !IsAbsent(err):
			v.Loaded[i].File = path.Join(v.Path, file) // as far as it is known
			t.add(0, err)
		}
	}
	for _, g := range t.gaps() {
		gaps = append(gaps, g.In("loaded"))
	}
	return v, gaps, nil
}

// parseModulesDep parses modules.dep(5): one module a line, "FILE: FILE...", the
// first relative to the folder. The result is by the name of the module, in
// which the kernel writes every dash as an underscore.
func parseModulesDep(b []byte) (map[string]string, error) {
	out := map[string]string{}
	n := 0
	for line := range bytes.Lines(b) {
		n++
		text := strings.TrimSuffix(string(line), "\n")
		if text == "" || text[0] == '#' {
			continue
		}
		file, _, ok := strings.Cut(text, ":")
		name := moduleName(file)
		if !ok || name == "" || strings.Contains(file, " ") || slices.Contains(strings.Split(file, "/"), "..") {
			return nil, fmt.Errorf("modules.dep line %d %.200q names no module", n, text)
		}
		out[name] = file
	}
	return out, nil
}

// moduleName is the name of the module in a file: "xt-foo.ko.zst" is "xt_foo".
// "" for a file that is no module.
func moduleName(file string) string {
	name, _, ok := strings.Cut(path.Base(file), ".ko")
	if !ok {
		return ""
	}
	return strings.ReplaceAll(name, "-", "_")
}

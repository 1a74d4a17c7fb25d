package node

import (
	"bytes"
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"
)

// Loader is what the dynamic loader is told to load beside what programs ask
// for. Source: ld.so(8).
type Loader struct {
	// PreloadFile is whether there is an /etc/ld.so.preload: "absent", "present" or
	// "unknown".
	PreloadFile string `json:"preloadFile"`
	// Preload are the libraries that it names.
	Preload []string `json:"preload"`
	// Variables are what the environment of host processes, as they were started
	// with it, tells the loader.
	Variables []LoaderVariable `json:"variables"`
}

// LoaderVariable is one variable of the environment of a program.
type LoaderVariable struct {
	Program string   `json:"program"` // its executable
	Name    string   `json:"name"`    // LD_PRELOAD, LD_AUDIT or LD_LIBRARY_PATH
	Values  []string `json:"values"`  // in its order; what is neither an absolute path nor the name of a library is withheld
}

// LoaderState is what makes programs load other libraries than their own.
var LoaderState = Source[Loader]{
	Name:  "loader",
	Doc:   "what makes host programs load other libraries: /etc/ld.so.preload, LD_PRELOAD, LD_AUDIT and LD_LIBRARY_PATH",
	Scope: Cohort,
	Every: Hour,
	Read: func(_ context.Context, h *Host) (Loader, []Gap, error) {
		t, err := h.gathering.processes()
		if err != nil {
			return Loader{}, nil, err
		}
		l := Loader{PreloadFile: "unknown", Preload: []string{}, Variables: []LoaderVariable{}}
		gaps := slices.Clone(t.gaps)
		b, err := h.ReadSecret("etc/ld.so.preload", 1<<16, redactPreloadFile)
		switch {
		case IsAbsent(err):
			l.PreloadFile = "absent"
		case err != nil:
			gaps = append(gaps, GapOf("/etc/ld.so.preload", err).In("preload"))
		default:
			l.PreloadFile, l.Preload = "present", append(l.Preload, strings.Fields(string(b))...)
		}
		environments := tally{what: "environments of host processes"}
		view := &Host{FS: h.FS, gathering: h.gathering} // what is read is evidence as a whole
		var text strings.Builder
		for p := range t.hostProcesses() {
			environments.of++
			b, err := readEnviron(view, p)
			switch {
			case err == nil:
				text.Write(b)
				for _, v := range parseLoaderVariables(b) {
					v.Program = programName(p)
					for i := range v.Values {
						v.Values[i] = stableName(v.Values[i])
					}
					l.Variables = append(l.Variables, v)
				}
			case !vanished(err):
				environments.add(p.pid, err)
			}
		}
		h.evidence.add("/proc/<pid>/environ", []byte(text.String()))
		for _, g := range environments.gaps() {
			gaps = append(gaps, g.In("variables"))
		}
		slices.SortFunc(l.Variables, compareVariables)
		l.Variables = slices.CompactFunc(l.Variables, func(a, b LoaderVariable) bool { return compareVariables(a, b) == 0 })
		return l, gaps, nil
	},
}

func compareVariables(a, b LoaderVariable) int {
	return cmp.Or(cmp.Compare(a.Program, b.Program), cmp.Compare(a.Name, b.Name), slices.Compare(a.Values, b.Values))
}

// withheld stands for what may be a secret: a value that is no library.
const withheld = "<withheld>"

// libraryName is an absolute path, or a name as ld.so(8) looks for it, with its
// placeholders ($ORIGIN, $LIB, $PLATFORM).
var libraryName = regexp.MustCompile(`^(/[\x21-\x7e]*|\$\{?(ORIGIN|LIB|PLATFORM)\}?[\x21-\x7e]*|[\w.+-]+\.so[\w.+-]*)$`)

// redactLibraries keeps what can be a library of words that are separated as seps
// says.
func redactLibraries(text, seps string) []string {
	out := []string{}
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(seps, r) }) {
		if !libraryName.MatchString(word) && word != withheld {
			word = withheld
		}
		out = append(out, word)
	}
	return out
}

// redactPreloadFile keeps the libraries that /etc/ld.so.preload names, one a line.
func redactPreloadFile(b []byte) []byte {
	var out []byte
	for line := range bytes.Lines(b) {
		text, _, _ := strings.Cut(string(line), "#") // glibc's elf/rtld.c, do_preload, blanks comments out
		for _, word := range redactLibraries(text, " \t\r\n:") {
			out = append(append(out, word...), '\n')
		}
	}
	return out
}

// loaderVariables are the variables that are kept, and what separates their
// values.
var loaderVariables = map[string]string{"LD_PRELOAD": ": ", "LD_AUDIT": ":", "LD_LIBRARY_PATH": ":;"}

// redactLoaderVariables keeps of an environment (proc_pid_environ(5)) what it
// tells the loader: everything else may hold secrets.
func redactLoaderVariables(b []byte) []byte {
	var out []byte
	for _, v := range parseLoaderVariables(b) {
		out = append(out, v.Name+"="+strings.Join(v.Values, ":")+"\x00"...)
	}
	return out
}

// parseLoaderVariables finds in an environment, whole or redacted, what it tells
// the loader. A variable without a value tells nothing.
func parseLoaderVariables(b []byte) []LoaderVariable {
	var out []LoaderVariable
	for entry := range bytes.SplitSeq(b, []byte{0}) {
		name, value, _ := strings.Cut(string(entry), "=")
		seps, kept := loaderVariables[name]
		if !kept {
			continue
		}
		if values := redactLibraries(value, seps); len(values) > 0 {
			out = append(out, LoaderVariable{Name: name, Values: values})
		}
	}
	return out
}

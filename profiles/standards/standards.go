// Package standards holds which places of published standards touch a node:
// data, one file per standard, and its strict loader. Which checks stand behind
// a place is said by the checks themselves.
package standards

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"sigs.k8s.io/yaml"
)

// Standard is the part of one standard that a node can answer.
type Standard struct {
	File    string `json:"-"`        // the file's name without its ending: "cis-kubernetes"
	Name    string `json:"standard"` // as checks cite it
	Title   string `json:"title"`
	Edition string `json:"edition"`
	Items   []Item `json:"items"`
}

// Item is one place of a standard.
type Item struct {
	ID      string `json:"id"`
	Subject string `json:"subject"` // in our own words
	// Form is "written" where the standard asks for a setting in a file and not
	// as a flag; "" where it asks for the effect.
	Form string `json:"form"`
	Note string `json:"note"` // how it is looked at here
	// Systems say how a node of one operating system stands as shipped, by profile
	// name. Where one is not named, that depends on who sets the node up.
	Systems map[string]Disposition `json:"systems"`
	// Without says why no check stands behind the place.
	Without string `json:"without"`
}

// Disposition is how a place stands on nodes of one operating system as shipped.
// The verdict on a node is its checks' alone.
type Disposition struct {
	As  string `json:"as"` // "holds", "fails" or "none": there is no such thing
	Why string `json:"why"`
}

//go:embed *.yaml
var files embed.FS

// Load returns every embedded standard, sorted by file name.
func Load() ([]Standard, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("listing standards: %w", err)
	}
	out := make([]Standard, len(names))
	for i, name := range names {
		b, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading the standard %s: %w", name, err)
		}
		if err := yaml.UnmarshalStrict(b, &out[i]); err != nil {
			return nil, fmt.Errorf("decoding the standard %s: %w", name, err)
		}
		out[i].File = strings.TrimSuffix(name, ".yaml")
	}
	return out, nil
}

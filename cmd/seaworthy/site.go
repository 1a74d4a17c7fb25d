package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/seaworthy/seaworthy/profiles"
)

// siteFlags name a site overlay and where in it a node is found.
type siteFlags struct {
	overlay, cluster, pool string
	labels                 map[string]string
}

func (f *siteFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.overlay, "overlay", "", "lay the site overlay in `FILE` over the profile")
}

func (f *siteFlags) addWhere(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.cluster, "cluster", "", "the overlay's expectations for the cluster `NAME` are for this node")
	cmd.Flags().StringVar(&f.pool, "pool", "", "those for the pool `NAME` are for this node")
	cmd.Flags().StringToStringVar(&f.labels, "label", nil, "those for the labels `KEY=VALUE,...` are for this node")
}

func (f siteFlags) where() profiles.Where {
	return profiles.Where{Cluster: f.cluster, Pool: f.pool, Labels: f.labels}
}

// load is the overlay, or nil where none is named.
func (f siteFlags) load() (*profiles.Overlay, error) {
	if f.overlay == "" {
		if f.cluster != "" || f.pool != "" || len(f.labels) > 0 {
			return nil, usagef("--cluster, --pool and --label choose from a site overlay: name it with --overlay FILE")
		}
		return nil, nil
	}
	return readOverlay(f.overlay)
}

func readOverlay(name string) (*profiles.Overlay, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading the site overlay: %w", err)
	}
	o, err := profiles.ParseOverlay(b)
	var mistakes profiles.Mistakes
	if errors.As(err, &mistakes) {
		more := ""
		if n := len(mistakes) - 1; n > 0 {
			more = fmt.Sprintf(" (and %d more)", n)
		}
		return nil, fmt.Errorf("reading the site overlay: %s:%s%s; seaworthy profiles check %s lists every mistake", name, mistakes[0], more, name)
	}
	return o, err
}

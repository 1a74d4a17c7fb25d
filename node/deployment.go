package node

import "context"

// Deployment is how the OS image was put together and whether somebody changed
// it: layered packages, unlocked state, extensions.
type Deployment struct {
	// Ostree is the booted ostree deployment, nil on other systems.
	Ostree *OstreeDeployment `json:"ostree,omitempty"`
	// Extensions are the system extension images that are offered: systemd-sysext
	// and confext images, Talos extensions. Offered is not merged; see mounts.
	Extensions []Extension `json:"extensions"`
	// MutableExtensions are directories that make a merged extension writable
	// (/var/lib/extensions.mutable/usr). Source: systemd-sysext(8).
	MutableExtensions []string `json:"mutableExtensions"`
	// Masked are units masked under /run/systemd/system and
	// /etc/systemd/system, of those that keep an image up to date or read-only.
	Masked []string `json:"masked"`
}

// OstreeDeployment is the booted ostree deployment. Source: the target of the
// ostree= word and its .origin file, ostree-admin-unlock(1).
type OstreeDeployment struct {
	Stateroot string   `json:"stateroot"`
	Checksum  string   `json:"checksum"`
	Unlocked  []string `json:"unlocked"`  // "development", "transient", "hotfix"
	Origin    string   `json:"origin"`    // refspec or container image reference
	Layered   []string `json:"layered"`   // requested packages
	Overrides []string `json:"overrides"` // replaced or removed packages
}

// Extension is a system extension image.
type Extension struct {
	Kind string `json:"kind"` // "sysext", "confext", "talos"
	Name string `json:"name"`
	Path string `json:"path"`           // where it is offered
	Link string `json:"link,omitempty"` // target, where that is a symbolic link
}

// ImageDeployment is how the OS image was put together.
var ImageDeployment = Source[Deployment]{
	Name:  "deployment",
	Doc:   "how the OS image was put together: ostree deployment, extensions, unlocked state",
	Scope: Cohort,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (v Deployment, gaps []Gap, err error) {
		return v, nil, &Error{"reading", "deployment", Unsupported, "not written yet"}
	},
}

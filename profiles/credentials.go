package profiles

// Credentials are which keys and tokens belong on such a node.
type Credentials struct {
	// Allowed are files that lie on every node by the design of the vendor, though
	// they are what checks of credentials look for.
	Allowed []Place `json:"allowed"`
	// Bootstrap are bootstrap kubeconfigs that the system keeps by design. They
	// excuse nothing else: an administrator's kubeconfig in such a place is one.
	Bootstrap []Place `json:"bootstrap"`
	// Owners are users other than root that own such files.
	Owners []CredentialOwner `json:"owners"`
	// Readable are files that users other than root may read.
	Readable []Place `json:"readable"`
}

// CredentialOwner is a user by number who owns what is at or below a path.
type CredentialOwner struct {
	Path string `json:"path"` // as in Place
	UID  uint32 `json:"uid"`
	Why  string `json:"why"`
}

package profiles

// Network is what may listen there.
type Network struct{}

package profiles

// Credentials are which keys and tokens belong on such a node.
type Credentials struct{}

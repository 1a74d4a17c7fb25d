package profiles

// Access is how people get onto such a host.
type Access struct{}

package profiles

// Containers are which containers may reach the host, and how.
type Containers struct{}

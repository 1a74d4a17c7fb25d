package profiles

// Extensions are additions to the OS image that belong to this system.
type Extensions struct{}

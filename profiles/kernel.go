package profiles

// Kernel is what the running kernel must offer and refuse.
type Kernel struct{}

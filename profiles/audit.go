package profiles

// Audit is what such a system has of clocks and logs.
type Audit struct{}

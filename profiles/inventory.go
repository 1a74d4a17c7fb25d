package profiles

// Inventory is which executables may lie on writable storage.
type Inventory struct{}

package profiles

// Kernel is what the running kernel must offer and refuse.
type Kernel struct {
	// Config are build options without "CONFIG_" and their value: "y", "n", or
	// "any" where this system ships otherwise: over common.yaml.
	Config map[string]string `json:"config"`
}

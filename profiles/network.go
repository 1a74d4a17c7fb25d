package profiles

// Network is what may listen there.
type Network struct {
	// Listen are TCP ports that may be open beyond loopback, "PROGRAM PORT". PROGRAM
	// is the name of an executable or its path, "container:NAME" for one in a
	// container and "*" for any; PORT is a number or a range, "30000-32767".
	Listen []Place `json:"listen"`
}

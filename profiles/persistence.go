package profiles

// Persistence is what may start programs from outside the image.
type Persistence struct{}

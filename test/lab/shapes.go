//go:build linux

package lab

// Shapes are all shapes, in the order of docs/proven.md.
func Shapes() []Shape {
	return []Shape{
		verityCreate,
		verityLockdown,
		rwExt4,
	}
}

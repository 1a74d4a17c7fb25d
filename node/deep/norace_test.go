//go:build !race

package deep

const racing = false

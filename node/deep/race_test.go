//go:build race

package deep

const racing = true

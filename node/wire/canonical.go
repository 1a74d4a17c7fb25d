package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/seaworthy/seaworthy/node"
)

// Canonical returns what the content address of a fact covers (value, missing
// and gaps; the evidence travels beside) as JSON, equal for equal facts.
func Canonical(f node.Fact) ([]byte, error) {
	if f.Gaps == nil {
		f.Gaps = []node.Gap{}
	}
	b, err := json.Marshal(struct {
		Value   any           `json:"value,omitempty"`
		Missing *node.Missing `json:"missing,omitempty"`
		Gaps    []node.Gap    `json:"gaps"`
	}{f.Value, f.Missing, f.Gaps})
	if err != nil {
		return nil, fmt.Errorf("encoding a fact: %w", err)
	}
	return b, nil
}

// Digest is the content address of canonical bytes: SHA-256 in hexadecimal.
func Digest(canonical []byte) string {
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}

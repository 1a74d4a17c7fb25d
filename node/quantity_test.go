package node

import (
	"math"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
)

func TestParseQuantity(t *testing.T) {
	for _, tt := range []struct {
		in           string
		value, milli int64
		refused      string
	}{
		{in: "893Mi", value: 936378368, milli: 936378368000},
		{in: "70m", value: 1, milli: 70},
		{in: "1.5", value: 2, milli: 1500},
		{in: "0", value: 0, milli: 0},
		{in: "1e3", value: 1000, milli: 1000000},
		{in: "1E", value: 1e18, milli: 0},
		{in: "0.5Gi", value: 536870912, milli: 536870912000},
		{in: ".5Ki", value: 512, milli: 512000},
		{in: "1.", value: 1, milli: 1000},
		{in: "100u", value: 1, milli: 1},
		{in: "", refused: `parsing quantity ""`},
		{in: "-1Gi", refused: "not a number with a suffix"},
		{in: "100 Mi", refused: "not a number with a suffix"},
		{in: "100MB", refused: "not a number with a suffix"},
		{in: ".", refused: "not a number with a suffix"},
		{in: "9Ei", refused: "too large"},
		{in: "10%", refused: "not a number with a suffix"},
	} {
		q, err := ParseQuantity(tt.in)
		if tt.refused != "" {
			if err == nil || !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("ParseQuantity(%q) = %v, want an error with %q", tt.in, err, tt.refused)
			}
			continue
		}
		if err != nil {
			t.Errorf("ParseQuantity(%q): %v", tt.in, err)
			continue
		}
		if got := q.Value(); got != tt.value {
			t.Errorf("ParseQuantity(%q).Value() = %d, want %d", tt.in, got, tt.value)
		}
		if got, ok := q.Milli(); ok && got != tt.milli {
			t.Errorf("ParseQuantity(%q).Milli() = %d, want %d", tt.in, got, tt.milli)
		}
	}
}

// FuzzParseQuantity compares with the parser that Kubernetes uses.
func FuzzParseQuantity(f *testing.F) {
	for _, s := range []string{"893Mi", "70m", "1Gi", "1.5", "0", "100u", "1e3", "1E3", "12e-3", "+1Ki", ".5Ki", "1.", "00", "007Mi", "3E", "0.0000000001", "-1", "1Eii", "9223372036854775807", "8Ei", "1e99"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseQuantity(s)
		want, wantErr := resource.ParseQuantity(s)
		if err != nil {
			// What we refuse beyond Kubernetes is negative, huge, or has no digit.
			if wantErr == nil && quantityPattern.MatchString(s) && want.Cmp(*resource.NewQuantity(math.MaxInt64, resource.BinarySI)) < 0 {
				t.Fatalf("ParseQuantity(%q): %v, Kubernetes reads %v", s, err, want.String())
			}
			return
		}
		if wantErr != nil {
			t.Fatalf("ParseQuantity(%q) = %d, Kubernetes refuses it: %v", s, got.Value(), wantErr)
		}
		if got.Value() != want.Value() {
			t.Fatalf("ParseQuantity(%q).Value() = %d, Kubernetes reads %d", s, got.Value(), want.Value())
		}
		if milli, ok := got.Milli(); ok && milli != want.MilliValue() {
			t.Fatalf("ParseQuantity(%q).Milli() = %d, Kubernetes reads %d", s, milli, want.MilliValue())
		}
	})
}

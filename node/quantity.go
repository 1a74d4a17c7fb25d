package node

import (
	"fmt"
	"math/big"
	"regexp"
	"strconv"
)

// Quantity is an amount as Kubernetes writes it: "100Mi", "1.5", "250m".
// It is never negative: nothing that a kubelet reserves may be.
type Quantity struct {
	rat *big.Rat // nil for zero
}

// quantityPattern is the grammar of k8s.io/apimachinery/pkg/api/resource with
// two differences: there is at least one digit, and no minus sign.
var quantityPattern = regexp.MustCompile(`^\+?([0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?$`)

var (
	decimalSuffixes = map[string]int64{"": 0, "n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
	binarySuffixes  = map[string]uint{"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
)

// ParseQuantity reads a quantity. An amount of 2^63 or more is refused.
func ParseQuantity(s string) (Quantity, error) {
	m := quantityPattern.FindStringSubmatch(s)
	if m == nil {
		return Quantity{}, fmt.Errorf("parsing quantity %q: not a number with a suffix such as m, k, Ki, Mi or Gi", s)
	}
	rat, ok := new(big.Rat).SetString(m[1])
	if !ok {
		return Quantity{}, fmt.Errorf("parsing quantity %q: not a number", s)
	}
	suffix := m[2]
	bits, binary := binarySuffixes[suffix]
	exponent, decimal := decimalSuffixes[suffix]
	switch {
	case binary:
		rat.Mul(rat, new(big.Rat).SetInt(new(big.Int).Lsh(big.NewInt(1), bits)))
	case !decimal:
		var err error
		if exponent, err = strconv.ParseInt(suffix[1:], 10, 64); err != nil {
			return Quantity{}, fmt.Errorf("parsing quantity %q: %w", s, err)
		}
	}
	power := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(max(exponent, -exponent)), nil))
	if exponent < 0 {
		rat.Quo(rat, power)
	} else {
		rat.Mul(rat, power)
	}
	q := Quantity{rat}
	if !q.times(1).IsInt64() {
		return Quantity{}, fmt.Errorf("parsing quantity %q: too large", s)
	}
	return q, nil
}

// Value is the amount in whole units, rounded up.
func (q Quantity) Value() int64 { return q.times(1).Int64() }

// Milli is the amount in thousandths, rounded up; ok is false where they do not
// fit into 63 bits.
func (q Quantity) Milli() (milli int64, ok bool) {
	n := q.times(1000)
	return n.Int64(), n.IsInt64()
}

// times is the amount times n, rounded up.
func (q Quantity) times(n int64) *big.Int {
	if q.rat == nil {
		return new(big.Int)
	}
	product := new(big.Rat).Mul(q.rat, new(big.Rat).SetInt64(n))
	quotient, rest := new(big.Int).QuoRem(product.Num(), product.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		quotient.Add(quotient, big.NewInt(1))
	}
	return quotient
}

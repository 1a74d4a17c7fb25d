package verify

import (
	"math"

	"github.com/seaworthy/seaworthy/node"
)

// formula is what a vendor reserves on a node of some size.
type formula struct {
	vendor string
	memory int64 // bytes
	cpu    int64 // thousandths of a core
}

// formulas are the published rules for a node with this capacity and number of
// pods. Sources: cloud.google.com/kubernetes-engine/docs/concepts/plan-node-sizes;
// learn.microsoft.com/azure/aks/node-resource-reservations (1.29 and later, and
// before); awslabs/amazon-eks-ami, nodeadm/internal/kubelet.
func formulas(capacity node.Resources, pods int64) []formula {
	steps := gkeCPU(capacity.CPU)
	return []formula{
		{"GKE", gkeMemory(capacity.Memory), steps},
		{"EKS", (255 + 11*pods) << 20, steps},
		{"AKS", min((20*pods+50)*1_000_000, capacity.Memory/4), aksCPU(capacity.CPU)},
		{"AKS before 1.29", tiers(capacity.Memory), aksCPU(capacity.CPU)},
	}
}

const gibibyte = 1 << 30

// gkeMemory is 255 MiB of a machine below 1 GiB, else the tiers.
func gkeMemory(total int64) int64 {
	if total < gibibyte {
		return 255 << 20
	}
	return tiers(total)
}

// tiers is 25 % of the first 4 GiB of memory, 20 % of the next 4, 10 % of the
// next 8, 6 % of the next 112 and 2 % of what is above.
func tiers(total int64) int64 {
	var reserved int64
	for _, t := range []struct{ size, percent int64 }{{4 * gibibyte, 25}, {4 * gibibyte, 20}, {8 * gibibyte, 10}, {112 * gibibyte, 6}, {math.MaxInt64, 2}} {
		part := min(total, t.size)
		reserved += part * t.percent / 100
		total -= part
	}
	return reserved
}

// gkeCPU is 6 % of the first core, 1 % of the second, 0.5 % of the next two and
// 0.25 % of what is above, which EKS has as well.
func gkeCPU(total int64) int64 {
	var reserved int64 // ten-thousandths of a thousandth
	for _, t := range []struct{ size, rate int64 }{{1000, 600}, {1000, 100}, {2000, 50}, {math.MaxInt64, 25}} {
		part := min(total, t.size)
		reserved += part * t.rate
		total -= part
	}
	return reserved / 10_000
}

// aksCPU is the table of AKS; between two lines of it that of the smaller.
func aksCPU(total int64) int64 {
	reserved := int64(60)
	for _, t := range []struct{ cores, cpu int64 }{{2, 100}, {4, 140}, {8, 180}, {16, 260}, {32, 420}, {64, 740}} {
		if total >= t.cores*1000 {
			reserved = t.cpu
		}
	}
	return reserved
}

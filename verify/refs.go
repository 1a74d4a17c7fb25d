package verify

// The standards that checks cite, each spelled once. A check cites a place only
// where that place asks for what the check shows; what it is merely
// compensating evidence for is left to the control maps.
const (
	sp80053         = "NIST SP 800-53 r5"
	sp800190        = "NIST SP 800-190"
	pciDSS          = "PCI DSS 4.0.1"
	pciContainers   = "PCI SSC Guidance for Containers 1.0"
	cisControls     = "CIS Controls 8.1"
	cisBottlerocket = "CIS Bottlerocket"
	cisCOS          = "CIS COS"
	cisLinux        = "CIS Distribution Independent Linux"
	cisKubernetes   = "CIS Kubernetes"
	iso27001        = "ISO 27001"
	soc2            = "SOC 2"
	grundschutz     = "BSI IT-Grundschutz"
	dora            = "DORA RTS 2024/1774"
	nis2            = "NIS2 2024/2690"
	kubernetesSTIG  = "DISA Kubernetes STIG"
	sleMicroSTIG    = "DISA SLE Micro 5 STIG"
	osSRG           = "DISA GPOS SRG"
	containerSRG    = "DISA Container Platform SRG"
)

package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// ManagementState is what a Talos machine configuration says of its own API. It
// is empty on other systems, which have no such file.
type ManagementState struct {
	// Config is the file that was read: "/system/state/config.yaml"; "" where there
	// is none.
	Config string `json:"config"`
	// RBAC is machine.features.rbac: "on", "off"; on where it is not written.
	RBAC string `json:"rbac"`
	// ClusterAccess says whether pods may get credentials of the API:
	// machine.features.kubernetesTalosAPIAccess.enabled: "on", "off".
	ClusterAccess string `json:"clusterAccess"`
	// ClusterRoles are the roles that they may get, sorted.
	ClusterRoles []string `json:"clusterRoles"`
	// Ingress is what becomes of connections that no rule names:
	// NetworkDefaultActionConfig, "block" or "accept".
	Ingress string `json:"ingress"`
	// Rules are the ingress rules by port. Sorted.
	Rules []IngressRule `json:"rules"`
}

// IngressRule lets networks reach a range of ports: NetworkRuleConfig.
type IngressRule struct {
	Ports    string `json:"ports"`    // "50000", "30000-32767"
	Protocol string `json:"protocol"` // "tcp", "udp"
	Subnets  int    `json:"subnets"`  // how many networks it lets in
	Anyone   bool   `json:"anyone"`   // one of them is 0.0.0.0/0 or ::/0
}

// TalosConfig is where Talos keeps its machine configuration, without leading slash.
const TalosConfig = "system/state/config.yaml"

// Management is how the system's own API is let in and what it grants.
// Source: docs.siderolabs.com, reference/configuration: v1alpha1 features,
// NetworkDefaultActionConfig, NetworkRuleConfig.
var Management = Source[ManagementState]{
	Name:  "management-api",
	Doc:   "what a Talos machine configuration says of the machine's API: roles, access of pods, ingress rules; nothing else of it",
	Scope: Cohort,
	Every: Hour,
	Read: func(_ context.Context, h *Host) (ManagementState, []Gap, error) {
		v := ManagementState{ClusterRoles: []string{}, Rules: []IngressRule{}}
		if _, err := h.Lstat("."); err != nil {
			return v, nil, err
		}
		b, err := h.ReadSecret(TalosConfig, 4<<20, redactTalosConfig)
		if IsAbsent(err) {
			return v, nil, nil
		}
		if err != nil {
			return v, nil, err
		}
		if v, err = parseTalosConfig(b); err != nil {
			return v, nil, &Error{"reading", "/" + TalosConfig, Malformed, err.Error()}
		}
		v.Config = "/" + TalosConfig
		return v, nil, nil
	},
}

// talosDocument is what is read of the documents of a machine configuration,
// which hold the keys of the whole cluster beside it.
type talosDocument struct {
	Kind    string `json:"kind"`
	Ingress any    `json:"ingress"` // a word, or the rules of NetworkRuleConfig
	Ports   struct {
		Ports    []any  `json:"ports"`
		Protocol string `json:"protocol"`
	} `json:"portSelector"`
	Machine *struct {
		Features struct {
			RBAC   *bool `json:"rbac"`
			Access struct {
				Enabled bool     `json:"enabled"`
				Roles   []string `json:"allowedRoles"`
			} `json:"kubernetesTalosAPIAccess"`
		} `json:"features"`
	} `json:"machine"`
}

// redactTalosConfig makes of a machine configuration the JSON of the fact; what
// it cannot decode it drops as a whole.
func redactTalosConfig(b []byte) []byte {
	if v, err := parseTalosConfig(b); err == nil { // what is redacted already
		if text, err := json.Marshal(v); err == nil && bytes.Equal(text, b) {
			return b
		}
	}
	v, err := decodeTalosConfig(b)
	if err != nil {
		return []byte("{}") // which parseTalosConfig refuses
	}
	text, err := json.Marshal(v)
	if err != nil {
		return []byte("{}")
	}
	return text
}

func decodeTalosConfig(b []byte) (ManagementState, error) {
	v := ManagementState{RBAC: "on", ClusterAccess: "off", ClusterRoles: []string{}, Ingress: "accept", Rules: []IngressRule{}}
	machine := false
	for doc := range strings.SplitSeq("\n"+string(b), "\n---") {
		var d talosDocument
		if err := yaml.Unmarshal([]byte(doc), &d); err != nil {
			return v, err
		}
		if d.Machine != nil {
			machine = true
			f := d.Machine.Features
			if f.RBAC != nil && !*f.RBAC {
				v.RBAC = "off"
			}
			if f.Access.Enabled {
				v.ClusterAccess = "on"
			}
			v.ClusterRoles = append(v.ClusterRoles, f.Access.Roles...)
		}
		switch d.Kind {
		case "NetworkDefaultActionConfig":
			if action, _ := d.Ingress.(string); action == "block" {
				v.Ingress = "block"
			}
		case "NetworkRuleConfig":
			list, _ := d.Ingress.([]any)
			rule := IngressRule{Protocol: d.Ports.Protocol}
			for _, i := range list {
				m, _ := i.(map[string]any)
				subnet, _ := m["subnet"].(string)
				rule.Subnets++
				rule.Anyone = rule.Anyone || subnet == "0.0.0.0/0" || subnet == "::/0"
			}
			for _, p := range d.Ports.Ports {
				rule.Ports = fmt.Sprint(p)
				v.Rules = append(v.Rules, rule)
			}
		}
	}
	if !machine {
		return v, fmt.Errorf("no document has a machine")
	}
	slices.Sort(v.ClusterRoles)
	slices.SortFunc(v.Rules, compareRules)
	return v, nil
}

func compareRules(a, b IngressRule) int {
	if c := strings.Compare(a.Ports+a.Protocol, b.Ports+b.Protocol); c != 0 {
		return c
	}
	if a.Subnets != b.Subnets {
		return a.Subnets - b.Subnets
	}
	return compareBools(a.Anyone, b.Anyone)
}

// parseTalosConfig reads what redactTalosConfig has left.
func parseTalosConfig(b []byte) (ManagementState, error) {
	var v ManagementState
	if err := strictJSON(b, &v); err != nil {
		return v, fmt.Errorf("what was left of it: %w", err)
	}
	if v.RBAC == "" || v.Ingress == "" || v.ClusterAccess == "" {
		return v, fmt.Errorf("it is no machine configuration")
	}
	return v, nil
}

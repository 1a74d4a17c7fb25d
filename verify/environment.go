package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

var noSecretsInEnvironment = Check{
	ID: "no-secrets-in-environment", Rev: 1, Topic: Credentials, Severity: Medium,
	Title: "no host process was started with a secret in its environment",
	Refs:  []Ref{{sp80053, "IA-5(7)"}, {sp80053, "SC-28"}, {pciContainers, "6.1"}},
	Help: Help{
		Why: "An environment is inherited by every program that is started from it, and ends in crash dumps, support bundles and unit files that everybody can read.",
		How: "Names of variables of every process outside containers, as it was started with them: those that name a password, token, secret, credential or key, and any with a URL that has a password in it. Paths, switches and empty values do not count. Values are thrown away where they are read.",
		Remedy: map[string]string{
			"talos":        "Take it out of machine.env and of the environment of extension services; give extension services a file (configFiles) instead.",
			"flatcar":      "Hand it over as a file: LoadCredential= in the unit, which systemd keeps in memory, in place of Environment= or EnvironmentFile=.",
			"bottlerocket": "Host containers take it from their user data: apiclient set host-containers.NAME.user-data=BASE64, and read it from the file there.",
			"":             "In the unit that starts the program, replace Environment= by LoadCredential= or by a file with mode 0600 that the program reads itself. k3s and RKE2: token-file in config.yaml in place of K3S_TOKEN.",
		},
	},
	Judge: On2(node.SecretEnvironment.Parts("host"), node.OS.Parts("init", "pidNamespace"), func(e node.SecretVariables, s node.System, _ Given) Finding {
		if e.Looked != "yes" {
			return unsaid("which variables its programs were started with")
		}
		return wholeMachine(s, judgeVariables(e.Host, "programs of the host", ""))
	}),
}

var noPodSecretsInEnvironment = Check{
	ID: "no-pod-secrets-in-environment", Rev: 1, Topic: Credentials, Severity: Low,
	Title: "no container on this node was started with a secret in its environment",
	Refs:  []Ref{{kubernetesSTIG, "V-242415"}, {cisKubernetes, "5.4.1"}, {pciContainers, "6.1"}},
	Help: Help{
		Why: "Secrets in the environment of a container are printed by its crash reports and its debug pages, and read by everything that may exec into it.",
		How: "As no-secrets-in-environment, for processes in containers, by the uid of the pod. What an application puts into its environment after it was started does not show. The names tell, so that a variable may be named that holds nothing secret: take it up with the owner of the pod.",
		Remedy: map[string]string{
			"": "Mount the Secret as a volume and let the application read the file: kubectl get pods -A -o json | jq '.items[] | select(.metadata.uid==\"UID\")' finds the pod.",
		},
	},
	Judge: On2(node.SecretEnvironment.Parts("pods"), node.OS.Parts("init", "pidNamespace"), func(e node.SecretVariables, s node.System, _ Given) Finding {
		if e.Looked != "yes" {
			return unsaid("which variables its containers were started with")
		}
		return wholeMachine(s, judgeVariables(e.Pods, "containers", "pod "))
	}),
}

func judgeVariables(holders []node.VariableHolder, who, prefix string) Finding {
	var bad []string
	for _, h := range holders {
		item := h.Program
		if h.Pod != "" {
			item = prefix + h.Pod + " " + h.Program
		}
		bad = append(bad, item+": "+strings.Join(h.Names, ", "))
	}
	slices.Sort(bad)
	bad = slices.Compact(bad)
	if len(bad) > 0 {
		return fail("secret", fmt.Sprintf("%s have variables that look like secrets: %s", who, strings.Join(bad, "; ")), bad...)
	}
	return pass("none", "no variable of "+who+" looks like a secret by its name")
}

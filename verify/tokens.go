package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy/seaworthy/node"
)

// onTokens makes a judge of the tokens that pods of this node have been given.
func onTokens(f func([]node.TokenVolume) Finding) Judge {
	return On3(node.ServiceAccountTokens, node.Kubelet, node.OS.Parts("init", "pidNamespace"),
		func(t []node.TokenVolume, k node.KubeletState, s node.System, _ Given) Finding {
			if f, none := withoutKubelet(k); none && len(t) == 0 {
				return wholeMachine(s, f)
			}
			return wholeMachine(s, f(t)) // a kubelet that has stopped leaves them
		})
}

func tokenText(t node.TokenVolume) string {
	return fmt.Sprintf("pod %s, %s volume %s", t.Pod, t.Kind, t.Volume)
}

var serviceAccountTokensInMemory = Check{
	ID: "service-account-tokens-in-memory", Rev: 2, Topic: Credentials, Severity: High,
	Title: "service account tokens of pods on this node are in memory only",
	Refs:  slices.Concat(credentialRefs, []Ref{{pciContainers, "1.5"}}),
	Help: Help{
		Why: "A token on a disk stays there: in snapshots, in backups, and on the disk that is thrown away.",
		How: "Every token in a projected or secret volume below the kubelet's folder of pods, with the type of the file system that the kernel's mount table has there. It must be tmpfs. Tokens that an application copies elsewhere do not show.",
		Remedy: map[string]string{
			"": "The kubelet mounts a tmpfs by itself: look at its log for a mount that failed, and at what wrote below /var/lib/kubelet/pods while the volume was not mounted; then drain the node and restart it.",
		},
	},
	Judge: onTokens(func(someTokens []node.TokenVolume) Finding {
		var bad, open []string
		for _, t := range someTokens {
			switch t.On {
			case "tmpfs", "ramfs":
			case "unknown", "":
				open = append(open, tokenText(t))
			default:
				bad = append(bad, tokenText(t)+" on "+t.On)
			}
		}
		switch {
		case len(bad) > 0:
			return fail("on-disk", "tokens are on a disk: "+strings.Join(bad, "; "), bad...)
		case len(open) > 0:
			return unknown("mount-unknown", "the file system of tokens is not known: "+strings.Join(open, "; "), open...)
		}
		return pass("in-memory", fmt.Sprintf("all %d tokens are in memory", len(someTokens)))
	}),
}

// lifetimes are the words of a token's lifetime that say how long it is.
var lifetimes = []string{"hour", "day", "month", "year", "longer", "never"}

var serviceAccountTokensShortLived = Check{
	ID: "service-account-tokens-short-lived", Rev: 2, Topic: Credentials, Severity: High,
	Title: "service account tokens of pods on this node expire within a day or are bound to their pod",
	Refs:  slices.Concat(credentialRefs, []Ref{{pciContainers, "1.5"}, {grundschutz, "APP.4.4.A9"}}),
	Help: Help{
		Why: "A token that does not expire, copied once, is access for years. One that is bound to its pod is worth nothing when the pod is gone.",
		How: "From each token only the time between issue and expiry, the class of its audience and what it is bound to are kept, in classes. A token must expire, within a day; one that the API server extended to a year for clients of old (claim warnafter) passes where it is bound to its pod, and is named. Tokens of Secrets are a matter of no-legacy-token-secrets.",
		Remedy: map[string]string{
			"": "Take the longer expirationSeconds out of the projected volume of the pods that are named; --service-account-extend-token-expiration=false on kube-apiserver ends the extension to a year, once no client of the cluster reads its token only at start.",
		},
	},
	Judge: onTokens(func(someTokens []node.TokenVolume) Finding {
		var bad, open, extended []string
		for _, t := range someTokens {
			item := tokenText(t)
			switch {
			case t.Kind == "secret":
			case t.Kind != "projected" || !slices.Contains(lifetimes, t.Lifetime) || t.Bound == "unknown":
				open = append(open, item)
			case t.Lifetime == "hour" || t.Lifetime == "day":
			case t.Lifetime == "never":
				bad = append(bad, item+" never ends")
			case t.Extended == "yes" && t.Bound == "pod" && t.Lifetime != "longer":
				extended = append(extended, item)
			default:
				bad = append(bad, item+" lasts up to a "+strings.Replace(t.Lifetime, "longer", "year and more", 1))
			}
		}
		switch {
		case len(bad) > 0:
			return fail("long-lived", "tokens outlive a day: "+strings.Join(bad, "; "), bad...)
		case len(open) > 0:
			return unknown("unread", "how long these last could not be read: "+strings.Join(open, "; "), open...)
		case len(extended) > 0:
			return pass("extended", fmt.Sprintf("%d tokens end with their pod, though the API server extended them to up to a year", len(extended)), extended...)
		}
		return pass("short-lived", "all tokens in projected volumes end within a day")
	}),
}

var noLegacyTokenSecrets = Check{
	ID: "no-legacy-token-secrets", Rev: 2, Topic: Credentials, Severity: Medium,
	Title: "no pod on this node uses a service account token from a Secret",
	Refs:  slices.Concat(credentialRefs, []Ref{{pciContainers, "1.5"}}),
	Help: Help{
		Why: "Tokens in Secrets do not expire and are bound to no pod, and whoever may read Secrets of the namespace has them.",
		How: "Secret volumes of pods on this node with a file named token that holds a token of a service account. Projected volumes, which every pod has since Kubernetes 1.22, are none.",
		Remedy: map[string]string{
			"": "Let the pods that are named use the projected token (drop the volume, automountServiceAccountToken is enough), then delete the Secret of type kubernetes.io/service-account-token.",
		},
	},
	Judge: onTokens(func(someTokens []node.TokenVolume) Finding {
		var bad, open []string
		for _, t := range someTokens {
			switch t.Kind {
			case "secret":
				bad = append(bad, tokenText(t))
			case "projected":
			default:
				open = append(open, tokenText(t))
			}
		}
		switch {
		case len(bad) > 0:
			return fail("stored", "pods use tokens that are stored in the cluster: "+strings.Join(bad, "; "), bad...)
		case len(open) > 0:
			return unknown(unreadCode, "where these come from is not known: "+strings.Join(open, "; "), open...)
		}
		return pass("none", fmt.Sprintf("none of the %d tokens on this node comes from a Secret", len(someTokens)))
	}),
}

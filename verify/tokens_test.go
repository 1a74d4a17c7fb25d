package verify

import (
	"testing"

	"github.com/seaworthy/seaworthy/node"
)

func aTokenVolume(change ...func(*node.TokenVolume)) node.TokenVolume {
	v := node.TokenVolume{Pod: "0b1c", Kind: "projected", Volume: "kube-api-access", File: "token", On: "tmpfs", Lifetime: "hour", Extended: "no", Bound: "pod", Audience: "api-server"}
	for _, c := range change {
		c(&v)
	}
	return v
}

func withTokens(someTokens []node.TokenVolume, gaps ...node.Gap) node.Facts {
	return withFact(withFact(onHost(), node.Kubelet, node.KubeletState{Found: "process"}), node.ServiceAccountTokens, someTokens, gaps...)
}

func someTokens(t ...node.TokenVolume) []node.TokenVolume { return t }

// inPart are the facts as they were read in a part of the machine.
func inPart(facts node.Facts) node.Facts {
	return withFact(facts, node.OS, node.System{PIDNamespace: "other"})
}

// tokenRows are those that every check of tokens has.
func tokenRows(passes string, rows ...judgedRow) []judgedRow {
	sound := someTokens(aTokenVolume())
	return append(rows,
		judgedRow{name: "a projected token", facts: withTokens(sound), want: passes},
		judgedRow{name: "no pod", facts: withTokens(nil), want: passes},
		judgedRow{name: "no kubelet", facts: withFact(withTokens(nil), node.Kubelet, node.KubeletState{Found: "absent"}), want: "not-applicable no-kubelet"},
		judgedRow{name: "no kubelet in the part of the machine that was seen", facts: inPart(withFact(withTokens(nil), node.Kubelet, node.KubeletState{Found: "absent"})), want: "unknown part-of-machine"},
		judgedRow{name: "in the sandbox of Talos 1.14", facts: withFact(withTokens(sound), node.OS, node.System{Init: "sandboxd", PIDNamespace: "other"}), want: "unknown part-of-machine"},
		judgedRow{name: "fact missing", facts: lacking(withTokens(nil), node.ServiceAccountTokens, node.Denied, "permission denied"), want: "unknown fact-denied"},
		judgedRow{name: "gap", facts: withTokens(sound, deniedGap), want: "unknown gap-denied"},
	)
}

func TestServiceAccountTokensInMemory(t *testing.T) {
	testJudge(t, serviceAccountTokensInMemory, tokenRows("pass in-memory",
		judgedRow{name: "on a disk", facts: withTokens(someTokens(aTokenVolume(func(v *node.TokenVolume) { v.On = "ext4" }))), want: "fail on-disk", items: []string{"pod 0b1c, projected volume kube-api-access on ext4"}},
		judgedRow{name: "where is not known", facts: withTokens(someTokens(aTokenVolume(func(v *node.TokenVolume) { v.On = "unknown" }))), want: "unknown mount-unknown"},
		judgedRow{name: "a kubelet that has stopped left one on a disk", facts: withFact(withTokens(someTokens(aTokenVolume(func(v *node.TokenVolume) { v.On = "ext4" }))), node.Kubelet, node.KubeletState{Found: "absent"}), want: "fail on-disk"},
	))
}

func TestServiceAccountTokensShortLived(t *testing.T) {
	lasting := func(lifetime, extended, bound string) node.Facts {
		return withTokens(someTokens(aTokenVolume(func(v *node.TokenVolume) { v.Lifetime, v.Extended, v.Bound = lifetime, extended, bound })))
	}
	testJudge(t, serviceAccountTokensShortLived, tokenRows("pass short-lived",
		judgedRow{name: "extended by the API server", facts: lasting("year", "yes", "pod"), want: "pass extended"},
		judgedRow{name: "extended and bound to nothing", facts: lasting("year", "yes", "none"), want: "fail long-lived"},
		judgedRow{name: "a year was asked for", facts: lasting("year", "no", "pod"), want: "fail long-lived", items: []string{"pod 0b1c, projected volume kube-api-access lasts up to a year"}},
		judgedRow{name: "ten years", facts: lasting("longer", "no", "pod"), want: "fail long-lived"},
		judgedRow{name: "without end", facts: lasting("never", "no", "none"), want: "fail long-lived"},
		judgedRow{name: "not known", facts: lasting("unknown", "unknown", "unknown"), want: "unknown unread"},
		judgedRow{name: "a word that this program does not know", facts: lasting("decade", "no", "pod"), want: "unknown unread"},
		judgedRow{name: "of a volume that this program does not know", facts: withTokens(someTokens(aTokenVolume(func(v *node.TokenVolume) { v.Kind = "csi" }))), want: "unknown unread"},
		judgedRow{name: "one of a Secret is another check's", facts: withTokens(someTokens(aTokenVolume(func(v *node.TokenVolume) { v.Kind, v.Lifetime = "secret", "never" }))), want: "pass short-lived"},
	))
}

func TestNoLegacyTokenSecrets(t *testing.T) {
	testJudge(t, noLegacyTokenSecrets, tokenRows("pass none",
		judgedRow{name: "a Secret", facts: withTokens(someTokens(aTokenVolume(), aTokenVolume(func(v *node.TokenVolume) { v.Kind, v.Volume = "secret", "ci-token" }))), want: "fail stored", items: []string{"pod 0b1c, secret volume ci-token"}},
		judgedRow{name: "of a volume that this program does not know", facts: withTokens(someTokens(aTokenVolume(func(v *node.TokenVolume) { v.Kind = "" }))), want: "unknown unread"},
	))
}

func TestSecretsInEnvironment(t *testing.T) {
	environment := func(v node.SecretVariables, gaps ...node.Gap) node.Facts {
		v.Looked = "yes"
		return withFact(onHost(), node.SecretEnvironment, v, gaps...)
	}
	holder := []node.VariableHolder{{Program: "/opt/app", Names: []string{"API_KEY", "TOKEN"}}}
	pod := []node.VariableHolder{{Program: "/web", Pod: "0b1c", Names: []string{"TOKEN"}}}
	shared := []judgedRow{
		{name: "none", facts: environment(node.SecretVariables{}), want: "pass none"},
		{name: "nothing could be read", facts: withFact(onHost(), node.SecretEnvironment, node.SecretVariables{Looked: "no"}, deniedGap), want: "unknown gap-denied"},
		{name: "a part of the machine", facts: withFact(environment(node.SecretVariables{}), node.OS, node.System{PIDNamespace: "other"}), want: "unknown part-of-machine"},
		{name: "fact missing", facts: lacking(onHost(), node.SecretEnvironment, node.Denied, "permission denied"), want: "unknown fact-denied"},
		{name: "gap", facts: environment(node.SecretVariables{}, deniedGap), want: "unknown gap-denied"},
	}
	testJudge(t, noSecretsInEnvironment, append(shared,
		judgedRow{name: "a program of the host", facts: environment(node.SecretVariables{Host: holder}), want: "fail secret", items: []string{"/opt/app: API_KEY, TOKEN"}},
		judgedRow{name: "a pod's is another check's", facts: environment(node.SecretVariables{Pods: pod}, credentialGap("pods")), want: "pass none"},
	))
	testJudge(t, noPodSecretsInEnvironment, append(shared,
		judgedRow{name: "a pod", facts: environment(node.SecretVariables{Pods: pod}), want: "fail secret", items: []string{"pod 0b1c /web: TOKEN"}},
		judgedRow{name: "the host's is another check's", facts: environment(node.SecretVariables{Host: holder}, credentialGap("host")), want: "pass none"},
	))
}

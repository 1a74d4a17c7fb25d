package verify

import (
	"fmt"
	"strings"
	"time"

	"github.com/seaworthy/seaworthy/node"
)

// kubeletFormChecks are what the STIG asks for by its form, where CIS asks for the
// effect: a setting has to stand in the configuration file, with the value, and
// not among the arguments. A default that is right is a finding there. They judge
// the same facts as the checks of what takes effect.
var kubeletFormChecks = []Check{
	writtenForm{
		id: "kubelet-read-only-port-written", rule: "V-242387", flag: "read-only-port", key: "readOnlyPort",
		title: "--read-only-port is not used, and the kubelet's file gives readOnlyPort no value but 0",
		good:  "0", is: func(json string) bool { return json == "0" }, absent: true,
	}.check(),
	writtenForm{
		id: "kubelet-anonymous-off-written", rule: "V-242391", flag: "anonymous-auth", key: "authentication.anonymous.enabled",
		title: "the kubelet's file sets authentication.anonymous.enabled to false",
		good:  "false", is: func(json string) bool { return json == "false" },
	}.check(),
	writtenForm{
		id: "kubelet-authorization-written", rule: "V-242392", flag: "authorization-mode", key: "authorization.mode",
		title: "the kubelet's file sets authorization.mode to Webhook",
		good:  "Webhook", is: func(json string) bool { return json == `"Webhook"` },
	}.check(),
	writtenForm{
		id: "kubelet-static-pod-path-unwritten", rule: "V-242397", flag: "pod-manifest-path", key: "staticPodPath",
		title: "neither the kubelet's file nor its arguments name a static pod folder",
		good:  "not there", is: func(string) bool { return false }, absent: true,
		aside: "kubeadm, OpenShift, Bottlerocket and every control plane name one: what is in it is judged by kubelet-static-pods-declared.",
	}.check(),
	writtenForm{
		id: "kubelet-hostname-unwritten", rule: "V-242404", flag: "hostname-override",
		title: "--hostname-override is not among the kubelet's arguments",
		good:  "not there", absent: true,
		aside: "Talos, and Bottlerocket in a cloud, give it one: whether that is by the system's design is judged by kubelet-hostname-own.",
	}.check(),
	writtenForm{
		id: "kubelet-client-ca-written", rule: "V-242420", flag: "client-ca-file", key: "authentication.x509.clientCAFile",
		title: "the kubelet's file sets authentication.x509.clientCAFile",
		good:  "a path", is: isWritten,
	}.check(),
	writtenForm{
		id: "kubelet-serving-key-written", rule: "V-242424", flag: "tls-private-key-file", key: "tlsPrivateKeyFile",
		title: "the kubelet's file sets tlsPrivateKeyFile",
		good:  "a path", is: isWritten,
		aside: "With serverTLSBootstrap, which is better, there is no such path: kubelet-serving-certificate-issued judges that.",
	}.check(),
	writtenForm{
		id: "kubelet-serving-certificate-written", rule: "V-242425", flag: "tls-cert-file", key: "tlsCertFile",
		title: "the kubelet's file sets tlsCertFile",
		good:  "a path", is: isWritten,
		aside: "A kubelet that asks the cluster for its certificate (serverTLSBootstrap) names none: kubelet-serving-certificate-rotates judges that.",
	}.check(),
	writtenForm{
		id: "kubelet-kernel-defaults-written", rule: "V-242434", flag: "protect-kernel-defaults", key: "protectKernelDefaults",
		title: "the kubelet's file sets protectKernelDefaults to true",
		good:  "true", is: func(json string) bool { return json == "true" },
	}.check(),
	writtenForm{
		id: "kubelet-idle-timeout-written", rule: "V-245541", flag: "streaming-connection-idle-timeout", key: "streamingConnectionIdleTimeout",
		title: "the kubelet's file sets streamingConnectionIdleTimeout to five minutes or more",
		good:  "5m", is: atLeastFiveMinutes,
		aside: "The rule wants five minutes or more, not less, and from 1.34 on the setting has no effect.",
	}.check(),
	kubeletConfigKept,
	kubeletKubeconfigKept,
	kubeletUnitKept,
}

// writtenForm is a check that a setting stands in a file with a value, and not
// among the arguments.
type writtenForm struct {
	id, rule, title string
	flag            string            // the argument that must not be there
	key             string            // the setting, "" where there is only the argument
	good            string            // the value in words
	is              func(string) bool // whether a value, as JSON, is good
	absent          bool              // whether the setting may be left out
	aside           string            // what to know about the rule
}

func (w writtenForm) check() Check {
	how := fmt.Sprintf("--%s must not be among the kubelet's arguments", w.flag)
	switch {
	case w.key == "":
		how += ", whatever it says."
	case w.good == "not there":
		how += fmt.Sprintf(", and %s not in the file of --config nor in its drop-ins.", w.key)
	case w.absent:
		how += fmt.Sprintf(", and where %s stands in the file of --config or in its drop-ins, it has to be %s.", w.key, w.good)
	default:
		how += fmt.Sprintf(", and %s has to stand in the file of --config or in its drop-ins with %s. A default does not count.", w.key, w.good)
	}
	if w.aside != "" {
		how += " " + w.aside
	}
	return Check{
		ID: w.id, Rev: 1, Topic: KubeletTopic, Severity: Low, Title: w.title,
		Refs: []Ref{{kubernetesSTIG, w.rule}, {sp80053, "CM-6"}},
		Help: Help{
			Why:    fmt.Sprintf("%s of the DISA Kubernetes STIG asks for the text and not for the effect: an auditor writes up even what is right by default.", w.rule),
			How:    how,
			Remedy: w.remedy(),
		},
		Judge: On(node.Kubelet.Parts(w.parts()...), w.judge),
	}
}

// parts are the parts of the fact that the check rests on.
func (w writtenForm) parts() []string {
	if w.key == "" {
		return []string{"flags"}
	}
	return []string{"flags", "values"}
}

func (w writtenForm) remedy() map[string]string {
	write := fmt.Sprintf("write %s (%s) into", w.key, w.good)
	if w.good == "not there" {
		write = fmt.Sprintf("take %s out of", w.key)
	}
	if w.key == "" {
		return map[string]string{
			"":              "Start the kubelet without --" + w.flag + "; the node's own name, set by hostnamectl, is the node's name in the cluster then.",
			"talos":         "Talos always gives the kubelet the machine's name: waive it, the name is the same.",
			"bottlerocket":  "apiclient get settings.kubernetes.hostname-override says whether somebody set it: take it out of the user data. Where Bottlerocket sets it itself in a cloud, waive it with that reason.",
			"cos":           "GKE names its nodes itself: waive it with that reason.",
			"fedora-coreos": "Take --hostname-override out of the kubelet's unit; where OpenShift adds it for a cloud provider, waive it with that reason.",
			"microos":       "k3s and RKE2 always give their kubelet a name: waive it, the name is the node's unless node-name is set.",
		}
	}
	return map[string]string{
		"":              fmt.Sprintf("Take --%s out of the kubelet's arguments, %s the file that --config names, and restart the kubelet.", w.flag, write),
		"talos":         fmt.Sprintf("Take %s out of machine.kubelet.extraArgs, and %s machine.kubelet.extraConfig, as far as Talos lets you: what it sets itself it refuses there, and writes into the file.", w.flag, write),
		"bottlerocket":  fmt.Sprintf("Bottlerocket writes file and arguments of its kubelet: where a new node has --%s or the file otherwise, waive %s with that reason.", w.flag, w.rule),
		"cos":           fmt.Sprintf("GKE writes file and arguments of its kubelet: where a new node has --%s or the file otherwise, waive %s with that reason. Elsewhere %s the file that --config names.", w.flag, w.rule, write),
		"fedora-coreos": fmt.Sprintf("On OpenShift %s the kubeletConfig of a KubeletConfig resource, as far as it takes the setting, and take --%s out of MachineConfigs. Elsewhere %s the file that --config names and take --%s out of the unit, in the Butane configuration too.", write, w.flag, write, w.flag),
		"microos":       fmt.Sprintf("k3s and RKE2 hand over what stands in kubelet-arg as arguments: take %s out of it, and %s a file in agent/etc/kubelet.conf.d. With kubeadm /var/lib/kubelet/kubeadm-flags.env holds --%s, and /var/lib/kubelet/config.yaml is the file.", w.flag, write, w.flag),
	}
}

func (w writtenForm) judge(k node.KubeletState, _ Given) Finding {
	if f, none := withoutKubelet(k); none {
		return f
	}
	given, unread := flagGiven(k, w.flag)
	switch {
	case given:
		return fail("flag", fmt.Sprintf("--%s is among the kubelet's arguments", w.flag), "--"+w.flag)
	case unread != nil:
		return *unread
	case w.key == "":
		return pass("no-flag", fmt.Sprintf("--%s is not among the kubelet's arguments", w.flag))
	}
	v, written := k.Values[w.key]
	written = written && v.JSON != `""`
	if len(k.Unread) > 0 {
		what := fmt.Sprintf("whether %s is written is not known", w.key)
		if written {
			what = fmt.Sprintf("%s is %s (%s), unless it stands elsewhere too", w.key, v.JSON, v.From)
		}
		return unreadSettings(what, k)
	}
	switch {
	case !written && w.absent:
		return pass("absent", fmt.Sprintf("neither --%s nor %s is there", w.flag, w.key))
	case !written:
		return fail("not-written", w.key+" stands in no file", w.key)
	case w.is(v.JSON):
		return pass("written", fmt.Sprintf("%s is %s (%s)", w.key, v.JSON, v.From))
	}
	should := "and should be " + w.good
	if w.good == "not there" {
		should = "and should not be there"
	}
	return fail("written-otherwise", fmt.Sprintf("%s is %s (%s), %s", w.key, v.JSON, v.From, should), w.key)
}

func isWritten(json string) bool { return strings.HasPrefix(json, `"`) && json != `""` }

func atLeastFiveMinutes(json string) bool {
	d, err := time.ParseDuration(strings.Trim(json, `"`))
	return err == nil && d >= 5*time.Minute
}

// kubeletConfigKept, kubeletKubeconfigKept and kubeletUnitKept are what the STIG asks of files that
// CIS wants closed to readers too.
var kubeletConfigKept = Check{
	ID: "kubelet-config-kept", Rev: 1, Topic: KubeletTopic, Severity: Medium,
	Title: "only root can change the kubelet's configuration files",
	Refs: []Ref{
		{kubernetesSTIG, "V-242406"}, {kubernetesSTIG, "V-242407"}, {kubernetesSTIG, "V-242456"}, {kubernetesSTIG, "V-242457"},
		{sp80053, "CM-5(6)"},
	},
	Help: Help{
		Why: "Whoever may write the file of --config, or put a drop-in beside it, is asked by the kubelet at its next start whom it should trust.",
		How: "The file that --config names and every drop-in of --config-dir have to belong to root and its group and to have mode 0644 or less. The rules name /var/lib/kubelet/config.yaml; the file that the kubelet runs with is looked at. CIS wants 0600: kubelet-config-closed.",
		Remedy: map[string]string{
			"":             "chown root:root the file that --config names and its drop-ins, and take the right to write from group and others (chmod go-w).",
			"talos":        "No program of Talos opens /etc/kubernetes/kubelet.yaml to writers: find out what did, and reset the node (talosctl reset).",
			"bottlerocket": "No program of Bottlerocket opens /etc/kubernetes/kubelet/config to writers: find out what did, and replace the node.",
		},
	},
	Judge: judgeConfigFiles(forAll),
}

var kubeletKubeconfigKept = Check{
	ID: "kubelet-kubeconfig-kept", Rev: 1, Topic: KubeletTopic, Severity: Medium,
	Title: "only root can change the kubelet's kubeconfig",
	Refs:  []Ref{{kubernetesSTIG, "V-242452"}, {kubernetesSTIG, "V-242453"}, {sp80053, "CM-5(6)"}},
	Help: Help{
		Why: "The kubeconfig says which API server the kubelet obeys: whoever may write it takes the node over.",
		How: "What --kubeconfig and --bootstrap-kubeconfig name has to belong to root and its group and to have mode 0644 or less. The rules name /etc/kubernetes/kubelet.conf; the file that the kubelet runs with is looked at. CIS wants 0600, and with a key inside so should you: kubelet-kubeconfig-closed.",
		Remedy: map[string]string{
			"":             "chown root:root what --kubeconfig names, and take the right to write it from group and others.",
			"talos":        "No program of Talos opens its kubeconfigs to writers: take the machine out of the cluster and reset it (talosctl reset).",
			"bottlerocket": "No program of Bottlerocket opens the kubelet's kubeconfig to writers: take the node out of the cluster and replace it.",
		},
	},
	Judge: judgeKubeconfigs(forAll),
}

var kubeletUnitKept = Check{
	ID: "kubelet-unit-kept", Rev: 1, Topic: KubeletTopic, Severity: Medium,
	Title: "only root can change how systemd starts the kubelet",
	Refs:  []Ref{{kubernetesSTIG, "V-242454"}, {kubernetesSTIG, "V-242455"}, {sp80053, "CM-5(6)"}},
	Help: Help{
		Why: "The unit names the program that runs as root and all that it is told: whoever may write it, or a drop-in or environment file of it, needs no flaw of the kubelet.",
		How: "The unit that the kubelet's cgroup names, its drop-ins and the environment files that these name have to belong to root and its group and to have mode 0644 or less, or to lie in the read-only image of the system. The rules name kubeadm's drop-in; the files of the unit that runs are looked at. CIS wants 0600: kubelet-unit-closed.",
		Remedy: map[string]string{
			"":             "chown root:root the files that the finding names, and take the right to write them from group and others; then find out who gave it.",
			"talos":        "There is no unit on Talos, which starts the kubelet without systemd: nothing has to be done.",
			"bottlerocket": "Its unit is in the image, and what is written at boot is root's alone: a file that others may write came from elsewhere, so replace the node.",
		},
	},
	Judge: judgeUnitFiles(forAll),
}

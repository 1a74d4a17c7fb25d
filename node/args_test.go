package node

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// args joins words as proc_pid_cmdline(5) shows them.
func args(words ...string) string { return strings.Join(words, "\x00") + "\x00" }

func TestScript(t *testing.T) {
	for _, tt := range []struct {
		name, exe string
		words     []string
		want      string
	}{
		// corpus/cos/ps-kubelet-gke.txt
		{"the health monitor of COS", "/usr/bin/bash", []string{"bash", "/home/kubernetes/bin/health-monitor.sh", "kubelet"}, "/home/kubernetes/bin/health-monitor.sh"},
		{"a login shell", "/usr/bin/bash", []string{"-bash"}, fromInput},
		{"a command is no script", "/usr/bin/bash", []string{"bash", "-c", "curl -H 'Token: s3cret' x | sh", "zero"}, ""},
		{"a command in a cluster of options", "/usr/bin/dash", []string{"sh", "-ec", "echo s3cret"}, ""},
		{"an option with a value", "/usr/bin/bash", []string{"bash", "-euo", "pipefail", "./run.sh", "s3cret"}, "./run.sh"},
		{"two options with values in one word", "/usr/bin/bash", []string{"bash", "-oO", "posix", "extglob", "x.sh"}, "x.sh"},
		{"a long option after one dash is no -c", "/usr/bin/bash", []string{"bash", "-norc", "evil.sh"}, "evil.sh"},
		{"a long option with a value", "/usr/bin/bash", []string{"bash", "--rcfile", "/dev/null", "x.sh"}, "x.sh"},
		{"options with plus", "/usr/bin/bash", []string{"bash", "+x", "x.sh"}, "x.sh"},
		{"dash ends a shell's options", "/usr/bin/bash", []string{"sh", "-", "x.sh"}, "x.sh"},
		{"double dash ends them", "/usr/bin/bash", []string{"sh", "-e", "--", "-x.sh"}, "-x.sh"},
		{"standard input", "/usr/bin/bash", []string{"bash", "-s", "s3cret"}, fromInput},
		{"standard input in a cluster of options", "/usr/bin/dash", []string{"sh", "-es", "--", "s3cret"}, fromInput},
		{"a script that is called as standard input is", "/usr/bin/dash", []string{"sh", "--", "-"}, "-"},
		{"a dash and no more", "/usr/bin/dash", []string{"sh", "-e", "-"}, fromInput},
		{"busybox reads standard input", "/usr/bin/busybox", []string{"busybox", "sh"}, fromInput},
		{"busybox under a shell's name", "/usr/bin/busybox", []string{"-sh"}, fromInput},
		{"python reads standard input", "/usr/bin/python3.11", []string{"python3", "-", "s3cret"}, fromInput},
		{"python without arguments", "/usr/bin/python3.11", []string{"/usr/bin/python3", "-u"}, fromInput},
		{"perl with a script of one letter", "/usr/bin/perl", []string{"perl", "-w"}, ""},
		{"another name does not hide the script", "/usr/bin/bash", []string{"/usr/sbin/sshd", "evil.sh"}, "evil.sh"},
		{"a shebang through busybox", "/usr/bin/busybox", []string{"sh", "/x.sh"}, "/x.sh"},
		{"busybox with its applet", "/usr/bin/busybox", []string{"busybox", "ash", "/x.sh", "s3cret"}, "/x.sh"},
		{"busybox as something else", "/usr/bin/busybox", []string{"wget", "https://u:s3cret@h/"}, ""},
		{"python", "/usr/bin/python3.11", []string{"/usr/bin/python3", "-u", "/usr/bin/networkd-dispatcher", "--run-startup-triggers"}, "/usr/bin/networkd-dispatcher"},
		{"python, an option's value", "/usr/bin/python3", []string{"python3", "-W", "ignore", "-Xdev", "x.py"}, "x.py"},
		{"python, a module", "/usr/bin/python3", []string{"python3", "-um", "http.server", "s3cret"}, ""},
		{"perl", "/usr/bin/perl", []string{"perl", "-w", "-Mstrict", "-I", "/lib", "x.pl"}, "x.pl"},
		{"perl, code", "/usr/bin/perl5.36.0", []string{"perl", "-lne", "print 's3cret'", "x"}, ""},
		{"ruby", "/usr/bin/ruby3.1", []string{"ruby", "-r", "json", "x.rb"}, "x.rb"},
		{"node", "/usr/bin/node", []string{"node", "--require", "./a.js", "--max-old-space-size=100", "x.js"}, "x.js"},
		{"node, code", "/usr/bin/node", []string{"node", "--eval", "s3cret"}, ""},
		{"lua, code and then a script", "/usr/bin/lua5.3", []string{"lua", "-e", "s3cret=1", "x.lua"}, "x.lua"},
		{"php with a file option", "/usr/bin/php8.2", []string{"php", "-d", "a=s3cret", "-f", "x.php"}, "x.php"},
		{"the loader runs a program", "/usr/lib64/ld-linux-x86-64.so.2", []string{"/lib64/ld-linux-x86-64.so.2", "--library-path", "/tmp", "/tmp/evil", "s3cret"}, "/tmp/evil"},
		{"the loader of musl", "/lib/ld-musl-x86_64.so.1", []string{"ld", "/tmp/evil"}, "/tmp/evil"},
		{"a title that a program made", "/usr/bin/python3", []string{"gunicorn: worker s3cret"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			redact := argsRedactor(tt.exe)
			if redact == nil {
				t.Fatalf("%s is no interpreter", tt.exe)
			}
			b := redact([]byte(args(tt.words...)))
			got := scriptOf(splitArgs(b))
			if readsInput(splitArgs(b)) {
				got = fromInput
			}
			if got != tt.want {
				t.Errorf("got %q want %q", got, tt.want)
			}
			if bytes.Contains(b, []byte("s3cret")) {
				t.Errorf("a secret is left: %q", b)
			}
			if again := redact(b); !bytes.Equal(again, b) {
				t.Errorf("not idempotent: %q, then %q", b, again)
			}
		})
	}
	for _, exe := range []string{"/usr/bin/containerd", "/usr/sbin/sshd", "/usr/bin/nodeadm", "/usr/bin/shutdown", "/usr/bin/ld", ""} {
		if argsRedactor(exe) != nil {
			t.Errorf("the arguments of %q would be read", exe)
		}
	}
}

func TestKubeletArgs(t *testing.T) {
	for _, tt := range []struct {
		name, exe string
		words     []string
		want      []string
	}{
		{ // corpus/talos/processes-labels-1.10.facts.yaml
			"talos", "/usr/local/bin/kubelet",
			[]string{"/usr/local/bin/kubelet", "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubeconfig", "--cert-dir=/var/lib/kubelet/pki", "--config=/etc/kubernetes/kubelet.yaml", "--rotate-server-certificates=true"},
			[]string{"/usr/local/bin/kubelet", "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubeconfig", "--cert-dir=/var/lib/kubelet/pki", "--config=/etc/kubernetes/kubelet.yaml", "--rotate-server-certificates=true"},
		},
		{"a version in its name", "/opt/bin/kubelet-v1.33.4", []string{"kubelet", "--v=2"}, []string{"kubelet", "--v=2"}},
		{ // after corpus/bottlerocket/kubelet-args of 1.0.1
			"values in words of their own, one of them empty", "/usr/bin/kubelet",
			[]string{"/usr/bin/kubelet", "--cloud-provider", "aws", "--node-labels", "a=b", "--register-with-taints", "", "--config", "/etc/kubernetes/kubelet/config"},
			[]string{"/usr/bin/kubelet", "--cloud-provider", "aws", "--node-labels", redacted, "--register-with-taints", "", "--config", "/etc/kubernetes/kubelet/config"},
		},
		{
			"a header with a secret", "/usr/bin/kubelet",
			[]string{"kubelet", "--static-pod-url-header=Authorization: Bearer s3cret", "--manifest-url", "https://u:s3cret@h/"},
			[]string{"kubelet", "--static-pod-url-header=Authorization:" + redacted, "--manifest-url", redacted},
		},
		{
			"k3s", "/var/lib/rancher/k3s/data/x/bin/k3s",
			[]string{"/usr/local/bin/k3s", "agent", "--server", "https://h:6443", "--token", "s3cret", "--kubelet-arg=max-pods=200", "--kubelet-arg", "manifest-url=https://u:s3cret@h/", "--kubelet-arg=node-labels=s3cret"},
			[]string{"/usr/local/bin/k3s", "agent", "--server", redacted, "--token", redacted, "--kubelet-arg=max-pods=200", "--kubelet-arg", "manifest-url=" + redacted, "--kubelet-arg=node-labels=" + redacted},
		},
		{"microk8s", "/snap/microk8s/1/kubelite", []string{"/snap/microk8s/1/kubelite", "--kubelet-args-file=/var/snap/microk8s/1/args/kubelet"}, []string{"/snap/microk8s/1/kubelite", "--kubelet-args-file=/var/snap/microk8s/1/args/kubelet"}},
		{"k3s makes itself a title", "/var/lib/rancher/k3s/data/x/bin/k3s", []string{"/usr/local/bin/k3s server", "", "", ""}, []string{"/usr/local/bin/k3s", "server"}},
		{"openshift's wrapper", "/usr/local/bin/kubenswrapper", []string{"/usr/local/bin/kubenswrapper", "/usr/bin/kubelet", "--config=/etc/kubernetes/kubelet.conf"}, []string{"/usr/local/bin/kubenswrapper", "/usr/bin/kubelet", "--config=/etc/kubernetes/kubelet.conf"}},
		{"hyperkube", "/hyperkube", []string{"/hyperkube", "kubelet", "s3cret"}, []string{"/hyperkube", "kubelet", redacted}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			redact := argsRedactor(tt.exe)
			b := redact([]byte(args(tt.words...)))
			if d := cmp.Diff(tt.want, splitArgs(b)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if again := redact(b); !bytes.Equal(again, b) {
				t.Errorf("not idempotent: %q, then %q", b, again)
			}
		})
	}
}

func FuzzArgs(f *testing.F) {
	f.Add("/usr/bin/bash", []byte(args("bash", "-euo", "pipefail", "./run.sh", "x")))
	f.Add("/usr/bin/busybox", []byte(args("busybox", "ash", "/x.sh")))
	f.Add("/usr/bin/php", []byte(args("php", "-d", "a=b", "-fx.php")))
	f.Add("/usr/bin/perl", []byte(args("perl", "-pi.bak", "-l012e", "code")))
	f.Add("/usr/bin/kubelet", []byte(args("kubelet", "--node-labels", "a=b", "--kubelet-arg=x=y", "--v=2", "-", "")))
	f.Add("/bin/k3s", []byte("/usr/local/bin/k3s server\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, exe string, b []byte) {
		redact := argsRedactor(exe)
		if redact == nil {
			return
		}
		once := redact(bytes.Clone(b))
		if twice := redact(bytes.Clone(once)); !bytes.Equal(once, twice) {
			t.Errorf("%q of %s: %q, then %q", b, exe, once, twice)
		}
		// Nothing is left of an interpreter's arguments but two of its words.
		if !isKubelet(exe) {
			out, in := splitArgs(once), splitArgs(b)
			if len(out) > 3 {
				t.Errorf("%q of %s: %q is more than a name and a script", b, exe, once)
			}
			if s := scriptOf(out); s != "" && !slices.ContainsFunc(in[1:], func(a string) bool { return strings.HasSuffix(a, s) }) {
				t.Errorf("%q of %s: no word ends in the script %q", b, exe, s)
			}
		}
	})
}

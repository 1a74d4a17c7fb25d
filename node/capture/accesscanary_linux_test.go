package capture_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
	"github.com/seaworthy/seaworthy/node/hostfs"
)

// TestSecretsOfAccessStayOnTheNode plants a secret wherever the sources of access
// look, and looks for it in the facts and in the capture.
func TestSecretsOfAccessStayOnTheNode(t *testing.T) {
	const canary = "CANARYcanary0123456789"
	root := t.TempDir()
	for name, text := range map[string]string{
		"etc/passwd":                            "root:" + canary + ":0:0:" + canary + ":/root:/bin/sh\n",
		"etc/shadow":                            "root:$6$" + canary + "$" + canary + ":1::::::\n" + canary + "\n",
		"etc/group":                             "wheel:" + canary + ":10:root\n",
		"etc/sudoers":                           "root ALL=(ALL) /bin/x --password=" + canary + "\nDefaults x=" + canary + "\n" + canary + "\n",
		"etc/ssh/sshd_config":                   "AllowUsers " + canary + "\nAuthorizedKeysCommand /bin/k " + canary + "\nMatch Address " + canary + "\nPermitRootLogin no\n",
		"root/.ssh/authorized_keys":             "from=\"" + canary + "\",environment=\"T=" + canary + "\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA " + canary + "\n" + canary + "\n",
		"etc/systemd/system/getty@tty1.service": "Environment=T=" + canary + "\nExecStart=/sbin/agetty --login-options " + canary + "\n",
		"run/systemd/sessions/1":                "USER=root\nREMOTE_HOST=" + canary + "\nDISPLAY=" + canary + "\n",
		node.TalosConfig:                        "machine: {token: " + canary + ", ca: {key: " + canary + "}, features: {rbac: true}}\ncluster: {secret: " + canary + "}\n",
		"proc/1/status":                         "Name:\tx\n",
	} {
		at := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := hostfs.Tree(root)
	if err != nil {
		t.Fatal(err)
	}
	host, tape := capture.Record(tree)
	facts := node.Gather(t.Context(), host, time.Unix(0, 0))
	for _, name := range []string{node.Accounts.Name, node.SSH.Name, node.Consoles.Name, node.Management.Name} {
		if facts[name].Missing != nil {
			t.Errorf("%s is missing: %s", name, facts[name].Missing.Reason)
		}
	}
	var file bytes.Buffer
	if err := tape.Write(&file); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(facts)
	if err != nil {
		t.Fatal(err)
	}
	for what, b := range map[string][]byte{"the capture": file.Bytes(), "the facts": text} {
		if i := bytes.Index(b, []byte(canary)); i >= 0 {
			t.Errorf("%s holds the secret: …%s", what, b[max(0, i-200):min(len(b), i+40)])
		}
	}
}

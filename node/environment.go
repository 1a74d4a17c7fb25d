package node

import (
	"bytes"
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"
)

// SecretVariables are variables of the environment of processes that look like
// secrets: by name, and without what they hold.
type SecretVariables struct {
	Host []VariableHolder `json:"host"` // programs outside containers
	Pods []VariableHolder `json:"pods"` // containers
	// Looked is "yes", or "no" where no environment could be read.
	Looked string `json:"looked"`
}

// VariableHolder is who has them.
type VariableHolder struct {
	Program string   `json:"program"`       // path of the executable, or name of the command
	Pod     string   `json:"pod,omitempty"` // uid, where the cgroup names one
	Names   []string `json:"names"`         // sorted
}

// SecretEnvironment is the environment that processes were started with:
// proc_pid_environ(5). What a process puts there itself later does not show.
var SecretEnvironment = Source[SecretVariables]{
	Name:  "secret-environment",
	Doc:   "names of environment variables that look like secrets, of host processes and of pods; never their values",
	Scope: Node,
	Every: Hour,
	Read: func(_ context.Context, h *Host) (SecretVariables, []Gap, error) {
		table, err := h.gathering.processes()
		if err != nil {
			return SecretVariables{}, nil, err
		}
		out := SecretVariables{Looked: "no"}
		host := tally{what: "environments of host processes"}
		pods := tally{what: "environments of containers' processes"}
		for _, p := range table.processes {
			list, unread := &out.Host, &host
			if p.container != "" {
				list, unread = &out.Pods, &pods
			}
			unread.of++
			b, err := readEnviron(h, &p)
			if vanished(err) {
				continue
			}
			if err != nil {
				unread.add(p.pid, err)
				continue
			}
			out.Looked = "yes"
			if names := parseEnvironment(b); len(names) > 0 {
				*list = append(*list, VariableHolder{p.name(), p.pod, names})
			}
		}
		out.Host, out.Pods = distinctHolders(out.Host), distinctHolders(out.Pods)
		// A program whose executable cannot be seen is named by its command.
		gaps := slices.DeleteFunc(slices.Clone(table.gaps), func(g Gap) bool { return g.What == unreadExecutables })
		for _, g := range host.gaps() {
			gaps = append(gaps, g.In("host"))
		}
		for _, g := range pods.gaps() {
			gaps = append(gaps, g.In("pods"))
		}
		return out, gaps, nil
	},
}

// distinctHolders are sorted, and those that are alike once.
func distinctHolders(list []VariableHolder) []VariableHolder {
	compare := func(a, b VariableHolder) int {
		return cmp.Or(strings.Compare(a.Pod, b.Pod), strings.Compare(a.Program, b.Program), slices.Compare(a.Names, b.Names))
	}
	slices.SortFunc(list, compare)
	return append([]VariableHolder{}, slices.CompactFunc(list, func(a, b VariableHolder) bool { return compare(a, b) == 0 })...)
}

// variableName is what a name must look like to be kept. Whatever else stands
// before an equals sign may be a piece of a value.
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,99}$`)

// redactEnvironment keeps the names of variables that look like secrets, each
// with a placeholder for its value.
func redactEnvironment(b []byte) []byte {
	out := []byte{}
	for _, entry := range bytes.Split(b, []byte{0}) {
		name, value, ok := strings.Cut(string(entry), "=")
		if ok && secretVariable(name, value) {
			out = append(out, name+"="+redacted+"\x00"...)
		}
	}
	return out
}

// parseEnvironment is the names that redactEnvironment has left, among what the
// loader is told.
func parseEnvironment(b []byte) []string {
	var names []string
	for _, entry := range bytes.Split(b, []byte{0}) {
		name, _, ok := strings.Cut(string(entry), "=")
		if _, loader := loaderVariables[name]; ok && !loader {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// secretWords in the name of a variable name a secret: PASSWORD, DB_PASSWD,
// GITHUB_TOKEN, AWS_SECRET_ACCESS_KEY, AZURE_CREDENTIALS.
var secretWords = []string{"password", "passwd", "passphrase", "token", "secret", "credential"}

// secretNameEnds are last parts of a name that do: API_KEY, PRIVATE_KEY, PGPASS.
var secretNameEnds = []string{"key", "apikey", "accesskey", "authkey", "privatekey", "pass", "pgpass", "pwd", "psk"}

// plainNameEnds are last parts of names of settings about a secret.
var plainNameEnds = []string{
	"file", "path", "dir", "directory", "ttl", "name", "id", "url", "uri", "endpoint", "host", "port", "type", "enabled", "disabled",
	"expiration", "expiry", "audience", "issuer", "interval", "timeout", "length", "mode", "namespace", "prefix", "provider", "server", "version",
}

// plainNames are variables that look like secrets and are known to be none:
// PWD and OLDPWD are folders, GPG_KEY is the fingerprint in images of Python.
var plainNames = []string{"PWD", "OLDPWD", "GPG_KEY", "CREDENTIALS_DIRECTORY"}

var urlPassword = regexp.MustCompile(`://[^/?#\s@:]*:[^/?#\s@]+@`)

// secretVariable reports whether a variable looks like a secret by its name and
// holds one by its value: no path, number or switch. A URL with a password in it
// is one under any name.
func secretVariable(name, value string) bool {
	if !variableName.MatchString(name) || slices.Contains(plainNames, name) {
		return false
	}
	if value == redacted || urlPassword.MatchString(value) {
		return true
	}
	if len(value) < 4 || strings.HasPrefix(value, "/") || slices.Contains([]string{"true", "false", "none", "null"}, strings.ToLower(value)) {
		return false
	}
	lower := strings.ToLower(name)
	parts := strings.Split(lower, "_")
	last := parts[len(parts)-1]
	switch {
	case slices.Contains(plainNameEnds, last):
		return false
	case slices.Contains(secretNameEnds, last):
		return true
	}
	return slices.ContainsFunc(secretWords, func(w string) bool { return strings.Contains(lower, w) })
}

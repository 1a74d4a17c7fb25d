package node

import "bytes"

// readEnviron reads the environment that a process was started with
// (proc_pid_environ(5)), of which nothing is kept but what sources look for. One
// redactor serves them all: a capture keeps what every one of them has left, and two
// that each keep something else would leave nothing.
func readEnviron(h *Host, p *process) ([]byte, error) {
	return h.readMemory(p, "environ", func(name string) ([]byte, error) { return h.readOnce(name, maxEnviron, redactEnviron) })
}

// maxEnviron is beyond what execve(2) takes by default.
const maxEnviron = 8 << 20

// redactEnviron keeps the variables that tell the loader what to load, and the
// names of those that look like secrets.
func redactEnviron(b []byte) []byte {
	out := []byte{}
	for entry := range bytes.SplitSeq(b, []byte{0}) {
		out = append(out, redactLoaderVariables(entry)...)
		out = append(out, redactEnvironment(entry)...)
	}
	return out
}

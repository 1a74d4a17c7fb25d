package node

import "context"

// Program is something that runs on the host, outside containers, by what it is
// and where it is, not by process. Kernel threads are left out.
type Program struct {
	// Path is the executable as the kernel names it in the process's own mount
	// namespace (proc_pid_exe(5)), without " (deleted)".
	Path string `json:"path"`
	// Script is the script that an interpreter runs, absolute where it could be
	// resolved; "" where the program is no interpreter or runs no script file.
	Script string `json:"script,omitempty"`
	// On is the mount that Path (or Script, where there is one) is on.
	On Mount `json:"on"`
	// Deleted marks an executable that was unlinked while it runs.
	Deleted bool `json:"deleted,omitempty"`
	// Memory marks an executable that is in memory only: memfd_create(2).
	Memory bool `json:"memory,omitempty"`
	// OwnRoot marks a process whose root or mount namespace puts Path on another
	// file system than process 1's, as a service in a container image has.
	OwnRoot bool `json:"ownRoot,omitempty"`
	// Unit is the cgroup that it runs in, without what differs between equal
	// nodes: "/system.slice/sshd.service", "/podruntime/kubelet".
	Unit string `json:"unit"`
}

// Processes are the programs that run on the host outside containers.
var Processes = Source[[]Program]{
	Name:  "processes",
	Doc:   "what runs on the host outside containers, by executable",
	Scope: Cohort,
	Every: Scan,
	Read: func(_ context.Context, h *Host) (v []Program, gaps []Gap, err error) {
		return v, nil, &Error{"reading", "processes", Unsupported, "not written yet"}
	},
}

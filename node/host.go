package node

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"
)

// Host is the seam to the machine. Sources read through it and through nothing
// else, so that a capture records all that was asked. It may be kept and
// gathered from again; one gathering at a time.
type Host struct {
	FS     FS
	Kernel KernelAPI // nil for a file tree: nothing is then asked of the local machine

	// gathering is what one call of Gather shares between its sources.
	gathering *gathering
	evidence  *evidence

	// mu guards what outlives a gathering, against readers that were left behind.
	mu      sync.Mutex
	running map[string]time.Time // readers that have not returned, and since when
	kept    map[string]keptFact  // facts of sources that are not read at every scan
	held    heldSockets          // where the last gathering found the sockets that listen
	peers   heldSockets          // and the ends of connections to runtime sockets
	walked  walkedInventories    // how far the inventories of executables have come
}

// FS is a file tree rooted at the node's /. Names are slash-separated and
// relative to that root ("proc/1/mountinfo"). No link leads out of it.
// Every error is an [*Error].
type FS interface {
	// ReadFile returns a regular file of at most max bytes. redact, where it is
	// not nil, is applied before the bytes are returned or recorded; it must
	// change nothing that it has already redacted.
	ReadFile(name string, max int64, redact func([]byte) []byte) ([]byte, error)
	// Digest returns the SHA-256 of a regular file of at most max bytes, in
	// hexadecimal. It is made while reading, and the content is kept nowhere.
	Digest(name string, max int64) (string, error)
	// Head returns the first n bytes of a regular file, fewer where it is shorter:
	// for telling what kind of file it is. n is at most [MaxHead], so that nothing
	// worth keeping secret is in it.
	Head(name string, n int) ([]byte, error)
	// ReadDir returns the names in a directory, sorted; at most max.
	ReadDir(name string, max int) ([]DirEntry, error)
	// Lstat describes name itself, Stat what its links lead to.
	Lstat(name string) (FileInfo, error)
	Stat(name string) (FileInfo, error)
	ReadLink(name string) (string, error)
	// Xattr returns one extended attribute of name itself.
	Xattr(name, attr string) ([]byte, error)
	// Avoid names the directories at and below which nothing may be touched.
	Avoid(dirs []string)
}

// MaxHead is how much of a file Head returns at most.
const MaxHead = 4

// DirEntry is a name in a directory and the type of what it names.
type DirEntry struct {
	Name string   `json:"name"`
	Type FileType `json:"type"`
}

// FileType is what a name stands for.
type FileType string

// The file types.
const (
	Regular   FileType = "file"
	Directory FileType = "dir"
	Symlink   FileType = "link"
	Socket    FileType = "socket"
	FIFO      FileType = "fifo"
	CharDev   FileType = "char"
	BlockDev  FileType = "block"
	OtherType FileType = "other"
)

// FileInfo describes a file: stat(2) without times.
type FileInfo struct {
	Type FileType `json:"type"`
	Mode uint32   `json:"mode"` // permission bits with setuid, setgid and sticky: 07777
	UID  uint32   `json:"uid"`
	GID  uint32   `json:"gid"`
	Size int64    `json:"size"`
	Dev  string   `json:"dev"` // major:minor of the file system
	Ino  uint64   `json:"ino"`
}

// KernelAPI answers the questions that are not files.
type KernelAPI interface {
	// Ask answers q in JSON. Every error is an [*Error].
	Ask(q Question) (json.RawMessage, error)
}

// Question is one question to the kernel: what kind, and about what.
type Question struct {
	Kind string `json:"kind"`
	Of   string `json:"of,omitempty"` // a path relative to the root or, of AskKubelet, "address:port", of AskDeepVerity a device, where the kind needs one
}

// Name is the question in words, as errors and evidence quote it.
func (q Question) Name() string {
	if q.Of == "" {
		return q.Kind
	}
	switch q.Kind {
	case AskKubelet:
		return q.Kind + " at " + q.Of
	case AskDeepVerity:
		return q.Kind + " of the device " + q.Of
	}
	if q.Of == "." {
		return q.Kind + " of /"
	}
	return q.Kind + " of /" + q.Of
}

// The kinds of questions, with the Go type of their answers.
const (
	AskUname     = "uname"            // Uname: uname(2)
	AskStatfs    = "statfs"           // Statfs: statfs(2)
	AskDM        = "device-mapper"    // []DMTable: DM_LIST_DEVICES, DM_TABLE_STATUS; needs CAP_SYS_ADMIN
	AskSubvolume = "btrfs-subvolume"  // Subvolume: BTRFS_IOC_SUBVOL_GETFLAGS
	AskVerity    = "fs-verity"        // FileVerity: statx(2) STATX_ATTR_VERITY
	AskMeasure   = "fs-verity-digest" // FileMeasure: FS_IOC_MEASURE_VERITY
	AskExe       = "executable"       // Executable: statx(2) of a process's exe, whose folder in /proc is the path
	AskClock     = "clock"            // Clock: adjtimex(2) that changes nothing
	AskKubelet   = "kubelet-port"     // KubeletAnswer: what the node's own kubelet answers a stranger
	AskGoBuild   = "go-build"         // GoBuild: what the Go linker wrote into an executable
	AskUnix      = "unix-sockets"     // UnixSockets: unix_diag over NETLINK_SOCK_DIAG
)

// Uname is the answer to AskUname.
type Uname struct {
	Release string `json:"release"`
	Version string `json:"version"`
	Machine string `json:"machine"`
}

// Statfs is the answer to AskStatfs. Sizes are in bytes.
type Statfs struct {
	Type   string `json:"type"` // magic number in hexadecimal
	Size   int64  `json:"size"`
	Inodes int64  `json:"inodes"`
	FSID   string `json:"fsid"` // f_fsid: 16 hexadecimal digits
}

// DMTable is a device-mapper device as the kernel has it now.
type DMTable struct {
	Name    string     `json:"name"`
	UUID    string     `json:"uuid"`
	Dev     string     `json:"dev"` // major:minor
	Targets []DMTarget `json:"targets"`
}

// DMTarget is one line of a device-mapper table and of its status.
type DMTarget struct {
	Start  uint64 `json:"start"`  // in sectors of 512 bytes
	Length uint64 `json:"length"` // in sectors of 512 bytes
	Type   string `json:"type"`
	Params string `json:"params"`
	Status string `json:"status"`
}

// Subvolume is the answer to AskSubvolume.
type Subvolume struct {
	ReadOnly bool `json:"readOnly"` // the property BTRFS_SUBVOL_RDONLY
}

// Executable is the answer to AskExe: where the executable of a process lies,
// whatever its path leads to by now.
type Executable struct {
	Mount uint64 `json:"mount"` // number of its mount, as in proc_pid_mountinfo(5); 0 before Linux 5.8
	Dev   string `json:"dev"`   // major:minor of its file system
}

// GoBuild is the answer to AskGoBuild. Source: runtime/debug.BuildInfo.
type GoBuild struct {
	Go      string `json:"go"`      // the compiler's version
	Module  string `json:"module"`  // path of the main module
	Version string `json:"version"` // its version, or "(devel)"
	// Kubernetes is what the linker was told that version.gitVersion of
	// k8s.io/component-base is; "" where it was not, or -trimpath took it out.
	Kubernetes string `json:"kubernetes,omitempty"`
}

// UnixSockets is the answer to AskUnix: the unix sockets of a network namespace
// that have a name and listen or are connected. Both ends of a connection are in
// the namespace of the program that connected.
type UnixSockets struct {
	Namespace string       `json:"namespace"` // as the link ns/net of a process names it: that of this program
	Sockets   []UnixSocket `json:"sockets"`
}

// UnixSocket is one end of a connection, or a socket that listens.
type UnixSocket struct {
	Inode uint64 `json:"inode"`          // 0 until the connection is accepted
	Peer  uint64 `json:"peer,omitempty"` // inode of the other end; 0 where that is closed
	// Name is the path that it was bound to, as the program named it, or "@" and an
	// abstract name. An end that was accepted has the name of the one that listens.
	Name  string `json:"name"`
	State string `json:"state"` // UnixListen or UnixEstablished
	// File and Dev are the low 32 bits of the inode of the file that it is bound to,
	// and the major:minor of its file system; of abstract names 0 and "".
	File uint32 `json:"file,omitempty"`
	Dev  string `json:"dev,omitempty"`
}

// The states of a UnixSocket.
const (
	UnixListen      = "listen"
	UnixEstablished = "established"
)

// FileVerity is the answer to AskVerity.
type FileVerity struct {
	Enabled bool `json:"enabled"` // STATX_ATTR_VERITY
}

// FileMeasure is the answer to AskMeasure: the fs-verity digest that the kernel
// has of a file, and what it was made with. Source: the kernel's
// Documentation/filesystems/fsverity.rst.
type FileMeasure struct {
	Enabled   bool   `json:"enabled"` // without, the others are empty
	Algorithm string `json:"algorithm,omitempty"`
	Digest    string `json:"digest,omitempty"`
	// BlockSize and Salt are of FS_IOC_READ_VERITY_METADATA; before Linux 5.12 they
	// are what nearly every file has, 4096 and none.
	BlockSize int    `json:"blockSize,omitempty"`
	Salt      string `json:"salt,omitempty"`
}

// Clock is the answer to AskClock: what adjtimex(2) says of the system clock.
// Times are in microseconds.
type Clock struct {
	State          int   `json:"state"`  // TIME_OK to TIME_ERROR
	Status         int   `json:"status"` // STA_… bits
	Offset         int64 `json:"offset"`
	MaximumError   int64 `json:"maximumError"`
	EstimatedError int64 `json:"estimatedError"`
}

// KubeletAnswer is the answer to AskKubelet. The body that the kubelet sends is
// neither read nor kept.
type KubeletAnswer struct {
	Status            int      `json:"status"` // HTTP status of GET /pods without credentials
	Version           string   `json:"version"`
	Cipher            string   `json:"cipher"`
	ClientCertificate bool     `json:"clientCertificate"` // the handshake asked for one
	Certificates      [][]byte `json:"certificates"`      // as served, DER
	// Tries are further handshakes, each with an offer that is narrower.
	Tries []TLSTry `json:"tries"`
}

// TLSTry is one handshake.
type TLSTry struct {
	Offer   string `json:"offer"`             // "TLS 1.0" to "TLS 1.3": that version alone; [OfferOtherCiphers]
	Version string `json:"version,omitempty"` // as agreed; "" where there was no agreement
	Cipher  string `json:"cipher,omitempty"`
	Error   string `json:"error,omitempty"` // why it is not known whether there would have been one
}

// OfferOtherCiphers offers TLS up to 1.2 with all suites but those whose
// encryption authenticates too (GCM, ChaCha20-Poly1305).
const OfferOtherCiphers = "other ciphers"

// ReadFile returns a file of at most max bytes; a larger one is an error.
func (h *Host) ReadFile(name string, max int64) ([]byte, error) {
	return h.ReadSecret(name, max, nil)
}

// ReadSecret returns a file after redact has taken out what may not leave the node.
func (h *Host) ReadSecret(name string, max int64, redact func([]byte) []byte) ([]byte, error) {
	b, err := h.FS.ReadFile(name, max, redact)
	if err == nil {
		h.evidence.add("/"+name, b)
	}
	return b, err
}

// Digest returns the SHA-256 of a file of at most max bytes, in hexadecimal.
func (h *Host) Digest(name string, max int64) (string, error) {
	sum, err := h.FS.Digest(name, max)
	if err == nil {
		h.evidence.addDigest("/"+name, sum)
	}
	return sum, err
}

// Head returns the first n bytes of a file, at most [MaxHead].
func (h *Host) Head(name string, n int) ([]byte, error) { return h.FS.Head(name, min(n, MaxHead)) }

// ReadDir returns the names in a directory, sorted.
func (h *Host) ReadDir(name string, max int) ([]DirEntry, error) {
	return h.listOnce(name, max)
}

// Lstat describes name itself.
func (h *Host) Lstat(name string) (FileInfo, error) { return h.FS.Lstat(name) }

// Stat describes what name leads to.
func (h *Host) Stat(name string) (FileInfo, error) { return h.FS.Stat(name) }

// ReadLink returns the text of a symbolic link.
func (h *Host) ReadLink(name string) (string, error) { return h.FS.ReadLink(name) }

// Xattr returns one extended attribute of name itself.
func (h *Host) Xattr(name, attr string) ([]byte, error) { return h.FS.Xattr(name, attr) }

// ask puts a question to the kernel and decodes its answer into T.
func ask[T any](h *Host, kind, of string) (T, error) {
	var v T
	q := Question{kind, of}
	name := q.Name()
	if h.Kernel == nil {
		return v, &Error{"asking the kernel for", name, NoKernel, ""}
	}
	b, err := h.Kernel.Ask(q)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return v, &Error{"asking the kernel for", name, Malformed, err.Error()}
	}
	h.evidence.add(name, b)
	return v, nil
}

// evidence collects what one source read. A nil one collects nothing.
type evidence struct {
	mu   sync.Mutex
	read map[string]string
}

func (e *evidence) add(what string, b []byte) {
	if e == nil {
		return
	}
	sum := sha256.Sum256(b)
	e.addDigest(what, hex.EncodeToString(sum[:]))
}

func (e *evidence) addDigest(what, sum string) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.read == nil {
		e.read = map[string]string{}
	}
	e.read[what] = sum
}

func (e *evidence) list() []Evidence {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]Evidence, 0, len(e.read))
	for what, sum := range e.read {
		out = append(out, Evidence{what, sum})
	}
	slices.SortFunc(out, func(a, b Evidence) int { return strings.Compare(a.What, b.What) })
	return out
}

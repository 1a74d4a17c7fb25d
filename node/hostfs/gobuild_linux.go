package hostfs

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seaworthy/seaworthy/node"
)

const (
	maxProgram   = 1 << 30
	maxBuildInfo = 1 << 20 // a kubelet's is 20 KiB
)

// goBuild reads what the Go linker wrote into an executable of itself. Of a file
// of 100 MB it reads a few pages.
func (k *kernel) goBuild(of string) (node.GoBuild, error) {
	fd, err := k.tree.openRegular(of, maxProgram)
	if err != nil {
		return node.GoBuild{}, err
	}
	defer unix.Close(fd)
	return decodeGoBuild(preader(fd))
}

// preader reads a file at an offset.
type preader int

func (fd preader) ReadAt(p []byte, off int64) (int, error) {
	for done := 0; ; {
		n, err := unix.Pread(int(fd), p[done:], off+int64(done))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return done, err
		case n == 0 && done < len(p):
			return done, io.EOF
		}
		if done += n; done == len(p) {
			return done, nil
		}
	}
}

var errNoGoBuild = errors.New("it holds no build information of Go 1.18 or newer")

// The blob of .go.buildinfo: a magic text, the size of a pointer, flags, and from
// byte 32 on the compiler's version and the module's information, each behind its
// length as a varint. Source: cmd/link/internal/ld/data.go, buildinfo; the flag
// for strings that stand inline is of Go 1.18.
const (
	goBuildMagic  = "\xff Go buildinf:"
	goBuildInline = 2
	goBuildHeader = 32
	// goBuildFrame is how many bytes stand before and after the information, for
	// programs that look for it in memory. Source: cmd/go/internal/modload/build.go.
	goBuildFrame = 16
)

func decodeGoBuild(r io.ReaderAt) (node.GoBuild, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		var format *elf.FormatError
		if errors.As(err, &format) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return node.GoBuild{}, unsupported("it is no ELF file")
		}
		return node.GoBuild{}, err
	}
	section := f.Section(".go.buildinfo")
	if section == nil {
		return node.GoBuild{}, unsupported(errNoGoBuild.Error())
	}
	if section.Type == elf.SHT_NOBITS || section.Size > maxBuildInfo {
		return node.GoBuild{}, &node.Error{Code: node.Malformed, Detail: "its build information is too large, or is not in the file"}
	}
	blob := make([]byte, section.Size)
	if _, err := section.ReadAt(blob, 0); err != nil && err != io.EOF {
		return node.GoBuild{}, err
	}
	return parseGoBuild(blob)
}

// parseGoBuild reads the blob. Of the settings it keeps one: the others are how
// somebody's machine built the program.
func parseGoBuild(blob []byte) (node.GoBuild, error) {
	if len(blob) < goBuildHeader || !bytes.HasPrefix(blob, []byte(goBuildMagic)) || blob[15]&goBuildInline == 0 {
		return node.GoBuild{}, unsupported(errNoGoBuild.Error())
	}
	version, rest, ok := cutCounted(blob[goBuildHeader:])
	info, _, more := cutCounted(rest)
	if !ok || !more {
		return node.GoBuild{}, &node.Error{Code: node.Malformed, Detail: "its build information ends early"}
	}
	b := node.GoBuild{Go: strings.ToValidUTF8(version, "")}
	if len(info) < 2*goBuildFrame {
		return b, nil // a program without modules
	}
	parsed, err := debug.ParseBuildInfo(info[goBuildFrame : len(info)-goBuildFrame])
	if err != nil {
		return node.GoBuild{}, &node.Error{Code: node.Malformed, Detail: "its build information: " + err.Error()}
	}
	b.Module, b.Version = parsed.Main.Path, parsed.Main.Version
	for _, s := range parsed.Settings {
		if s.Key == "-ldflags" {
			b.Kubernetes = stamped(s.Value, "k8s.io/component-base/version.gitVersion")
		}
	}
	return b, nil
}

// stamped is what the linker was told to write into a variable by -X NAME=VALUE;
// the last one counts.
func stamped(ldflags, name string) string {
	i := strings.LastIndex(ldflags, name+"=")
	if i < 0 {
		return ""
	}
	value := ldflags[i+len(name)+1:]
	if end := strings.IndexAny(value, " \t'\""); end >= 0 {
		value = value[:end]
	}
	return value
}

// cutCounted takes a text off the front of b that stands behind its length.
func cutCounted(b []byte) (text string, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return "", nil, false
	}
	return string(b[size : size+int(n)]), b[size+int(n):], true
}

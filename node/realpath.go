package node

import (
	"path"
	"strings"
)

// realPath is the absolute path that p leads to on the host, all links followed.
func realPath(h *Host, p string) (string, error) {
	left := strings.Split(strings.Trim(path.Clean(p), "/"), "/")
	at := "/"
	for hops := 0; len(left) > 0; {
		next := path.Join(at, left[0])
		left = left[1:]
		if next == "/" {
			at = next
			continue
		}
		if next == "/proc/self" || next == "/proc/thread-self" {
			return "", &Error{"looking at", p, Unsupported, "it leads through " + next + ", which is another for each who looks"}
		}
		info, err := h.Lstat(next[1:])
		if err != nil {
			return "", err
		}
		if info.Type != Symlink {
			at = next
			continue
		}
		if hops++; hops > 40 {
			return "", &Error{"looking at", p, LinkLoop, ""}
		}
		to, err := h.ReadLink(next[1:])
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(to, "/") {
			at = "/"
		}
		left = append(strings.Split(strings.Trim(to, "/"), "/"), left...)
	}
	return at, nil
}

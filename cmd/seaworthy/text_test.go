package main

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestBrief(t *testing.T) {
	item := strings.Repeat("/opt/bin/x", 6) // 60 columns
	list := func(n int) string {
		return "outside the image: " + strings.Join(slices.Repeat([]string{item}, n), "; ")
	}
	for _, row := range []struct{ name, reason, want string }{
		{"what fits stays whole", list(3), list(3)},
		{"a long list ends with how many are left out", list(9), list(3) + "; and 6 more"},
		{"one that is left out is shown instead", list(4), list(4)},
		{"gaps that were counted already are counted on", list(5) + "; and 7 more", list(3) + "; and 9 more"},
		{"a sentence without a list stays whole", strings.Repeat("word ", 100), strings.Repeat("word ", 100)},
	} {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(row.want, brief(row.reason)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestWrap(t *testing.T) {
	for _, row := range []struct {
		name, text string
		width      int
		want       []string
	}{
		{"short text stays whole", "a b c", 10, []string{"a b c"}},
		{"breaks between words", "one two three", 7, []string{"one two", "three"}},
		{"a long name is not broken", "see /var/lib/containerd/io.containerd now", 10, []string{"see", "/var/lib/containerd/io.containerd", "now"}},
		{"columns are counted in characters, not bytes", "ééé ééé", 7, []string{"ééé ééé"}},
		{"nothing is one empty line", "", 7, []string{""}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(row.want, wrap(row.text, row.width)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestClean(t *testing.T) {
	for _, row := range []struct{ name, text, want string }{
		{"text stays", "kernel 6.6 · ✗", "kernel 6.6 · ✗"},
		{"an escape sequence is spelled out", "\x1b[31m", `\x1b[31m`},
		{"a line break is spelled out", "a\nb", `a\x0ab`},
		{"a C1 control is spelled out", "a\u009bb", `a\u009bb`},
		{"a right-to-left override is spelled out", "exe\u202egpj", `exe\u202egpj`},
		{"a byte that is not UTF-8 is spelled out", "a\xffb", `a\xffb`},
		{"a replacement character is text", "a\uFFFDb", "a\uFFFDb"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := clean(row.text); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func FuzzClean(f *testing.F) {
	f.Add("Flatcar Container Linux by Kinvolk 4230.2.1 (Oklo)")
	f.Add("\x1b]0;title\x07\xff\u202e")
	f.Fuzz(func(t *testing.T, text string) {
		got := clean(text)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, hidden) {
			t.Errorf("clean(%q) = %q, which can still steer a terminal", text, got)
		}
		if again := clean(got); again != got {
			t.Errorf("clean(%q) = %q, and cleaned again %q", text, got, again)
		}
	})
}

func TestNearest(t *testing.T) {
	names := []string{"image-read-only", "image-verified", "kube-reserved-set", "lockdown"}
	for _, row := range []struct{ word, want string }{
		{"imge-readonly", "image-read-only"},
		{"lockdwon", "lockdown"},
		{"kube-reserved", "kube-reserved-set"},
		{"selinux", ""},
	} {
		if got := nearest(row.word, names); got != row.want {
			t.Errorf("nearest(%q): got %q, want %q", row.word, got, row.want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, row := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"same", "same", 0}} {
		if got := distance(row.a, row.b); got != row.want {
			t.Errorf("distance(%q, %q): got %d, want %d", row.a, row.b, got, row.want)
		}
	}
}

func TestUTF8Locale(t *testing.T) {
	for _, row := range []struct {
		name, goos string
		env        []string
		want       bool
	}{
		{"nothing set is the C locale on Linux", "linux", nil, false},
		{"nothing set says nothing on Windows", "windows", nil, true},
		{"LANG alone", "linux", []string{"LANG=en_GB.UTF-8"}, true},
		{"spelled without a hyphen", "linux", []string{"LANG=C.utf8"}, true},
		{"LC_ALL wins over LANG", "linux", []string{"LANG=en_GB.UTF-8", "LC_ALL=C"}, false},
		{"LC_CTYPE wins over LANG", "darwin", []string{"LANG=C", "LC_CTYPE=UTF-8"}, true},
		{"Latin-1", "linux", []string{"LANG=de_DE.ISO-8859-1"}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			getenv := func(name string) string {
				i := slices.IndexFunc(row.env, func(e string) bool { return strings.HasPrefix(e, name+"=") })
				if i < 0 {
					return ""
				}
				return strings.TrimPrefix(row.env[i], name+"=")
			}
			if got := utf8Locale(row.goos, getenv); got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

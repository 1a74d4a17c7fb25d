package collector

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// ServeHTTP answers one request. What no route takes is answered in the
// language of who asks: JSON below /v1, a page elsewhere.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	if err := s.checkHost(r); err != nil {
		s.refuse(w, r, err)
		return
	}
	if _, pattern := s.mux.Handler(r); pattern != "" {
		s.mux.ServeHTTP(w, r)
		return
	}
	// The mux knows whether the path or the method is wrong.
	asked := &answered{header: http.Header{}}
	s.mux.ServeHTTP(asked, r)
	if allow := asked.header.Get("Allow"); allow != "" {
		w.Header().Set("Allow", allow)
		s.refuse(w, r, refusal(http.StatusMethodNotAllowed, "%s is answered to %s only", r.URL.Path, allow))
		return
	}
	s.refuse(w, r, refusal(http.StatusNotFound, "there is nothing at %s", r.URL.Path))
}

// answered keeps the header of an answer that is not sent.
type answered struct{ header http.Header }

func (a *answered) Header() http.Header         { return a.header }
func (a *answered) Write(b []byte) (int, error) { return len(b), nil }
func (a *answered) WriteHeader(int)             {}

// secure sets the headers of every answer. Pages load nothing from elsewhere,
// run nothing, are framed by nobody and kept by no cache.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// checkHost refuses, on a loopback address, a name that is not of this machine:
// a page elsewhere whose name was made to point here (DNS rebinding) could
// otherwise read the fleet through the browser of whoever looks at it.
func (s *Server) checkHost(r *http.Request) error {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if s.Remote && (local == nil || !isLoopback(local.String())) {
		return nil
	}
	if host := hostOf(r.Host); host == "localhost" || isLoopback(host) {
		return nil
	}
	return refusal(http.StatusMisdirectedRequest, "this collector is not called %s; use localhost or the loopback address", strconv.Quote(r.Host))
}

// hostOf is a host without port, brackets and final dot, in lower case.
func hostOf(s string) string {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	s = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	return strings.ToLower(strings.TrimSuffix(s, "."))
}

func isLoopback(address string) bool {
	ip, err := netip.ParseAddr(hostOf(address))
	return err == nil && ip.Unmap().IsLoopback()
}

// identify says which parts the caller may play. Identity is its own issue: the
// agent's token and a person's login will be read here. Until then whoever is
// on this machine may do all, and others only when they are let in.
func (s *Server) identify(r *http.Request) caller {
	if s.Remote || isLoopback(r.RemoteAddr) {
		return anyone | nodes | readers
	}
	return anyone
}

// guard runs the handler of a route for whom it is meant, and answers for it
// where it returns an error.
func (s *Server) guard(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rt.who&s.identify(r) == 0 {
			s.refuse(w, r, refusal(http.StatusForbidden, "this collector answers callers on its own machine only"))
			return
		}
		if err := rt.handle(s, w, r); err != nil {
			s.refuse(w, r, err)
		}
	})
}

// gone reports whether the caller went away before the answer.
func gone(r *http.Request, err error) bool {
	return errors.Is(err, context.Canceled) && r.Context().Err() != nil
}

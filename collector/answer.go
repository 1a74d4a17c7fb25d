package collector

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/seaworthy/seaworthy/collector/store"
	"github.com/seaworthy/seaworthy/node/wire"
)

// httpError is an answer that is not a success, and what the caller is told.
type httpError struct {
	status int
	wire.Refusal
}

func (e *httpError) Error() string { return e.Refusal.Error }

func refusal(status int, format string, args ...any) *httpError {
	return &httpError{status, wire.Refusal{Error: fmt.Sprintf(format, args...)}}
}

// retryAfter is how many seconds a caller should wait when it is the collector
// that cannot.
const retryAfter = "10"

// refuse is the one place where an error becomes an answer.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if gone(r, err) {
		return
	}
	var known *httpError
	var body *wire.BodyError
	switch {
	case errors.As(err, &known):
	case errors.As(err, &body):
		known = &httpError{http.StatusBadRequest, wire.Refusal{Error: body.Error(), Field: body.Field, Offset: body.Offset}}
	case errors.Is(err, store.ErrNoNode):
		known = refusal(http.StatusNotFound, "no node of this name has reported to this collector")
	default: // the database, as a rule: its path and state are for the log
		s.Log.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", err)
		known = refusal(http.StatusServiceUnavailable, "the collector cannot answer now; its log says why")
		w.Header().Set("Retry-After", retryAfter)
	}
	if machine(r.URL.Path) {
		_ = writeJSON(w, known.status, known.Refusal) // a caller that is gone needs no answer
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(known.status)
	if err := s.site.Problem(w, capital(known.Refusal.Error)+".", s.Now()); err != nil {
		s.Log.Debug("writing a page", "err", err)
	}
}

// machine reports whether programs ask for the path, not people.
func machine(path string) bool {
	return path == "/v1" || strings.HasPrefix(path, "/v1/") || path == "/healthz"
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a caller that is gone needs no answer
	return nil
}

package collector

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/seaworthy/seaworthy/node/wire"
)

// putReport takes one report and acknowledges it once it is durable.
func (s *Server) putReport(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	report, err := wire.Decode(body)
	if err != nil {
		return err
	}
	received := s.Now().UTC().Truncate(time.Millisecond)
	changed, err := s.Store.Put(r.Context(), report, received)
	if err != nil {
		return fmt.Errorf("storing the report of %s/%s: %w", report.Cluster, report.Node, err)
	}
	if changed {
		s.logChange(r, report)
	}
	return writeJSON(w, http.StatusOK, wire.Ack{Received: received})
}

// readBody reads a bounded JSON body. The media type is demanded because a page
// of another site can make a browser post text to this machine, but not JSON.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, refusal(http.StatusUnsupportedMediaType, "the body must be of the type application/json, not %q", r.Header.Get("Content-Type"))
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" {
		return nil, refusal(http.StatusUnsupportedMediaType, "the body must not be encoded, it is %q", encoding)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, wire.MaxReport))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, refusal(http.StatusRequestEntityTooLarge, "the body has more than %d bytes", large.Limit)
	case err != nil:
		return nil, refusal(http.StatusBadRequest, "the body ends after %d bytes: %v", len(body), err)
	}
	return body, nil
}

// logChange says what a node has become. The report is stored: whatever fails
// here is no reason not to acknowledge it.
func (s *Server) logChange(r *http.Request, report wire.Report) {
	detail, err := s.Store.Node(r.Context(), report.Cluster, report.Node)
	if err != nil {
		s.Log.Warn("node changed, and cannot be read back", "cluster", report.Cluster, "node", report.Node, "err", err)
		return
	}
	v := s.verdict(detail, s.Now())
	s.Log.Info("node changed", "cluster", report.Cluster, "node", report.Node, "profile", v.report.Profile.Name,
		"level", v.report.Level.Number, "fail", v.report.Summary.Fail, "unknown", v.report.Summary.Unknown, "states", len(detail.History))
}

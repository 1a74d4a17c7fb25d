package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Client sends reports to a collector.
type Client struct {
	URL  string       // of the collector: "http://127.0.0.1:8440"
	HTTP *http.Client // nil for one that gives up after half a minute
}

var defaultHTTP = &http.Client{Timeout: 30 * time.Second}

// maxAnswer is how much of an answer is read; an [Ack] has under 100 bytes.
const maxAnswer = 64 << 10

// SendError is why a report was not acknowledged.
type SendError struct {
	URL    string        // where it was sent
	Status int           // what the collector answered, 0 when there was no answer
	Reason string        // the collector's own words, where it gave any
	After  time.Duration // how long the collector asks to wait, 0 for no wish
	Err    error         // why there was no answer
	final  bool
}

func (e *SendError) Error() string {
	switch {
	case e.Status == 0 && e.Err != nil:
		return fmt.Sprintf("sending the report to %s: %v", e.URL, e.Err)
	case e.Reason == "":
		return fmt.Sprintf("sending the report to %s: it answered %d %s", e.URL, e.Status, http.StatusText(e.Status))
	}
	return fmt.Sprintf("sending the report to %s: it answered %d: %s", e.URL, e.Status, e.Reason)
}

func (e *SendError) Unwrap() error { return e.Err }

// Final reports whether sending the same report again would fail again.
func (e *SendError) Final() bool { return e.final }

// Send delivers one report and returns once the collector has made it durable.
// Every error is a [*SendError]. A redirect is not followed: facts go to the
// collector that was named and to no other.
func (c Client) Send(ctx context.Context, r Report) (Ack, error) {
	base, err := url.Parse(c.URL)
	if err != nil {
		return Ack{}, &SendError{URL: c.URL, Err: err, final: true}
	}
	if base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return Ack{}, &SendError{URL: c.URL, Err: errors.New("the address must begin with http:// or https:// and name a host"), final: true}
	}
	target := base.JoinPath(ReportsPath).String()
	body, err := json.Marshal(r)
	if err != nil {
		return Ack{}, &SendError{URL: target, Err: fmt.Errorf("encoding the report: %w", err), final: true}
	}
	if len(body) > MaxReport {
		return Ack{}, &SendError{URL: target, Err: fmt.Errorf("the report has %d bytes, a collector takes %d", len(body), MaxReport), final: true}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return Ack{}, &SendError{URL: target, Err: err, final: true}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")

	answer, err := c.client().Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) { // our own error names method and address
			err = wrapped.Err
		}
		return Ack{}, &SendError{URL: target, Err: err}
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if answer.StatusCode/100 != 2 {
		return Ack{}, refused(target, answer, text)
	}
	if err != nil {
		return Ack{}, &SendError{URL: target, Err: fmt.Errorf("reading the acknowledgement: %w", err)}
	}
	var ack Ack
	if err := json.Unmarshal(text, &ack); err != nil || ack.Received.IsZero() {
		return Ack{}, &SendError{URL: target, Status: answer.StatusCode, Reason: "not an acknowledgement; is this a collector? " + excerpt(text)}
	}
	return ack, nil
}

func (c Client) client() *http.Client {
	h := c.HTTP
	if h == nil {
		h = defaultHTTP
	}
	strict := *h
	strict.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &strict
}

func refused(target string, answer *http.Response, text []byte) *SendError {
	e := &SendError{URL: target, Status: answer.StatusCode}
	var said Refusal
	if err := json.Unmarshal(text, &said); err == nil && said.Error != "" {
		e.Reason = said.Error
	} else {
		e.Reason = excerpt(text)
	}
	if answer.StatusCode/100 == 3 {
		e.Reason = "it redirects to " + strconv.Quote(answer.Header.Get("Location")) + ", which is not followed"
	}
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && seconds > 0 && seconds <= 86400 {
		e.After = time.Duration(seconds) * time.Second
	}
	switch answer.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
	default:
		e.final = answer.StatusCode < 500
	}
	return e
}

// excerpt is the beginning of an answer that is not ours, fit for one line.
func excerpt(text []byte) string {
	const most = 200
	s := strings.Join(strings.Fields(strings.ToValidUTF8(string(text), "\uFFFD")), " ")
	if s == "" {
		return ""
	}
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strconv.Quote(s)
}

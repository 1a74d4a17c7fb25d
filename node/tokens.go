package node

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
)

// TokenVolume is a volume of a pod with a service account token in it.
type TokenVolume struct {
	Pod    string `json:"pod"`    // uid
	Kind   string `json:"kind"`   // "projected", or "secret" for a token that is stored in the cluster
	Volume string `json:"volume"` // its name
	File   string `json:"file"`   // of the token in the volume
	On     string `json:"on"`     // type of the file system: "tmpfs" is memory
	// Lifetime is "hour", "day", "month", "year" or "longer" for the time from
	// issue to expiry of at most that (and a minute), "never" for a token without
	// expiry, "unknown" where the token could not be read.
	Lifetime string `json:"lifetime"`
	// Extended is "yes" for a token that the API server made to last longer than
	// asked for, for clients that do not read it again, else "no" or "unknown".
	Extended string `json:"extended"`
	Bound    string `json:"bound"`    // "pod" (invalid once the pod is gone), "other", "none" or "unknown"
	Audience string `json:"audience"` // "api-server", "other", "none" or "unknown"
}

// ServiceAccountTokens are the tokens that pods of this node have been given.
// Source: kubelet volume folders (pkg/volume/projected, pkg/volume/secret);
// kubernetes.io, Managing Service Accounts; claims by pkg/serviceaccount/claims.go.
var ServiceAccountTokens = Source[[]TokenVolume]{
	Name:  "service-account-tokens",
	Doc:   "service account tokens in the volumes of pods: where, for how long and for whom; never the token",
	Scope: Node,
	Every: Hour,
	Read: func(_ context.Context, h *Host) ([]TokenVolume, []Gap, error) {
		mounts, err := h.gathering.mounts()
		if err != nil {
			return nil, nil, err
		}
		r := tokenReading{h: h, mounts: mounts, left: maxTokenVolumes}
		return r.read()
	},
}

const (
	maxTokenPods    = 2000
	maxPodVolumes   = 500 // of a pod
	maxVolumeFiles  = 200
	maxTokenVolumes = 20000
	maxToken        = 64 << 10
)

type tokenReading struct {
	h      *Host
	mounts *mountTable
	found  []TokenVolume
	gaps   []Gap
	left   int
}

func (r *tokenReading) read() ([]TokenVolume, []Gap, error) {
	k, err := r.h.gathering.kubelet()
	if err != nil {
		return nil, nil, err
	}
	root := cmp.Or(k.arg("root-dir"), "/var/lib/kubelet")
	if !path.IsAbs(root) {
		return nil, nil, &Error{"listing", root, Unsupported, "the kubelet's folder is relative to its working directory, which is not known"}
	}
	pods := path.Join(path.Clean(root)[1:], "pods")
	entries, err := r.h.ReadDir(pods, maxTokenPods)
	if err != nil && (!IsAbsent(err) || k.state.Found != "absent") {
		return nil, nil, err // a kubelet that runs has such a folder
	}
	volumes := tally{what: "volumes of pods"}
	for _, pod := range entries {
		for _, kind := range []string{"projected", "secret"} {
			r.readVolumes(&volumes, path.Join(pods, pod.Name, "volumes/kubernetes.io~"+kind), pod.Name, kind)
		}
	}
	r.gaps = append(r.gaps, volumes.gaps()...)
	slices.SortFunc(r.found, func(a, b TokenVolume) int {
		return cmp.Or(strings.Compare(a.Pod, b.Pod), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Volume, b.Volume), strings.Compare(a.File, b.File))
	})
	return r.found, r.gaps, nil
}

func (r *tokenReading) readVolumes(unread *tally, dir, pod, kind string) {
	volumes, err := r.h.ReadDir(dir, maxPodVolumes)
	if err != nil {
		if !IsAbsent(err) {
			unread.of++
			unread.add(0, err)
		}
		return
	}
	for _, v := range volumes {
		unread.of++
		if r.left--; r.left < 0 {
			unread.add(0, &Error{"listing", "/" + dir, TooLarge, fmt.Sprintf("stopped after %d volumes", maxTokenVolumes)})
			continue
		}
		files, err := r.h.ReadDir(path.Join(dir, v.Name), maxVolumeFiles)
		if IsAbsent(err) {
			continue // the pod is gone
		}
		if err != nil {
			unread.add(0, err)
			continue
		}
		for _, f := range files {
			// A projected token may go by any name; a stored one is called "token".
			if f.Type != Regular && f.Type != Symlink || f.Name == "..data" || kind == "secret" && f.Name != "token" || neverToken(f.Name) {
				continue
			}
			name := path.Join(dir, v.Name, f.Name)
			b, err := r.h.ReadSecret(name, maxToken, redactToken)
			if IsAbsent(err) || err != nil && codeOf(err) == TooLarge { // for a token
				continue
			}
			if err != nil {
				unread.add(0, err)
				continue
			}
			t, err := parseToken(b)
			if err != nil {
				unread.add(0, err)
				continue
			}
			if t.Token == "no" {
				continue
			}
			found := TokenVolume{
				Pod: pod, Kind: kind, Volume: quoteName(v.Name), File: quoteName(f.Name), On: "unknown",
				Lifetime: t.Lifetime, Extended: t.Extended, Bound: t.Bound, Audience: t.Audience,
			}
			if i := r.mounts.lookup("/" + name); i >= 0 {
				found.On = r.mounts.mounts[i].fstype
			}
			r.found = append(r.found, found)
		}
	}
}

// neverToken names files of projected volumes that are never opened: they are no
// token by what they are called.
func neverToken(name string) bool {
	return name == "ca.crt" || name == "namespace" || strings.HasSuffix(name, ".crt") || strings.HasSuffix(name, ".pem") || strings.HasSuffix(name, ".key")
}

// tokenClaims is what a token says of itself, in classes.
type tokenClaims struct {
	Token    string `json:"token"` // "yes", or "no" for what is no token of a service account
	Lifetime string `json:"lifetime,omitempty"`
	Extended string `json:"extended,omitempty"`
	Bound    string `json:"bound,omitempty"`
	Audience string `json:"audience,omitempty"`
}

// tokenWords are all words that may stand in a redacted token.
var tokenWords = map[string][]string{
	"token":    {"yes", "no"},
	"lifetime": {"", "hour", "day", "month", "year", "longer", "never", "unknown"},
	"extended": {"", "yes", "no", "unknown"},
	"bound":    {"", "pod", "other", "none", "unknown"},
	"audience": {"", "api-server", "other", "none", "unknown"},
}

// redactToken replaces a JSON Web Token by the classes of its claims, and
// anything else by the word that it is none.
func redactToken(b []byte) []byte {
	t, err := parseToken(b)
	if err != nil {
		t = claimsOf(b)
	}
	return []byte(compactJSON(t))
}

// parseToken parses what redactToken writes.
func parseToken(b []byte) (tokenClaims, error) {
	var t tokenClaims
	if err := strictJSON(b, &t); err != nil {
		return tokenClaims{}, fmt.Errorf("parsing the claims of a token: %w", err)
	}
	for name, word := range map[string]string{"token": t.Token, "lifetime": t.Lifetime, "extended": t.Extended, "bound": t.Bound, "audience": t.Audience} {
		if !slices.Contains(tokenWords[name], word) {
			return tokenClaims{}, fmt.Errorf("parsing the claims of a token: its %s is no known word", name)
		}
	}
	return t, nil
}

func claimsOf(b []byte) tokenClaims {
	parts := bytes.Split(bytes.TrimSpace(b), []byte("."))
	if len(parts) != 3 {
		return tokenClaims{Token: "no"}
	}
	payload, err := base64.RawURLEncoding.DecodeString(string(parts[1]))
	if err != nil {
		return tokenClaims{Token: "no"}
	}
	var c struct {
		Subject   string          `json:"sub"`
		Issued    float64         `json:"iat"`
		NotBefore float64         `json:"nbf"`
		Expires   *float64        `json:"exp"`
		Audience  json.RawMessage `json:"aud"`
		Private   *struct {
			WarnAfter float64         `json:"warnafter"`
			Pod       json.RawMessage `json:"pod"`
			Secret    json.RawMessage `json:"secret"`
			Node      json.RawMessage `json:"node"`
		} `json:"kubernetes.io"`
	}
	if err := json.Unmarshal(payload, &c); err != nil || !strings.HasPrefix(c.Subject, "system:serviceaccount:") {
		return tokenClaims{Token: "no"}
	}
	t := tokenClaims{Token: "yes", Lifetime: "never", Extended: "no", Bound: "none", Audience: audienceOf(c.Audience)}
	if c.Expires != nil {
		t.Lifetime = lifetimeOf(*c.Expires - max(c.Issued, c.NotBefore))
	}
	if p := c.Private; p != nil {
		switch {
		case p.Pod != nil:
			t.Bound = "pod"
		case p.Secret != nil || p.Node != nil:
			t.Bound = "other"
		}
		if p.WarnAfter > 0 {
			t.Extended = "yes"
		}
	}
	return t
}

// lifetimeOf classes a time in seconds. The kubelet asks for an hour and seven
// seconds, so that a minute on top counts as none.
func lifetimeOf(seconds float64) string {
	const hour = 3600
	switch limit := seconds - 60; {
	case limit <= hour:
		return "hour"
	case limit <= 24*hour:
		return "day"
	case limit <= 31*24*hour:
		return "month"
	case limit <= 366*24*hour:
		return "year"
	}
	return "longer"
}

// audienceOf tells the API server's own audiences from others.
func audienceOf(raw json.RawMessage) string {
	var many []string
	if json.Unmarshal(raw, &many) != nil {
		var one string
		if json.Unmarshal(raw, &one) == nil && one != "" {
			many = []string{one}
		}
	}
	if len(many) == 0 {
		return "none"
	}
	for _, a := range many {
		if strings.HasPrefix(a, "https://kubernetes.default.svc") || a == "api" || a == "k3s" || a == "rke2" || a == "kubernetes.default.svc" {
			return "api-server"
		}
	}
	return "other"
}

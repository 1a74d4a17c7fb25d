package node

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// kubeletSettings are the settings of a kubelet as its places add up.
type kubeletSettings struct {
	values     map[string]kubeletSetting
	overridden []KubeletOverride
	unknown    []string
}

// kubeletSetting is one setting and the places that it was put together from.
type kubeletSetting struct {
	value any
	from  []string
}

func newKubeletSettings() *kubeletSettings {
	return &kubeletSettings{values: map[string]kubeletSetting{}}
}

// mergeFile lays a configuration file over what is there, as the kubelet lays
// its drop-ins: RFC 7396, so that maps are merged, null takes a setting away, and
// lists and all else are replaced. Source: cmd/kubelet/app/server.go,
// mergeKubeletConfigurations.
func (s *kubeletSettings) mergeFile(config map[string]any, from string) error {
	return s.mergeGroup("", config, from)
}

func (s *kubeletSettings) mergeGroup(prefix string, group map[string]any, from string) error {
	for _, name := range slices.Sorted(maps.Keys(group)) {
		key, value := prefix+name, group[name]
		if prefix == "" && (key == "apiVersion" || key == "kind") {
			continue
		}
		if isKubeletGroup(key) {
			inner, isMap := value.(map[string]any)
			switch {
			case value == nil:
				s.remove(key)
			case !isMap:
				return fmt.Errorf("parsing %s: %s is no map but %s", from, key, compactJSON(value))
			default:
				if err := s.mergeGroup(key+".", inner, from); err != nil {
					return err
				}
			}
			continue
		}
		if !isKubeletKey(key) {
			s.unknown = append(s.unknown, key+", "+from)
		}
		if value == nil {
			s.remove(key)
			continue
		}
		s.mergeValue(key, value, from)
	}
	return nil
}

// mergeValue sets key to value, or to both where both are maps.
func (s *kubeletSettings) mergeValue(key string, value any, from string) {
	value = withoutNode(key, value)
	old := s.values[key]
	oldMap, wasMap := old.value.(map[string]any)
	newMap, isMap := value.(map[string]any)
	if isMap && !wasMap {
		value, _ = mergePatch(nil, newMap)
	}
	if !isMap || !wasMap {
		s.set(key, value, []string{from})
		return
	}
	merged, changed := mergePatch(oldMap, newMap)
	if changed {
		s.lose(key, old)
	}
	s.values[key] = kubeletSetting{merged, append(slices.Clone(old.from), from)}
}

func (s *kubeletSettings) set(key string, value any, from []string) {
	if old, had := s.values[key]; had {
		s.lose(key, old)
	}
	s.values[key] = kubeletSetting{value, from}
}

// remove takes key, or all that a group holds, away.
func (s *kubeletSettings) remove(key string) {
	for _, k := range slices.Sorted(maps.Keys(s.values)) {
		if k == key || strings.HasPrefix(k, key+".") {
			s.lose(k, s.values[k])
			delete(s.values, k)
		}
	}
}

func (s *kubeletSettings) lose(key string, old kubeletSetting) {
	s.overridden = append(s.overridden, KubeletOverride{key, compactJSON(old.value), strings.Join(old.from, ", ")})
}

// mergeArgs lays the arguments over the files. An argument replaces a setting as
// a whole, maps too, except for feature gates, which are added to those of the
// files, and for --seccomp-default, which can only turn it on.
// Source: cmd/kubelet/app/server.go, kubeletConfigFlagPrecedence.
// An argument that cannot be read is returned as an error and left out.
func (s *kubeletSettings) mergeArgs(args []kubeletArg) (errs []error) {
	given := map[string]kubeletSetting{}
	for _, a := range args {
		flag, known := lookupKubeletFlag(a.name)
		if !known || flag.key == "" {
			continue
		}
		value, err := flagValue(flag.kind, a.value, given[flag.key].value)
		if err != nil {
			errs = append(errs, fmt.Errorf("parsing %s: %w", a.from(), err))
			continue
		}
		from := given[flag.key].from
		if !slices.Contains(from, a.from()) {
			from = append(slices.Clone(from), a.from())
		}
		if _, isMap := value.(map[string]any); !isMap && flag.kind != flagList {
			from = []string{a.from()} // the last one wins
		}
		given[flag.key] = kubeletSetting{withoutNode(flag.key, value), from}
	}
	for _, key := range slices.Sorted(maps.Keys(given)) {
		g := given[key]
		old, had := s.values[key]
		switch {
		case had && key == "featureGates":
			gates, isMap := old.value.(map[string]any)
			if !isMap {
				s.set(key, g.value, g.from)
				continue
			}
			merged, changed := mergePatch(gates, g.value.(map[string]any))
			if changed {
				s.lose(key, old)
			}
			s.values[key] = kubeletSetting{merged, slices.Concat(old.from, g.from)}
		case had && key == "seccompDefault" && g.value == false:
		default:
			s.set(key, g.value, g.from)
		}
	}
	return errs
}

// mergePatch is RFC 7396 on maps; changed says whether something of old was lost.
func mergePatch(old, patch map[string]any) (merged map[string]any, changed bool) {
	merged = map[string]any{}
	maps.Copy(merged, old)
	for k, v := range patch {
		was, had := merged[k]
		if v == nil {
			delete(merged, k)
			changed = changed || had
			continue
		}
		wasMap, wasOne := was.(map[string]any)
		if inner, isMap := v.(map[string]any); isMap {
			m, c := mergePatch(wasMap, inner)
			merged[k], changed = m, changed || c || had && !wasOne
			continue
		}
		changed = changed || had && compactJSON(was) != compactJSON(v)
		merged[k] = v
	}
	return merged, changed
}

// compactJSON is v in one line, map keys sorted.
func compactJSON(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprintf("%q", err.Error())
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// parseKubeletConfig reads a KubeletConfiguration of the only version there is,
// in YAML or JSON. Unknown keys are kept.
func parseKubeletConfig(b []byte) (map[string]any, error) {
	config, err := parseYAMLMap(b)
	if err != nil {
		return nil, err
	}
	version, kind := config["apiVersion"], config["kind"]
	if version != "kubelet.config.k8s.io/v1beta1" || kind != "KubeletConfiguration" {
		return nil, fmt.Errorf("parsing kubelet configuration: apiVersion %s and kind %s are not those of kubelet.config.k8s.io/v1beta1", compactJSON(version), compactJSON(kind))
	}
	return config, nil
}

// parseYAMLMap reads a map in YAML or JSON. JSON is tried first where it may be
// one, so that its numbers stay as they are written.
func parseYAMLMap(b []byte) (map[string]any, error) {
	if bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("{")) {
		if v, err := parseJSON(b); err == nil {
			return asMap(v)
		}
	}
	j, err := yaml.YAMLToJSON(b)
	if err != nil {
		return nil, fmt.Errorf("parsing YAML: %w", err)
	}
	v, err := parseJSON(j)
	if err != nil {
		return nil, err
	}
	return asMap(v)
}

func parseJSON(b []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("parsing JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("parsing JSON: something follows the value at byte %d", d.InputOffset())
	}
	return v, nil
}

func asMap(v any) (map[string]any, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("parsing configuration: it is no map but begins with %.40q", compactJSON(v))
	}
	return m, nil
}

// redactKubeletConfig takes out of a kubelet configuration what may be a token:
// the values of staticPodURLHeader and all but the place of staticPodURL.
func redactKubeletConfig(b []byte) []byte {
	const header, address = "staticPodURLHeader", "staticPodURL"
	config, err := parseYAMLMap(b)
	if err != nil {
		if bytes.Contains(b, []byte(address)) || bytes.Contains(b, []byte(`\`)) {
			// It is refused afterwards in any case, so the text need not leave.
			return []byte("[" + redacted + "]")
		}
		return b
	}
	if config[header] == nil && config[address] == nil {
		return b
	}
	switch headers := config[header].(type) {
	case nil:
	case map[string]any:
		for name := range headers {
			headers[name] = []any{redacted}
		}
	default:
		config[header] = redacted
	}
	switch u := config[address].(type) {
	case nil:
	case string:
		config[address] = withoutSecretURL(u)
	default:
		config[address] = redactedURL
	}
	return []byte(compactJSON(config))
}

package node

import (
	"context"
	"path"
	"strings"
)

// StaticPodState is where the kubelet looks for pods that no API server sent.
type StaticPodState struct {
	// Folder is what staticPodPath names, a folder or one file; its Path is ""
	// where none is named.
	Folder KubeletFile `json:"folder"`
	// Manifests are the files from which the kubelet makes pods, sorted by path.
	Manifests []KubeletFile `json:"manifests"`
}

const maxManifests = 1000

// StaticPods are the pods that a file on the node makes, without anybody's leave.
var StaticPods = Source[StaticPodState]{
	Name:  "static-pods",
	Doc:   "the folder that the kubelet makes pods from, and the files in it by name, mode and owner",
	Scope: Cohort,
	Every: Hour,
	Read: func(_ context.Context, h *Host) (StaticPodState, []Gap, error) {
		k, err := h.gathering.kubelet()
		if err != nil {
			return StaticPodState{}, nil, err
		}
		return readStaticPods(h, k)
	},
}

// readStaticPods lists what the kubelet would read: files of the folder itself
// that do not begin with a dot. A folder that is not there is an empty one to it.
// Source: pkg/kubelet/config/file.go and file_linux.go.
func readStaticPods(h *Host, k *kubeletReading) (StaticPodState, []Gap, error) {
	v := StaticPodState{Manifests: []KubeletFile{}}
	var gaps []Gap
	if len(k.gaps) > 0 {
		gaps = append(gaps, Gap{What: "the kubelet's settings", Code: k.gaps[0].Code, Reason: k.gaps[0].Reason})
	}
	name := k.place("staticPodPath")
	if name == "" {
		return v, gaps, nil
	}
	if !path.IsAbs(name) {
		v.Folder = KubeletFile{Role: "static-pods", Path: name, Found: "unknown"}
		return v, append(gaps, GapOf("static pods", &Error{"listing", name, Unsupported, "the path is relative to the kubelet's working directory, which is not known"})), nil
	}
	dir := strings.TrimPrefix(path.Clean(name), "/")
	v.Folder, _ = kubeletFile(h, "static-pods", "/"+dir)
	info, err := h.Stat(dir)
	if IsAbsent(err) {
		return v, gaps, nil
	}
	if err != nil {
		return v, append(gaps, GapOf("static pods", err)), nil
	}
	if info.Type != Directory {
		f, _ := kubeletFile(h, "manifest", "/"+dir)
		v.Manifests = append(v.Manifests, f)
		return v, gaps, nil
	}
	entries, err := h.ReadDir(dir, maxManifests)
	if err != nil {
		return v, append(gaps, GapOf("static pods", err)), nil
	}
	for _, e := range entries {
		if e.Type == Directory || strings.HasPrefix(e.Name, ".") {
			continue
		}
		f, err := kubeletFile(h, "manifest", path.Join("/"+dir, e.Name))
		f.Path = quoteName(f.Path)
		v.Manifests = append(v.Manifests, f)
		if err != nil && !IsAbsent(err) {
			gaps = append(gaps, GapOf("static pods", err))
		}
	}
	return v, gaps, nil
}

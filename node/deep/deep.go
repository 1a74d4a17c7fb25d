// Package deep reads the verified image of a node again, whole and from below
// what checks it on read, and hashes it itself: every block of a dm-verity tree
// up to its root hash, and every file with fs-verity. It writes nothing, and reads
// as much as the image is large: only where somebody asked for it.
package deep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/seaworthy/seaworthy/node"
)

// Options say how the reading is done.
type Options struct {
	// Limit is how many bytes are read in a second at most; 0 for as many as can be.
	Limit int64
	// Progress is told, of each device and folder, how many bytes of how many were
	// read; total is 0 where nobody knows. It is called often, from one goroutine.
	Progress func(what string, done, total int64)
}

// Ask makes questions about the content of the image of the host, whose / is at
// root, go to this package. All others go where they went. What is still being
// read when ctx ends is left. A host without a kernel to ask has no disk to read
// either, and stays as it is.
func Ask(ctx context.Context, h *node.Host, root string, options Options) {
	if h.Kernel != nil {
		h.Kernel = &asking{h.Kernel, ctx, h.FS, root, options, objects{}}
	}
}

type asking struct {
	node.KernelAPI
	ctx     context.Context // a question has none, and this one takes minutes
	fs      node.FS
	root    string
	options Options
	objects objects
}

// Ask answers what is asked of the image, or leaves the question to the kernel.
func (a *asking) Ask(q node.Question) (json.RawMessage, error) {
	var answer any
	var err error
	switch q.Kind {
	case node.AskDeep:
		answer = node.DeepAsked{Asked: "yes"}
	case node.AskDeepVerity:
		answer, err = a.device(q.Of)
	case node.AskDeepFiles:
		answer, err = a.files(q.Of)
	default:
		return a.KernelAPI.Ask(q)
	}
	if err == nil {
		var b []byte
		if b, err = json.Marshal(answer); err == nil {
			return b, nil
		}
	}
	e := &node.Error{Op: "reading again", Name: q.Name(), Code: node.Failed, Detail: err.Error()}
	var own *node.Error
	switch {
	case a.ctx.Err() != nil:
		e.Code, e.Detail = node.Blocked, "it was interrupted"
	case errors.As(err, &own):
		e.Code, e.Detail = own.Code, own.Error()
	case errors.Is(err, errUnsupported):
		e.Code = node.Unsupported
	}
	return nil, e
}

// device proves the active table of the device-mapper device of this name.
func (a *asking) device(name string) (node.DeepDevice, error) {
	var none node.DeepDevice
	b, err := a.KernelAPI.Ask(node.Question{Kind: node.AskDM})
	if err != nil {
		return none, err
	}
	var tables []node.DMTable
	if err := json.Unmarshal(b, &tables); err != nil {
		return none, err
	}
	for _, t := range tables {
		if t.Name != name {
			continue
		}
		if len(t.Targets) != 1 || t.Targets[0].Type != "verity" {
			return none, fmt.Errorf("its table is not one verity target")
		}
		v, err := node.ParseVerity(t.Targets[0].Params)
		if err != nil {
			return none, err
		}
		data, err := a.openDevice(v.Data)
		if err != nil {
			return none, err
		}
		defer data.Close()
		hash := data
		if v.Hash != v.Data {
			if hash, err = a.openDevice(v.Hash); err != nil {
				return none, err
			}
			defer hash.Close()
		}
		return Prove(a.ctx, *v, data, hash, a.options.named(name))
	}
	return none, &node.Error{Op: "looking for", Name: name, Code: node.Absent, Detail: "no device-mapper device has this name"}
}

// named is the options with a progress that is about what.
func (o Options) named(what string) Options {
	if tell := o.Progress; tell != nil {
		o.Progress = func(_ string, done, total int64) { tell(what, done, total) }
	}
	return o
}

// Package systemd asks systemd through D-Bus what it has loaded. Whoever can
// speak on that bus as root has power over the host: an installation asks only
// where it was told to, and of all that the bus offers nothing is called but what
// lists units and reads their properties.
package systemd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	systemd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"

	"github.com/seaworthy/seaworthy/node"
)

const (
	// socket is the system bus: the D-Bus specification, "Well-known Message Buses",
	// which systemd has below /run.
	socket = "run/dbus/system_bus_socket"
	// limit is shorter than what a source may take.
	limit    = node.Deadline - 2*time.Second
	maxUnits = 20000
)

// Ask makes questions about units of the host, whose / is at root, go to its
// systemd. All others go where they went. A host without a kernel to ask has no
// systemd either, and stays as it is.
func Ask(h *node.Host, root string) {
	if h.Kernel == nil {
		return
	}
	h.Kernel = &asking{h.Kernel, h.FS, strings.TrimSuffix(root, "/") + "/" + socket}
}

type asking struct {
	node.KernelAPI
	fs   node.FS
	path string
}

// Ask answers for systemd, or leaves the question to the kernel.
func (a *asking) Ask(q node.Question) (json.RawMessage, error) {
	if q.Kind != node.AskSystemd {
		return a.KernelAPI.Ask(q)
	}
	if err := a.plain(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	units, err := a.units(ctx)
	if err != nil {
		return nil, refusal(ctx, err)
	}
	b, err := json.Marshal(node.SystemdUnits{Asked: "yes", Units: units})
	if err != nil {
		return nil, refusal(ctx, err)
	}
	return b, nil
}

// plain makes sure that the name of the socket leads to no other one: it would be
// opened, and a container runtime's must never be.
func (a *asking) plain() error {
	for at, want := range map[string]node.FileType{"run": node.Directory, "run/dbus": node.Directory, socket: node.Socket} {
		info, err := a.fs.Lstat(at)
		if err != nil {
			return err
		}
		if info.Type != want {
			return &node.Error{Op: "asking", Name: question, Code: node.Failed, Detail: fmt.Sprintf("/%s is a %s and no %s", at, info.Type, want)}
		}
	}
	return nil
}

const question = "systemd for its units"

// refusal words what went wrong without what differs from one time to the next:
// the name of a connection stands in errors of the bus.
func refusal(ctx context.Context, err error) *node.Error {
	e := &node.Error{Op: "asking", Name: question, Code: node.Failed, Detail: err.Error()}
	var refused dbus.Error
	switch {
	case ctx.Err() != nil:
		e.Code, e.Detail = node.Blocked, "the bus has not answered in "+limit.String()
	case errors.Is(err, os.ErrPermission):
		e.Code, e.Detail = node.Denied, ""
	case errors.As(err, &refused):
		e.Detail = refused.Name
		if refused.Name == "org.freedesktop.DBus.Error.AccessDenied" {
			e.Code, e.Detail = node.Denied, ""
		}
	}
	return e
}

func (a *asking) dial(ctx context.Context) (*dbus.Conn, error) {
	conn, err := dbus.Dial("unix:path="+dbus.EscapeBusAddressValue(a.path), dbus.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	if err := conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Getuid()))}); err != nil {
		conn.Close()
		return nil, err
	}
	if err := conn.Hello(); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func (a *asking) units(ctx context.Context) ([]node.LoadedUnit, error) {
	conn, err := systemd.NewConnection(func() (*dbus.Conn, error) { return a.dial(ctx) })
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	list, err := conn.ListUnitsContext(ctx)
	switch {
	case err != nil:
		return nil, err
	case len(list) == 0:
		return nil, errors.New("it says that it has loaded nothing")
	case len(list) > maxUnits:
		return nil, fmt.Errorf("it has loaded more than %d units", maxUnits)
	}
	units := []node.LoadedUnit{}
	for _, status := range list {
		if status.LoadState != "loaded" && status.LoadState != "masked" {
			continue // wanted by another, and there is no such unit
		}
		u, err := unit(ctx, conn, status.Name)
		if err != nil {
			return nil, err
		}
		if u.Outside() {
			units = append(units, u)
		}
	}
	return units, nil
}

// unit reads what the fact has of one unit. Of one that is all the vendor's it
// does not ask what it starts. Source: org.freedesktop.systemd1(5).
func unit(ctx context.Context, conn *systemd.Conn, name string) (node.LoadedUnit, error) {
	u := node.LoadedUnit{Name: name, DropIns: []string{}, Starts: []string{}}
	get := func(kind, property string, into any) error {
		p, err := conn.GetUnitTypePropertyContext(ctx, name, kind, property)
		if err != nil {
			return err
		}
		// Store alone would take a number for a character.
		if got, want := p.Value.Signature(), dbus.SignatureOfType(reflect.TypeOf(into).Elem()); got != want {
			return fmt.Errorf("reading %s of %q: it is of type %s, not %s", property, name, got, want)
		}
		return p.Value.Store(into)
	}
	if err := get("Unit", "FragmentPath", &u.Fragment); err != nil {
		return u, err
	}
	if err := get("Unit", "DropInPaths", &u.DropIns); err != nil {
		return u, err
	}
	if !u.Outside() {
		return u, nil
	}
	if err := get("Unit", "UnitFileState", &u.State); err != nil {
		return u, err
	}
	if err := get("Unit", "NeedDaemonReload", &u.Stale); err != nil {
		return u, err
	}
	for suffix, kind := range map[string]string{".service": "Service", ".socket": "Socket"} {
		if !strings.HasSuffix(name, suffix) {
			continue
		}
		for _, property := range commands[kind] {
			var list []command
			if err := get(kind, property, &list); err != nil {
				return u, err
			}
			for _, c := range list {
				u.Starts = append(u.Starts, c.Path)
			}
		}
	}
	slices.Sort(u.Starts)
	u.Starts = slices.Compact(u.Starts)
	return u, nil
}

// commands are the properties that hold commands.
var commands = map[string][]string{
	"Service": {"ExecCondition", "ExecReload", "ExecStart", "ExecStartPost", "ExecStartPre", "ExecStop", "ExecStopPost"},
	"Socket":  {"ExecStartPost", "ExecStartPre", "ExecStopPost", "ExecStopPre"},
}

// command is an entry of such a property, a(sasbttttuii). Nothing but the path is
// kept: arguments hold secrets.
type command struct {
	Path                                             string
	Arguments                                        []string
	Ignore                                           bool
	Started, StartedMonotonic, Ended, EndedMonotonic uint64
	PID                                              uint32
	Code, Status                                     int32
}

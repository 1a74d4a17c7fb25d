package collector

import (
	"net/http"

	"github.com/seaworthy/seaworthy/collector/web"
	"github.com/seaworthy/seaworthy/node/wire"
)

// routes is the whole surface of the collector.
var routes = []route{
	{"POST " + wire.ReportsPath, nodes, (*Server).putReport},
	{"GET /v1/nodes", readers, (*Server).listNodes},
	{"GET /v1/nodes/{cluster}/{name}", readers, (*Server).getNode},
	{"GET /{$}", readers, (*Server).fleetPage},
	{"GET /nodes/{cluster}/{name}", readers, (*Server).nodePage},
	{"GET /checks", readers, (*Server).checksPage},
	{"GET /checks/{id}", readers, (*Server).checkPage},
	{"GET " + web.StylePath, anyone, (*Server).style},
	{"GET " + web.IconPath, anyone, (*Server).icon},
	{"GET /healthz", anyone, (*Server).health},
}

type route struct {
	pattern string
	who     caller // may call it
	handle  func(*Server, http.ResponseWriter, *http.Request) error
}

// caller is a set of parts that whoever calls may play. The zero caller is
// nobody, so a route without one answers 403.
type caller uint

const (
	anyone  caller = 1 << iota // who may only know that a collector is here
	nodes                      // may report
	readers                    // may read what was reported
)

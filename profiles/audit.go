package profiles

// Audit is what such a system has of clocks and logs.
type Audit struct {
	// TimeKeeper says what of the system itself keeps the time where no daemon of
	// its own does; "" where there is none.
	TimeKeeper string `json:"timeKeeper"`
	// Shippers take the logs to another machine, Sensors record what happens on
	// this one: the path of a host program, or "container:NAME".
	Shippers []Place `json:"shippers"`
	Sensors  []Place `json:"sensors"`
	// NoAuditd says why the system comes without auditd.
	NoAuditd string `json:"noAuditd"`
}

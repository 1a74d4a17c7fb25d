//go:build linux

package lab

// tasks are what a guest can be asked for beside reports and attacks.
var tasks = map[string]func(g *InGuest, arg string) error{
	"confined":        reportConfined,
	"deep":            deep,
	"frozen":          frozen,
	"harmless":        harmless,
	"storm":           storm,
	"stuck":           stuck,
	"mount-variables": mountVariables,
	"save-firmware":   saveFirmware,
}

// toolStages are what the guest program does when it is started as a tool.
var toolStages = map[string]func(args []string){
	"arguments-elsewhere": argumentsElsewhere,
	"frozen-apart":        frozenElsewhere,
	"held-memory":         heldMemory,
	"idle":                idle,
	"storm-mounts":        stormMounts,
	"storm-processes":     stormProcesses,
}

package node

// Sources lists every source, in the order in which [Gather] reads them.
// Mounts come first: what they say decides what is touched afterwards.
func Sources() []AnySource {
	return []AnySource{
		Mounts,
		Identity,
		OS,
		Boot,
		Kernel,
		Verity,
		ImageDeployment,
		Sysctls,
		MountNamespaces,
		Processes,
		RuntimeSockets,
		Listeners,
		SocketHolders,
		Kubelet,
		Reservation,
		ReservationUse,
		PassingMounts,
		// extensions and changes of the image
		// boot and kernel
		// kubelet's port and certificate
		// containers and runtime configuration
		// agents
		// inventory of executables
		// executable mappings
		// persistence
		Units,
		LoadedUnits,
		Startup,
		BPF,
		// credentials
		// access
		// clock and logs
	}
}

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
		Containers,
		RuntimeConfig,
		Agents,
		AgentCosts,
		// inventory of executables
		// executable mappings
		// persistence
		// credentials
		// access
		// clock and logs
	}
}

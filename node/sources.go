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
		StaticPods,
		KubeletUnit,
		// kubelet's port and certificate
		KubeletServing,
		// containers and runtime configuration
		// agents
		// inventory of executables
		// executable mappings
		// persistence
		ControlPlane,
		Credentials,
		ServiceAccountTokens,
		SecretEnvironment,
		// access
		LoginServices,
		SSH,
		Accounts,
		Consoles,
		Sessions,
		Management,
		Removable,
		Swaps,
		// clock and logs
		ClockSync,
		Logs,
		LogPrograms,
	}
}

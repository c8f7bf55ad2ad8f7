//! The capability to switch the guest off.

/// What is to become of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownMode {
    /// Stop the processor and leave the power on.
    Halt,
    /// Switch the power off.
    Powerdown,
    /// Start again.
    Reboot,
}

/// Power management.
pub trait Power {
    /// Asks for a shutdown.
    ///
    /// This must only note the mode. The replies to earlier requests may not have left the guest
    /// yet; the embedding's loop carries the shutdown out once
    /// [`Agent::pending`](crate::Agent::pending) is empty, or when the host does not take them in
    /// reasonable time.
    ///
    /// # Errors
    ///
    /// [`PowerError::Unsupported`] where the guest has no way to do this.
    fn shutdown(&mut self, mode: ShutdownMode) -> Result<(), PowerError>;
}

/// Why a guest cannot be shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerError {
    /// There is no way to do this.
    Unsupported,
}

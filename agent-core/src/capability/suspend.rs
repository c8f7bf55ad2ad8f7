//! The capability to suspend the guest.

/// Suspending.
pub trait Suspend {
    /// Whether the guest can be suspended in this way and will wake up again. Every request asks, and
    /// the answer stays.
    fn supports(&mut self, mode: SuspendMode) -> bool;

    /// Asks for it.
    ///
    /// Like a [shutdown](crate::Power::shutdown) this must only note the mode, and the embedding's
    /// loop carries it out once the replies to earlier requests have left the guest.
    ///
    /// # Errors
    ///
    /// [`SuspendError::Unsupported`] where the guest turns out not to be able to.
    fn suspend(&mut self, mode: SuspendMode) -> Result<(), SuspendError>;
}

/// Where the guest is kept while it sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuspendMode {
    /// On the disk, with the power off (ACPI S4).
    Disk,
    /// In memory and on the disk.
    Hybrid,
    /// In memory (ACPI S3).
    Ram,
}

/// Why a guest is not suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuspendError {
    /// It cannot be suspended in this way.
    Unsupported,
}

//! The capability to list processors, and to take them off and on line.

use super::Errno;

/// The logical processors of a guest.
pub trait Processors {
    /// Shows every processor to `visit`.
    ///
    /// # Errors
    ///
    /// Why they cannot be listed.
    fn list(&mut self, visit: &mut dyn FnMut(&Processor)) -> Result<(), Errno>;

    /// Has a processor run, or stop. One that already does is a success.
    ///
    /// # Errors
    ///
    /// The processor does not exist, must run, or does not do it.
    fn set_online(&mut self, logical_id: i64, online: bool) -> Result<(), ProcessorError>;
}

/// A logical processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Processor {
    /// The number that it is known by.
    pub logical_id: i64,
    /// Whether it runs.
    pub online: bool,
    /// Whether it can be taken off line.
    pub can_offline: bool,
}

/// Why a processor was not taken off or on line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessorError {
    /// There is none of this number, or it cannot be looked at.
    NotFound(Errno),
    /// It must run, like the one that the agent itself runs on.
    MustRun,
    /// It did not do what it was told.
    Failed(Errno),
}

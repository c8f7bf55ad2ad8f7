//! Capabilities: what a guest may be able to do, one small trait each.
//!
//! Traits and plain values only. A [`Board`] has some of them; the commands that need one it lacks
//! do not exist for its clients.

mod clock;
mod files;
mod filesystems;
mod power;

pub use clock::{Clock, ClockError, UnixNanos};
pub use files::{Errno, Extent, Files, Handle, Handles, OpenMode};
pub use filesystems::{
    DiskAddress, Filesystem, Filesystems, FreezeError, PciAddress, Trim, TrimError, Trimmed,
};
pub use power::{Power, PowerError, ShutdownMode};

/// A guest, as the set of its capabilities.
///
/// Every method answers "none" unless it is overridden, so a guest's author writes one line for
/// each capability that it has, and what it lacks costs nothing: the commands that need it are not
/// linked. The answer may be found out at run time, for instance from the hardware, but a
/// capability that was there must stay.
///
/// ```
/// use agent_core::{Board, Clock, ClockError, UnixNanos};
///
/// struct Uptime(i64);
///
/// impl Clock for Uptime {
///     fn now(&mut self) -> Result<UnixNanos, ClockError> {
///         Ok(UnixNanos(self.0))
///     }
///     fn set(&mut self, time: UnixNanos) -> Result<(), ClockError> {
///         self.0 = time.0;
///         Ok(())
///     }
///     fn set_from_rtc(&mut self) -> Result<(), ClockError> {
///         Err(ClockError::Hardware)
///     }
/// }
///
/// struct Appliance {
///     clock: Uptime,
/// }
///
/// impl Board for Appliance {
///     fn clock(&mut self) -> Option<&mut dyn Clock> {
///         Some(&mut self.clock)
///     }
/// }
/// ```
pub trait Board {
    /// The guest's wall clock: `guest-get-time`, `guest-set-time`.
    fn clock(&mut self) -> Option<&mut dyn Clock> {
        None
    }

    /// Files: `guest-file-*`.
    fn files(&mut self) -> Option<&mut dyn Files> {
        None
    }

    /// File systems: `guest-get-fsinfo`, `guest-fsfreeze-*`, `guest-fstrim`.
    fn filesystems(&mut self) -> Option<&mut dyn Filesystems> {
        None
    }

    /// Switching the guest off: `guest-shutdown`.
    fn power(&mut self) -> Option<&mut dyn Power> {
        None
    }
}

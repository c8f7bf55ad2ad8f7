//! Capabilities: what a guest may be able to do, one small trait each.
//!
//! Traits and plain values only. A [`Board`] has some of them; the commands that need one it lacks
//! do not exist for its clients.

mod authorized_keys;
mod clock;
mod devices;
mod disks;
mod files;
mod filesystems;
mod identity;
mod memory;
mod network;
mod passwords;
mod power;
mod processors;
mod programs;
mod suspend;
mod usage;

pub use authorized_keys::{AuthorizedKeys, KeysError};
pub use clock::{Clock, ClockError, UnixNanos};
pub use devices::{Device, Devices, PciId};
pub use disks::{Disk, DiskStatistics, Disks, Transfers};
pub use files::{Errno, Extent, Files, Handle, Handles, OpenMode};
pub use filesystems::{
    DiskAddress, Filesystem, Filesystems, FreezeError, PciAddress, Trim, TrimError, Trimmed,
};
pub use identity::{Identity, OsInfo, Timezone, User};
pub use memory::{Memory, MemoryBlock, MemoryBlockError};
pub use network::{Interface, InterfaceAddress, InterfaceStatistics, Network, Route, RouteDetails};
pub use passwords::{Password, Passwords};
pub use power::{Power, PowerError, ShutdownMode};
pub use processors::{Processor, ProcessorError, Processors};
pub use programs::{Capture, End, Input, Invocation, Kept, Pid, ProgramStatus, Programs, Stream};
pub use suspend::{Suspend, SuspendError, SuspendMode};
pub use usage::{LoadAverage, ProcessorTimes, Usage};

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
    /// Who may log in by SSH: `guest-ssh-*`.
    fn authorized_keys(&mut self) -> Option<&mut dyn AuthorizedKeys> {
        None
    }

    /// The guest's wall clock: `guest-get-time`, `guest-set-time`.
    fn clock(&mut self) -> Option<&mut dyn Clock> {
        None
    }

    /// Devices and their drivers: `guest-get-devices`.
    fn devices(&mut self) -> Option<&mut dyn Devices> {
        None
    }

    /// Disks: `guest-get-disks`, `guest-get-diskstats`.
    fn disks(&mut self) -> Option<&mut dyn Disks> {
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

    /// What the guest is: `guest-get-host-name`, `-osinfo`, `-timezone`, `-users`; and where there
    /// are no file systems, that there are none: `guest-get-fsinfo`.
    fn identity(&mut self) -> Option<&mut dyn Identity> {
        None
    }

    /// Memory blocks: `guest-get-memory-blocks`, `guest-get-memory-block-info`,
    /// `guest-set-memory-blocks`.
    fn memory(&mut self) -> Option<&mut dyn Memory> {
        None
    }

    /// The network: `guest-network-get-interfaces`, `guest-network-get-route`.
    fn network(&mut self) -> Option<&mut dyn Network> {
        None
    }

    /// Passwords: `guest-set-user-password`.
    fn passwords(&mut self) -> Option<&mut dyn Passwords> {
        None
    }

    /// Switching the guest off: `guest-shutdown`.
    fn power(&mut self) -> Option<&mut dyn Power> {
        None
    }

    /// Processors: `guest-get-vcpus`, `guest-set-vcpus`.
    fn processors(&mut self) -> Option<&mut dyn Processors> {
        None
    }

    /// Programs that the host may run: `guest-exec`, `guest-exec-status`.
    fn programs(&mut self) -> Option<&mut dyn Programs> {
        None
    }

    /// Suspending: those of `guest-suspend-ram`, `-disk` and `-hybrid` that it supports.
    fn suspend(&mut self) -> Option<&mut dyn Suspend> {
        None
    }

    /// How busy the guest is: `guest-get-cpustats`, `guest-get-load`.
    fn usage(&mut self) -> Option<&mut dyn Usage> {
        None
    }
}

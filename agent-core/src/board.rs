//! The board: a guest, as what it can do.

use crate::{
    capability::{
        AuthorizedKeys, Clock, Devices, Disks, Files, Filesystems, Identity, Memory, Network,
        Passwords, Power, Processors, Programs, Suspend, Usage,
    },
    command::Vendor,
};

/// A guest, as the set of its capabilities.
///
/// Every method answers "none" unless it is overridden, so a guest's author writes one line for
/// each capability that it has, and what it lacks costs nothing: the commands that need it are not
/// linked. The answer may be found out at run time, for instance from the hardware, but a
/// capability that was there must stay. Every request asks for all of them.
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

    /// Commands of the application's own.
    fn vendor_commands(&self) -> &[Vendor<Self>]
    where
        Self: Sized,
    {
        &[]
    }
}

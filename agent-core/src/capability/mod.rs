//! Capabilities: what a guest may be able to do, one small trait each.
//!
//! Traits and plain values only. A [`Board`](crate::Board) has some of them; the commands that need
//! one it lacks do not exist for its clients.

mod authorized_keys;
mod clock;
mod devices;
mod disks;
mod files;
mod filesystems;
mod functions;
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
pub use functions::{Function, Functions, Output};
pub use identity::{Identity, OsInfo, Timezone, User};
pub use memory::{Memory, MemoryBlock, MemoryBlockError};
pub use network::{Interface, InterfaceAddress, InterfaceStatistics, Network, Route, RouteDetails};
pub use passwords::{Password, Passwords};
pub use power::{Power, PowerError, ShutdownMode};
pub use processors::{Processor, ProcessorError, Processors};
pub use programs::{Capture, End, Input, Invocation, Kept, Pid, ProgramStatus, Programs, Stream};
pub use suspend::{Suspend, SuspendError, SuspendMode};
pub use usage::{LoadAverage, ProcessorTimes, Usage};

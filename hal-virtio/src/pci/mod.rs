//! virtio over PCI (virtio 1.2 §4.1): finding devices, and the transport with MSI-X
//!
//! ```text
//! Configuration      the board's access to configuration space
//!   Walk             functions on all buses that bridges lead to
//!     capability     a function's list of capabilities, its base address registers
//!       msix         the interrupt: one message for everything, or the line
//!         Transport  virtio_drivers::transport::Transport over the registers
//!   Snapshot         what was written to all functions, for a reset that the program survives
//! ```
//!
//! `virtio_drivers::transport::pci` is not used. It has no MSI-X and keeps its registers to itself; it follows
//! circular capability lists for ever, overflows on offsets near the end of their range, waits without a bound and
//! unwraps a notification offset that the device may change at any time: all numbers of the host's.
//!
//! Firmware is expected to have numbered the buses and placed the base address registers, which `SeaBIOS` and Cloud
//! Hypervisor have done before an image starts.

mod capability;
#[cfg(test)]
mod fake;
mod msix;
mod snapshot;
mod transport;
mod walk;

use core::fmt;

pub use self::msix::{Interrupt, Message};
pub use self::snapshot::{Snapshot, TooMany};
pub use self::transport::Transport;
pub use self::walk::{Function, Walk};

/// Access to PCI configuration space, given by the board.
pub trait Configuration {
    /// Reads the double word at `offset`, a multiple of 4; all ones where there is no function.
    fn read_u32(&mut self, address: Address, offset: u8) -> u32;

    /// Writes the double word at `offset`, a multiple of 4.
    fn write_u32(&mut self, address: Address, offset: u8, value: u32);
}

/// Where a function is: bus, device 0 to 31, function 0 to 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Address {
    /// The bus.
    pub bus: u8,
    /// The device on the bus.
    pub device: u8,
    /// The function of the device.
    pub function: u8,
}

/// Why a function cannot be used as a virtio device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum OpenError {
    /// It is not a virtio device of a kind that is known.
    NotVirtio,
    /// A capability of virtio 1.0 is missing: the device is legacy only, or broken.
    NotModern,
    /// A capability points to a base address register that is not there, or not for memory.
    BadBar,
    /// Registers lie outside the windows that the board has mapped, are misplaced or too short.
    OutOfWindow,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotVirtio => "not a virtio device",
            Self::NotModern => "the device lacks the registers of virtio 1.0",
            Self::BadBar => "a base address register is not there or not for memory",
            Self::OutOfWindow => "registers lie outside the memory mapped for devices",
        })
    }
}

impl core::error::Error for OpenError {}

/// Offsets in a function's configuration space, PCI Local Bus 3.0 §6.1.
mod register {
    pub(super) const ID: u8 = 0x00;
    pub(super) const COMMAND_STATUS: u8 = 0x04;
    pub(super) const HEADER: u8 = 0x0C;
    pub(super) const BAR_0: u8 = 0x10;
    pub(super) const BRIDGE_BUSES: u8 = 0x18;
    pub(super) const CAPABILITIES: u8 = 0x34;
    pub(super) const INTERRUPT: u8 = 0x3C;
}

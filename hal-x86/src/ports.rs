//! The x86 I/O port space, behind a trait.
//!
//! Every driver of this crate that talks through `in` and `out` does it over [`Ports`], so that
//! host tests put a model of the device there and the images the real thing, [`Hardware`], which is
//! nothing at run time.

use core::fmt;

use x86_64::instructions::port::{PortRead, PortWrite};

/// Access to the 64 Ki byte-wide I/O ports.
///
/// Reads take `&self` although they may change the device: the port space belongs to the machine,
/// not to this value, and several drivers share it, each with ports of its own.
pub trait Ports {
    /// Reads one byte from `port`.
    fn read_u8(&self, port: u16) -> u8;
    /// Writes one byte to `port`.
    fn write_u8(&self, port: u16, value: u8);
    /// Reads two bytes from `port`.
    fn read_u16(&self, port: u16) -> u16;
    /// Writes two bytes to `port`.
    fn write_u16(&self, port: u16, value: u16);
    /// Reads four bytes from `port`.
    fn read_u32(&self, port: u16) -> u32;
    /// Writes four bytes to `port`.
    fn write_u32(&self, port: u16, value: u32);
}

impl<P: Ports> Ports for &P {
    fn read_u8(&self, port: u16) -> u8 {
        (**self).read_u8(port)
    }
    fn write_u8(&self, port: u16, value: u8) {
        (**self).write_u8(port, value);
    }
    fn read_u16(&self, port: u16) -> u16 {
        (**self).read_u16(port)
    }
    fn write_u16(&self, port: u16, value: u16) {
        (**self).write_u16(port, value);
    }
    fn read_u32(&self, port: u16) -> u32 {
        (**self).read_u32(port)
    }
    fn write_u32(&self, port: u16, value: u32) {
        (**self).write_u32(port, value);
    }
}

/// The machine's own ports, by `in` and `out`.
#[derive(Clone, Copy)]
pub struct Hardware(());

impl Hardware {
    /// The token that stands for the right to use the ports.
    ///
    /// # Safety
    ///
    /// The program runs at a privilege that may use `in` and `out`, and the PC devices that it
    /// drives through this token (and its copies) are its own: nobody else programs them meanwhile.
    /// A device can be told through its ports to write to memory; whoever writes to such a port
    /// answers for that. The drivers of this crate write to none.
    pub const unsafe fn new() -> Self {
        Self(())
    }
}

impl fmt::Debug for Hardware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hardware")
    }
}

impl Ports for Hardware {
    #[inline]
    fn read_u8(&self, port: u16) -> u8 {
        // SAFETY: whoever made the token promised that the program may use the ports.
        unsafe { u8::read_from_port(port) }
    }
    #[inline]
    fn write_u8(&self, port: u16, value: u8) {
        // SAFETY: as in `read_u8`.
        unsafe { u8::write_to_port(port, value) }
    }
    #[inline]
    fn read_u16(&self, port: u16) -> u16 {
        // SAFETY: as in `read_u8`.
        unsafe { u16::read_from_port(port) }
    }
    #[inline]
    fn write_u16(&self, port: u16, value: u16) {
        // SAFETY: as in `read_u8`.
        unsafe { u16::write_to_port(port, value) }
    }
    #[inline]
    fn read_u32(&self, port: u16) -> u32 {
        // SAFETY: as in `read_u8`.
        unsafe { u32::read_from_port(port) }
    }
    #[inline]
    fn write_u32(&self, port: u16, value: u32) {
        // SAFETY: as in `read_u8`.
        unsafe { u32::write_to_port(port, value) }
    }
}

//! The debug console of QEMU, Bochs and Cloud Hypervisor: bytes written to one port.
//!
//! It takes every byte at once and has no interrupt. The boards send their defmt frames there.

use crate::ports::{Hardware, Ports};

const PORT: u16 = 0xe9;

/// The debug console (`-device isa-debugcon`, `-debugcon`).
#[derive(Clone, Debug)]
pub struct Debugcon<P = Hardware> {
    ports: P,
}

impl<P: Ports> Debugcon<P> {
    /// The console at its usual port.
    pub const fn new(ports: P) -> Self {
        Self { ports }
    }

    /// Whether it is there: the port reads back its own number (QEMU's `readback` property).
    pub fn present(&self) -> bool {
        u16::from(self.ports.read_u8(PORT)) == PORT
    }

    /// Writes one byte.
    pub fn write_byte(&mut self, byte: u8) {
        self.ports.write_u8(PORT, byte);
    }

    /// Writes all of `bytes`.
    pub fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_byte(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Machine;

    #[test]
    fn present_where_the_port_reads_back_its_number() {
        let machine = Machine::new();
        let mut console = Debugcon::new(&machine);
        assert!(!console.present());
        machine.answer(PORT, 0xe9);
        assert!(console.present());
        console.write(b"ok");
        assert_eq!(machine.writes(), [(PORT, u32::from(b'o')), (PORT, u32::from(b'k'))]);
    }
}

//! virtio over memory-mapped registers (virtio 1.2 §4.2): QEMU's microvm, Firecracker
//!
//! Nothing on a bus lists these devices. Boards know their addresses from an ACPI table, or from the kernel's command
//! line, to which QEMU and Firecracker append `virtio_mmio.device=<size>@<address>:<interrupt>` for each.
//! `virtio_drivers`' [`MmioTransport`] does both versions: 1, which is legacy and what microvm has unless told
//! `-global virtio-mmio.force-legacy=off`, and 2. What this module adds is the look before it.

use core::fmt;
use core::ops::Range;
use core::ptr::NonNull;

use virtio_drivers::transport::mmio::{MmioError, MmioTransport, VirtIOHeader};

use crate::window;

/// Why there is no device to be used at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeError {
    /// There is a place for a device, and none in it.
    Empty,
    /// The registers lie outside the windows that the board has mapped, or are misplaced or too short.
    OutOfWindow,
    /// There are no registers of a version that is known, or the device is of an unknown kind.
    Unknown(MmioError),
}

/// Looks for a device with `len` bytes of registers at the physical `address`.
///
/// Registers outside all of `windows` are not touched.
///
/// # Errors
///
/// There is none, or none that can be used.
///
/// # Safety
///
/// Every range of `windows` must be mapped one to one for as long as the program runs, and hold nothing but registers
/// of devices: no memory that the program uses. No other driver may use this device.
pub unsafe fn probe(
    address: u64,
    len: u64,
    windows: &[Range<u64>],
) -> Result<MmioTransport<'static>, ProbeError> {
    let header = window::resolve(windows, address, len)
        .map(NonNull::cast::<VirtIOHeader>)
        .filter(|header| header.is_aligned())
        .ok_or(ProbeError::OutOfWindow)?;
    let len = usize::try_from(len)
        .ok()
        .filter(|&len| len >= size_of::<VirtIOHeader>())
        .ok_or(ProbeError::OutOfWindow)?;
    // SAFETY: the registers are aligned, long enough for the header, and lie in device memory that the board has mapped
    // for good; by the caller's promise nobody else uses them. Of either version only registers that both have are read.
    let opened = unsafe { MmioTransport::new(header, len) };
    opened.map_err(|error| match error {
        // > Value zero (0x0) is used to define a system memory map with placeholder devices (§4.2.2)
        MmioError::InvalidDeviceID(_) if is_placeholder(&error) => ProbeError::Empty,
        error => ProbeError::Unknown(error),
    })
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no device is there"),
            Self::OutOfWindow => f.write_str("registers lie outside the memory mapped for devices"),
            Self::Unknown(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ProbeError {}

#[cfg(feature = "defmt")]
impl defmt::Format for ProbeError {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", defmt::Display2Format(self));
    }
}

fn is_placeholder(error: &MmioError) -> bool {
    use virtio_drivers::transport::DeviceTypeError::InvalidDeviceType;
    matches!(error, MmioError::InvalidDeviceID(InvalidDeviceType(0)))
}

#[cfg(test)]
mod tests {
    use core::slice;

    use virtio_drivers::transport::mmio::MmioVersion;
    use virtio_drivers::transport::{DeviceType, Transport};

    use super::*;

    const MAGIC: u32 = 0x7472_6976;

    #[test]
    fn probes_registers_of_both_versions_and_nothing_else() {
        let cases = [
            ([MAGIC, 1, 3], Ok((MmioVersion::Legacy, DeviceType::Console))),
            ([MAGIC, 2, 3], Ok((MmioVersion::Modern, DeviceType::Console))),
            ([MAGIC, 2, 1], Ok((MmioVersion::Modern, DeviceType::Network))),
            ([MAGIC, 2, 0], Err(ProbeError::Empty)),
            ([MAGIC, 1, 0], Err(ProbeError::Empty)),
            ([MAGIC, 3, 3], Err(ProbeError::Unknown(MmioError::UnsupportedVersion(3)))),
            ([0, 0, 0], Err(ProbeError::Unknown(MmioError::BadMagic(0)))),
            ([u32::MAX; 3], Err(ProbeError::Unknown(MmioError::BadMagic(u32::MAX)))),
        ];
        for (head, expected) in cases {
            let mut registers = [0_u32; 128];
            registers[..3].copy_from_slice(&head);
            let start = registers.as_mut_ptr().expose_provenance() as u64;
            let window = start..start + 512;
            // SAFETY: the window is an array of this test's.
            let probed = unsafe { probe(start, 512, slice::from_ref(&window)) };
            let probed = probed.map(|device| (device.version(), device.device_type()));
            assert_eq!(probed, expected);
        }
    }

    #[test]
    fn does_not_touch_what_is_not_a_window() {
        let mut registers = [0_u32; 128];
        let start = registers.as_mut_ptr().expose_provenance() as u64;
        let window = start..start + 512;
        let cases = [
            (start + 4, 512),
            (start - 4, 512),
            (start + 2, 256),
            (start, 252),
            (0, 512),
            (start, u64::MAX),
        ];
        for (address, len) in cases {
            // SAFETY: the window is an array of this test's.
            let probed = unsafe { probe(address, len, slice::from_ref(&window)) };
            assert_eq!(probed.map(|_| ()), Err(ProbeError::OutOfWindow), "{len} at {address:#x}");
        }
    }
}

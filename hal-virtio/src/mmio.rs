//! virtio over memory-mapped registers (virtio 1.2 §4.2): QEMU's microvm, Firecracker
//!
//! Nothing lists these devices but the command line of a Linux kernel, to which QEMU and Firecracker append one
//! `virtio_mmio.device=…` for each (Linux, admin-guide/kernel-parameters), or an ACPI table. [`slots`] reads the former.
//! `virtio_drivers`' [`MmioTransport`] does both versions: 1, which is legacy and what microvm has unless told
//! `-global virtio-mmio.force-legacy=off`, and 2.

use core::ops::Range;

use virtio_drivers::transport::mmio::{MmioError, MmioTransport, VirtIOHeader};

use crate::window;

/// A place where a device may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Slot {
    /// Physical address of the registers.
    pub address: u64,
    /// Length of the registers in bytes.
    pub len: u64,
    /// The interrupt, as the hypervisor numbers them: on x86 an I/O APIC's input.
    pub interrupt: u32,
}

/// Why there is no device to be used in a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeError {
    /// Slots may be empty, and this one is.
    Empty,
    /// The registers lie outside the windows that the board has mapped, or are misplaced or too short.
    OutOfWindow,
    /// There are no registers of a version that is known, or the device is of an unknown kind.
    Unknown(MmioError),
}

/// Looks for a device in `slot`.
///
/// # Errors
///
/// There is none, or none that can be used. Registers outside all of `windows` are not touched.
///
/// # Safety
///
/// Every range of `windows` must be mapped one to one for as long as the program runs, and hold nothing but registers
/// of devices: no memory that the program uses. No other driver may use this device.
pub unsafe fn probe(
    slot: Slot,
    windows: &[Range<u64>],
) -> Result<MmioTransport<'static>, ProbeError> {
    const HEADER_BYTES: usize = size_of::<VirtIOHeader>();

    let len = usize::try_from(slot.len).map_err(|_| ProbeError::OutOfWindow)?;
    let header = window::resolve(windows, slot.address, slot.len)
        .filter(|pointer| pointer.addr().get().is_multiple_of(align_of::<VirtIOHeader>()))
        .filter(|_| len >= HEADER_BYTES)
        .ok_or(ProbeError::OutOfWindow)?;
    // SAFETY: the registers are aligned, long enough for the header, and lie in device memory that the board has mapped
    // for good; by the caller's promise nobody else uses them. Of either version only registers that both have are read.
    let opened = unsafe { MmioTransport::new(header.cast(), len) };
    opened.map_err(|error| match error {
        // > Value zero (0x0) is used to define a system memory map with placeholder devices (§4.2.2)
        MmioError::InvalidDeviceID(_) if is_placeholder(&error) => ProbeError::Empty,
        error => ProbeError::Unknown(error),
    })
}

/// The slots that a kernel command line names with `virtio_mmio.device=<size>@<address>:<interrupt>[:<id>]`.
///
/// Words that are not of this form are passed over.
pub fn slots(command_line: &str) -> impl Iterator<Item = Slot> {
    command_line
        .split_ascii_whitespace()
        .filter_map(|word| word.strip_prefix("virtio_mmio.device="))
        .filter_map(Slot::parse)
}

impl Slot {
    fn parse(text: &str) -> Option<Self> {
        let (len, rest) = text.split_once('@')?;
        let mut parts = rest.split(':');
        let address = number(parts.next()?)?;
        let interrupt = u32::try_from(number(parts.next()?)?).ok()?;
        Some(Self { address, len: number(len)?, interrupt })
    }
}

/// A number as Linux' `memparse` reads it: decimal, octal or hexadecimal by its prefix, with K, M or G.
fn number(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'k' | b'K' => (text.get(..text.len() - 1)?, 10),
        b'm' | b'M' => (text.get(..text.len() - 1)?, 20),
        b'g' | b'G' => (text.get(..text.len() - 1)?, 30),
        _ => (text, 0),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    // `from_str_radix` takes a sign.
    let digits = Some(digits).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u64::from_str_radix(digits, radix).ok()?.checked_mul(1 << shift)
}

fn is_placeholder(error: &MmioError) -> bool {
    use virtio_drivers::transport::DeviceTypeError::InvalidDeviceType;
    matches!(error, MmioError::InvalidDeviceID(InvalidDeviceType(0)))
}

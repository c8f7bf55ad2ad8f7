//! A function's capabilities and base address registers, with every offset checked

use core::ops::Range;
use core::ptr::NonNull;

use safe_mmio::UniqueMmioPointer;

use super::{Address, Configuration, OpenError, register};
use crate::window;

/// Capability ID "vendor specific", under which virtio's structures are listed.
const VENDOR: u8 = 0x09;
/// Capability ID of MSI-X.
pub(super) const MSI_X: u8 = 0x11;

/// Capabilities take 4 bytes at least and begin behind the 64 bytes of the header.
const MAX_CAPABILITIES: usize = (256 - 64) / 4;

/// Bit of the status register: there is a list of capabilities.
const STATUS_CAPABILITIES: u32 = 1 << (16 + 4);

/// A function and the access to its configuration space.
pub(super) struct Space<'a, C> {
    pub(super) configuration: &'a mut C,
    pub(super) address: Address,
}

/// A capability: where it is, and its first double word.
#[derive(Clone, Copy)]
pub(super) struct Capability {
    pub(super) offset: u8,
    pub(super) head: u32,
}

/// A structure within a base address register, as a capability tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) bar: u8,
    pub(super) offset: u32,
    pub(super) len: u32,
}

/// Where a virtio device has its structures (virtio 1.2 §4.1.4), and its MSI-X capability.
#[derive(Default)]
pub(super) struct Structures {
    pub(super) common: Option<Location>,
    /// With `notify_off_multiplier`.
    pub(super) notify: Option<(Location, u32)>,
    pub(super) isr: Option<Location>,
    pub(super) specific: Option<Location>,
    pub(super) msix: Option<Capability>,
}

impl Structures {
    /// Of each kind the first in the list, which is the one the device prefers (§4.1.4.1).
    pub(super) fn find<C: Configuration>(space: &mut Space<'_, C>) -> Self {
        let mut found = Self::default();
        space.capabilities(|space, capability| {
            let [id, _next, len, kind] = capability.head.to_le_bytes();
            if id == MSI_X {
                found.msix.get_or_insert(capability);
            }
            if id != VENDOR || len < 16 {
                return;
            }
            let mut read = |index| space.read_capability(capability, index);
            let (Some(bar), Some(offset), Some(len)) = (read(1), read(2), read(3)) else {
                return;
            };
            let location = Location { bar: bar.to_le_bytes()[0], offset, len };
            match kind {
                1 => _ = found.common.get_or_insert(location),
                2 => {
                    if let Some(multiplier) = read(4) {
                        found.notify.get_or_insert((location, multiplier));
                    }
                }
                3 => _ = found.isr.get_or_insert(location),
                4 => _ = found.specific.get_or_insert(location),
                _ => {}
            }
        });
        found
    }
}

impl<C: Configuration> Space<'_, C> {
    pub(super) fn read(&mut self, offset: u8) -> u32 {
        self.configuration.read_u32(self.address, offset)
    }

    pub(super) fn write(&mut self, offset: u8, value: u32) {
        self.configuration.write_u32(self.address, offset, value);
    }

    /// Calls `visit` with each capability, in the list's order, as often as capabilities fit at most.
    pub(super) fn capabilities(&mut self, mut visit: impl FnMut(&mut Self, Capability)) {
        if self.read(register::COMMAND_STATUS) & STATUS_CAPABILITIES == 0 {
            return;
        }
        let mut pointer = self.read(register::CAPABILITIES).to_le_bytes()[0];
        for _ in 0..MAX_CAPABILITIES {
            // The bottom two bits are reserved and have to be masked (PCI Local Bus 3.0 §6.7).
            let offset = pointer & !0b11;
            if offset < 0x40 {
                return;
            }
            let head = self.read(offset);
            visit(self, Capability { offset, head });
            pointer = head.to_le_bytes()[1];
        }
    }

    /// Double word `index` of a capability, if it is still inside configuration space.
    pub(super) fn read_capability(&mut self, capability: Capability, index: u8) -> Option<u32> {
        let offset = capability.offset.checked_add(index.checked_mul(4)?)?;
        Some(self.read(offset))
    }

    /// The registers at `location`.
    ///
    /// The base address register's size is not asked for: it is the device's word like all the rest, and what counts
    /// is that the registers lie where the board has mapped device memory.
    pub(super) fn registers<R>(
        &mut self,
        location: Location,
        windows: &[Range<u64>],
    ) -> Result<UniqueMmioPointer<'static, R>, OpenError> {
        if usize::try_from(location.len).unwrap_or(0) < size_of::<R>() {
            return Err(OpenError::OutOfWindow);
        }
        let start = self.resolve::<R>(location, windows)?;
        // SAFETY: `location` has room for an `R`, and `resolve` found it aligned and in device memory that the board
        // has mapped for good. By the contract of `Transport::open` nobody else uses the device; if it lies and places
        // two structures at one address, volatile accesses to device memory overlap, which confuses it alone.
        Ok(unsafe { UniqueMmioPointer::new(start) })
    }

    /// As many registers of a kind as `location` has room for.
    pub(super) fn register_array<R>(
        &mut self,
        location: Location,
        windows: &[Range<u64>],
    ) -> Result<UniqueMmioPointer<'static, [R]>, OpenError> {
        let start = self.resolve::<R>(location, windows)?;
        let count = usize::try_from(location.len).unwrap_or(0) / size_of::<R>();
        // SAFETY: as in `registers`, with room for `count`.
        Ok(unsafe { UniqueMmioPointer::new(NonNull::slice_from_raw_parts(start, count)) })
    }

    fn resolve<R>(
        &mut self,
        location: Location,
        windows: &[Range<u64>],
    ) -> Result<NonNull<R>, OpenError> {
        let base = self.base(location.bar)?;
        let address = base.checked_add(location.offset.into()).ok_or(OpenError::OutOfWindow)?;
        window::resolve(windows, address, location.len.into())
            .map(NonNull::cast::<R>)
            .filter(|start| start.is_aligned())
            .ok_or(OpenError::OutOfWindow)
    }

    /// The address in a memory base address register.
    fn base(&mut self, bar: u8) -> Result<u64, OpenError> {
        if bar > 5 {
            return Err(OpenError::BadBar);
        }
        let low = self.read(register::BAR_0 + 4 * bar);
        let address = u64::from(low & !0xF);
        let address = match low & 0b111 {
            0b000 => address,
            0b100 if bar < 5 => {
                address | u64::from(self.read(register::BAR_0 + 4 * (bar + 1))) << 32
            }
            _ => return Err(OpenError::BadBar),
        };
        // Not placed by the firmware.
        if address == 0 { Err(OpenError::BadBar) } else { Ok(address) }
    }
}

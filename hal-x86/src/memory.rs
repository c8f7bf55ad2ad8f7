//! Physical memory: firmware tables to read, device registers to drive.
//!
//! [`PhysicalMemory`] hands out the bytes of ACPI tables, [`Registers`] does the volatile accesses
//! of memory-mapped devices. [`IdentityMap`] is both on a machine whose physical addresses are its
//! virtual ones; host tests put fakes there.

use core::fmt;

/// Read access to physical memory that does not change while it is looked at: firmware tables.
pub trait PhysicalMemory {
    /// The `length` bytes at physical `address`, or `None` where they cannot be reached.
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]>;
}

/// Registers of memory-mapped devices.
///
/// An address that cannot be reached reads as all ones, as an empty bus does, and swallows writes.
pub trait Registers {
    /// Reads the byte register at `address`.
    fn read_u8(&self, address: u64) -> u8;
    /// Writes the byte register at `address`.
    fn write_u8(&self, address: u64, value: u8);
    /// Reads the 32-bit register at `address`.
    fn read_u32(&self, address: u64) -> u32;
    /// Writes the 32-bit register at `address`.
    fn write_u32(&self, address: u64, value: u32);
}

impl<R: Registers> Registers for &R {
    fn read_u8(&self, address: u64) -> u8 {
        (**self).read_u8(address)
    }
    fn write_u8(&self, address: u64, value: u8) {
        (**self).write_u8(address, value);
    }
    fn read_u32(&self, address: u64) -> u32 {
        (**self).read_u32(address)
    }
    fn write_u32(&self, address: u64, value: u32) {
        (**self).write_u32(address, value);
    }
}

/// Physical memory mapped at its own address, from 0 up to a limit.
#[derive(Clone, Copy)]
pub struct IdentityMap {
    limit: u64,
}

impl IdentityMap {
    /// The first `limit` bytes of physical memory, mapped one to one.
    ///
    /// # Safety
    ///
    /// Virtual addresses from 0x400 up to (not including) `limit` are mapped to the same physical
    /// address, readable and writable, for as long as the program runs, and the memory that holds
    /// firmware tables is not written meanwhile. Where a device's registers are is told to the
    /// drivers by firmware tables; the caller trusts them as far as a guest has to trust its
    /// firmware (a driver checks alignment and reach, not that no memory of the program is there).
    pub const unsafe fn new(limit: u64) -> Self {
        Self { limit }
    }

    /// Whether `length` bytes at `address` are mapped. The first KiB (the real-mode vectors) is
    /// nobody's to look at, which also keeps null out.
    fn reaches(self, address: u64, length: u64) -> bool {
        address >= 0x400 && address.checked_add(length).is_some_and(|end| end <= self.limit)
    }

    fn register<T>(self, address: u64) -> Option<*mut T> {
        let address = usize::try_from(address).ok()?;
        let pointer = core::ptr::with_exposed_provenance_mut::<T>(address);
        (self.reaches(address as u64, size_of::<T>() as u64) && pointer.is_aligned())
            .then_some(pointer)
    }
}

impl fmt::Debug for IdentityMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityMap(..{:#x})", self.limit)
    }
}

impl PhysicalMemory for IdentityMap {
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        if !self.reaches(address, length as u64) {
            return None;
        }
        let start = core::ptr::with_exposed_provenance::<u8>(usize::try_from(address).ok()?);
        // SAFETY: the range is mapped, not null, and not written while the slice lives: `new`'s
        // caller promised it.
        Some(unsafe { core::slice::from_raw_parts(start, length) })
    }
}

impl Registers for IdentityMap {
    fn read_u8(&self, address: u64) -> u8 {
        // SAFETY: `register` checked reach and alignment; `new`'s caller promised that reach means
        // mapped.
        self.register::<u8>(address).map_or(u8::MAX, |register| unsafe { register.read_volatile() })
    }

    fn write_u8(&self, address: u64, value: u8) {
        if let Some(register) = self.register::<u8>(address) {
            // SAFETY: as in `read_u8`.
            unsafe { register.write_volatile(value) }
        }
    }

    fn read_u32(&self, address: u64) -> u32 {
        // SAFETY: as in `read_u8`.
        self.register::<u32>(address)
            .map_or(u32::MAX, |register| unsafe { register.read_volatile() })
    }

    fn write_u32(&self, address: u64, value: u32) {
        if let Some(register) = self.register::<u32>(address) {
            // SAFETY: as in `read_u8`.
            unsafe { register.write_volatile(value) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reach_ends_at_the_limit_and_spares_the_null_page() {
        // SAFETY: only the bookkeeping is asked; nothing outside of `word` below is touched.
        let map = unsafe { IdentityMap::new(u64::MAX) };
        for (address, length, expected) in [
            (0, 1, false),
            (0x3ff, 1, false),
            (0x400, 1, true),
            (u64::MAX - 1, 1, true),
            (u64::MAX, 1, false),
            (u64::MAX, 2, false),
        ] {
            assert_eq!(map.reaches(address, length), expected, "{address:#x} + {length}");
        }
    }

    #[test]
    fn registers_are_read_and_written_where_they_are() {
        let mut word = [0u32; 2];
        let address = word.as_mut_ptr().expose_provenance() as u64;
        // SAFETY: the test only touches `word`, which is mapped.
        let map = unsafe { IdentityMap::new(u64::MAX) };
        map.write_u32(address, 0x1122_3344);
        map.write_u8(address + 4, 0x55);
        map.write_u32(address + 1, 0xffff_ffff); // not aligned: swallowed
        assert_eq!(map.read_u32(address), 0x1122_3344);
        assert_eq!(map.read_u8(address + 1), 0x33);
        assert_eq!(map.read_u32(address + 2), u32::MAX);
        assert_eq!(map.bytes(address + 4, 2), Some(&[0x55, 0][..]));
        assert_eq!(map.read_u32(8), u32::MAX);
    }
}

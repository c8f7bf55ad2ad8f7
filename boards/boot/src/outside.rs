//! Memory that others wrote: everything but the image
//!
//! The start info is a chain of addresses written by the hypervisor, as ACPI's tables are by the
//! firmware. A hostile one could lead into the image itself, whose bytes change while they would be
//! looked at; [`Outside`] says that nothing is there.

use core::ops::Range;

use hal_x86::memory::{IdentityMap, PhysicalMemory};

/// All memory that the page tables map, one to one, but the image.
#[derive(Clone, Debug)]
pub struct Outside {
    image: Range<u64>,
    mapped_bytes: u64,
    map: IdentityMap,
}

impl Outside {
    /// The first `mapped_bytes` bytes of memory, without `image`.
    ///
    /// # Safety
    ///
    /// As [`IdentityMap::new`]; what the program writes, but for registers of devices, must lie in
    /// `image`.
    pub const unsafe fn new(image: Range<u64>, mapped_bytes: u64) -> Self {
        // SAFETY: the caller's promise.
        let map = unsafe { IdentityMap::new(mapped_bytes) };
        Self { image, mapped_bytes, map }
    }

    /// Where registers of devices may lie: above the image, as far as is mapped. None of it is
    /// memory of the program's.
    pub const fn devices(&self) -> Range<u64> {
        self.image.end..self.mapped_bytes
    }

    /// The whole map, for the registers of devices.
    pub const fn map(&self) -> IdentityMap {
        self.map
    }
}

impl PhysicalMemory for Outside {
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        let end = address.checked_add(length as u64)?;
        let apart = end <= self.image.start || self.image.end <= address;
        if apart { self.map.bytes(address, length) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_cannot_be_read() {
        // Four quarters of a block; the image is the second and third.
        let block = [0u8; 64];
        let start = block.as_ptr().expose_provenance() as u64;
        // SAFETY: the test only reads `block`, and nobody writes to it.
        let memory = unsafe { Outside::new(start + 16..start + 48, u64::MAX) };
        for (offset, length, readable) in [
            (0, 16, true),
            (0, 17, false),
            (15, 2, false),
            (16, 1, false),
            (0, 64, false),
            (47, 1, false),
            (47, 2, false),
            (48, 16, true),
        ] {
            assert_eq!(
                memory.bytes(start + offset, length).is_some(),
                readable,
                "{offset} + {length}"
            );
        }
        assert_eq!(memory.bytes(u64::MAX, 2), None);
    }
}

//! Ranges of device memory that the board has mapped

use core::ops::Range;
use core::ptr::{self, NonNull};

/// The `len` bytes at `address` as a pointer, if one of `windows` holds all of them.
///
/// Addresses of registers come from the host (base address registers, the kernel's command line). One that led into the
/// program's own memory would let a driver overwrite it.
pub(crate) fn resolve(windows: &[Range<u64>], address: u64, len: u64) -> Option<NonNull<u8>> {
    let end = address.checked_add(len)?;
    windows.iter().find(|window| window.start <= address && end <= window.end)?;
    let address = usize::try_from(address).ok()?;
    NonNull::new(ptr::with_exposed_provenance_mut(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_only_what_lies_in_one_window() {
        let windows = [0x1000..0x2000, 0x2000..0x3000];
        let cases = [
            (0x1000, 0x1000, true),
            (0x1FFF, 1, true),
            (0x2800, 0x800, true),
            (0x0FFF, 2, false),
            (0x1800, 0x1000, false),
            (0x2FFF, 2, false),
            (u64::MAX, 2, false),
            (0x1000, u64::MAX, false),
        ];
        for (address, len, expected) in cases {
            let resolved = resolve(&windows, address, len);
            assert_eq!(
                resolved.map(|pointer| pointer.addr().get()).is_some(),
                expected,
                "{address:#x}"
            );
        }
        assert_eq!(resolve(&[0..0x1000, 0..0x2000], 0, 4), None, "address 0 is no pointer");
    }
}

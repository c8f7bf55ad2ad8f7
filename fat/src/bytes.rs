//! Numbers in what a disk holds: little-endian, at any offset.
//!
//! An offset outside the bytes reads as zero and writes nothing. No caller has one; this is what
//! stands in for a panic.

/// The 16-bit number at an offset.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |chunk| u16::from_le_bytes(*chunk))
}

/// The 32-bit number at an offset.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

/// Puts bytes at an offset.
pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    let end = at.saturating_add(value.len());
    if let Some(place) = bytes.get_mut(at..end) {
        for (to, from) in place.iter_mut().zip(value) {
            *to = *from;
        }
    }
}

/// Widens an index; what does not fit is beyond every slice.
pub(crate) fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// How many parts of a size a number has, the last of which may be smaller.
pub(crate) fn parts(number: u32, size: u32) -> u32 {
    let whole = number.checked_div(size).unwrap_or(0);
    let rest = number.checked_rem(size).unwrap_or(0);
    whole.saturating_add(u32::from(rest > 0))
}

//! A number that is another one in every guest and at every boot

use hal_x86::rdrand::rdrand;
use hal_x86::tsc::{Counter as _, Rdtsc};

/// The processor's random number. Where it has none, as in QEMU's default model, the time-stamp
/// counter, mixed with the hardware address: enough that two guests, or two boots, do not use the
/// same DHCP transactions, ports and sequence numbers; not that nobody can guess them.
pub(crate) fn seed(hardware_address: [u8; 6]) -> u64 {
    let mut mixed = rdrand().unwrap_or_else(|| Rdtsc.ticks());
    for byte in hardware_address {
        // FNV-1a.
        mixed = (mixed ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    mixed
}

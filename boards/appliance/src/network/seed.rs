//! A number that is another one in every guest and at every boot

use core::arch::asm;
use core::arch::x86_64::{__cpuid, _rdtsc};

/// `RDRAND` is there: CPUID leaf 1, ECX (Intel SDM volume 2, CPUID).
const LEAF_1_ECX_RDRAND: u32 = 1 << 30;

/// > It is recommended that applications attempt 10 retries in a tight loop (Intel SDM volume 1,
/// > §7.3.17.1)
const TRIES: u32 = 10;

/// The processor's random number. Where it has none, as in QEMU's default model, the time-stamp
/// counter, mixed with the hardware address: enough that two guests, or two boots, do not use the
/// same DHCP transactions, ports and sequence numbers; not that nobody can guess them.
pub(crate) fn seed(hardware_address: [u8; 6]) -> u64 {
    let mut mixed = random().unwrap_or_else(|| {
        // SAFETY: nothing but that the counter be there, which all x86-64 processors have.
        unsafe { _rdtsc() }
    });
    for byte in hardware_address {
        // FNV-1a.
        mixed = (mixed ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    mixed
}

fn random() -> Option<u64> {
    if __cpuid(1).ecx & LEAF_1_ECX_RDRAND == 0 {
        return None;
    }
    for _ in 0..TRIES {
        let (number, is_there): (u64, u8);
        // SAFETY: the processor has the instruction, which changes a register and the flags.
        unsafe {
            asm!("rdrand {}", "setc {}", out(reg) number, out(reg_byte) is_there,
                options(nomem, nostack));
        }
        if is_there != 0 {
            return Some(number);
        }
    }
    None
}

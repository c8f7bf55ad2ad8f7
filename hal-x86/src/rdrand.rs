//! The processor's random numbers.

use core::arch::asm;
use core::arch::x86_64::__cpuid;

/// `RDRAND` is there: CPUID leaf 1, ECX (Intel SDM volume 2, CPUID).
const LEAF_1_ECX_RDRAND: u32 = 1 << 30;

/// > It is recommended that applications attempt 10 retries in a tight loop (Intel SDM volume 1,
/// > §7.3.17.1)
const TRIES: u32 = 10;

/// A random number, where the processor has one to give. QEMU's default model has none.
pub fn rdrand() -> Option<u64> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_comes_twice() {
        if let Some(number) = rdrand() {
            assert_ne!(rdrand(), Some(number));
        }
    }
}

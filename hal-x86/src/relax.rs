//! The pause between two looks at a device that is to change.
//!
//! An emulated port access takes as little as 40 ns and a lock that the emulator's own threads need
//! to make the change; a loop of nothing but accesses can keep them from it for milliseconds (QEMU
//! without KVM: the CMOS clock's update never ended).

use core::hint::spin_loop;

/// Pauses for about 20 µs under emulation, 2 to 5 µs on a processor.
pub(crate) fn relax() {
    // The models of the host tests have a time of their own.
    if cfg!(test) {
        return;
    }
    for _ in 0..100 {
        spin_loop();
    }
}

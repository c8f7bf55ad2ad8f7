//! Critical sections of a single processor: interrupts off, and back to what they were.
//!
//! defmt and `static_cell` ask for them. A board makes this the program's implementation with
//! `critical_section::set_impl!(hal_x86::critical_section::SingleCore)`; a library must not choose
//! for it.

use ::critical_section::{Impl, RawRestoreState};
use x86_64::instructions::interrupts;

/// Turns interrupts off while a section lasts.
///
/// Only right while a single processor runs the program; those that [`crate::processors`] starts
/// have no part in it. Faults and non-maskable interrupts still come through; their handlers do not
/// return.
#[derive(Debug)]
pub struct SingleCore;

// SAFETY: with one processor and interrupts off nothing else runs between `acquire` and `release`;
// the section that found interrupts on is the outermost and is the one that turns them on again.
// `cli` and `sti` are compiler barriers: x86_64's instructions for them are `asm!` without `nomem`,
// and `are_enabled` reads the flags in between.
unsafe impl Impl for SingleCore {
    unsafe fn acquire() -> RawRestoreState {
        let enabled = interrupts::are_enabled();
        interrupts::disable();
        enabled
    }

    unsafe fn release(enabled: RawRestoreState) {
        if enabled {
            interrupts::enable();
        } else {
            // What the section wrote must be out before the next one starts, for the compiler too.
            core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::Release);
        }
    }
}

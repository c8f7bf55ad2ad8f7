//! What a processor runs that is not the boot processor: it answers, and sleeps.
//!
//! It shares nothing with the program but its slot: it logs nothing and enters no critical section,
//! so that the program stays as it is, on one processor. It has no handler for faults either; one
//! would find no gate, and the fault that follows from it resets the machine.

use core::cell::UnsafeCell;

use super::MAX_PROCESSORS;
use super::slot::Slot;
use crate::descriptors;
use crate::interrupts;
use crate::power;
use crate::real_mode::Start;
use crate::tsc::Rdtsc;

/// Holds the frames below [`run`], an interrupt's among them. Unoptimised code keeps each value of
/// an expression in a place of its own.
const STACK_BYTES: usize = if cfg!(debug_assertions) { 4096 } else { 1024 };

/// A processor's stack.
#[repr(C, align(16))]
struct Stack(UnsafeCell<[u8; STACK_BYTES]>);

// SAFETY: Rust code has no access to it.
unsafe impl Sync for Stack {}

static STACKS: [Stack; MAX_PROCESSORS] =
    [const { Stack(UnsafeCell::new([0; STACK_BYTES])) }; MAX_PROCESSORS];

/// How processor `index` begins, with a slot and a stack that are its own from then on. `None`
/// beyond the last.
pub(super) fn start(slots: &'static [Slot], index: usize) -> Option<Start> {
    let argument = (&raw const *slots.get(index)?).expose_provenance() as u64;
    let stack_top = STACKS.get(index)?.0.get().wrapping_add(1) as u64;
    Some(Start { entry: run, argument, stack_top })
}

extern "sysv64" fn run(slot: u64) -> ! {
    let slot = core::ptr::with_exposed_provenance::<Slot>(usize::try_from(slot).unwrap_or(0));
    // SAFETY: `start` makes the only `Start` with this function, and gives it the address of a
    // slot that stays.
    let slot: &'static Slot = unsafe { &*slot };
    // SAFETY: a processor that has just started, with the boot processor's page tables, which has
    // shared its descriptors and set up interrupts (`Processors::new`).
    let joined = unsafe {
        descriptors::load_shared();
        interrupts::join()
    };
    if joined.is_ok() {
        // SAFETY: the gates are loaded and the local APIC is on.
        slot.serve(&Rdtsc, || unsafe { interrupts::sleep() });
    }
    power::halt()
}

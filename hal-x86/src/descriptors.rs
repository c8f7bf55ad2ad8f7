//! Descriptor tables: segments, the task state with its interrupt stacks, and the interrupt gates.
//!
//! Every handler runs on a stack of its own (IST), because the images are built for a target whose
//! functions keep data below the stack pointer (the red zone), where a handler on the same stack
//! would write. The gates turn interrupts off, so handlers do not nest, and one stack for all of a
//! kind is enough.
//!
//! AMD64 Architecture Programmer's Manual, volume 2, chapters 4 and 8.

use core::arch::asm;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, SS, Segment};
use x86_64::instructions::tables::{lgdt, lidt, load_tss, sgdt};
use x86_64::registers::segmentation::SegmentSelector;
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable};
use x86_64::structures::tss::TaskStateSegment;

use crate::faults::{self, Fault};
use crate::interrupts::{self, SPURIOUS_VECTOR, WAKE_VECTOR};

/// Gates, of 256 possible. A vector beyond them raises a general protection fault.
const GATES: usize = 0x30;
/// Vectors that the processor raises itself.
const EXCEPTIONS: u8 = 32;

const _: () = assert!((WAKE_VECTOR as usize) < GATES && (SPURIOUS_VECTOR as usize) < GATES);
const _: () = assert!(WAKE_VECTOR >= EXCEPTIONS && SPURIOUS_VECTOR >= EXCEPTIONS);

/// Interrupt stack table entries, as the task state counts them (from 0).
const FAULT_STACK: u16 = 0;
const WAKE_STACK: u16 = 1;

/// Holds the frame of a fault and the board's handler, which logs and resets.
const FAULT_STACK_BYTES: usize = 4096;
/// Holds five words by the processor and one by the handler; a fault in there has its own stack.
const WAKE_STACK_BYTES: usize = 128;

/// Proof that the gates are loaded; interrupts may be turned on only with it.
#[derive(Debug)]
pub struct Gates(());

#[repr(C, align(16))]
struct Stack<const BYTES: usize>([u8; BYTES]);

struct Descriptors {
    segments: GlobalDescriptorTable,
    task_state: TaskStateSegment,
    gates: [Gate; GATES],
}

/// What other processors load.
struct Shared {
    segments: DescriptorTablePointer,
    gates: [Gate; GATES],
}

/// A static that is written once, before anything reads it.
struct Once<T>(UnsafeCell<T>);

// SAFETY: the only processor that runs the program writes the statics below before the processor's
// registers point at them (`install`, whose caller promised that there is one processor), and from
// then on only the processor itself uses them. What others load is written before they run.
unsafe impl<T> Sync for Once<T> {}

static INSTALLED: AtomicBool = AtomicBool::new(false);
static DESCRIPTORS: Once<Descriptors> = Once(UnsafeCell::new(Descriptors {
    segments: GlobalDescriptorTable::new(),
    task_state: TaskStateSegment::new(),
    gates: [Gate::ABSENT; GATES],
}));
static SHARED: Once<Shared> = Once(UnsafeCell::new(Shared {
    segments: DescriptorTablePointer { limit: 0, base: VirtAddr::zero() },
    gates: [Gate::ABSENT; GATES],
}));
static FAULT_STACK_MEMORY: Once<Stack<FAULT_STACK_BYTES>> =
    Once(UnsafeCell::new(Stack([0; FAULT_STACK_BYTES])));
static WAKE_STACK_MEMORY: Once<Stack<WAKE_STACK_BYTES>> =
    Once(UnsafeCell::new(Stack([0; WAKE_STACK_BYTES])));

/// Loads the descriptor tables. From then on a fault calls `on_fault`, on its own stack and with
/// interrupts off.
///
/// A second call changes nothing and returns `None`.
///
/// # Safety
///
/// The program runs at privilege level 0 in 64-bit mode on a single processor with interrupts off,
/// memory below 4 GiB at its own addresses, and nobody else loads descriptor tables afterwards.
pub unsafe fn install(on_fault: fn(&Fault) -> !) -> Option<Gates> {
    if INSTALLED.swap(true, Ordering::Relaxed) {
        return None;
    }
    faults::set_handler(on_fault);
    // SAFETY: nothing else refers to the statics: `INSTALLED` lets only one call come here, and the
    // processor does not know them yet.
    let tables: &'static mut Descriptors = unsafe { &mut *DESCRIPTORS.0.get() };
    tables.task_state.interrupt_stack_table[usize::from(FAULT_STACK)] = top(&FAULT_STACK_MEMORY);
    tables.task_state.interrupt_stack_table[usize::from(WAKE_STACK)] = top(&WAKE_STACK_MEMORY);
    load(tables);
    Some(Gates(()))
}

/// Loads the tables of [`install`] once more, after the processor has been reset.
///
/// # Safety
///
/// As for [`install`], which has been called; the processor does not use the tables.
pub(crate) unsafe fn reload() {
    // SAFETY: nothing else refers to the static: `install` is over, and this does not come back
    // before it is done with it.
    load(unsafe { &mut *DESCRIPTORS.0.get() });
}

/// Makes segments and gates, and the processor use them. (That it uses the task state is noted in
/// the segments, by the processor: so they are made anew.)
fn load(tables: &'static mut Descriptors) {
    tables.segments = GlobalDescriptorTable::new();
    let code = tables.segments.append(Descriptor::kernel_code_segment());
    let data = tables.segments.append(Descriptor::kernel_data_segment());
    let task = tables.segments.append(Descriptor::tss_segment(&tables.task_state));
    for (vector, gate) in (0u8..).zip(&mut tables.gates) {
        *gate = match vector {
            ..EXCEPTIONS => Gate::new(faults::stub(vector), code, Some(FAULT_STACK)),
            WAKE_VECTOR => Gate::new(interrupts::wake_stub(), code, Some(WAKE_STACK)),
            SPURIOUS_VECTOR => Gate::new(interrupts::spurious_stub(), code, Some(WAKE_STACK)),
            _ => Gate::ABSENT,
        };
    }
    tables.segments.load();
    // SAFETY: `code` is the 64-bit code segment of the table just loaded.
    unsafe { CS::set_reg(code) };
    for set in [SS::set_reg, DS::set_reg, ES::set_reg] {
        // SAFETY: `data` is the writable data segment of the table just loaded.
        unsafe { set(data) };
    }
    // SAFETY: `task` is the table's task state, in a static, and not busy: its descriptor is new.
    unsafe { load_tss(task) };
    let limit = u16::try_from(size_of::<[Gate; GATES]>() - 1).unwrap_or(0);
    let base = VirtAddr::from_ptr(&raw const tables.gates);
    // SAFETY: the gates are in a static, and each present one leads to a stub that ends in IRETQ or
    // not at all.
    unsafe { lidt(&DescriptorTablePointer { limit, base }) };
}

/// Makes the tables that other processors load: this one's segments, and gates for the wake
/// interrupt on the stack that it comes on. They have no task state, hence no stacks for handlers,
/// and no gates for faults.
///
/// # Safety
///
/// Called once, by a processor on which [`install`] was, before any other runs.
pub(crate) unsafe fn share() {
    // SAFETY: nothing else refers to the static before `load_shared`.
    let shared = unsafe { &mut *SHARED.0.get() };
    shared.segments = sgdt();
    for (vector, gate) in (0u8..).zip(&mut shared.gates) {
        *gate = match vector {
            WAKE_VECTOR => Gate::new(interrupts::wake_stub(), CS::get_reg(), None),
            SPURIOUS_VECTOR => Gate::new(interrupts::spurious_stub(), CS::get_reg(), None),
            _ => Gate::ABSENT,
        };
    }
}

/// Loads the tables that [`share`] made.
///
/// # Safety
///
/// Called after that, by a processor that is in 64-bit mode with segments of the same selectors and
/// has interrupts off.
pub(crate) unsafe fn load_shared() {
    // SAFETY: nobody writes it any more.
    let shared = unsafe { &*SHARED.0.get() };
    let limit = u16::try_from(size_of::<[Gate; GATES]>() - 1).unwrap_or(0);
    let base = VirtAddr::from_ptr(&raw const shared.gates);
    // SAFETY: both are in statics; each present gate leads to a stub that ends in IRETQ.
    unsafe {
        lgdt(&shared.segments);
        lidt(&DescriptorTablePointer { limit, base });
    }
}

/// Resets the processor by a fault that no handler can be found for.
pub fn triple_fault() -> ! {
    let nothing = DescriptorTablePointer { limit: 0, base: VirtAddr::zero() };
    loop {
        // SAFETY: with no gates at all the trap, the double fault and the third fault find no
        // handler, and the processor shuts down, which resets a PC. Nothing runs after it.
        unsafe { lidt(&nothing) };
        // SAFETY: as above.
        unsafe { asm!("int3", options(nomem, nostack)) };
    }
}

fn top<const BYTES: usize>(stack: &'static Once<Stack<BYTES>>) -> VirtAddr {
    VirtAddr::from_ptr(stack.0.get().wrapping_add(1))
}

/// An interrupt gate, §4.8.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(16))]
struct Gate([u64; 2]);

impl Gate {
    const ABSENT: Self = Self([0; 2]);

    /// A present gate of level 0 to `handler`, which runs on the stack `stack` of the task state, or
    /// on the one that is in use, interrupts off.
    fn new(handler: u64, code: SegmentSelector, stack: Option<u16>) -> Self {
        const PRESENT: u64 = 1 << 47;
        const INTERRUPT_GATE: u64 = 0xe << 40;
        let selector = u64::from(code.0) << 16;
        // In a gate they count from 1; 0 is "no switch".
        let stack = stack.map_or(0, |stack| u64::from(stack + 1) << 32);
        let offset = handler & 0xffff | (handler >> 16 & 0xffff) << 48;
        Self([offset | selector | stack | INTERRUPT_GATE | PRESENT, handler >> 32])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_have_the_layout_of_the_manual() {
        let gate = Gate::new(0x1122_3344_5566_7788, SegmentSelector(8), Some(FAULT_STACK));
        assert_eq!(gate, Gate([0x5566_8e01_0008_7788, 0x1122_3344]));
        let gate = Gate::new(0x10_0000, SegmentSelector(0x10), Some(WAKE_STACK));
        assert_eq!(gate, Gate([0x0010_8e02_0010_0000, 0]));
        let gate = Gate::new(0x10_0000, SegmentSelector(0x10), None);
        assert_eq!(gate, Gate([0x0010_8e00_0010_0000, 0]));
    }
}

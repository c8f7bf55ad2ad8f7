//! Interrupts that only wake the processor.
//!
//! They are on in one place, the idle sequence `sti; hlt; cli` of [`Interrupts::idle`], and their
//! handler tells the local APIC that it has seen them, and returns. Which device it was is found by
//! looking at the devices. So all share one vector, and nothing in the program has to be safe
//! against being interrupted.
//!
//! Lines are programmed edge-triggered whatever they are, so that the handler needs no device: a
//! level that stays up does not interrupt again. In return a device must have let its line fall
//! before the processor sleeps, or its next edge is none.
//!
//! The two 8259s of a PC stay masked. A [`Timer`] wakes the processor where no device will.

mod bus_clock;
mod inter_processor;
mod io_apic;
mod local_apic;
mod saved;
mod timer;

use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU64, Ordering};

use crate::acpi::{Gsi, IoApic, Madt};
use crate::descriptors::Gates;
use crate::memory::{IdentityMap, Registers};
use crate::ports::{Hardware, Ports};
use io_apic::Redirections;
use local_apic::LocalApic;

pub(crate) use bus_clock::BusClock;
pub use inter_processor::{InterProcessor, NotSent};
pub use saved::Saved;
pub use timer::Timer;

/// The vector of every device interrupt.
pub const WAKE_VECTOR: u8 = 0x20;
/// The vector that a local APIC gives where an interrupt went away meanwhile. Its lower four bits
/// are ones on all models.
pub const SPURIOUS_VECTOR: u8 = 0x2f;

/// I/O APICs that are used. QEMU has one, or two on microvm.
const MAX_IO_APICS: usize = 4;
/// Where PCs without a MADT have the only one.
const DEFAULT_IO_APIC: IoApic = IoApic { address: 0xfec0_0000, gsi_base: 0 };

/// Interrupt mask registers of the two 8259s.
const PIC_MASKS: [u16; 2] = [0x21, 0xa1];

/// Control word of the 8254: channel 0, low byte then high byte, mode 0, which counts once and
/// stops. Firmware leaves it ticking 18 times a second, which costs the host as much as if somebody
/// listened.
const PIT_STOP: (u16, u8) = (0x43, 0b0011_0000);

/// Why interrupts cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum InterruptError {
    /// The processor has no local APIC, or none that answers.
    NoLocalApic,
    /// No I/O APIC has the input asked for.
    NoInput,
    /// The firmware left the local APIC in x2APIC mode.
    X2Apic,
}

impl core::fmt::Display for InterruptError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NoInput => "no I/O APIC has that input",
            Self::NoLocalApic => "no local APIC",
            Self::X2Apic => "the local APIC is in x2APIC mode",
        })
    }
}

impl core::error::Error for InterruptError {}

/// A message-signalled interrupt: what a device writes, and where to, to wake the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Physical address.
    pub address: u64,
    /// Value of the 32-bit write.
    pub data: u32,
}

/// The interrupt controllers.
#[derive(Debug)]
pub struct Interrupts<R = IdentityMap> {
    local: LocalApic<R>,
    io: [Option<Redirections<R>>; MAX_IO_APICS],
}

impl Interrupts {
    /// Masks everything there is, stops the firmware's timer tick, and turns the local APIC on.
    /// Where there is no MADT the PC's usual layout is taken.
    ///
    /// # Errors
    ///
    /// [`InterruptError::NoLocalApic`] and [`InterruptError::X2Apic`].
    pub fn new(
        ports: Hardware,
        registers: IdentityMap,
        madt: Option<&Madt<'_>>,
        _gates: &Gates,
    ) -> Result<Self, InterruptError> {
        let base = local_apic::base()?;
        let interrupts = Self::with_registers(&ports, registers, base, madt)?;
        END_OF_INTERRUPT.store(interrupts.local.end_of_interrupt(), Ordering::Relaxed);
        Ok(interrupts)
    }
}

impl<R: Registers + Clone> Interrupts<R> {
    fn with_registers(
        ports: &impl Ports,
        registers: R,
        local_apic: u64,
        madt: Option<&Madt<'_>>,
    ) -> Result<Self, InterruptError> {
        silence(ports);
        let local = LocalApic::enable(registers.clone(), local_apic)?;
        let mut io = [const { None }; MAX_IO_APICS];
        let mut listed = madt.into_iter().flat_map(Madt::io_apics).peekable();
        let default = listed.peek().is_none().then_some(DEFAULT_IO_APIC);
        let present =
            listed.chain(default).filter_map(|unit| Redirections::new(registers.clone(), unit));
        for (slot, unit) in io.iter_mut().zip(present) {
            *slot = Some(unit);
        }
        Ok(Self { local, io })
    }

    /// Lets the interrupt `gsi` wake the processor, at its rising (for an active-low line, falling)
    /// edge.
    ///
    /// An edge that came before is lost, so look at the device once afterwards.
    ///
    /// # Errors
    ///
    /// [`InterruptError::NoInput`] where no I/O APIC has it.
    pub fn enable(&self, gsi: Gsi) -> Result<(), InterruptError> {
        let mut units = self.io.iter().flatten();
        if units.any(|unit| unit.enable(gsi, WAKE_VECTOR, self.local.id())) {
            Ok(())
        } else {
            Err(InterruptError::NoInput)
        }
    }

    /// The message that wakes this processor, for MSI and MSI-X.
    pub fn message(&self) -> Message {
        // Physical destination, fixed delivery, edge (Intel SDM volume 3, §11.11).
        Message {
            address: 0xfee0_0000 | u64::from(self.local.id()) << 12,
            data: WAKE_VECTOR.into(),
        }
    }
}

/// Masks the 8259s and stops the firmware's timer tick.
fn silence(ports: &impl Ports) {
    for port in PIC_MASKS {
        ports.write_u8(port, u8::MAX);
    }
    let (control, stop) = PIT_STOP;
    ports.write_u8(control, stop);
}

impl<R> Interrupts<R> {
    /// Sleeps until an interrupt comes; returns at once where one is waiting.
    ///
    /// One that comes between the caller's last look at its devices and the sleep is not lost:
    /// interrupts are off then, the local APIC holds it, and `sti` takes effect only after `hlt`
    /// has begun (AMD64 manual, volume 3, STI).
    #[inline]
    pub fn idle(&self) {
        // SAFETY: an `Interrupts` exists only after the gates have been loaded and the local APIC
        // has been turned on.
        unsafe { sleep() }
    }
}

/// Sleeps until an interrupt comes: the one place where interrupts are on.
///
/// # Safety
///
/// This processor has loaded gates with the handlers below, and its local APIC is on.
#[inline]
pub(crate) unsafe fn sleep() {
    // SAFETY: the wake handler changes no register, and touches nothing but the local APIC. It runs
    // on a stack of its own, or on this one: the block is not `nostack`, so nothing is kept below
    // the stack pointer. Devices may have written memory meanwhile, so it is not `nomem` either.
    unsafe { asm!("sti", "hlt", "cli") }
}

/// Turns on the local APIC of a processor that has just started.
///
/// # Errors
///
/// [`InterruptError::X2Apic`], and [`InterruptError::NoLocalApic`] where its registers are not
/// where the handler of the wake interrupt finds them.
///
/// # Safety
///
/// Called by a processor with the page tables of the one that called [`Interrupts::new`], after
/// that.
pub(crate) unsafe fn join() -> Result<(), InterruptError> {
    let base = local_apic::base()?;
    // SAFETY: nothing but the registers is touched, which each processor has at the same address as
    // the one that turned its own on.
    let registers = unsafe { IdentityMap::new(u64::MAX) };
    let local = LocalApic::at(registers, base);
    if local.end_of_interrupt() != END_OF_INTERRUPT.load(Ordering::Relaxed) {
        return Err(InterruptError::NoLocalApic);
    }
    LocalApic::enable(registers, base).map(drop)
}

/// Address of the local APIC's end-of-interrupt register.
static END_OF_INTERRUPT: AtomicU64 = AtomicU64::new(0xfee0_00b0);

unsafe extern "C" {
    static hal_x86_wake: u8;
    static hal_x86_spurious: u8;
}

/// Address of the handler of [`WAKE_VECTOR`].
pub(crate) fn wake_stub() -> u64 {
    (&raw const hal_x86_wake) as u64
}

/// Address of the handler of [`SPURIOUS_VECTOR`], which must not tell the local APIC anything.
pub(crate) fn spurious_stub() -> u64 {
    (&raw const hal_x86_spurious) as u64
}

global_asm!(
    ".pushsection .text.hal_x86_wake, \"ax\", @progbits",
    "hal_x86_wake:",
    "push rax",
    "mov rax, [rip + {end_of_interrupt}]",
    "mov dword ptr [rax], 0",
    "pop rax",
    "hal_x86_spurious:",
    "iretq",
    ".popsection",
    end_of_interrupt = sym END_OF_INTERRUPT,
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acpi::Polarity;
    use crate::fake::Machine;

    const LOCAL: u64 = 0xfee0_0000;

    fn machine() -> Machine {
        let machine = Machine::new();
        machine.set_register(LOCAL + 0x20, 3 << 24);
        machine.set_register(LOCAL + 0x30, 0x0005_0014);
        // The model has no window register behind the index: every I/O APIC register reads as a
        // version with 24 inputs.
        machine.set_register(0xfec0_0010, 0x0017_0020);
        machine
    }

    #[test]
    fn controllers_start_masked() {
        let machine = machine();
        let interrupts = Interrupts::with_registers(&&machine, &machine, LOCAL, None).unwrap();
        assert_eq!(machine.writes(), [(0x21, 0xff), (0xa1, 0xff), (0x43, 0x30)]);
        let writes = machine.memory_writes();
        assert!(writes.contains(&(LOCAL + 0xf0, 0x12f)));
        assert!(writes.contains(&(LOCAL + 0x350, 0x1_0000)));
        assert_eq!(writes.iter().filter(|write| **write == (0xfec0_0010, 0x1_0000)).count(), 24);
        assert_eq!(interrupts.message(), Message { address: 0xfee0_3000, data: 0x20 });
    }

    #[test]
    fn an_input_is_enabled_where_it_exists() {
        let machine = machine();
        let interrupts = Interrupts::with_registers(&&machine, &machine, LOCAL, None).unwrap();
        let before = machine.memory_writes().len();
        interrupts.enable(Gsi::isa(4)).unwrap();
        let expected =
            [(0xfec0_0000, 0x19), (0xfec0_0010, 3 << 24), (0xfec0_0000, 0x18), (0xfec0_0010, 0x20)];
        assert_eq!(machine.memory_writes()[before..], expected);
        interrupts.enable(Gsi { number: 23, polarity: Polarity::ActiveLow }).unwrap();
        assert_eq!(machine.memory_writes().last(), Some(&(0xfec0_0010, 0x2020)));
        for number in [24, 100, u32::MAX] {
            let refused = interrupts.enable(Gsi { number, polarity: Polarity::ActiveHigh });
            assert_eq!(refused, Err(InterruptError::NoInput));
        }
    }

    #[test]
    fn a_machine_without_controllers_is_an_error() {
        let machine = Machine::new();
        let none = Interrupts::with_registers(&&machine, &machine, LOCAL, None).map(|_| ());
        assert_eq!(none, Err(InterruptError::NoLocalApic));

        machine.set_register(LOCAL + 0x20, 0);
        machine.set_register(LOCAL + 0x30, 0x0005_0014);
        let interrupts = Interrupts::with_registers(&&machine, &machine, LOCAL, None).unwrap();
        assert_eq!(interrupts.enable(Gsi::isa(4)), Err(InterruptError::NoInput));
    }
}

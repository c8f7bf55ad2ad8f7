//! Suspend to RAM: ACPI's S3, and the way back (ACPI 6.5 §7.4.2.4, §16.1).
//!
//! The memory stays, everything else is reset: the processor begins in real mode, and every device
//! is as it was when the machine was switched on, but for what the firmware sets up again. This
//! puts the machine to sleep and brings the program back, registers, descriptor tables and stack;
//! interrupt controllers ([`crate::interrupts::Interrupts::restore`]), PCI functions and devices
//! are for the board to bring back.

use core::arch::{asm, naked_asm};

use crate::acpi::{Facs, Pm1, SleepRegisters, SleepState, SleepTypes, Tables};
use crate::descriptors;
use crate::memory::{IdentityMap, PhysicalMemory};
use crate::ports::{Hardware, Ports};
use crate::real_mode::{Start, StartPage};
use crate::relax::relax;

/// Looks, with a pause each, until a machine that does not fall asleep is left awake: at least 2 s.
/// A busy host takes its time.
const POLLS: u32 = 1_000_000;

/// `WAK_STS` of the PM1 status registers (§4.8.3.1.1): the machine has been asleep. Cleared by
/// writing a one.
const WAKE_STATUS: u16 = 1 << 15;

/// A machine that can be suspended to RAM.
#[derive(Debug)]
pub struct Suspension {
    ports: Hardware,
    memory: IdentityMap,
    control: Pm1,
    status: [Option<u16>; 2],
    types: SleepTypes,
    facs: Facs,
    page: StartPage,
}

/// The machine did not fall asleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StillAwake;

impl core::fmt::Display for StillAwake {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the machine does not fall asleep")
    }
}

impl core::error::Error for StillAwake {}

impl Suspension {
    /// How the machine is suspended, if its tables say all that it takes: the registers, the sleep
    /// type of S3, and the structure that tells the firmware the way back, which leads through
    /// `page`. Reduced hardware has another way back, and no machine of that kind has S3.
    pub fn find<M: PhysicalMemory>(
        ports: Hardware,
        memory: IdentityMap,
        tables: &Tables<'_, M>,
        page: StartPage,
    ) -> Option<Self> {
        let fadt = tables.fadt().ok()?;
        let SleepRegisters::Pm1(control) = SleepRegisters::new(&fadt)? else { return None };
        let status = fadt.pm1_status();
        let types = tables.sleep_types(SleepState::S3)?;
        let facs = tables.facs().ok()?;
        let is_apart = !facs.overlaps(StartPage::ADDRESS.into(), StartPage::BYTES.into());
        (status[0].is_some() && is_apart).then_some(Self {
            ports,
            memory,
            control,
            status,
            types,
            facs,
            page,
        })
    }

    /// Suspends the machine, and returns when it has been woken.
    ///
    /// # Errors
    ///
    /// The machine did not fall asleep; nothing has been reset then.
    ///
    /// # Safety
    ///
    /// Interrupts are off and [`descriptors::install`] has been called. Whatever other processors
    /// do may end at any instruction: after a sleep they have been reset, as all devices have.
    pub unsafe fn sleep(&self) -> Result<(), StillAwake> {
        // SAFETY: `fall_asleep` takes this reference. It comes back by returning, or by `woken`,
        // which is given the stack pointer that it was given.
        let has_slept = unsafe { switch(fall_asleep, self) } != 0;
        if has_slept {
            // SAFETY: the caller's promise; the processor's tables are those of the start page.
            unsafe { descriptors::reload() };
        }
        // Whoever wakes up without having been told the way back starts anew.
        self.facs.set_waking_vector(&self.memory, 0);
        if has_slept { Ok(()) } else { Err(StillAwake) }
    }

    /// Asks for the sleep, and waits for it.
    fn enter(&self, ports: &impl Ports) {
        // A one there is what ends the sleep.
        for port in self.status.into_iter().flatten() {
            ports.write_u16(port, WAKE_STATUS);
        }
        self.control.begin(self.types, ports);
        for _ in 0..POLLS {
            let mut status = self.status.into_iter().flatten();
            if status.any(|port| ports.read_u16(port) & WAKE_STATUS != 0) {
                return;
            }
            relax();
        }
    }
}

/// Prepares the way back to `stack_pointer`, and goes to sleep. It only returns where that failed.
extern "sysv64" fn fall_asleep(stack_pointer: u64, suspension: &Suspension) {
    suspension.page.prepare(Start {
        entry: woken,
        argument: stack_pointer,
        // What lies below is this function's, which is not come back to. `switch` leaves the
        // pointer 8 off a multiple of 16.
        stack_top: stack_pointer - 8,
    });
    suspension.facs.set_waking_vector(&suspension.memory, StartPage::ADDRESS);
    // Caches may lose their power; the memory does not.
    // SAFETY: writes the caches back, and changes nothing else.
    unsafe { asm!("wbinvd", options(nostack, preserves_flags)) };
    suspension.enter(&suspension.ports);
}

/// Saves what the System V ABI wants kept on the stack, and calls `function` with the stack pointer
/// and `suspension`. Returns 0 when that returns, and 1 when [`woken`] goes on from that stack pointer.
///
/// # Safety
///
/// After [`woken`] `function` does not go on.
#[unsafe(naked)]
unsafe extern "sysv64" fn switch(
    function: extern "sysv64" fn(u64, &Suspension),
    suspension: &Suspension,
) -> u64 {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov rax, rdi",
        "mov rdi, rsp",
        "sub rsp, 8", // a multiple of 16
        "call rax",
        "add rsp, 8",
        "xor eax, eax",
        "jmp {restore}",
        restore = sym restore,
    )
}

/// Goes on from the stack pointer that [`switch`] had.
extern "sysv64" fn woken(stack_pointer: u64) -> ! {
    // SAFETY: only the start page comes here, with the pointer of a `switch` that is still waiting:
    // whoever called it has not been returned to, and the memory is as it was.
    unsafe {
        asm!(
            "mov rsp, {stack_pointer}",
            "mov eax, 1",
            "jmp {restore}",
            stack_pointer = in(reg) stack_pointer,
            restore = sym restore,
            options(noreturn),
        )
    }
}

/// The end of [`switch`].
///
/// # Safety
///
/// The stack is as `switch` has left it.
#[unsafe(naked)]
unsafe extern "sysv64" fn restore() {
    naked_asm!("pop r15", "pop r14", "pop r13", "pop r12", "pop rbp", "pop rbx", "ret")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Machine;
    use std::vec;

    fn suspension() -> Suspension {
        let mut facs = b"FACS".to_vec();
        facs.extend(64u32.to_le_bytes());
        facs.resize(64, 0);
        let memory = Machine::with_memory(vec![(0x7_0000, facs)]);
        Suspension {
            // SAFETY: nothing is done with them.
            ports: unsafe { Hardware::new() },
            // SAFETY: nothing is mapped, so nothing has to be.
            memory: unsafe { IdentityMap::new(0) },
            control: Pm1 { a: 0x604, b: Some(0x704), acpi_enable: Some((0xb2, 0xf1)) },
            status: [Some(0x600), Some(0x700)],
            types: SleepTypes::new(1, 2).unwrap(),
            facs: Facs::at(&memory, 0x7_0000).unwrap(),
            // SAFETY: nothing is prepared there.
            page: unsafe { StartPage::new() },
        }
    }

    #[test]
    fn the_wake_status_is_cleared_before_the_machine_falls_asleep() {
        let machine = Machine::new();
        machine.answer(0x600, 0);
        machine.answer(0x700, WAKE_STATUS.into());
        machine.answer(0x604, 0x0001);
        machine.answer(0x704, 0x0000);
        suspension().enter(&machine);
        let expected = [
            (0x600, 0x8000),
            (0x700, 0x8000),
            (0x604, 0x0401),
            (0x704, 0x0800),
            (0x604, 0x2401),
            (0x704, 0x2800),
        ];
        assert_eq!(machine.writes(), expected);
    }

    #[test]
    fn a_machine_that_stays_awake_is_not_waited_for_without_end() {
        let machine = Machine::new();
        for port in [0x600, 0x700, 0x604, 0x704] {
            machine.answer(port, 1);
        }
        suspension().enter(&machine);
        assert!(machine.now_ns() < 3_000_000_000, "{} ns", machine.now_ns());
    }

    /// A machine that stays awake, and one that is woken.
    #[test]
    fn the_program_goes_on_where_it_was() {
        extern "sysv64" fn stays_awake(_: u64, _: &Suspension) {}
        extern "sysv64" fn is_woken(stack_pointer: u64, _: &Suspension) {
            woken(stack_pointer)
        }
        for (function, expected) in [
            (stays_awake as extern "sysv64" fn(u64, &Suspension), 0),
            (is_woken, 1),
            (stays_awake, 0),
        ] {
            let kept = [expected, 2, 3, 4, 5, 6, 7, 8].map(core::hint::black_box);
            // SAFETY: none goes on after `woken`.
            assert_eq!(unsafe { switch(function, &suspension()) }, expected);
            assert_eq!(kept, [expected, 2, 3, 4, 5, 6, 7, 8]);
        }
    }
}

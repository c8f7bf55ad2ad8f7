//! Off, reset, halt: what a guest can do to its machine, best way first.
//!
//! Off is ACPI's S5, and a machine without it cannot be switched off: [`Power::can_power_off`]
//! tells before anybody promises. A reset has a ladder of ways down to one that always works, the
//! triple fault.

use x86_64::instructions::{hlt, interrupts};

use crate::acpi::{ResetRegister, SleepRegisters, SleepState, SleepTypes, Tables};
use crate::descriptors::triple_fault;
use crate::memory::{IdentityMap, PhysicalMemory, Registers};
use crate::ports::{Hardware, Ports};
use crate::relax::relax;

/// The chipset's reset control register, of PIIX, ICH and all since.
const RESET_CONTROL: u16 = 0xcf9;
const RESET_CONTROL_SYSTEM: u8 = 1 << 1;
const RESET_CONTROL_CPU: u8 = 1 << 2;

/// The keyboard controller's command and status port.
const KEYBOARD: u16 = 0x64;
const KEYBOARD_INPUT_FULL: u8 = 1 << 1;
/// Pulse output line 0, which resets the processor.
const KEYBOARD_PULSE_RESET: u8 = 0xfe;

/// Pauses before the next way is tried: at least 4 ms. A reset takes a moment to arrive, and the
/// processor runs on meanwhile.
const PATIENCE: u32 = 2_000;

/// The ways to switch the machine off and to reset it.
#[derive(Debug)]
pub struct Power<P = Hardware, R = IdentityMap> {
    ports: P,
    registers: R,
    off: Option<(SleepRegisters, SleepTypes)>,
    reset: Option<ResetRegister>,
}

/// The machine cannot be switched off, or is still on after it was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StillOn;

impl core::fmt::Display for StillOn {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the machine cannot be switched off")
    }
}

impl core::error::Error for StillOn {}

impl<P: Ports, R: Registers> Power<P, R> {
    /// What the machine's tables offer; without tables, resets that need none.
    pub fn new<M: PhysicalMemory>(ports: P, registers: R, tables: Option<&Tables<'_, M>>) -> Self {
        let fadt = tables.and_then(|tables| tables.fadt().ok());
        let sleep_registers = fadt.as_ref().and_then(SleepRegisters::new);
        let sleep_types = tables.and_then(|tables| tables.sleep_types(SleepState::S5));
        let reset = fadt.as_ref().and_then(ResetRegister::new);
        Self { ports, registers, off: sleep_registers.zip(sleep_types), reset }
    }

    /// Whether [`Self::power_off`] has a way to try.
    pub const fn can_power_off(&self) -> bool {
        self.off.is_some()
    }

    /// Switches the machine off. It only returns where that failed.
    pub fn power_off(&self) -> StillOn {
        if let Some((registers, types)) = &self.off {
            registers.enter(*types, &self.ports, &self.registers);
        }
        StillOn
    }

    /// Resets the machine: by the reset register, the chipset, the keyboard controller, and a
    /// triple fault at last.
    pub fn reset(&self) -> ! {
        self.try_reset();
        triple_fault()
    }

    /// Every way but the last.
    fn try_reset(&self) {
        if let Some(reset) = &self.reset {
            reset.write(&self.ports, &self.registers);
            wait();
        }
        // A hard reset starts when RST_CPU rises while SYS_RST is set.
        self.ports.write_u8(RESET_CONTROL, RESET_CONTROL_SYSTEM);
        self.ports.write_u8(RESET_CONTROL, RESET_CONTROL_SYSTEM | RESET_CONTROL_CPU);
        wait();
        let mut polls = 0..PATIENCE;
        while self.ports.read_u8(KEYBOARD) & KEYBOARD_INPUT_FULL != 0 && polls.next().is_some() {
            relax();
        }
        self.ports.write_u8(KEYBOARD, KEYBOARD_PULSE_RESET);
        wait();
    }
}

fn wait() {
    for _ in 0..PATIENCE {
        relax();
    }
}

/// Halts the processor for good: interrupts off, and back to sleep should a non-maskable one come.
pub fn halt() -> ! {
    loop {
        interrupts::disable();
        hlt();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Machine;

    fn without_tables(machine: &Machine) -> Power<&Machine, &Machine> {
        Power::new(machine, machine, None::<&Tables<'_, Machine>>)
    }

    #[test]
    fn without_acpi_nothing_can_be_switched_off_and_nothing_is_touched() {
        let machine = Machine::new();
        let power = without_tables(&machine);
        assert!(!power.can_power_off());
        assert_eq!(power.power_off(), StillOn);
        assert!(machine.writes().is_empty());
    }

    #[test]
    fn the_ladder_goes_from_the_chipset_to_the_keyboard_controller() {
        for keyboard in [0x1c, 0xff] {
            let machine = Machine::new();
            machine.answer(KEYBOARD, keyboard);
            without_tables(&machine).try_reset();
            assert_eq!(machine.writes(), [(0xcf9, 0x02), (0xcf9, 0x06), (0x64, 0xfe)]);
        }
    }
}

//! The interrupt controllers over a reset of the machine, from which it goes on: a suspend.

use super::io_apic::Entry;
use super::local_apic::{self, register};
use super::{InterruptError, Interrupts, silence};
use crate::memory::Registers;
use crate::ports::{Hardware, Ports};

/// Inputs in use that can be kept: more than a program has devices.
const MAX_INPUTS: usize = 32;

/// Registers of the local APIC that are not the same after every start: non-maskable interrupts are
/// as the firmware had them, and the timer has been measured with that divisor.
const LOCAL: [u64; 2] = [register::LINT1, register::TIMER_DIVIDE];

/// What the controllers have been told.
#[derive(Clone, Debug)]
pub struct Saved {
    local: [u32; LOCAL.len()],
    /// Each with the number of its I/O APIC.
    inputs: [Option<(usize, Entry)>; MAX_INPUTS],
}

impl<R: Registers> Interrupts<R> {
    /// What the controllers have been told; `None` where that is more than can be kept.
    pub fn save(&self) -> Option<Saved> {
        let mut saved = Saved {
            local: LOCAL.map(|offset| self.local.read(offset)),
            inputs: [None; MAX_INPUTS],
        };
        let units = self.io.iter().enumerate();
        let mut entries = units.flat_map(|(number, unit)| {
            unit.iter().flat_map(move |unit| unit.entries().map(move |entry| (number, entry)))
        });
        for slot in &mut saved.inputs {
            *slot = entries.next();
        }
        entries.next().is_none().then_some(saved)
    }

    fn restore_registers(&self, ports: &impl Ports, saved: &Saved) -> Result<(), InterruptError> {
        silence(ports);
        self.local.start()?;
        for (offset, value) in LOCAL.into_iter().zip(saved.local) {
            self.local.write(offset, value);
        }
        for unit in self.io.iter().flatten() {
            unit.mask_all();
        }
        for (number, entry) in saved.inputs.into_iter().flatten() {
            if let Some(Some(unit)) = self.io.get(number) {
                unit.restore(entry);
            }
        }
        Ok(())
    }
}

impl Interrupts {
    /// Brings the controllers back to what [`save`](Self::save) has found, after they have been
    /// reset.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn restore(&self, ports: Hardware, saved: &Saved) -> Result<(), InterruptError> {
        local_apic::base()?;
        self.restore_registers(&ports, saved)
    }
}

#[cfg(test)]
mod tests {
    use core::cell::{Cell, RefCell};
    use std::collections::BTreeMap;

    use super::*;
    use crate::acpi::{Gsi, Polarity};
    use crate::fake::Machine;

    const LOCAL_APIC: u64 = 0xfee0_0000;
    const IO_APIC: u64 = 0xfec0_0000;

    /// A local APIC, and an I/O APIC with registers behind its index, of so many inputs.
    #[derive(Default)]
    struct Controllers {
        inputs: u32,
        index: Cell<u32>,
        registers: RefCell<BTreeMap<u64, u32>>,
    }

    impl Controllers {
        fn new(inputs: u32) -> Self {
            Self { inputs, ..Self::default() }
        }

        fn reset(&self) {
            self.registers.borrow_mut().clear();
        }

        /// Where the window's register is kept.
        fn place(&self, address: u64) -> u64 {
            if address == IO_APIC + 0x10 { u64::from(self.index.get()) } else { address }
        }
    }

    impl Registers for &Controllers {
        fn read_u8(&self, _: u64) -> u8 {
            u8::MAX
        }
        fn write_u8(&self, _: u64, _: u8) {}
        fn read_u32(&self, address: u64) -> u32 {
            let reset = match self.place(address) {
                1 => (self.inputs - 1) << 16 | 0x20,
                // Masked, as every other entry after a reset.
                0x10.. if address == IO_APIC + 0x10 && self.index.get().is_multiple_of(2) => {
                    0x1_0000
                }
                _ => 0,
            };
            self.registers.borrow().get(&self.place(address)).copied().unwrap_or(reset)
        }
        fn write_u32(&self, address: u64, value: u32) {
            if address == IO_APIC {
                self.index.set(value);
            } else {
                self.registers.borrow_mut().insert(self.place(address), value);
            }
        }
    }

    fn interrupts(controllers: &Controllers) -> Interrupts<&Controllers> {
        Interrupts::with_registers(&&Machine::new(), controllers, LOCAL_APIC, None).unwrap()
    }

    #[test]
    fn what_was_told_is_told_again() {
        let controllers = Controllers::new(24);
        let interrupts = interrupts(&controllers);
        interrupts.enable(Gsi::isa(4)).unwrap();
        interrupts.enable(Gsi { number: 23, polarity: Polarity::ActiveLow }).unwrap();
        (&controllers).write_u32(LOCAL_APIC + register::LINT1, 0x400);
        (&controllers).write_u32(LOCAL_APIC + register::TIMER_DIVIDE, 0b1010);
        let before = controllers.registers.borrow().clone();
        let saved = interrupts.save().unwrap();
        controllers.reset();
        let machine = Machine::new();
        interrupts.restore_registers(&&machine, &saved).unwrap();
        assert_eq!(*controllers.registers.borrow(), before);
        assert_eq!(machine.writes(), [(0x21, 0xff), (0xa1, 0xff), (0x43, 0x30)]);
    }

    #[test]
    fn more_inputs_than_can_be_kept_are_not_kept() {
        let controllers = Controllers::new(64);
        let interrupts = interrupts(&controllers);
        for number in 0..64 {
            assert_eq!(interrupts.save().is_some(), number <= 32, "{number}");
            interrupts.enable(Gsi { number, polarity: Polarity::ActiveHigh }).unwrap();
        }
    }
}

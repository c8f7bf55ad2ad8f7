//! Interrupts from this processor to another, by the local APIC's interrupt command register (Intel
//! SDM volume 3, §11.6).

use super::local_apic::{LocalApic, register};
use super::{Interrupts, WAKE_VECTOR};
use crate::memory::{IdentityMap, Registers};
use crate::relax::relax;

/// Fields of the command register, figure 11-12.
const FIXED: u32 = 0b000 << 8;
const INIT: u32 = 0b101 << 8;
const START_UP: u32 = 0b110 << 8;
const SEND_PENDING: u32 = 1 << 12;
const ASSERT: u32 = 1 << 14;
const ALL_BUT_SELF: u32 = 0b11 << 18;

/// Looks at a command that has not left yet, 20 µs apart or less.
const MAX_LOOKS: u32 = 1000;
/// As a destination this is every processor.
const EVERYBODY: u8 = 0xff;

/// The interrupts that one processor can send to another.
#[derive(Debug)]
pub struct InterProcessor<R = IdentityMap> {
    local: LocalApic<R>,
}

/// The interrupt cannot be sent: there is no such processor to send it to, or the local APIC does
/// not send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NotSent;

impl core::fmt::Display for NotSent {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the interrupt cannot be sent to that processor")
    }
}

impl core::error::Error for NotSent {}

impl<R: Clone> Interrupts<R> {
    /// The interrupts that this processor can send to others.
    pub fn inter_processor(&self) -> InterProcessor<R> {
        InterProcessor { local: self.local.clone() }
    }
}

impl<R: Registers> InterProcessor<R> {
    /// This processor's number.
    pub fn own_id(&self) -> u32 {
        self.local.id().into()
    }

    /// Resets processor `id`, which then waits to be started. Whatever it did, it does no more.
    ///
    /// # Errors
    ///
    /// It cannot be sent.
    pub fn init(&self, id: u32) -> Result<(), NotSent> {
        self.send(id, INIT | ASSERT)
    }

    /// Resets all other processors, as [`Self::init`] does.
    ///
    /// # Errors
    ///
    /// It cannot be sent.
    pub fn init_others(&self) -> Result<(), NotSent> {
        self.send(0, INIT | ASSERT | ALL_BUT_SELF)
    }

    /// Starts processor `id`, if it waits for that, in real mode at the beginning of page `page`.
    ///
    /// # Errors
    ///
    /// It cannot be sent.
    pub fn start_up(&self, id: u32, page: u8) -> Result<(), NotSent> {
        self.send(id, START_UP | ASSERT | u32::from(page))
    }

    /// Wakes processor `id` as a device would.
    ///
    /// # Errors
    ///
    /// It cannot be sent.
    pub fn wake(&self, id: u32) -> Result<(), NotSent> {
        self.send(id, FIXED | ASSERT | u32::from(WAKE_VECTOR))
    }

    fn send(&self, id: u32, command: u32) -> Result<(), NotSent> {
        let destination = u8::try_from(id).ok().filter(|&id| id != EVERYBODY).ok_or(NotSent)?;
        self.await_sent()?;
        // > The act of writing to the low doubleword of the ICR causes the IPI to be sent.
        self.local.write(register::COMMAND_HIGH, u32::from(destination) << 24);
        self.local.write(register::COMMAND_LOW, command);
        self.await_sent()
    }

    fn await_sent(&self) -> Result<(), NotSent> {
        for _ in 0..MAX_LOOKS {
            if self.local.read(register::COMMAND_LOW) & SEND_PENDING == 0 {
                return Ok(());
            }
            relax();
        }
        Err(NotSent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Machine;

    const BASE: u64 = 0xfee0_0000;
    const LOW: u64 = BASE + 0x300;
    const HIGH: u64 = BASE + 0x310;

    fn on(machine: &Machine) -> InterProcessor<&Machine> {
        machine.set_register(LOW, 0);
        InterProcessor { local: LocalApic::at(machine, BASE) }
    }

    #[test]
    fn commands_are_those_of_the_manual() {
        type Send = fn(&InterProcessor<&Machine>) -> Result<(), NotSent>;
        let cases: [(Send, u32, u32); 4] = [
            (|others| others.init(1), 1 << 24, 0x4500),
            (|others| others.init_others(), 0, 0xc_4500),
            (|others| others.start_up(0xfe, 8), 0xfe << 24, 0x4608),
            (|others| others.wake(3), 3 << 24, 0x4020),
        ];
        for (send, high, low) in cases {
            let machine = Machine::new();
            assert_eq!(send(&on(&machine)), Ok(()));
            assert_eq!(machine.memory_writes(), [(HIGH, high), (LOW, low)]);
        }
    }

    #[test]
    fn nobody_is_taken_for_everybody() {
        let machine = Machine::new();
        for id in [0xff, 0x100, 0x1ff, u32::MAX] {
            assert_eq!(on(&machine).init(id), Err(NotSent), "{id:#x}");
        }
        assert_eq!(machine.memory_writes(), []);
    }

    #[test]
    fn a_command_that_never_leaves_is_an_error() {
        let machine = Machine::new();
        let others = on(&machine);
        machine.set_register(LOW, SEND_PENDING);
        assert_eq!(others.wake(1), Err(NotSent));
        assert_eq!(machine.memory_writes(), [], "nothing may be written over it");
    }
}

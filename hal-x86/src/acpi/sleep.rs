//! Sleep states and reset: the registers, and what to write to them.

use crate::acpi::{Fadt, Register};
use crate::memory::Registers;
use crate::ports::Ports;
use crate::relax::relax;

/// Looks at a register, with a pause each, while the machine falls asleep or changes its mode: at
/// least 40 ms.
const POLLS: u32 = 20_000;

/// A sleep state that a guest may enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SleepState {
    /// Suspended to RAM.
    S3,
    /// Off.
    S5,
}

impl SleepState {
    /// Its package's name in the root of the name space.
    pub(super) const fn name(self) -> [u8; 4] {
        match self {
            Self::S3 => *b"_S3_",
            Self::S5 => *b"_S5_",
        }
    }
}

/// What to write into the sleep type fields, three bits each, to enter a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SleepTypes {
    a: u8,
    b: u8,
}

impl SleepTypes {
    /// The values for the registers `PM1a` (or the sleep control register) and `PM1b`; `None` for
    /// more than three bits.
    pub fn new(a: u32, b: u32) -> Option<Self> {
        let three_bits = |value| u8::try_from(value).ok().filter(|&value| value < 8);
        Some(Self { a: three_bits(a)?, b: three_bits(b)? })
    }
}

/// The PM1 control registers (§4.8.3.2), at 16-bit ports, and how to switch to ACPI mode first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pm1 {
    /// `PM1a_CNT`.
    pub a: u16,
    /// `PM1b_CNT`, where the chipset has two.
    pub b: Option<u16>,
    /// Port `SMI_CMD` and the value `ACPI_ENABLE`.
    pub acpi_enable: Option<(u16, u8)>,
}

/// The registers that put a machine to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SleepRegisters {
    /// Those of fixed hardware.
    Pm1(Pm1),
    /// Those of reduced hardware (§4.8.3.7).
    Reduced {
        /// Sleep control register.
        control: Register,
        /// Sleep status register.
        status: Option<Register>,
    },
}

impl SleepRegisters {
    /// The registers that the FADT tells.
    pub fn new(fadt: &Fadt<'_>) -> Option<Self> {
        if fadt.hardware_reduced() {
            let (control, status) = fadt.sleep_registers()?;
            return Some(Self::Reduced { control, status });
        }
        let [a, b] = fadt.pm1_control();
        Some(Self::Pm1(Pm1 { a: a?, b, acpi_enable: fadt.acpi_enable() }))
    }

    /// Enters the sleep state of `types`, with interrupts off and all devices at rest.
    ///
    /// It returns where the machine did not fall asleep within a bounded time, or woke again.
    pub fn enter(&self, types: SleepTypes, ports: &impl Ports, memory: &impl Registers) {
        match *self {
            Self::Pm1(control) => {
                control.begin(types, ports);
                for _ in 0..POLLS {
                    ports.read_u16(control.a);
                    relax();
                }
            }
            Self::Reduced { control, status } => {
                // §4.8.3.7: the sleep type and SLP_EN in one write, and WAK_STS, which tells of an
                // earlier sleep, cleared by a one before.
                const WAKE_STATUS: u8 = 1 << 7;
                const SLEEP_ENABLE: u8 = 1 << 5;
                if let Some(status) = status {
                    status.write_u8(WAKE_STATUS, ports, memory);
                }
                control.write_u8(types.a << 2 | SLEEP_ENABLE, ports, memory);
                for _ in 0..POLLS {
                    control.read_u8(ports, memory);
                    relax();
                }
            }
        }
    }
}

impl Pm1 {
    /// Asks for the sleep state of `types`; the machine falls asleep a moment later.
    pub(crate) fn begin(self, types: SleepTypes, ports: &impl Ports) {
        const SCI_EN: u16 = 1 << 0;
        const SLP_TYP: u16 = 0b111 << 10;
        const SLP_EN: u16 = 1 << 13;
        let Self { a, b, acpi_enable } = self;
        if let Some((port, value)) = acpi_enable
            && ports.read_u16(a) & SCI_EN == 0
        {
            // §4.8.2.5: the firmware's SMI handler hands the fixed hardware over, and SCI_EN tells
            // when it has.
            ports.write_u8(port, value);
            let mut polls = 0..POLLS;
            while ports.read_u16(a) & SCI_EN == 0 && polls.next().is_some() {
                relax();
            }
        }
        let value = |port: u16, sleep_type: u8| {
            ports.read_u16(port) & !(SLP_TYP | SLP_EN) | u16::from(sleep_type) << 10
        };
        let value_a = value(a, types.a);
        let value_b = b.map(|b| (b, value(b, types.b)));
        // The types first and the enable bits after, as ACPICA does: some chipsets latch the type
        // only so.
        ports.write_u16(a, value_a);
        if let Some((b, value_b)) = value_b {
            ports.write_u16(b, value_b);
        }
        ports.write_u16(a, value_a | SLP_EN);
        if let Some((b, value_b)) = value_b {
            ports.write_u16(b, value_b | SLP_EN);
        }
    }
}

/// The reset register (§4.8.3.6) and the value that resets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetRegister {
    register: Register,
    value: u8,
}

impl ResetRegister {
    /// The reset register that the FADT tells.
    pub fn new(fadt: &Fadt<'_>) -> Option<Self> {
        let (register, value) = fadt.reset()?;
        Some(Self { register, value })
    }

    /// Writes to it. It returns until the reset takes effect.
    pub fn write(&self, ports: &impl Ports, memory: &impl Registers) {
        self.register.write_u8(self.value, ports, memory);
    }
}

impl Register {
    fn read_u8(self, ports: &impl Ports, memory: &impl Registers) -> u8 {
        match self {
            Self::Memory(address) => memory.read_u8(address),
            Self::Port(port) => ports.read_u8(port),
        }
    }

    fn write_u8(self, value: u8, ports: &impl Ports, memory: &impl Registers) {
        match self {
            Self::Memory(address) => memory.write_u8(address, value),
            Self::Port(port) => ports.write_u8(port, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Machine;

    const S5: SleepTypes = SleepTypes { a: 5, b: 3 };

    #[test]
    fn pm1_gets_the_types_and_then_the_enable_bits() {
        let machine = Machine::new();
        machine.answer(0x604, 0x0001);
        machine.answer(0x704, 0x3c01);
        let control = Pm1 { a: 0x604, b: Some(0x704), acpi_enable: Some((0xb2, 0xf1)) };
        SleepRegisters::Pm1(control).enter(S5, &machine, &machine);
        // The bits that are not sleep type and enable stay.
        let expected = [(0x604, 0x1401), (0x704, 0x0c01), (0x604, 0x3401), (0x704, 0x2c01)];
        assert_eq!(machine.writes(), expected);
    }

    #[test]
    fn acpi_mode_is_asked_for_where_it_is_off_and_not_waited_for_without_end() {
        let machine = Machine::new();
        machine.answer(0x604, 0);
        let control = Pm1 { a: 0x604, b: None, acpi_enable: Some((0xb2, 0xf1)) };
        SleepRegisters::Pm1(control).enter(S5, &machine, &machine);
        assert_eq!(machine.writes(), [(0xb2, 0xf1), (0x604, 0x1400), (0x604, 0x3400)]);
    }

    #[test]
    fn reduced_hardware_has_registers_of_its_own() {
        let machine = Machine::new();
        let registers = SleepRegisters::Reduced {
            control: Register::Memory(0xfea0_0000),
            status: Some(Register::Port(0x601)),
        };
        registers.enter(S5, &machine, &machine);
        assert_eq!(machine.memory_writes(), [(0xfea0_0000, 0x34)]);
        assert_eq!(machine.writes(), [(0x601, 0x80)]);
    }

    #[test]
    fn types_have_three_bits() {
        assert_eq!(SleepTypes::new(7, 0), Some(SleepTypes { a: 7, b: 0 }));
        for (a, b) in [(8, 0), (0, 8), (u32::MAX, 0), (256, 0)] {
            assert_eq!(SleepTypes::new(a, b), None);
        }
    }
}

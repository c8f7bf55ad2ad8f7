//! The fixed ACPI description table, FADT (§5.2.9).
//!
//! It grew with every version of ACPI, and a field exists where the table is long enough to hold
//! it.

use bitflags::bitflags;

use crate::acpi::{u8_at, u16_at, u32_at, u64_at};

/// Offsets of fields, §5.2.9 table 5.9.
mod field {
    pub(super) const FIRMWARE_CTRL: usize = 36;
    pub(super) const DSDT: usize = 40;
    pub(super) const SMI_CMD: usize = 48;
    pub(super) const ACPI_ENABLE: usize = 52;
    pub(super) const PM1A_EVT_BLK: usize = 56;
    pub(super) const PM1B_EVT_BLK: usize = 60;
    pub(super) const PM1A_CNT_BLK: usize = 64;
    pub(super) const PM1B_CNT_BLK: usize = 68;
    pub(super) const PM_TMR_BLK: usize = 76;
    pub(super) const CENTURY: usize = 108;
    pub(super) const IAPC_BOOT_ARCH: usize = 109;
    pub(super) const FLAGS: usize = 112;
    pub(super) const RESET_REG: usize = 116;
    pub(super) const RESET_VALUE: usize = 128;
    pub(super) const X_FIRMWARE_CTRL: usize = 132;
    pub(super) const X_DSDT: usize = 140;
    pub(super) const X_PM1A_EVT_BLK: usize = 148;
    pub(super) const X_PM1B_EVT_BLK: usize = 160;
    pub(super) const X_PM1A_CNT_BLK: usize = 172;
    pub(super) const X_PM1B_CNT_BLK: usize = 184;
    pub(super) const X_PM_TMR_BLK: usize = 208;
    pub(super) const SLEEP_CONTROL_REG: usize = 244;
    pub(super) const SLEEP_STATUS_REG: usize = 256;
}

bitflags! {
    /// Fixed feature flags, §5.2.9 table 5.10.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Flags: u32 {
        /// The reset register can be used.
        const RESET_REG_SUP = 1 << 10;
        /// There is no fixed hardware: no PM1 registers, no PM timer.
        const HW_REDUCED_ACPI = 1 << 20;
        const _ = !0;
    }
}

/// The FADT.
#[derive(Clone, Copy, Debug)]
pub struct Fadt<'m> {
    table: &'m [u8],
}

/// Where a byte-wide register is: a generic address structure (§5.2.3.2) of the two spaces that are
/// used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// In physical memory.
    Memory(u64),
    /// An I/O port.
    Port(u16),
}

impl Register {
    /// The register that the generic address structure at `offset` describes. `None` for no
    /// register at all (address 0), and for the spaces that no virtual machine uses here (PCI
    /// configuration space, embedded controllers …).
    fn at(table: &[u8], offset: usize) -> Option<Self> {
        const SYSTEM_MEMORY: u8 = 0;
        const SYSTEM_IO: u8 = 1;
        let address = u64_at(table, offset + 4).filter(|&address| address != 0)?;
        match u8_at(table, offset)? {
            SYSTEM_MEMORY => Some(Self::Memory(address)),
            SYSTEM_IO => u16::try_from(address).ok().map(Self::Port),
            _ => None,
        }
    }
}

impl<'m> Fadt<'m> {
    /// `table` is the whole table, checked.
    pub(super) const fn new(table: &'m [u8]) -> Self {
        Self { table }
    }

    /// Physical addresses to find the DSDT at, the better first.
    pub(super) fn dsdt(&self) -> [Option<u64>; 2] {
        self.table_addresses(field::X_DSDT, field::DSDT)
    }

    /// Physical addresses to find the FACS at, the better first.
    pub(super) fn facs(&self) -> [Option<u64>; 2] {
        self.table_addresses(field::X_FIRMWARE_CTRL, field::FIRMWARE_CTRL)
    }

    /// The addresses at `wide` and at `narrow`, where they hold one.
    fn table_addresses(&self, wide: usize, narrow: usize) -> [Option<u64>; 2] {
        let wide = u64_at(self.table, wide).filter(|&address| address != 0);
        let narrow = u32_at(self.table, narrow).filter(|&address| address != 0);
        [wide, narrow.map(u64::from)]
    }

    fn flags(&self) -> Flags {
        Flags::from_bits_retain(u32_at(self.table, field::FLAGS).unwrap_or(0))
    }

    /// Whether the machine has the reduced hardware of §4.1: sleep registers of their own, and
    /// neither PM1 nor PM timer.
    pub fn hardware_reduced(&self) -> bool {
        self.flags().contains(Flags::HW_REDUCED_ACPI)
    }

    /// Port of the power-management timer, which counts at 3.579545 MHz in its lower 24 bits.
    pub fn pm_timer(&self) -> Option<u16> {
        self.fixed_port(field::X_PM_TMR_BLK, field::PM_TMR_BLK)
    }

    /// Ports of the `PM1a` and `PM1b` status registers (§4.8.3.1.1).
    pub fn pm1_status(&self) -> [Option<u16>; 2] {
        [
            self.fixed_port(field::X_PM1A_EVT_BLK, field::PM1A_EVT_BLK),
            self.fixed_port(field::X_PM1B_EVT_BLK, field::PM1B_EVT_BLK),
        ]
    }

    /// Ports of the `PM1a` and `PM1b` control registers (§4.8.3.2).
    pub fn pm1_control(&self) -> [Option<u16>; 2] {
        [
            self.fixed_port(field::X_PM1A_CNT_BLK, field::PM1A_CNT_BLK),
            self.fixed_port(field::X_PM1B_CNT_BLK, field::PM1B_CNT_BLK),
        ]
    }

    /// Where and what to write to switch the fixed hardware over to ACPI: the port `SMI_CMD` and
    /// the value `ACPI_ENABLE`. `None` on machines that are always in ACPI mode.
    pub fn acpi_enable(&self) -> Option<(u16, u8)> {
        let port = u32_at(self.table, field::SMI_CMD).filter(|&port| port != 0)?;
        let value = u8_at(self.table, field::ACPI_ENABLE).filter(|&value| value != 0)?;
        Some((u16::try_from(port).ok()?, value))
    }

    /// Register of the CMOS clock that holds the century.
    pub fn century(&self) -> Option<u8> {
        u8_at(self.table, field::CENTURY).filter(|&index| index != 0)
    }

    /// The reset register and what to write to it (§4.8.3.6).
    pub fn reset(&self) -> Option<(Register, u8)> {
        let supported = self.flags().contains(Flags::RESET_REG_SUP);
        let register = Register::at(self.table, field::RESET_REG).filter(|_| supported)?;
        Some((register, u8_at(self.table, field::RESET_VALUE)?))
    }

    /// The sleep control and status registers of reduced hardware (§4.8.3.7).
    pub fn sleep_registers(&self) -> Option<(Register, Option<Register>)> {
        let control = Register::at(self.table, field::SLEEP_CONTROL_REG)?;
        Some((control, Register::at(self.table, field::SLEEP_STATUS_REG)))
    }

    /// A block of fixed hardware: the generic address at `wide` if it holds one, else the port
    /// number at `narrow`.
    fn fixed_port(&self, wide: usize, narrow: usize) -> Option<u16> {
        if self.hardware_reduced() {
            return None;
        }
        match Register::at(self.table, wide) {
            Some(Register::Port(port)) => Some(port),
            // Fixed hardware in memory is not found on PCs.
            Some(Register::Memory(_)) => None,
            None => {
                let port = u32_at(self.table, narrow).filter(|&port| port != 0)?;
                u16::try_from(port).ok()
            }
        }
    }

    /// Whether the firmware says that there is no CMOS clock (§5.2.9.3, bit 5 of `IAPC_BOOT_ARCH`).
    pub fn lacks_rtc(&self) -> bool {
        const CMOS_RTC_NOT_PRESENT: u16 = 1 << 5;
        u16_at(self.table, field::IAPC_BOOT_ARCH).unwrap_or(0) & CMOS_RTC_NOT_PRESENT != 0
    }
}

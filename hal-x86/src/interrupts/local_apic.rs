//! The processor's local APIC, in xAPIC mode (memory-mapped).
//!
//! Intel SDM volume 3, chapter 11.

use x86_64::registers::model_specific::Msr;

use crate::interrupts::{InterruptError, SPURIOUS_VECTOR};
use crate::memory::Registers;

/// Offsets of registers, table 11-1.
pub(super) mod register {
    pub(in crate::interrupts) const ID: u64 = 0x20;
    pub(in crate::interrupts) const VERSION: u64 = 0x30;
    pub(in crate::interrupts) const TASK_PRIORITY: u64 = 0x80;
    pub(in crate::interrupts) const END_OF_INTERRUPT: u64 = 0xb0;
    pub(in crate::interrupts) const SPURIOUS: u64 = 0xf0;
    pub(in crate::interrupts) const COMMAND_LOW: u64 = 0x300;
    pub(in crate::interrupts) const COMMAND_HIGH: u64 = 0x310;
    pub(in crate::interrupts) const TIMER: u64 = 0x320;
    pub(in crate::interrupts) const LINT0: u64 = 0x350;
    pub(in crate::interrupts) const LINT1: u64 = 0x360;
    pub(in crate::interrupts) const ERROR: u64 = 0x370;
    pub(in crate::interrupts) const TIMER_INITIAL: u64 = 0x380;
    pub(in crate::interrupts) const TIMER_COUNT: u64 = 0x390;
    pub(in crate::interrupts) const TIMER_DIVIDE: u64 = 0x3e0;
}

const SOFTWARE_ENABLE: u32 = 1 << 8;
pub(super) const MASKED: u32 = 1 << 16;

/// Physical address of the registers, after the APIC has been turned on where the firmware has not.
pub(super) fn base() -> Result<u64, InterruptError> {
    const IA32_APIC_BASE: u32 = 0x1b;
    const GLOBAL_ENABLE: u64 = 1 << 11;
    const X2APIC: u64 = 1 << 10;
    const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
    const CPUID_APIC: u32 = 1 << 9;
    if core::arch::x86_64::__cpuid(1).edx & CPUID_APIC == 0 {
        return Err(InterruptError::NoLocalApic);
    }
    let mut msr = Msr::new(IA32_APIC_BASE);
    // SAFETY: a processor with a local APIC has this register (§11.4.4).
    let value = unsafe { msr.read() };
    if value & X2APIC != 0 {
        return Err(InterruptError::X2Apic);
    }
    if value & GLOBAL_ENABLE == 0 {
        // SAFETY: turning the APIC on changes no memory; all its inputs are masked then.
        unsafe { msr.write(value | GLOBAL_ENABLE) };
    }
    Ok(value & ADDRESS)
}

#[derive(Clone, Debug)]
pub(super) struct LocalApic<R> {
    registers: R,
    base: u64,
}

impl<R: Registers> LocalApic<R> {
    /// The one whose registers are at `base`, as it is.
    pub(super) const fn at(registers: R, base: u64) -> Self {
        Self { registers, base }
    }

    /// Lets interrupts of every priority through, but none of its own.
    ///
    /// LINT1 is left as the firmware has it: it carries non-maskable interrupts, by which a host
    /// asks a stuck guest to give up.
    pub(super) fn enable(registers: R, base: u64) -> Result<Self, InterruptError> {
        let apic = Self::at(registers, base);
        apic.start()?;
        Ok(apic)
    }

    /// What [`enable`](Self::enable) does, and has to do again after a reset.
    pub(super) fn start(&self) -> Result<(), InterruptError> {
        if self.read(register::VERSION) == u32::MAX {
            return Err(InterruptError::NoLocalApic);
        }
        for local in [register::TIMER, register::LINT0, register::ERROR] {
            self.write(local, MASKED);
        }
        self.write(register::TASK_PRIORITY, 0);
        self.write(register::SPURIOUS, SOFTWARE_ENABLE | u32::from(SPURIOUS_VECTOR));
        Ok(())
    }

    /// The number by which interrupts are sent to this processor.
    pub(super) fn id(&self) -> u8 {
        self.read(register::ID).to_le_bytes()[3]
    }

    pub(super) const fn end_of_interrupt(&self) -> u64 {
        self.base + register::END_OF_INTERRUPT
    }

    pub(super) fn read(&self, offset: u64) -> u32 {
        self.registers.read_u32(self.base + offset)
    }

    pub(super) fn write(&self, offset: u64, value: u32) {
        self.registers.write_u32(self.base + offset, value);
    }
}

//! The local APIC's timer as a timer of known frequency.
//!
//! > The APIC timer frequency will be the processor's bus clock or core crystal clock frequency
//! > (when TSC/core crystal clock ratio is enumerated in CPUID leaf 0x15) divided by the value
//! > specified in the divide configuration register. (Intel SDM volume 3, §11.5.4)
//!
//! Nothing tells the bus clock of a real machine. That of KVM and of QEMU without it is 1 GHz. A
//! hypervisor may have KVM count at another rate, and has to say so in CPUID leaf 0x15 then (KVM
//! API, `KVM_CAP_X86_APIC_BUS_CYCLES_NS`); but as others have that leaf for the time-stamp
//! counter's sake alone, its presence only says that the rate is not known.

use core::arch::x86_64::{__cpuid, CpuidResult};

use super::Interrupts;
use super::local_apic::{LocalApic, MASKED, register};
use super::timer::DIVIDE_BY_128;
use crate::memory::Registers;

/// A timer that counts the bus clock: 128 ns a tick, over in 550 s. It stops when it is dropped.
pub(crate) struct BusClock<R: Registers> {
    local: LocalApic<R>,
}

impl<R: Registers + Clone> Interrupts<R> {
    /// The bus clock, where its frequency is known. Whoever uses it has no
    /// [`Timer`](super::Timer) meanwhile.
    pub(crate) fn bus_clock(&self) -> Option<BusClock<R>> {
        is_known(__cpuid).then(|| BusClock { local: self.local.clone() })
    }
}

fn is_known(cpuid: impl Fn(u32) -> CpuidResult) -> bool {
    /// Where a hypervisor tells its name. Without one the registers hold something else.
    const HYPERVISOR: u32 = 0x4000_0000;
    const KVM: [u32; 3] = name(*b"KVMK", *b"VMKV", *b"M\0\0\0");
    const TCG: [u32; 3] = name(*b"TCGT", *b"CGTC", *b"GTCG");
    const CRYSTAL: u32 = 0x15;
    let CpuidResult { ebx, ecx, edx, .. } = cpuid(HYPERVISOR);
    let tells_crystal = || cpuid(0).eax >= CRYSTAL && cpuid(CRYSTAL).ecx != 0;
    [KVM, TCG].contains(&[ebx, ecx, edx]) && !tells_crystal()
}

const fn name(ebx: [u8; 4], ecx: [u8; 4], edx: [u8; 4]) -> [u32; 3] {
    [u32::from_le_bytes(ebx), u32::from_le_bytes(ecx), u32::from_le_bytes(edx)]
}

impl<R: Registers> BusClock<R> {
    pub(crate) const HZ: u64 = 1_000_000_000 / 128;

    pub(crate) fn start(&self) {
        self.local.write(register::TIMER, MASKED);
        self.local.write(register::TIMER_DIVIDE, DIVIDE_BY_128);
        self.local.write(register::TIMER_INITIAL, u32::MAX);
    }

    /// The ticks since the start.
    pub(crate) fn count(&self) -> u32 {
        // It counts down.
        !self.local.read(register::TIMER_COUNT)
    }
}

impl<R: Registers> Drop for BusClock<R> {
    fn drop(&mut self) {
        self.local.write(register::TIMER_INITIAL, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{LOCAL_APIC, Machine};

    impl<'m> BusClock<&'m Machine> {
        /// That of a model, whoever runs the tests.
        pub(crate) fn of(machine: &'m Machine) -> Self {
            Self { local: LocalApic::at(machine, LOCAL_APIC) }
        }
    }

    /// A processor that tells its highest basic leaf, a crystal's frequency and a name.
    fn known(basic_leaves: u32, crystal_hz: u32, name: &[u8; 12]) -> bool {
        is_known(|leaf| {
            let [ebx, ecx, edx] = [0, 4, 8]
                .map(|start| u32::from_le_bytes(name[start..start + 4].try_into().unwrap()));
            let nothing = CpuidResult { eax: 0, ebx: 0, ecx: 0, edx: 0 };
            match leaf {
                0 => CpuidResult { eax: basic_leaves, ..nothing },
                0x15 => CpuidResult { ecx: crystal_hz, ..nothing },
                0x4000_0000 => CpuidResult { eax: 0x4000_0001, ebx, ecx, edx },
                _ => nothing,
            }
        })
    }

    #[test]
    fn it_is_known_where_nobody_can_have_changed_it() {
        for name in [b"KVMKVMKVM\0\0\0", b"TCGTCGTCGTCG"] {
            assert!(known(0x0d, 0, name));
            assert!(known(0x16, 0, name));
            // What a leaf beyond the last one reads as means nothing.
            assert!(known(0x0d, 25_000_000, name));
            assert!(!known(0x16, 25_000_000, name));
        }
        for name in [b"Microsoft Hv", b"VMwareVMware", b"KVMKVMKVMKVM", &[0; 12], &[0xff; 12]] {
            assert!(!known(0x16, 0, name), "{}", name.escape_ascii());
        }
    }

    #[test]
    fn it_counts_from_the_start_until_it_is_dropped() {
        let machine = Machine::new().and_bus_clock();
        let clock = BusClock::of(&machine);
        clock.start();
        let (count, ns) = (clock.count(), machine.now_ns());
        machine.pass_ns(128 * 1000);
        let (passed, passed_ns) = (clock.count() - count, machine.now_ns() - ns);
        assert!(u64::from(passed).abs_diff(passed_ns / 128) <= 1, "{passed}");
        // Masked: it interrupts nobody.
        assert!(machine.memory_writes().contains(&(LOCAL_APIC + 0x320, 0x1_0000)));
        drop(clock);
        assert_eq!(machine.memory_writes().last(), Some(&(LOCAL_APIC + 0x380, 0)));
    }
}

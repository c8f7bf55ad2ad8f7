//! The local APIC's timer, once: what ends a sleep that no device ends.
//!
//! It interrupts as a device would, at the same vector, and then stands still: a guest that waits
//! for nothing has no timer. Its frequency is told by nobody (Intel SDM volume 3, §11.5.4: that of
//! the bus or of the crystal), so it is measured.

use super::local_apic::{LocalApic, MASKED, register};
use super::{Interrupts, WAKE_VECTOR};
use crate::memory::{IdentityMap, Registers};
use crate::relax::relax;
use crate::tsc::Counter;

/// Divide configuration: by 128. From the counters of today's machines, of 25 MHz to 1 GHz, that
/// leaves steps of at most 5 µs, and 550 s until the longest count is over.
pub(super) const DIVIDE_BY_128: u32 = 0b1010;

/// Length of a measurement, ms.
const WINDOW_MS: u64 = 5;
/// Samples at either end, of which that with the closest bracket counts (see [`crate::tsc`]).
const SAMPLES: u32 = 4;
/// Looks after which a measurement ends, even if the processor's own counter stands still.
const MAX_READINGS: u32 = 1_000_000;

/// A timer that interrupts once.
#[derive(Debug)]
pub struct Timer<R = IdentityMap> {
    local: LocalApic<R>,
    ticks_per_ms: u64,
}

impl<R: Registers + Clone> Interrupts<R> {
    /// The timer, measured against `counter`, which makes `counter_per_ms` ticks in a millisecond;
    /// that takes 5 ms. `None` where it does not count.
    pub fn timer(&self, counter: &impl Counter, counter_per_ms: u64) -> Option<Timer<R>> {
        Timer::measured(self.local.clone(), counter, counter_per_ms)
    }
}

impl<R: Registers> Timer<R> {
    fn measured(local: LocalApic<R>, counter: &impl Counter, counter_per_ms: u64) -> Option<Self> {
        // > A write of 0 to the initial-count register effectively stops the local APIC timer
        local.write(register::TIMER, MASKED | u32::from(WAKE_VECTOR));
        local.write(register::TIMER_DIVIDE, DIVIDE_BY_128);
        local.write(register::TIMER_INITIAL, u32::MAX);
        let first = Sample::closest(&local, counter);
        let window = counter_per_ms.saturating_mul(WINDOW_MS);
        let mut readings = 0;
        while counter.ticks().saturating_sub(first.at) < window && readings < MAX_READINGS {
            relax();
            readings += 1;
        }
        let last = Sample::closest(&local, counter);
        local.write(register::TIMER_INITIAL, 0);
        // It counts down.
        let steps = u64::from(first.count.saturating_sub(last.count));
        let elapsed = last.at.saturating_sub(first.at);
        let ticks_per_ms = steps.saturating_mul(counter_per_ms).checked_div(elapsed)?;
        (ticks_per_ms > 0).then_some(Self { local, ticks_per_ms })
    }

    /// Interrupts in `duration_ms`, or after the longest time that the timer can count where that
    /// is less. A count that was begun before is given up.
    pub fn start(&self, duration_ms: u64) {
        let count = duration_ms.saturating_mul(self.ticks_per_ms).max(1);
        // One-shot mode is that of bits 18:17 clear.
        self.local.write(register::TIMER, WAKE_VECTOR.into());
        self.local.write(register::TIMER_INITIAL, u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// Gives the count up.
    pub fn stop(&self) {
        self.local.write(register::TIMER_INITIAL, 0);
    }
}

/// The timer's count, and the counter's at that moment.
struct Sample {
    at: u64,
    count: u32,
}

impl Sample {
    fn closest<R: Registers>(local: &LocalApic<R>, counter: &impl Counter) -> Self {
        let mut closest = Self { at: 0, count: 0 };
        let mut bracket = u64::MAX;
        for _ in 0..SAMPLES {
            let before = counter.ticks();
            let count = local.read(register::TIMER_COUNT);
            let length = counter.ticks().saturating_sub(before);
            if length < bracket {
                bracket = length;
                closest = Self { at: before.saturating_add(length / 2), count };
            }
        }
        closest
    }
}

#[cfg(test)]
mod tests {
    use core::cell::{Cell, RefCell};

    use super::*;

    const BASE: u64 = 0xfee0_0000;

    /// A local APIC whose timer makes one step in `step_ns`, on a machine where each access takes a
    /// microsecond and the counter makes a tick in a nanosecond.
    #[derive(Default)]
    struct Apic {
        now_ns: Cell<u64>,
        step_ns: u64,
        /// When the count began, and with what.
        begun: Cell<(u64, u32)>,
        writes: RefCell<Vec<(u64, u32)>>,
    }

    impl Apic {
        fn new(step_ns: u64) -> Self {
            Self { step_ns, ..Self::default() }
        }

        fn measure(&self) -> Option<Timer<&Self>> {
            let local = LocalApic::at(self, BASE);
            Timer::measured(local, &self, 1_000_000)
        }
    }

    impl Counter for Apic {
        fn ticks(&self) -> u64 {
            self.now_ns.set(self.now_ns.get() + 10);
            self.now_ns.get()
        }
    }

    impl Registers for Apic {
        fn read_u8(&self, _: u64) -> u8 {
            u8::MAX
        }

        fn write_u8(&self, _: u64, _: u8) {}

        fn read_u32(&self, address: u64) -> u32 {
            assert_eq!(address, BASE + register::TIMER_COUNT);
            self.now_ns.set(self.now_ns.get() + 1000);
            let (begun_ns, count) = self.begun.get();
            let steps = (self.now_ns.get() - begun_ns).checked_div(self.step_ns).unwrap_or(0);
            count.saturating_sub(u32::try_from(steps).unwrap())
        }

        fn write_u32(&self, address: u64, value: u32) {
            if address == BASE + register::TIMER_INITIAL {
                self.begun.set((self.now_ns.get(), value));
            }
            self.writes.borrow_mut().push((address - BASE, value));
        }
    }

    #[test]
    fn the_rate_is_measured() {
        for (step_ns, expected) in [(128, 7812), (5120, 195), (1, 1_000_000)] {
            let apic = Apic::new(step_ns);
            let measured = apic.measure().unwrap().ticks_per_ms;
            assert!(measured.abs_diff(expected) <= expected / 100, "{step_ns} ns: {measured}");
            assert!(apic.now_ns.get() < 6_000_000, "{} ns", apic.now_ns.get());
            assert_eq!(apic.begun.get().1, 0, "it is stopped afterwards");
        }
    }

    #[test]
    fn one_that_does_not_count_is_none() {
        assert!(Apic::new(0).measure().is_none());
        // Too slow to be told from one that stands.
        assert!(Apic::new(100_000_000).measure().is_none());
    }

    #[test]
    fn it_counts_once_and_no_longer_than_it_can() {
        let apic = Apic::new(1000);
        let timer = apic.measure().unwrap();
        for (duration_ms, least, most) in
            [(0, 1, 1), (1, 990, 1010), (10_000, 9_900_000, 10_100_000), (u64::MAX, !0, !0)]
        {
            apic.writes.take();
            timer.start(duration_ms);
            let writes = apic.writes.take();
            assert_eq!(writes[0], (0x320, 0x20), "unmasked, one-shot");
            assert_eq!(writes[1].0, 0x380);
            assert!((least..=most).contains(&writes[1].1), "{duration_ms}: {}", writes[1].1);
        }
        timer.stop();
        assert_eq!(apic.writes.take(), [(0x380, 0)]);
    }
}

//! The time-stamp counter, and its rate against a timer of known frequency.
//!
//! The counter is the only fast clock that every x86 machine has, but nothing tells its frequency
//! for sure. [`Tsc::calibrate`] measures it, within 20 ms, against the ACPI power-management timer,
//! the PIT or the local APIC's timer; [`crate::clock::WallClock`] counts time with the result.
//!
//! # Why samples are bracketed
//!
//! A virtual processor can lose its core between any two instructions. So each reading of the
//! reference stands between two readings of the counter, and of several samples the one with the
//! closest bracket counts: what the host did in between is at most as long as that bracket. The
//! error of the rate is below (half of both brackets + one reference tick) / window, with these
//! numbers: 63 ppm + 14 ppm (PM timer), 42 ppm (PIT) or 7 ppm (local APIC) at worst, and a fifth of
//! that as a rule.

use crate::interrupts::{BusClock, Interrupts};
use crate::memory::Registers;
use crate::ports::{Hardware, Ports};
use crate::relax::relax;

/// Length of a measurement, µs.
const WINDOW_US: u64 = 20_000;
/// While both brackets together are more than this part of the measurement it goes on, up to two
/// windows.
const BRACKET_SHARE: u64 = 8_000;
/// Samples at either end, of which the closest counts.
const SAMPLES: u32 = 8;
/// Measurements that may fail for being too long for the reference before it is given up.
const ATTEMPTS: u32 = 4;
/// Looks without a change, with a pause each, after which a reference counts as dead: hundreds of
/// its ticks.
const DEAD_READINGS: u32 = 100;
/// Looks after which a measurement ends whatever the reference says.
const MAX_READINGS: u32 = 100_000;
/// A second of the CMOS clock must end within so many looks or so many ticks, whichever is later.
const RTC_READINGS: u32 = 100_000;
const RTC_TICKS: u64 = 10_000_000_000;
/// Looks within which an update of it must end, of 2.2 ms.
const RTC_UPDATE_READINGS: u32 = 5_000;
/// What a processor's counter can be: 10 MHz to 20 GHz. Outside of it the measurement was
/// disturbed.
const PLAUSIBLE_HZ: core::ops::RangeInclusive<u64> = 10_000_000..=20_000_000_000;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A counter that runs at a steady rate.
pub trait Counter {
    /// Its value now.
    fn ticks(&self) -> u64;
}

impl<C: Counter> Counter for &C {
    fn ticks(&self) -> u64 {
        (**self).ticks()
    }
}

/// The processor's time-stamp counter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rdtsc;

impl Counter for Rdtsc {
    #[inline]
    fn ticks(&self) -> u64 {
        // SAFETY: every x86-64 processor has LFENCE; it touches no memory.
        unsafe { core::arch::x86_64::_mm_lfence() };
        // SAFETY: every x86-64 processor has RDTSC, and at privilege level 0 CR4.TSD does not
        // forbid it.
        unsafe { core::arch::x86_64::_rdtsc() }
    }
}

/// Why the counter's rate could not be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoReference;

impl core::fmt::Display for NoReference {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("no timer to measure the time-stamp counter against")
    }
}

impl core::error::Error for NoReference {}

/// The rate of the time-stamp counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tsc {
    /// Nanoseconds per tick, times 2^32.
    scale: u64,
}

impl Tsc {
    /// The rate of a counter that took `ticks` for `nanos`. `None` where that is no plausible rate.
    pub(crate) fn measured(ticks: u64, nanos: u64) -> Option<Self> {
        // At most 4.29 s, so that the shift loses nothing.
        let nanos = u64::from(u32::try_from(nanos).ok()?);
        let tsc = Self { scale: (nanos << 32).checked_div(ticks)? };
        PLAUSIBLE_HZ.contains(&tsc.hz()).then_some(tsc)
    }

    /// Ticks per second.
    pub fn hz(&self) -> u64 {
        (NANOS_PER_SECOND << 32).checked_div(self.scale).unwrap_or(0)
    }

    /// `ticks` as nanoseconds, to within one part in 10^8. Saturates after 584 years.
    pub fn nanos(&self, ticks: u64) -> u64 {
        u64::try_from((u128::from(ticks) * u128::from(self.scale)) >> 32).unwrap_or(u64::MAX)
    }

    /// Measures the rate of the processor's counter; takes about 20 ms.
    ///
    /// The reference is the first that runs of: the PM timer, whose port the FADT tells
    /// ([`crate::acpi::Fadt::pm_timer`]) and which is made for it; the PIT; the local APIC's timer,
    /// where its frequency is known; the CMOS clock, which takes two seconds, or up to five.
    ///
    /// # Errors
    ///
    /// [`NoReference`] where none of them runs, after a bounded time.
    pub fn calibrate(
        ports: Hardware,
        pm_timer: Option<u16>,
        interrupts: &Interrupts,
    ) -> Result<Self, NoReference> {
        calibrate(&ports, pm_timer, interrupts.bus_clock(), &Rdtsc)
    }
}

fn calibrate(
    ports: &impl Ports,
    pm_timer: Option<u16>,
    bus_clock: Option<BusClock<impl Registers>>,
    counter: &impl Counter,
) -> Result<Tsc, NoReference> {
    let references = [
        pm_timer.map(Reference::PmTimer),
        Some(Reference::Pit),
        bus_clock.map(Reference::BusClock),
    ];
    let mut references = references.iter().flatten();
    references
        .find_map(|reference| measure(ports, reference, counter))
        .or_else(|| measure_seconds(ports, counter))
        .ok_or(NoReference)
}

/// A timer of known frequency.
enum Reference<R: Registers> {
    /// The ACPI power-management timer at its port (ACPI 6.5 §4.8.3.3): one read, 279 ns a tick,
    /// around in 4.7 s.
    PmTimer(u16),
    /// Channel 0 of the 8254 interval timer: 838 ns a tick, around in 55 ms.
    ///
    /// Not channel 2, whose gate is in a register that QEMU's microvm lacks. Channel 0 interrupts
    /// once, at the end, which nobody listens to.
    Pit,
    BusClock(BusClock<R>),
}

const PIT_CHANNEL_0: u16 = 0x40;
const PIT_CONTROL: u16 = 0x43;
/// Channel 0, low byte then high byte, mode 0 (interrupt on terminal count), binary.
const PIT_MODE_0: u8 = 0b0011_0000;
/// Read-back command: latch count and status of channel 0.
const PIT_LATCH: u8 = 0b1100_0010;
/// Read-back command: latch the status only.
const PIT_LATCH_STATUS: u8 = 0b1110_0010;
/// Status: the output is high.
const PIT_OUT: u8 = 1 << 7;

impl<R: Registers> Reference<R> {
    /// Starts it. Returns its frequency, and all bits of its count, which wraps around to 0.
    fn start(&self, ports: &impl Ports) -> (u64, u32) {
        match self {
            // Some have 32 bits; the lower 24 do.
            Self::PmTimer(_) => (3_579_545, 0xff_ffff),
            Self::Pit => {
                ports.write_u8(PIT_CONTROL, PIT_MODE_0);
                ports.write_u8(PIT_CHANNEL_0, 0xff);
                ports.write_u8(PIT_CHANNEL_0, 0xff);
                (1_193_182, 0xffff)
            }
            Self::BusClock(clock) => {
                clock.start();
                (BusClock::<R>::HZ, u32::MAX)
            }
        }
    }

    /// The count, going up, and the counter's ticks before and after it was taken.
    fn sample(&self, ports: &impl Ports, counter: &impl Counter) -> Sample {
        let before = counter.ticks();
        let mut count = match self {
            Self::PmTimer(port) => ports.read_u32(*port),
            // The count is latched when the command is received (8254 data sheet, Read-Back
            // Command), so the reads need not be fast.
            Self::Pit => {
                ports.write_u8(PIT_CONTROL, PIT_LATCH);
                0
            }
            Self::BusClock(clock) => clock.count(),
        };
        let after = counter.ticks();
        if matches!(self, Self::Pit) {
            let _status = ports.read_u8(PIT_CHANNEL_0);
            let low = ports.read_u8(PIT_CHANNEL_0);
            let high = ports.read_u8(PIT_CHANNEL_0);
            // It counts down.
            count = !u32::from(u16::from_le_bytes([low, high]));
        }
        Sample { before, after, count }
    }

    /// Whether it has wrapped around since it was started, where it can tell. Of the others, a
    /// processor held up for that long shows as an implausible rate at worst.
    fn wrapped(&self, ports: &impl Ports) -> bool {
        if !matches!(self, Self::Pit) {
            return false;
        }
        // > OUT then goes high and remains high until a new count or a new Mode 0 Control Word is
        // > written into the Counter. (8254 data sheet, Mode 0)
        ports.write_u8(PIT_CONTROL, PIT_LATCH_STATUS);
        ports.read_u8(PIT_CHANNEL_0) & PIT_OUT != 0
    }
}

#[derive(Clone, Copy)]
struct Sample {
    before: u64,
    after: u64,
    count: u32,
}

impl Sample {
    fn bracket(&self) -> u64 {
        self.after.saturating_sub(self.before)
    }

    fn middle(&self) -> u64 {
        self.before.saturating_add(self.bracket() / 2)
    }

    fn closer(self, other: Self) -> Self {
        if other.bracket() < self.bracket() { other } else { self }
    }
}

/// Why one measurement gave no rate.
enum Failure {
    /// The reference does not run.
    Dead,
    /// It wrapped around, or the result is no plausible rate: the processor was held up for too
    /// long.
    Disturbed,
}

fn measure<R: Registers>(
    ports: &impl Ports,
    reference: &Reference<R>,
    counter: &impl Counter,
) -> Option<Tsc> {
    for _ in 0..ATTEMPTS {
        match measure_once(ports, reference, counter) {
            Ok(tsc) => return Some(tsc),
            Err(Failure::Dead) => return None,
            Err(Failure::Disturbed) => {}
        }
    }
    None
}

fn measure_once<R: Registers>(
    ports: &impl Ports,
    reference: &Reference<R>,
    counter: &impl Counter,
) -> Result<Tsc, Failure> {
    let (hz, mask) = reference.start(ports);
    let window = WINDOW_US * hz / 1_000_000;
    let sample = || reference.sample(ports, counter);
    let first = sample();
    let start = (1..SAMPLES).fold(first, |best, _| best.closer(sample()));
    let elapsed = |sample: &Sample| u64::from(sample.count.wrapping_sub(start.count) & mask);

    let mut end: Option<Sample> = None;
    let mut late_samples = 0;
    for reading in 0..MAX_READINGS {
        let sample = sample();
        let passed = elapsed(&sample);
        if passed < window {
            if passed == 0 && reading > DEAD_READINGS {
                return Err(Failure::Dead);
            }
            relax();
            continue;
        }
        let best = end.map_or(sample, |end| end.closer(sample));
        end = Some(best);
        late_samples += 1;
        let ticks = best.middle().saturating_sub(start.middle());
        let close = best.bracket().saturating_add(start.bracket()) <= ticks / BRACKET_SHARE;
        if late_samples >= SAMPLES && (close || passed >= 2 * window) {
            if reference.wrapped(ports) {
                return Err(Failure::Disturbed);
            }
            let nanos = elapsed(&best) * NANOS_PER_SECOND / hz;
            return Tsc::measured(ticks, nanos).ok_or(Failure::Disturbed);
        }
    }
    Err(Failure::Dead)
}

/// Measures from one update of the CMOS clock to the next; some more where the host was noisy.
fn measure_seconds(ports: &impl Ports, counter: &impl Counter) -> Option<Tsc> {
    let mut start = next_update(ports, counter)?;
    let mut measured = None;
    for _ in 0..ATTEMPTS {
        let end = next_update(ports, counter)?;
        let ticks = end.middle().saturating_sub(start.middle());
        measured = Tsc::measured(ticks, NANOS_PER_SECOND).or(measured);
        if start.bracket().saturating_add(end.bracket()) <= ticks / BRACKET_SHARE {
            break;
        }
        start = end;
    }
    measured
}

/// Waits for an update of the CMOS clock to be announced: that happens at the same part of every
/// second, while its end may be late under emulation. The bracket is the last look without it and
/// the first with it.
fn next_update(ports: &impl Ports, counter: &impl Counter) -> Option<Sample> {
    const UPDATE_IN_PROGRESS: u8 = 1 << 7;
    let register = |index| {
        ports.write_u8(0x70, index);
        ports.read_u8(0x71)
    };
    let updating = || register(0x0a) & UPDATE_IN_PROGRESS != 0;
    let mut polls = 0..RTC_UPDATE_READINGS;
    while updating() {
        polls.next()?;
        relax();
    }
    let second = register(0x00);
    let start = counter.ticks();
    let (mut before, mut readings) = (start, 0u32);
    while readings < RTC_READINGS || before.saturating_sub(start) < RTC_TICKS {
        let next = counter.ticks();
        // The announcement lasts 244 µs, and can be missed where the processor is held up.
        if updating() || register(0x00) != second {
            return Some(Sample { before, after: counter.ticks(), count: 0 });
        }
        before = next;
        readings = readings.saturating_add(1);
        relax();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Machine, PM_TIMER};

    /// How far a measured rate is off, in parts per million.
    fn error_ppm(measured: Tsc, hz: u64) -> u64 {
        measured.hz().abs_diff(hz) * 1_000_000 / hz
    }

    #[test]
    fn ticks_become_nanoseconds_without_overflow() {
        for (hz, ticks, expected) in [
            (1_000_000_000, 5, 5),
            (1_000_000_000, u64::MAX / 2, u64::MAX / 2),
            (2_000_000_000, u64::MAX, u64::MAX / 2),
            (100_000_000, u64::MAX, u64::MAX),
            (3_000_000_000, 3_000_000_000 * 86_400 * 365, 1_000_000_000 * 86_400 * 365),
            (2_419_200_000, 2_419_200_000, 1_000_000_000),
        ] {
            let tsc = Tsc::measured(hz, NANOS_PER_SECOND).unwrap();
            let nanos = tsc.nanos(ticks);
            assert!(
                nanos.abs_diff(expected) <= expected / 100_000_000,
                "{hz} {ticks}: {nanos}, not {expected}"
            );
        }
    }

    #[test]
    fn implausible_rates_are_refused() {
        for (ticks, nanos) in
            [(0, 1), (1, 1_000), (1 << 40, 1_000_000), (u64::MAX, 0), (1_000_000, u64::MAX)]
        {
            assert_eq!(Tsc::measured(ticks, nanos), None);
        }
    }

    /// The rate by a model's timers, and how long it took to measure, ms.
    fn calibrated(machine: &Machine) -> (Result<Tsc, NoReference>, u64) {
        let start_ns = machine.now_ns();
        let tsc = calibrate(&machine, Some(PM_TIMER), Some(BusClock::of(machine)), &machine);
        (tsc, (machine.now_ns() - start_ns) / 1_000_000)
    }

    /// Models with one timer each.
    fn each_timer(hz: u64) -> [Machine; 3] {
        [
            Machine::with_timers(hz, true, false),
            Machine::with_timers(hz, false, true),
            Machine::with_timers(hz, false, false).and_bus_clock(),
        ]
    }

    #[test]
    fn every_reference_gives_the_rate() {
        for hz in [800_000_000, 2_100_000_000, 4_999_999_999] {
            let all = Machine::with_timers(hz, true, true).and_bus_clock();
            for machine in each_timer(hz).iter().chain([&all]) {
                let (tsc, took_ms) = calibrated(machine);
                assert!(error_ppm(tsc.unwrap(), hz) < 50, "{hz}: {tsc:?}");
                assert!(took_ms < 40, "{took_ms} ms");
            }
            let (tsc, took_ms) = calibrated(&Machine::with_timers(hz, false, false));
            assert!(error_ppm(tsc.unwrap(), hz) < 50, "{hz}: {tsc:?}");
            assert!(took_ms < 2_100, "{took_ms} ms");
        }
    }

    #[test]
    fn a_noisy_host_does_not_spoil_the_rate() {
        let hz = 2_500_000_000;
        for seed in 0..200 {
            for (index, machine) in each_timer(hz).iter().enumerate() {
                // One access in 50 takes up to 3 ms longer, as when the host runs something else.
                machine.hold_up(seed, 50, 3_000_000);
                let error_ppm = error_ppm(calibrated(machine).0.unwrap(), hz);
                assert!(error_ppm < 100, "{index} {seed}: {error_ppm} ppm");
            }
        }
    }

    #[test]
    fn a_pit_that_wrapped_around_is_measured_again() {
        let hz = 2_500_000_000;
        for seed in 0..50 {
            let machine = Machine::with_timers(hz, false, true);
            // Hold-ups longer than the PIT counts, but not at every measurement.
            machine.hold_up(seed, 100_000, 120_000_000);
            let error_ppm = error_ppm(calibrated(&machine).0.unwrap(), hz);
            assert!(error_ppm < 100, "{seed}: {error_ppm} ppm");
        }
    }

    #[test]
    fn without_any_timer_it_gives_up() {
        assert_eq!(calibrated(&Machine::new()).0, Err(NoReference));
    }
}

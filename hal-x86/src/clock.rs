//! The time of day: CMOS clock seconds, carried on in nanoseconds by the time-stamp counter.
//!
//! The board's `Clock` capability is a few lines over [`WallClock`].
//!
//! Between two readings of the CMOS clock time only goes forward. A reading cannot tell the part of
//! the second that has passed, so the clock starts in the middle of it: off by half a second at
//! most. [`WallClock::set`] is exact, and writes whole seconds to the CMOS clock so that the next
//! boot finds them.
//!
//! The counter's rate is known to some ten parts per million, seconds a day; and a guest that was
//! paused or moved to another host may find the counter off by any amount. So about once a minute
//! of use the CMOS clock is looked at again, and followed where it is more than two seconds away:
//! forward at once, back by standing still.

use crate::civil::Civil;
use crate::ports::{Hardware, Ports};
use crate::rtc::{Rtc, RtcError};
use crate::tsc::{Counter, Rdtsc, Tsc};

const NANOS_PER_SECOND: i64 = 1_000_000_000;
/// The middle of the second that a reading of the CMOS clock shows.
const HALF_SECOND_NS: i64 = NANOS_PER_SECOND / 2;
/// Time after which the next [`WallClock::now`] looks at the CMOS clock.
const CHECK_AFTER_NS: u64 = 64 * 1_000_000_000;
/// How far the two clocks may be apart. Up to 1.5 s is natural: the CMOS clock's seconds begin
/// where they like after it was set.
const TOLERANCE_NS: u64 = 2_000_000_000;

/// The clock of the guest, in nanoseconds since 1970-01-01 UTC.
#[derive(Debug)]
pub struct WallClock<P = Hardware, C = Rdtsc> {
    rtc: Rtc<P>,
    tsc: Tsc,
    counter: C,
    /// A moment and the counter's ticks then; what was wrong with the CMOS clock where there is
    /// none yet.
    base: Result<Base, RtcError>,
    /// The latest time given out since the clock was set, ns.
    latest_ns: i64,
    /// When the CMOS clock was last looked at, ticks.
    checked: u64,
}

#[derive(Clone, Copy, Debug)]
struct Base {
    ticks: u64,
    unix_ns: i64,
}

impl<P: Ports> WallClock<P> {
    /// A clock over `rtc` and the processor's counter, which runs at the rate `tsc`. It starts with
    /// the CMOS clock's time.
    pub fn new(rtc: Rtc<P>, tsc: Tsc) -> Self {
        Self::with_counter(rtc, tsc, Rdtsc)
    }
}

impl<P: Ports, C: Counter> WallClock<P, C> {
    /// A clock over `rtc` and a counter of the caller's.
    pub fn with_counter(rtc: Rtc<P>, tsc: Tsc, counter: C) -> Self {
        let mut clock = Self {
            rtc,
            tsc,
            counter,
            base: Err(RtcError::Absent),
            latest_ns: i64::MIN,
            checked: 0,
        };
        clock.base = clock.rtc_base();
        clock
    }

    /// The time now, nanoseconds since 1970. Never less than the last, but for [`Self::set`] and
    /// [`Self::set_from_rtc`].
    ///
    /// # Errors
    ///
    /// What was wrong with the CMOS clock at the start, until the clock is set or a
    /// [check](Self::check) finds it well.
    pub fn now(&mut self) -> Result<i64, RtcError> {
        self.base?;
        let ticks = self.counter.ticks();
        // A counter that went back (the guest moved to another host) shows as a very long time,
        // too.
        if self.tsc.nanos(ticks.wrapping_sub(self.checked)) >= CHECK_AFTER_NS {
            _ = self.check();
        }
        let now_ns = self.at(self.base?, self.counter.ticks());
        self.latest_ns = self.latest_ns.max(now_ns);
        Ok(self.latest_ns)
    }

    /// Looks at the CMOS clock, and follows it where it is too far away. To be called after a sleep
    /// of the machine, in which the counter may have stopped or begun anew.
    ///
    /// # Errors
    ///
    /// What is wrong with the CMOS clock; the time then goes on as it was.
    pub fn check(&mut self) -> Result<(), RtcError> {
        let rtc = self.rtc_base()?;
        let now_ns = self.base.map(|base| self.at(base, rtc.ticks));
        let is_near = |now_ns: &i64| now_ns.abs_diff(rtc.unix_ns) <= TOLERANCE_NS;
        let unix_ns = now_ns.ok().filter(is_near).unwrap_or(rtc.unix_ns);
        self.base = Ok(Base { unix_ns, ..rtc });
        Ok(())
    }

    /// Sets the clock to `unix_ns`, which is the time when this is called, and the CMOS clock to
    /// that second.
    ///
    /// # Errors
    ///
    /// [`RtcError::OutOfRange`] outside of the years 1970 to 2069, and whatever [`Rtc::write`]
    /// finds; the clock then goes on as it was.
    pub fn set(&mut self, unix_ns: i64) -> Result<(), RtcError> {
        let ticks = self.counter.ticks();
        let second = Civil::from_unix_seconds(unix_ns.div_euclid(NANOS_PER_SECOND))
            .ok_or(RtcError::OutOfRange)?;
        self.rtc.write(&second)?;
        self.start(Base { ticks, unix_ns });
        Ok(())
    }

    /// Sets the clock to what the CMOS clock shows.
    ///
    /// # Errors
    ///
    /// What is wrong with the CMOS clock; the time then goes on as it was.
    pub fn set_from_rtc(&mut self) -> Result<(), RtcError> {
        let base = self.rtc_base()?;
        self.start(base);
        Ok(())
    }

    fn start(&mut self, base: Base) {
        self.base = Ok(base);
        self.latest_ns = i64::MIN;
        self.checked = base.ticks;
    }

    fn at(&self, base: Base, ticks: u64) -> i64 {
        let passed_ns = self.tsc.nanos(ticks.saturating_sub(base.ticks));
        base.unix_ns.saturating_add_unsigned(passed_ns)
    }

    fn rtc_base(&mut self) -> Result<Base, RtcError> {
        self.checked = self.counter.ticks();
        let seconds = self.rtc.unix_seconds()?;
        // The CMOS clock holds years up to 2069 only; nanoseconds in an i64 last until 2262.
        Ok(Base {
            ticks: self.counter.ticks(),
            unix_ns: seconds * NANOS_PER_SECOND + HALF_SECOND_NS,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Machine;

    const HZ: u64 = 2_500_000_000;
    const SECOND: i64 = NANOS_PER_SECOND;

    fn machine() -> Machine {
        Machine::with_timers(HZ, true, true)
    }

    fn clock(machine: &Machine) -> WallClock<&Machine, &Machine> {
        let tsc = Tsc::measured(HZ, SECOND.unsigned_abs()).unwrap();
        WallClock::with_counter(Rtc::new(machine, None), tsc, machine)
    }

    #[test]
    fn starts_within_half_a_second_of_the_cmos_clock() {
        for part_ms in [0, 1, 499, 500, 998] {
            let machine = machine();
            machine.pass_ns(part_ms * 1_000_000);
            let now = clock(&machine).now().unwrap();
            assert!(now.abs_diff(machine.rtc_unix_ns()) <= 505_000_000, "{part_ms}");
        }
    }

    #[test]
    fn keeps_a_set_time_to_the_millisecond_and_leaves_it_in_the_cmos_clock() {
        let machine = machine();
        let mut clock = clock(&machine);
        let time = 1_893_456_000 * SECOND + 123_456_789;
        clock.set(time).unwrap();
        assert_eq!(machine.rtc_unix_seconds(), 1_893_456_000);
        assert!(clock.now().unwrap() - time < 1_000_000);
        machine.pass_ns(10_000_000_000);
        assert!((clock.now().unwrap() - time).abs_diff(10 * SECOND) < 1_000_000);

        let mut rebooted = self::clock(&machine);
        assert!(rebooted.now().unwrap().abs_diff(time + 10 * SECOND) < 1_000_000_000);
    }

    #[test]
    fn never_goes_back_until_it_is_set() {
        let machine = machine();
        let mut clock = clock(&machine);
        let mut last = clock.now().unwrap();
        for second in 0..400 {
            // The CMOS clock is set back behind the agent's back, and the counter jumps.
            match second {
                100 => machine.set_rtc(machine.rtc_unix_seconds() - 50),
                300 => machine.reset_counter(),
                _ => {}
            }
            machine.pass_ns(1_000_000_000);
            let now = clock.now().unwrap();
            assert!(now >= last, "{second}");
            last = now;
        }
        let time = 1_000_000_000 * SECOND;
        clock.set(time).unwrap();
        assert!(clock.now().unwrap().abs_diff(time) < 1_000_000);
    }

    #[test]
    fn follows_the_cmos_clock_after_a_pause_a_jump_of_the_counter_or_a_wrong_rate() {
        let follows = |disturb: &dyn Fn(&Machine)| {
            let machine = machine();
            let mut clock = clock(&machine);
            clock.now().unwrap();
            disturb(&machine);
            machine.pass_ns(140_000_000_000);
            clock.now().unwrap().abs_diff(machine.rtc_unix_ns())
        };
        assert!(follows(&|_| {}) < 600_000_000);
        assert!(
            follows(&|machine| machine.set_rtc(machine.rtc_unix_seconds() + 7200)) < 600_000_000
        );
        assert!(follows(&Machine::reset_counter) < 600_000_000);
        assert!(follows(&|machine| machine.set_counter_hz(HZ / 2)) < 600_000_000);
    }

    /// What a sleep may do to the counter: nothing, stop it, or have it begin anew.
    #[test]
    fn goes_on_after_a_sleep() {
        type Sleep = fn(&Machine, u64);
        let counts: Sleep = |machine, slept_ns| machine.pass_ns(slept_ns);
        let stops: Sleep = Machine::pass_ns_uncounted;
        let begins_anew: Sleep = |machine, slept_ns| {
            machine.pass_ns(slept_ns);
            machine.reset_counter();
        };
        // A second and a half of the difference is natural.
        let error_max = TOLERANCE_NS + 1_500_000_000;
        for (sleep, error_ns) in [(counts, 1_000_000), (stops, error_max), (begins_anew, error_max)]
        {
            for slept_ms in [1, 300, 1100, 5000, 90_000] {
                let machine = machine();
                let mut clock = clock(&machine);
                let start = 1_893_456_000 * SECOND + 980_000_000;
                clock.set(start).unwrap();
                let mut last = clock.now().unwrap();
                let begin_ns = machine.rtc_unix_ns();
                for _ in 0..20 {
                    machine.pass_ns(40_000_000);
                    sleep(&machine, slept_ms * 1_000_000);
                    clock.check().unwrap();
                    let now = clock.now().unwrap();
                    assert!(now >= last, "{now} after {last}");
                    last = now;
                    let expected = start + (machine.rtc_unix_ns() - begin_ns);
                    let error = now.abs_diff(expected);
                    assert!(error <= error_ns, "{slept_ms} ms: {error} ns");
                }
            }
        }
    }

    #[test]
    fn is_not_disturbed_by_the_part_of_a_second_that_the_cmos_clock_lacks() {
        let machine = machine();
        let mut clock = clock(&machine);
        let time = 1_893_456_000 * SECOND + 999_999_999;
        clock.set(time).unwrap();
        for minute in 1..100 {
            machine.pass_ns(60_000_000_000);
            let expected = time + minute * 60 * SECOND;
            assert!(clock.now().unwrap().abs_diff(expected) < 100_000_000, "{minute}");
        }
    }

    #[test]
    fn times_that_the_cmos_clock_cannot_hold_change_nothing() {
        let machine = machine();
        let mut clock = clock(&machine);
        let before = clock.now().unwrap();
        for time in [-1, i64::MIN, i64::MAX, 3_155_760_000 * SECOND] {
            assert_eq!(clock.set(time), Err(RtcError::OutOfRange));
        }
        assert!(clock.now().unwrap().abs_diff(before) < 1_000_000);
        assert_eq!(clock.set(3_155_760_000 * SECOND - 1), Ok(()));
        assert_eq!(clock.set(0), Ok(()));
    }

    #[test]
    fn without_a_good_cmos_clock_there_is_no_time_until_it_is_set() {
        let machine = machine();
        machine.freeze_rtc_register(0x08, 0x13);
        let mut clock = clock(&machine);
        assert_eq!(clock.now(), Err(RtcError::BadDate));
        assert_eq!(clock.set_from_rtc(), Err(RtcError::BadDate));
        machine.thaw_rtc_registers();
        clock.set(1_700_000_000 * SECOND).unwrap();
        assert!(clock.now().unwrap().abs_diff(1_700_000_000 * SECOND) < 1_000_000);
        machine.pass_ns(3_000_000_000);
        clock.set_from_rtc().unwrap();
        assert!(clock.now().unwrap().abs_diff(1_700_000_003 * SECOND) <= 1_000_000_000);
    }
}

//! The kernel's clock, and the RTC behind it.

use core::time::Duration;
use std::thread;

use agent_core::{Clock, ClockError, UnixNanos};
use rustix::io::Errno;
use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

use super::rtc::Rtc;
use crate::log::Log;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// How often the RTC is read to see its second begin: the error of a clock set from it.
const RTC_STEP: Duration = Duration::from_millis(5);
/// How many readings there are, 1.5 s of them, before the RTC counts as stopped.
const RTC_READINGS: usize = 300;

/// `CLOCK_REALTIME`.
#[derive(Debug)]
pub(crate) struct SystemClock {
    log: Log,
    dry_run: bool,
}

impl SystemClock {
    pub(crate) const fn new(log: Log, dry_run: bool) -> Self {
        Self { log, dry_run }
    }

    fn set_system(&self, time: Timespec) -> Result<(), ClockError> {
        clock_settime(ClockId::Realtime, time)
            .map_err(self.failed("cannot set the system time"))?;
        self.log.detail(format_args!("system time set to {} s", time.tv_sec));
        Ok(())
    }

    fn failed(&self, what: &str) -> impl Fn(Errno) -> ClockError {
        move |error| {
            self.log.note(format_args!("{what}: {error}"));
            ClockError::Hardware
        }
    }
}

impl Clock for SystemClock {
    fn now(&mut self) -> Result<UnixNanos, ClockError> {
        let time = clock_gettime(ClockId::Realtime);
        time.tv_sec
            .checked_mul(NANOS_PER_SECOND)
            .and_then(|nanos| nanos.checked_add(time.tv_nsec))
            .map(UnixNanos)
            .ok_or(ClockError::Hardware)
    }

    /// As with qemu-ga the system time stays set where the RTC cannot be: the error says so.
    fn set(&mut self, time: UnixNanos) -> Result<(), ClockError> {
        if self.dry_run {
            self.log.note(format_args!("dry run: the time is not set to {} ns", time.0));
            return Ok(());
        }
        self.set_system(Timespec {
            tv_sec: time.0.div_euclid(NANOS_PER_SECOND),
            tv_nsec: time.0.rem_euclid(NANOS_PER_SECOND),
        })?;
        // The RTC holds whole seconds. When its next one begins is up to the device: half a second
        // from now where the kernel resets its divider (MC146818 datasheet, register A), else as
        // before. So it is within a second of the truth.
        let seconds = clock_gettime(ClockId::Realtime).tv_sec;
        Rtc::open()
            .and_then(|rtc| rtc.write(seconds))
            .map_err(self.failed("cannot set the real-time clock"))
    }

    /// Waits for the RTC's next second, a second at most, since it tells no fractions.
    fn set_from_rtc(&mut self) -> Result<(), ClockError> {
        if self.dry_run {
            self.log.note(format_args!("dry run: the time is not set from the real-time clock"));
            return Ok(());
        }
        let seconds = Rtc::open()
            .and_then(|rtc| next_second(|| rtc.read(), || thread::sleep(RTC_STEP)))
            .map_err(self.failed("cannot read the real-time clock"))?;
        self.set_system(Timespec { tv_sec: seconds, tv_nsec: 0 })
    }
}

/// Reads until the time is another one, and returns that.
fn next_second(
    mut read: impl FnMut() -> Result<i64, Errno>,
    mut pause: impl FnMut(),
) -> Result<i64, Errno> {
    let first = read()?;
    for _ in 0..RTC_READINGS {
        pause();
        let second = read()?;
        if second != first {
            return Ok(second);
        }
    }
    Err(Errno::TIMEDOUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mut readings: impl Iterator<Item = Result<i64, Errno>>, expected: Result<i64, Errno>) {
        let found = next_second(|| readings.next().unwrap(), || {});
        assert_eq!(found, expected);
    }

    #[test]
    fn the_clock_is_set_when_a_second_begins() {
        let ticking = |count| core::iter::repeat_n(Ok(7), count).chain([Ok(8)]);
        check(ticking(1), Ok(8));
        check(ticking(RTC_READINGS), Ok(8));
    }

    #[test]
    fn a_real_time_clock_that_stands_or_fails_is_an_error() {
        check(core::iter::repeat(Ok(7)), Err(Errno::TIMEDOUT));
        check([Ok(7), Err(Errno::IO)].into_iter(), Err(Errno::IO));
        check([Err(Errno::INVAL)].into_iter(), Err(Errno::INVAL));
    }

    #[test]
    fn time_goes_on() {
        let mut clock = SystemClock::new(Log::default(), true);
        let before = clock.now().unwrap();
        assert!(before > UnixNanos(1_700_000_000 * NANOS_PER_SECOND));
        assert_eq!(clock.set(UnixNanos(0)), Ok(()));
        assert_eq!(clock.set_from_rtc(), Ok(()));
        assert!(clock.now().unwrap() >= before, "a dry run has set the clock");
    }
}

//! How many processors were busy on average, over a minute, five and fifteen
//!
//! Exponentially damped averages: what was so long ago as the period counts 1/e of what is now. No
//! timer is needed for them. Between two looks the share of busy time is taken as even, and as the
//! guest looks whenever it has woken up, a long time between two looks is one that it has slept.

use agent_core::LoadAverage;

/// The periods, ms.
const PERIODS_MS: [f64; 3] = [60_000.0, 300_000.0, 900_000.0];

/// How long ago the last look was, ms, for [`Load::look`] to bring the averages up to date.
const LOOK_MS: u64 = 1000;

/// The averages, and what they count from.
#[derive(Debug)]
pub(crate) struct Load {
    averages: [f64; 3],
    ticks_per_ms: u64,
    /// The counter, and how many ticks processors had been busy, at the last look.
    ticks: u64,
    busy_ticks: u64,
}

impl Load {
    /// Nothing has been busy yet.
    pub(crate) const fn new(ticks_per_ms: u64) -> Self {
        Self { averages: [0.0; 3], ticks_per_ms, ticks: 0, busy_ticks: 0 }
    }

    /// Counts from `ticks` on: what was before, since the last look, was no time of the guest's.
    pub(crate) const fn count_from(&mut self, ticks: u64, busy_ticks: u64) {
        self.ticks = ticks;
        self.busy_ticks = busy_ticks;
    }

    /// Looks now and then: `busy_ticks` is how long processors have been busy at `ticks`.
    pub(crate) fn look(&mut self, ticks: u64, busy_ticks: u64) {
        if ticks.saturating_sub(self.ticks) >= self.ticks_per_ms.saturating_mul(LOOK_MS) {
            self.update(ticks, busy_ticks);
        }
    }

    /// The averages at `ticks`.
    pub(crate) fn averages(&mut self, ticks: u64, busy_ticks: u64) -> LoadAverage {
        self.update(ticks, busy_ticks);
        let [one_minute, five_minutes, fifteen_minutes] = self.averages;
        LoadAverage { one_minute, five_minutes, fifteen_minutes }
    }

    fn update(&mut self, ticks: u64, busy_ticks: u64) {
        let elapsed = as_f64(ticks.saturating_sub(self.ticks));
        let busy = as_f64(busy_ticks.saturating_sub(self.busy_ticks));
        self.count_from(ticks, busy_ticks);
        if elapsed <= 0.0 || self.ticks_per_ms == 0 {
            return;
        }
        let elapsed_ms = elapsed / as_f64(self.ticks_per_ms);
        for (average, period_ms) in self.averages.iter_mut().zip(PERIODS_MS) {
            let kept = decay(elapsed_ms / period_ms);
            *average = *average * kept + busy / elapsed * (1.0 - kept);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "averages need no more than 53 bits")]
const fn as_f64(ticks: u64) -> f64 {
    ticks as f64
}

/// e to the power of minus `x`, for `x` from 0 on, to within 1e-7.
fn decay(x: f64) -> f64 {
    // Beyond it the value is below 1e-27.
    let mut part = x.min(64.0);
    let mut doublings = 0;
    while part > 1.0 / 16.0 {
        part /= 2.0;
        doublings += 1;
    }
    // The series of the exponential function, which needs five terms for so small a number.
    let terms = [4.0, 3.0, 2.0, 1.0];
    let mut value = terms.into_iter().fold(1.0, |rest, term| 1.0 - part / term * rest);
    for _ in 0..doublings {
        value *= value;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: u64 = 60_000;

    fn close(found: LoadAverage, expected: [f64; 3]) {
        let found = [found.one_minute, found.five_minutes, found.fifteen_minutes];
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
        }
    }

    #[test]
    fn decay_is_the_exponential_function() {
        for x in [0.0, 1e-9, 1e-3, 1.0 / 16.0, 0.1, 1.0 / 3.0, 1.0, 5.0, 20.0, 64.0, 1e300] {
            let expected = f64::exp(-x);
            assert!((decay(x) - expected).abs() < 1e-7, "{x}: {} is not {expected}", decay(x));
        }
    }

    #[test]
    fn averages_rise_and_fall_with_their_periods() {
        let mut load = Load::new(1);
        close(load.averages(0, 0), [0.0; 3]);
        // A minute with two processors busy.
        let risen = PERIODS_MS.map(|period_ms| 2.0 * (1.0 - f64::exp(-60_000.0 / period_ms)));
        close(load.averages(MINUTE_MS, 2 * MINUTE_MS), risen);
        // Ten minutes asleep, in one piece.
        let mut fallen = risen;
        for (average, period_ms) in fallen.iter_mut().zip(PERIODS_MS) {
            *average *= f64::exp(-600_000.0 / period_ms);
        }
        close(load.averages(11 * MINUTE_MS, 2 * MINUTE_MS), fallen);
    }

    #[test]
    fn many_looks_tell_the_same_as_one() {
        let (mut once, mut often) = (Load::new(1), Load::new(1));
        for ms in (0..=5 * MINUTE_MS).step_by(100) {
            often.look(ms, ms / 4);
        }
        close(once.averages(5 * MINUTE_MS, 5 * MINUTE_MS / 4), often.averages);
    }

    #[test]
    fn a_counter_that_jumps_does_no_harm() {
        let mut load = Load::new(1000);
        load.count_from(5_000_000, 100);
        for (ticks, busy) in [(0, 0), (0, u64::MAX), (u64::MAX, 0), (u64::MAX, 5), (3, 7)] {
            let average = load.averages(ticks, busy);
            assert!((0.0..=1e-6).contains(&average.one_minute), "{average:?}");
        }
        let mut stopped = Load::new(0);
        close(stopped.averages(100, 100), [0.0; 3]);
    }
}

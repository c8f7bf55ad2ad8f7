//! How the boot processor has spent its time: running, and sleeping

use core::cell::Cell;

use hal_x86::processors::Times;
use hal_x86::tsc::Counter;

/// A processor's time, told by the one that spends it.
#[derive(Debug)]
pub(crate) struct Activity {
    busy_ticks: Cell<u64>,
    idle_ticks: Cell<u64>,
    /// When it woke up last.
    awake: Cell<u64>,
}

impl Activity {
    /// It runs, from now on.
    pub(crate) fn new(counter: &impl Counter) -> Self {
        Self { busy_ticks: Cell::new(0), idle_ticks: Cell::new(0), awake: counter.ticks().into() }
    }

    /// Calls `sleep`, which sleeps.
    pub(crate) fn while_asleep(&self, counter: &impl Counter, sleep: impl FnOnce()) {
        let asleep = counter.ticks();
        self.busy_ticks.set(self.busy_until(asleep));
        sleep();
        let awake = counter.ticks();
        let idle_ticks = awake.saturating_sub(asleep);
        self.idle_ticks.set(self.idle_ticks.get().wrapping_add(idle_ticks));
        self.awake.set(awake);
    }

    /// It runs from now on: the machine was off, which is neither busy nor idle.
    pub(crate) fn count_from_now(&self, counter: &impl Counter) {
        self.awake.set(counter.ticks());
    }

    /// What it has spent its time on so far.
    pub(crate) fn times(&self, counter: &impl Counter) -> Times {
        Times { busy_ticks: self.busy_until(counter.ticks()), idle_ticks: self.idle_ticks.get() }
    }

    fn busy_until(&self, now: u64) -> u64 {
        self.busy_ticks.get().wrapping_add(now.saturating_sub(self.awake.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Clockwork(Cell<u64>);

    impl Counter for Clockwork {
        fn ticks(&self) -> u64 {
            self.0.get()
        }
    }

    #[test]
    fn time_is_either_busy_or_idle() {
        let clock = Clockwork(Cell::new(1000));
        let activity = Activity::new(&clock);
        let pass = |ticks| clock.0.set(clock.0.get() + ticks);
        pass(5);
        for _ in 0..3 {
            activity.while_asleep(&clock, || pass(100));
            pass(7);
        }
        assert_eq!(activity.times(&clock), Times { busy_ticks: 26, idle_ticks: 300 });
        pass(1);
        assert_eq!(activity.times(&clock), Times { busy_ticks: 27, idle_ticks: 300 });
    }

    #[test]
    fn time_that_jumps_is_not_counted() {
        let clock = Clockwork(Cell::new(1000));
        let activity = Activity::new(&clock);
        activity.while_asleep(&clock, || clock.0.set(10));
        assert_eq!(activity.times(&clock), Times::default());
        clock.0.set(5);
        assert_eq!(activity.times(&clock), Times::default());
        clock.0.set(5000);
        activity.count_from_now(&clock);
        assert_eq!(activity.times(&clock), Times::default());
    }
}

//! What the boot processor and another one share: a request, its answer, and the time it took.
//!
//! The boot processor writes the request and the other one all the rest, so there is no lock.

use core::sync::atomic::{AtomicU64, Ordering, fence};

use super::Times;
use crate::tsc::Counter;

/// In [`Slot::requested`]: answer, and run no more.
const STOP: u64 = 1 << 0;
/// In [`Slot::requested`]: requests are counted from here.
const ONE: u64 = 1 << 1;

/// A processor's slot, in a cache line of its own.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Slot {
    /// The processor's own counter: how many requests it has answered.
    answered: AtomicU64,
    busy_ticks: AtomicU64,
    idle_ticks: AtomicU64,
    /// How many requests there were, and whether the last one was to stop.
    requested: AtomicU64,
}

impl Slot {
    pub(super) const fn new() -> Self {
        Self {
            answered: AtomicU64::new(0),
            busy_ticks: AtomicU64::new(0),
            idle_ticks: AtomicU64::new(0),
            requested: AtomicU64::new(0),
        }
    }

    /// The boot processor's: asks for an answer, and then for the end where `stop` is set. The
    /// processor has to be woken, or started, to see it.
    pub(super) fn ask(&self, stop: bool) {
        let last = self.requested.load(Ordering::Relaxed) & !STOP;
        let next = last.wrapping_add(ONE) | if stop { STOP } else { 0 };
        self.requested.store(next, Ordering::Release);
        // The interrupt that follows is a write to a device, which a release does not hold back. Sent
        // too early, it would wake a processor that finds nothing and sleeps on.
        fence(Ordering::SeqCst);
    }

    /// The boot processor's: whether the last request is answered.
    pub(super) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Acquire) == self.requested.load(Ordering::Relaxed) / ONE
    }

    /// The time until the last answer.
    pub(super) fn times(&self) -> Times {
        Times {
            busy_ticks: self.busy_ticks.load(Ordering::Relaxed),
            idle_ticks: self.idle_ticks.load(Ordering::Relaxed),
        }
    }

    /// The other processor's: answers whatever is asked, and in between calls `idle`, which sleeps
    /// until there may be something. It ends when it is asked to stop.
    pub(super) fn serve(&self, counter: &impl Counter, idle: impl Fn()) {
        let mut since = counter.ticks();
        loop {
            since = account(&self.busy_ticks, since, counter.ticks());
            if self.answer() {
                return;
            }
            idle();
            since = account(&self.idle_ticks, since, counter.ticks());
        }
    }

    /// The other processor's: answers the last request, and says whether that was to stop.
    pub(super) fn answer(&self) -> bool {
        let requested = self.requested.load(Ordering::Acquire);
        self.answered.store(requested / ONE, Ordering::Release);
        requested & STOP != 0
    }
}

/// Adds the time from `since` to `now` to `total`, which only this processor writes. Returns `now`.
fn account(total: &AtomicU64, since: u64, now: u64) -> u64 {
    let ticks = total.load(Ordering::Relaxed).wrapping_add(now.saturating_sub(since));
    total.store(ticks, Ordering::Relaxed);
    now
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;
    use std::thread;

    use super::*;

    /// A counter that makes a tick each time it is looked at.
    #[derive(Default)]
    struct Looks(Cell<u64>);

    impl Counter for Looks {
        fn ticks(&self) -> u64 {
            self.0.set(self.0.get() + 1);
            self.0.get()
        }
    }

    #[test]
    fn every_request_is_answered_once() {
        let slot = Slot::new();
        assert!(slot.has_answered(), "nothing was asked");
        thread::scope(|scope| {
            scope.spawn(|| slot.serve(&Looks::default(), thread::yield_now));
            for count in 1..=1000 {
                slot.ask(count == 1000);
                while !slot.has_answered() {
                    thread::yield_now();
                }
                assert_eq!(slot.answered.load(Ordering::Relaxed), count);
            }
        });
        // It has ended, and can be started again.
        slot.ask(false);
        assert!(!slot.has_answered());
        thread::scope(|scope| {
            scope.spawn(|| slot.serve(&Looks::default(), thread::yield_now));
            while !slot.has_answered() {
                thread::yield_now();
            }
            slot.ask(true);
        });
        assert_eq!(slot.answered.load(Ordering::Relaxed), 1002);
    }

    #[test]
    fn sleeping_is_idle_and_the_rest_is_busy() {
        let (slot, counter) = (Slot::new(), Looks::default());
        let naps = Cell::new(0);
        slot.serve(&counter, || {
            counter.0.set(counter.0.get() + 100);
            naps.set(naps.get() + 1);
            if naps.get() == 3 {
                slot.ask(true);
            }
        });
        // A tick for each look: one at the end of each nap, one before each and at the end.
        assert_eq!(slot.times(), Times { busy_ticks: 4, idle_ticks: 3 * 101 });
    }

    #[test]
    fn a_counter_that_goes_backwards_costs_nothing() {
        let (slot, counter) = (Slot::new(), Looks(Cell::new(1000)));
        slot.serve(&counter, || {
            counter.0.set(0);
            slot.ask(true);
        });
        assert_eq!(slot.times(), Times { busy_ticks: 2, idle_ticks: 0 });
    }

    #[test]
    fn slots_do_not_share_cache_lines() {
        assert_eq!((size_of::<Slot>(), align_of::<Slot>()), (64, 64));
        assert_eq!(core::mem::offset_of!(Slot, answered), 0, "where tests look for it");
    }
}

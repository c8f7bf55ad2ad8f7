//! The watchdog over a freeze: a thaw that never comes would stop the machine for good.

use core::time::Duration;
use std::time::Instant;

/// Tells when file systems have been frozen for too long.
#[derive(Debug)]
pub(crate) struct Watchdog {
    /// `None` for never.
    timeout: Option<Duration>,
    /// When it is over with the freeze under way.
    end: Option<Instant>,
}

impl Watchdog {
    /// A watchdog that lets a freeze last for `timeout`.
    pub(crate) const fn new(timeout: Option<Duration>) -> Self {
        Self { timeout, end: None }
    }

    /// Whether the freeze has lasted too long. Then its time begins anew, for the next try.
    pub(crate) fn is_over(&mut self, is_frozen: bool, now: Instant) -> bool {
        let Some(timeout) = self.timeout.filter(|_| is_frozen) else {
            self.end = None;
            return false;
        };
        let is_over = self.end.is_some_and(|end| now >= end);
        if is_over || self.end.is_none() {
            // A time that never comes is as good as none.
            self.end = now.checked_add(timeout);
        }
        is_over
    }

    /// How long it is until then.
    pub(crate) fn left(&self, now: Instant) -> Option<Duration> {
        self.end.map(|end| end.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_freeze_has_its_time() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(Some(2 * SECOND));
        for (is_frozen, seconds, is_over, left) in [
            (false, 0, false, None),
            (true, 1, false, Some(2)),
            (true, 2, false, Some(1)),
            // Thawed and frozen again: the time begins anew.
            (false, 2, false, None),
            (true, 2, false, Some(2)),
            (true, 4, true, Some(2)),
            // The thaw has failed.
            (true, 5, false, Some(1)),
            (true, 6, true, Some(2)),
            (false, 6, false, None),
        ] {
            let now = start + seconds * SECOND;
            assert_eq!(watchdog.is_over(is_frozen, now), is_over, "{seconds} s");
            assert_eq!(watchdog.left(now), left.map(|left: u32| left * SECOND), "{seconds} s");
        }
    }

    #[test]
    fn without_a_timeout_it_never_ends() {
        let now = Instant::now();
        for timeout in [None, Some(Duration::MAX)] {
            let mut watchdog = Watchdog::new(timeout);
            assert!(!watchdog.is_over(true, now));
            assert!(!watchdog.is_over(true, now + 1000 * SECOND));
            assert_eq!(watchdog.left(now), None);
        }
    }
}

//! The watchdog over a freeze: nobody may forget to thaw
//!
//! While file systems are frozen everything that writes waits, so a host that froze them and then
//! died would take the guest with it. The watchdog ends such a freeze. It has no timer of its own:
//! the main loop [looks](Watchdog::look) after it before it sleeps, and sleeps no longer than it
//! says.

/// How long a freeze lasts at most, ms, where nobody has said.
pub const FREEZE_TIMEOUT_MS: u64 = 60_000;

/// Counts the time of a freeze.
#[derive(Debug)]
pub struct Watchdog {
    timeout_ms: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing is frozen.
    Asleep,
    /// Something is, since after the last look.
    Roused,
    /// Something is, and may be until then.
    Until(u64),
}

/// What a look at the watchdog tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Look {
    /// Nothing is frozen: sleep as long as you like.
    Rest,
    /// Look again within so many milliseconds.
    Within(u64),
    /// Thaw now.
    Thaw,
}

impl Watchdog {
    /// A watchdog that lets a freeze last for `timeout_ms`.
    pub const fn new(timeout_ms: u64) -> Self {
        Self { timeout_ms, state: State::Asleep }
    }

    /// A freeze has begun; its time counts from the next look on.
    pub const fn rouse(&mut self) {
        self.state = State::Roused;
    }

    /// The freeze is over.
    pub const fn calm(&mut self) {
        self.state = State::Asleep;
    }

    /// Whether there is a freeze to watch over.
    pub const fn is_roused(&self) -> bool {
        !matches!(self.state, State::Asleep)
    }

    /// Looks after it. Whoever is told to thaw, and cannot, is told again after another time as
    /// long.
    pub fn look(&mut self, now_ms: u64) -> Look {
        let next_ms = now_ms.saturating_add(self.timeout_ms);
        match self.state {
            State::Asleep => Look::Rest,
            State::Roused => {
                self.state = State::Until(next_ms);
                Look::Within(self.timeout_ms)
            }
            State::Until(end_ms) if now_ms < end_ms => Look::Within(end_ms - now_ms),
            State::Until(_) => {
                self.state = State::Until(next_ms);
                Look::Thaw
            }
        }
    }
}

impl Default for Watchdog {
    fn default() -> Self {
        Self::new(FREEZE_TIMEOUT_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_lasts_as_long_as_it_may() {
        let mut watchdog = Watchdog::new(100);
        assert_eq!(watchdog.look(5), Look::Rest);
        watchdog.rouse();
        assert_eq!(watchdog.look(1000), Look::Within(100));
        assert_eq!(watchdog.look(1001), Look::Within(99));
        assert_eq!(watchdog.look(1099), Look::Within(1));
        assert_eq!(watchdog.look(1100), Look::Thaw);
        // Whoever could not.
        assert_eq!(watchdog.look(1100), Look::Within(100));
        assert_eq!(watchdog.look(5000), Look::Thaw);
        watchdog.calm();
        assert_eq!(watchdog.look(9000), Look::Rest);
    }

    #[test]
    fn each_freeze_has_its_own_time() {
        let mut watchdog = Watchdog::new(100);
        watchdog.rouse();
        assert_eq!(watchdog.look(0), Look::Within(100));
        assert_eq!(watchdog.look(90), Look::Within(10));
        // Thawed and frozen again between two looks.
        watchdog.calm();
        watchdog.rouse();
        assert_eq!(watchdog.look(99), Look::Within(100));
        assert_eq!(watchdog.look(198), Look::Within(1));
        assert_eq!(watchdog.look(199), Look::Thaw);
    }
}

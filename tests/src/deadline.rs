//! A point in time by which something must have happened.
//!
//! Every wait of the harness takes one, so that no test can hang.

use core::time::Duration;
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};

/// How long a probe rests between two looks.
const REST: Duration = Duration::from_millis(1);

/// A point in time by which something must have happened.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    /// The moment `limit` from now.
    pub fn within(limit: Duration) -> Self {
        Self { at: Instant::now() + limit, limit }
    }

    /// The earlier of this deadline and `limit` from now.
    #[must_use]
    pub fn or_within(self, limit: Duration) -> Self {
        let other = Self::within(limit);
        if other.at < self.at { other } else { self }
    }

    /// The time left; `None` once it has passed.
    pub fn left(self) -> Option<Duration> {
        self.at.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    /// How much time was given at first, for messages.
    pub fn limit(self) -> Duration {
        self.limit
    }

    /// Looks until `probe` finds something.
    ///
    /// # Errors
    ///
    /// What `probe` fails with, or that `what` has not happened in time.
    pub fn await_some<T>(
        self,
        what: &str,
        mut probe: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        loop {
            if let Some(found) = probe()? {
                return Ok(found);
            }
            if self.left().is_none() {
                bail!("{what}: not within {:?}", self.limit);
            }
            thread::sleep(REST);
        }
    }
}

//! The capability to tell and to set the time.

/// A point in time: nanoseconds since 1970-01-01 00:00 UTC, leap seconds not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixNanos(pub i64);

/// A wall clock, and the real-time clock (RTC) that keeps the time while the guest is off.
pub trait Clock {
    /// The time now. It never goes back unless it is set.
    ///
    /// # Errors
    ///
    /// [`ClockError::Hardware`] where the clock cannot be read.
    fn now(&mut self) -> Result<UnixNanos, ClockError>;

    /// Sets the clock, and then the RTC from it. The agent only asks for times from 1970 to 2069.
    ///
    /// # Errors
    ///
    /// [`ClockError::OutOfRange`] for a time that the RTC cannot hold; nothing has changed then.
    /// [`ClockError::Hardware`] where the RTC did not take it.
    fn set(&mut self, time: UnixNanos) -> Result<(), ClockError>;

    /// Sets the clock from the RTC.
    ///
    /// # Errors
    ///
    /// [`ClockError::Hardware`] where the RTC cannot be read.
    fn set_from_rtc(&mut self) -> Result<(), ClockError>;
}

/// Why a clock failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockError {
    /// The clock or the RTC does not answer, or answers nonsense.
    Hardware,
    /// The time cannot be held.
    OutOfRange,
}

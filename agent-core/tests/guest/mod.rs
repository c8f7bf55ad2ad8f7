//! A guest for tests: a clock that stands still and a power switch that notes what it was asked.

use agent_core::{Board, Clock, ClockError, Power, PowerError, ShutdownMode, UnixNanos};

/// The state of the guest.
#[derive(Debug)]
pub(crate) struct Guest {
    /// What its clock shows.
    pub(crate) now: UnixNanos,
    /// What its RTC shows.
    pub(crate) rtc: UnixNanos,
    /// The shutdown that was asked for last.
    pub(crate) mode: Option<ShutdownMode>,
}

impl Default for Guest {
    fn default() -> Self {
        // 2026-01-02 03:04:05.123456789 UTC, and an RTC that is an hour late.
        let now = 1_767_323_045_123_456_789;
        Self { now: UnixNanos(now), rtc: UnixNanos(now - 3_600_000_000_000), mode: None }
    }
}

impl Clock for Guest {
    fn now(&mut self) -> Result<UnixNanos, ClockError> {
        Ok(self.now)
    }

    fn set(&mut self, time: UnixNanos) -> Result<(), ClockError> {
        self.now = time;
        self.rtc = time;
        Ok(())
    }

    fn set_from_rtc(&mut self) -> Result<(), ClockError> {
        self.now = self.rtc;
        Ok(())
    }
}

impl Power for Guest {
    fn shutdown(&mut self, mode: ShutdownMode) -> Result<(), PowerError> {
        // A guest that can do anything but halt.
        if mode == ShutdownMode::Halt {
            return Err(PowerError::Unsupported);
        }
        self.mode = Some(mode);
        Ok(())
    }
}

impl Board for Guest {
    fn clock(&mut self) -> Option<&mut dyn Clock> {
        Some(self)
    }

    fn power(&mut self) -> Option<&mut dyn Power> {
        Some(self)
    }
}

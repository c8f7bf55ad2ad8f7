//! The guest's capabilities, over hal-x86
//!
//! hal-x86 knows nothing of commands and agent-core nothing of hardware. Here each capability of
//! the one is put over the devices of the other.

use agent_core::{Board, Clock, ClockError, Power, PowerError, ShutdownMode, UnixNanos};
use hal_x86::clock::WallClock;
use hal_x86::rtc::RtcError;

use crate::serve::Served;

/// What an x86 machine can do for the agent.
#[derive(Debug)]
pub struct Guest {
    clock: Option<RealTimeClock>,
    shutdown: Shutdown,
}

impl Guest {
    /// A guest with a clock, if the machine has what one takes, and that can be switched off, if
    /// the machine can.
    pub fn new(clock: Option<WallClock>, can_power_off: bool) -> Self {
        let shutdown = Shutdown { can_power_off, requested: None };
        Self { clock: clock.map(RealTimeClock), shutdown }
    }
}

impl Served for Guest {
    fn requested_shutdown(&self) -> Option<ShutdownMode> {
        self.shutdown.requested
    }

    fn resume(&mut self) {
        if let Some(Err(failure)) = self.clock.as_mut().map(|clock| clock.0.check()) {
            crate::error!("the CMOS clock: {}", failure);
        }
    }
}

impl Board for Guest {
    fn clock(&mut self) -> Option<&mut dyn Clock> {
        self.clock.as_mut().map(|clock| clock as &mut dyn Clock)
    }

    fn power(&mut self) -> Option<&mut dyn Power> {
        Some(&mut self.shutdown)
    }
}

/// The CMOS clock, and the time-stamp counter between its readings.
#[derive(Debug)]
struct RealTimeClock(WallClock);

impl Clock for RealTimeClock {
    fn now(&mut self) -> Result<UnixNanos, ClockError> {
        self.0.now().map(UnixNanos).map_err(clock_error)
    }

    fn set(&mut self, time: UnixNanos) -> Result<(), ClockError> {
        self.0.set(time.0).map_err(clock_error)
    }

    fn set_from_rtc(&mut self) -> Result<(), ClockError> {
        self.0.set_from_rtc().map_err(clock_error)
    }
}

fn clock_error(error: RtcError) -> ClockError {
    crate::warning!("the CMOS clock: {}", error);
    match error {
        RtcError::OutOfRange => ClockError::OutOfRange,
        _ => ClockError::Hardware,
    }
}

/// A shutdown, noted until the main loop carries it out. The last one asked for counts.
#[derive(Debug)]
struct Shutdown {
    can_power_off: bool,
    requested: Option<ShutdownMode>,
}

impl Power for Shutdown {
    fn shutdown(&mut self, mode: ShutdownMode) -> Result<(), PowerError> {
        if mode == ShutdownMode::Powerdown && !self.can_power_off {
            return Err(PowerError::Unsupported);
        }
        self.requested = Some(mode);
        Ok(())
    }
}

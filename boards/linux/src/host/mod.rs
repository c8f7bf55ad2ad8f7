//! The board: what the Linux kernel under this process can do.

mod clock;
mod rtc;
mod shutdown;

use agent_core::{Board, Clock, Power};

use self::{clock::SystemClock, shutdown::Shutdown};
use crate::log::Log;

/// The machine that this process runs on.
#[derive(Debug)]
pub(crate) struct Host {
    clock: SystemClock,
    /// The shutdown that was asked for.
    pub(crate) shutdown: Shutdown,
}

impl Host {
    /// The machine, or one whose changes are only logged.
    pub(crate) fn new(log: Log, dry_run: bool) -> Self {
        Self { clock: SystemClock::new(log, dry_run), shutdown: Shutdown::new(log, dry_run) }
    }
}

impl Board for Host {
    fn clock(&mut self) -> Option<&mut dyn Clock> {
        Some(&mut self.clock)
    }

    fn power(&mut self) -> Option<&mut dyn Power> {
        Some(&mut self.shutdown)
    }
}

//! Shutting the machine down: noted when it is asked for, carried out by the main loop.

use std::time::Instant;

use agent_core::{Power, PowerError, ShutdownMode};
use rustix::fs::sync;
use rustix::system::{RebootCommand, reboot};

use crate::log::Log;

/// The shutdown that was asked for, if any.
#[derive(Debug)]
pub(crate) struct Shutdown {
    log: Log,
    dry_run: bool,
    noted: Option<(ShutdownMode, Instant)>,
}

impl Shutdown {
    pub(crate) const fn new(log: Log, dry_run: bool) -> Self {
        Self { log, dry_run, noted: None }
    }

    /// What was asked for last, and when this began.
    pub(crate) fn noted(&self) -> Option<(ShutdownMode, Instant)> {
        self.noted
    }

    /// Does what was asked for: at once, without a word to other processes. Returns only where
    /// the kernel refuses, or in a dry run.
    pub(crate) fn carry_out(&mut self) {
        let Some((mode, _)) = self.noted.take() else { return };
        if self.dry_run {
            self.log.note(format_args!("dry run: no shutdown ({mode:?})"));
            return;
        }
        self.log.detail(format_args!("shutting down ({mode:?})"));
        sync();
        let refused = reboot(match mode {
            ShutdownMode::Halt => RebootCommand::Halt,
            ShutdownMode::Powerdown => RebootCommand::PowerOff,
            ShutdownMode::Reboot => RebootCommand::Restart,
        });
        if let Err(error) = refused {
            self.log.note(format_args!("cannot shut down: {error}"));
        }
    }
}

impl Power for Shutdown {
    fn shutdown(&mut self, mode: ShutdownMode) -> Result<(), PowerError> {
        // A host that repeats itself does not get more time to take the replies.
        let since = self.noted.map_or_else(Instant::now, |(_, since)| since);
        self.noted = Some((mode, since));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shutdown_is_noted_and_then_carried_out_once() {
        let mut shutdown = Shutdown::new(Log::default(), true);
        assert!(shutdown.noted().is_none());
        assert_eq!(shutdown.shutdown(ShutdownMode::Powerdown), Ok(()));
        let (mode, since) = shutdown.noted().unwrap();
        assert_eq!(mode, ShutdownMode::Powerdown);
        assert_eq!(shutdown.shutdown(ShutdownMode::Halt), Ok(()));
        assert_eq!(shutdown.noted(), Some((ShutdownMode::Halt, since)));
        shutdown.carry_out();
        assert!(shutdown.noted().is_none());
    }
}

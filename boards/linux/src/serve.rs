//! The main loop: heed signals, drive programs, pump, carry out a shutdown or a sleep, thaw what
//! was forgotten, wait.

use core::time::Duration;
use std::time::Instant;

use agent_core::{Agent, Pump};

use crate::{
    channel::Channel,
    host::{Host, Processes},
    log::Log,
    signals::Signals,
    watchdog::Watchdog,
};

/// How long a host is given to take the last replies before a shutdown, a sleep or the agent's end.
const DRAIN: Duration = Duration::from_millis(200);

/// How often to look whether it has.
const DRAIN_STEP: Duration = Duration::from_millis(10);

/// Serves a channel until a signal ends it.
///
/// # Errors
///
/// The channel is broken.
pub(crate) fn serve(
    channel: &mut impl Channel,
    agent: &mut Agent<'_, Host>,
    mut watchdog: Watchdog,
    signals: &mut Signals,
    log: Log,
) -> anyhow::Result<()> {
    let mut pump = Pump::new();
    let (mut has_orphans, mut end) = (false, None);
    loop {
        let came = signals.take();
        if came.end {
            end = end.or(Some(Instant::now()));
        }
        if came.child || has_orphans {
            has_orphans = agent.board_mut().reap();
        }
        if let Some(programs) = &mut agent.board_mut().programs {
            programs.advance();
        }
        let moved = pump.run(channel, agent)?;
        let shutdown = agent.board_mut().shutdown.noted().map(|(_, since)| since);
        let sleep = agent.board_mut().sleep.noted().map(|(_, since)| since);
        let leaving = shutdown.or(sleep).or(end);
        if let Some(since) = leaving {
            let sent = agent.pending().is_empty() && channel.is_drained();
            if sent || since.elapsed() >= DRAIN {
                match (shutdown, sleep) {
                    (Some(_), _) => agent.board_mut().shut_down(),
                    (None, Some(_)) => agent.board_mut().fall_asleep(),
                    (None, None) => return Ok(()),
                }
                continue;
            }
        }
        if watchdog.is_over(agent.is_frozen(), Instant::now()) {
            match agent.thaw() {
                Ok(count) => log.note(format_args!("no thaw came: {count} file systems thawed")),
                Err(error) => log.note(format_args!("no thaw came, and none works: {error:?}")),
            }
            continue;
        }
        if !moved && !has_orphans {
            let drain = leaving.map(|_| DRAIN_STEP);
            let left = watchdog.left(Instant::now());
            let timeout = [drain, left].into_iter().flatten().min();
            let programs = agent.board_mut().programs.as_ref().map(Processes::activity);
            let others: Vec<_> = programs.into_iter().chain([signals.activity()]).collect();
            channel.wait(timeout, &others)?;
        }
    }
}

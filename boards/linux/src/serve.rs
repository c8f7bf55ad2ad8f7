//! The main loop: pump, carry out a shutdown, wait.

use core::convert::Infallible;
use core::time::Duration;

use agent_core::{Agent, Pump};

use crate::{channel::Channel, host::Host};

/// How long a host is given to take the last replies before a shutdown.
const DRAIN: Duration = Duration::from_millis(200);

/// How often to look whether it has.
const DRAIN_STEP: Duration = Duration::from_millis(10);

/// Serves a channel for as long as it works.
///
/// # Errors
///
/// The channel is broken.
pub(crate) fn serve(
    channel: &mut impl Channel,
    agent: &mut Agent<'_, Host>,
) -> anyhow::Result<Infallible> {
    let mut pump = Pump::new();
    loop {
        let moved = pump.run(channel, agent)?;
        let shutdown = agent.board_mut().shutdown.noted();
        if let Some((_, since)) = shutdown {
            let sent = agent.pending().is_empty() && channel.is_drained();
            if sent || since.elapsed() >= DRAIN {
                agent.board_mut().shutdown.carry_out();
                continue;
            }
        }
        if !moved {
            channel.wait(shutdown.map(|_| DRAIN_STEP))?;
        }
    }
}

//! The main loop: the channel's bytes to the agent and back, a shutdown when one is asked for, sleep in between
//!
//! Interrupts are disabled but in [`Platform::idle`]. So whatever a device does after [`Channel::attend`] has looked at it raises
//! an interrupt that is still pending when the CPU halts, and wakes it at once: nothing is missed, and nothing is polled.

use agent_core::{Agent, Pump, ShutdownMode};
use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};

use crate::guest::Guest;

/// How long the host is given to take the last replies before a shutdown, ms.
const DRAIN_MS: u64 = 200;

/// Where the agent's bytes come from and go to. None of its functions waits for the host.
pub trait Channel: ErrorType<Error = ErrorKind> + Read + ReadReady + Write + WriteReady {
    /// Lets the device's interrupt fall, so that the next event raises it again, and then looks at what the device says.
    /// Returns whether there may be more of that: the loop comes back before it idles.
    ///
    /// # Errors
    ///
    /// The device does not work.
    fn attend(&mut self) -> Result<bool, ErrorKind>;

    /// Whether all that was written has left the guest.
    ///
    /// # Errors
    ///
    /// The device does not work.
    fn is_drained(&mut self) -> Result<bool, ErrorKind>;
}

/// What the loop asks of the machine.
pub trait Platform {
    /// Halts the CPU until the next interrupt.
    fn idle(&mut self);

    /// Time since some moment in the past, ms.
    fn uptime_ms(&self) -> u64;

    /// Carries a shutdown out.
    fn shut_down(&mut self, mode: ShutdownMode) -> !;
}

/// Serves the channel until the guest is shut down.
pub fn serve<C: Channel>(
    channel: &mut C,
    agent: &mut Agent<'_, Guest>,
    platform: &mut impl Platform,
) -> ! {
    let mut pump = Pump::new();
    loop {
        let moved = turn(&mut pump, channel, agent).unwrap_or_else(|error| {
            // It may recover, or the host may replug it: either is another interrupt.
            crate::error!("the channel: {}", error);
            false
        });
        if let Some(mode) = agent.board_mut().requested_shutdown() {
            drain(&mut pump, channel, agent, platform);
            platform.shut_down(mode);
        }
        if !moved {
            platform.idle();
        }
    }
}

/// Moves what there is to move; returns whether there was anything.
fn turn<C: Channel>(
    pump: &mut Pump,
    channel: &mut C,
    agent: &mut Agent<'_, Guest>,
) -> Result<bool, ErrorKind> {
    let more = channel.attend()?;
    Ok(pump.run(channel, agent)? || more)
}

/// Gives the last replies to the host, or gives up.
///
/// Without a timer interrupt there is nothing to sleep on, so this is the one place that polls.
fn drain<C: Channel>(
    pump: &mut Pump,
    channel: &mut C,
    agent: &mut Agent<'_, Guest>,
    platform: &impl Platform,
) {
    let start_ms = platform.uptime_ms();
    while platform.uptime_ms() - start_ms < DRAIN_MS {
        let drained = turn(pump, channel, agent).and_then(|_| channel.is_drained());
        if !matches!(drained, Ok(false)) && agent.pending().is_empty() {
            return;
        }
        core::hint::spin_loop();
    }
    crate::warning!("the host does not take the last replies");
}

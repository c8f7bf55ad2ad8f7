//! The main loop: bytes to and fro, a shutdown in the end, sleep in between
//!
//! Interrupts are disabled but in [`Platform::idle`]. So whatever a device does after
//! [`Channel::attend`] has looked at it raises an interrupt that is still pending when the CPU
//! halts, and wakes it at once: nothing is missed, and nothing is polled. A board that sleeps by
//! itself says so ([`Served::has_waited`]), and the loop looks once more.

use agent_core::{Agent, Board, Pump, ShutdownMode};
use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};

use crate::farewell::Farewell;
use crate::watchdog::{Look, Watchdog};

/// Where the agent's bytes come from and go to. None of its functions waits for the host.
pub trait Channel: ErrorType<Error = ErrorKind> + Read + ReadReady + Write + WriteReady {
    /// Lets the device's interrupt fall, so that the next event raises it again, and then looks at
    /// what the device says. Returns whether there may be more of that: the loop comes back before
    /// it idles.
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

    /// Tells the host that nobody listens any more, where the device can. A host that waits for the
    /// end of the guest then knows why its connection ends first.
    fn close(&mut self);

    /// Makes the host keep what it would send from now on, and returns whether it does: before that
    /// there may be more to read. What is written still leaves.
    ///
    /// # Errors
    ///
    /// The device does not work.
    fn hush(&mut self) -> Result<bool, ErrorKind> {
        Ok(true)
    }

    /// Prepares the device for its reset, when nothing is left to be read or written, and returns
    /// whether it will lose nothing then. That may take several calls, with pauses between them,
    /// and the host may have sent more meanwhile. Afterwards nothing is read or written until
    /// [`resume`](Self::resume).
    ///
    /// # Errors
    ///
    /// The device does not work.
    fn rest(&mut self) -> Result<bool, ErrorKind> {
        Ok(true)
    }

    /// Goes on after the device has been reset, or might have been.
    fn resume(&mut self);
}

/// What the loop asks of the board, beside what the agent does.
pub trait Served: Board {
    /// The shutdown that was asked for and is still to be carried out.
    fn requested_shutdown(&self) -> Option<ShutdownMode>;

    /// Whether a suspend was asked for since this was asked last.
    fn requested_suspend(&mut self) -> bool {
        false
    }

    /// Lets the interrupts of the board's own devices fall, so that those which share a line with
    /// the channel do not hide its next one; and does a bounded amount of what the board has to do
    /// beside the agent.
    fn attend(&mut self) {}

    /// Whether the board has slept until an interrupt since it was asked last, as for its disk. That
    /// interrupt may have been the channel's, which the loop then looks at before it sleeps. So it
    /// does where the board has more to do than it has done.
    fn has_waited(&mut self) -> bool {
        false
    }

    /// How long the loop may sleep before the board has to be attended to again, ms; `None` is until
    /// an interrupt. Asked before every sleep.
    fn longest_sleep_ms(&mut self) -> Option<u64> {
        None
    }

    /// Puts what has been written where it survives the guest, before a shutdown or a suspend. No
    /// request comes before [`resume`](Self::resume).
    fn settle(&mut self) {}

    /// Goes on after a suspend: every device of the board's own has been reset, or might have been,
    /// and time has passed.
    fn resume(&mut self) {}

    /// The watchdog over its file systems, where it has any to freeze.
    fn watchdog(&mut self) -> Option<&mut Watchdog> {
        None
    }
}

/// What the loop asks of the machine.
pub trait Platform {
    /// Halts the CPU until the next interrupt.
    fn idle(&self);

    /// Halts the CPU until the next interrupt, but for about `longest_ms` at most. It may end
    /// earlier than either.
    fn idle_for(&self, longest_ms: u64);

    /// Time since some moment in the past, ms.
    fn uptime_ms(&self) -> u64;

    /// Carries a shutdown out.
    fn shut_down(&self, mode: ShutdownMode) -> !;

    /// Idles for good: there is nothing to serve.
    fn rest(&self) -> ! {
        loop {
            self.idle();
        }
    }

    /// Carries a suspend out, and returns after the wake-up, or where it failed. To be overridden
    /// where a board can be asked for one.
    fn suspend(&self) {}
}

/// Serves the channel until the guest is shut down.
pub fn serve<C: Channel, B: Served>(
    channel: &mut C,
    agent: &mut Agent<'_, B>,
    platform: &impl Platform,
) -> ! {
    let mut pump = Pump::new();
    loop {
        let moved = turn(&mut pump, channel, agent).unwrap_or_else(|error| {
            // The host may replug it, which is another interrupt.
            crate::error!("the channel: {}", error);
            false
        });
        if let Some(mode) = agent.board_mut().requested_shutdown() {
            Farewell { pump: &mut pump, channel, agent, platform }.shut_down(mode);
        }
        if agent.board_mut().requested_suspend() {
            Farewell { pump: &mut pump, channel, agent, platform }.suspend();
            continue;
        }
        let watched_ms = watch(agent, platform);
        if moved || agent.board_mut().has_waited() {
            continue;
        }
        let longest_ms = watched_ms.into_iter().chain(agent.board_mut().longest_sleep_ms()).min();
        match longest_ms {
            None => platform.idle(),
            Some(longest_ms) => platform.idle_for(longest_ms),
        }
    }
}

/// Moves what there is to move; returns whether there was anything, or may be.
pub(crate) fn turn<C: Channel, B: Served>(
    pump: &mut Pump,
    channel: &mut C,
    agent: &mut Agent<'_, B>,
) -> Result<bool, ErrorKind> {
    agent.board_mut().attend();
    let more = channel.attend()?;
    let moved = pump.run(channel, agent).unwrap_or_else(|error| {
        crate::error!("the channel: {}", error);
        // The next look at the device is what may mend it.
        true
    });
    Ok(moved | more)
}

/// Ends a freeze that has lasted too long. Returns how long the loop may sleep, where that is not
/// for ever.
fn watch<B: Served>(agent: &mut Agent<'_, B>, platform: &impl Platform) -> Option<u64> {
    let watchdog = agent.board_mut().watchdog().filter(|watchdog| watchdog.is_roused())?;
    match watchdog.look(platform.uptime_ms()) {
        Look::Rest => None,
        Look::Within(longest_ms) => Some(longest_ms),
        Look::Thaw => {
            // The board has its own words for why it cannot.
            let thawed = agent.thaw().is_ok();
            crate::warning!("the host has forgotten a freeze; thawed: {=bool}", thawed);
            Some(0)
        }
    }
}

#[cfg(test)]
mod tests {
    use agent_core::{Buffers, Filesystems};

    use super::*;
    use crate::fake::{Clockwork, Host};
    use crate::freezer::{Freezer, tests::Noting};
    use crate::guest::Guest;

    #[test]
    fn a_device_that_has_more_to_say_keeps_the_processor_awake() {
        let mut buffers: Buffers = Buffers::new();
        let mut agent = Agent::new(Guest::new(None, true), &mut buffers);
        for has_more in [false, true] {
            let mut host = Host { has_more, ..Host::default() };
            assert_eq!(turn(&mut Pump::new(), &mut host, &mut agent), Ok(has_more));
        }
    }

    /// A guest with a file system.
    struct Storing(Freezer<Noting, Noting>);

    impl Board for Storing {
        fn filesystems(&mut self) -> Option<&mut dyn Filesystems> {
            Some(&mut self.0)
        }
    }

    impl Served for Storing {
        fn requested_shutdown(&self) -> Option<ShutdownMode> {
            None
        }

        fn watchdog(&mut self) -> Option<&mut Watchdog> {
            Some(self.0.watchdog_mut())
        }
    }

    const FREEZE: &[u8] = b"{\"execute\": \"guest-fsfreeze-freeze\"}\n";
    const THAW: &[u8] = b"{\"execute\": \"guest-fsfreeze-thaw\"}\n";
    const TIMEOUT_MS: u64 = 5000;

    /// Has a guest of `noting` frozen by its host, and sleeps as the loop would until it is thawed
    /// or a minute is over; returns how long that took, and how often the loop slept.
    fn thawed_after_ms(noting: &Noting, sends: &[u8]) -> Option<(u64, u32)> {
        let mut buffers: Buffers = Buffers::new();
        let watchdog = Watchdog::new(TIMEOUT_MS);
        let freezer = Freezer::new(noting.clone(), noting.clone(), watchdog);
        let mut agent = Agent::new(Storing(freezer), &mut buffers);
        let mut host = Host { sends: sends.to_vec(), takes: usize::MAX, ..Host::default() };
        let mut pump = Pump::new();
        while turn(&mut pump, &mut host, &mut agent).unwrap() {}
        assert!(agent.is_frozen());
        let platform = Clockwork::default();
        for sleeps in 0.. {
            let longest_ms = watch(&mut agent, &platform);
            let now_ms = platform.uptime_ms();
            if !agent.is_frozen() {
                return Some((now_ms, sleeps));
            }
            if now_ms > 60_000 {
                break;
            }
            platform.idle_for(longest_ms.unwrap());
        }
        None
    }

    #[test]
    fn a_forgotten_freeze_ends_by_itself() {
        let noting = Noting::default();
        let (duration_ms, sleeps) = thawed_after_ms(&noting, FREEZE).unwrap();
        assert!((TIMEOUT_MS..TIMEOUT_MS + 10).contains(&duration_ms), "{duration_ms}");
        assert_eq!(sleeps, 1);
        assert_eq!(*noting.calls.borrow(), ["before", "freeze", "thaw", "after"]);
    }

    #[test]
    fn a_freeze_that_cannot_be_ended_is_tried_again_and_again_but_not_all_the_time() {
        let noting = Noting::default();
        *noting.refuses.borrow_mut() = Some("thaw");
        assert_eq!(thawed_after_ms(&noting, FREEZE), None);
        let thaws = noting.calls.borrow().iter().filter(|&&call| call == "thaw").count();
        assert!((8..=12).contains(&thaws), "{thaws}");
    }

    #[test]
    fn a_guest_that_is_not_frozen_sleeps_for_ever() {
        let mut buffers: Buffers = Buffers::new();
        let noting = Noting::default();
        let freezer = Freezer::new(noting.clone(), noting.clone(), Watchdog::default());
        let mut agent = Agent::new(Storing(freezer), &mut buffers);
        assert_eq!(watch(&mut agent, &Clockwork::default()), None);
        let mut host =
            Host { sends: [FREEZE, THAW].concat(), takes: usize::MAX, ..Host::default() };
        while turn(&mut Pump::new(), &mut host, &mut agent).unwrap() {}
        assert_eq!(watch(&mut agent, &Clockwork::default()), None);
        assert_eq!(*noting.calls.borrow(), ["before", "freeze", "thaw", "after"]);
    }
}

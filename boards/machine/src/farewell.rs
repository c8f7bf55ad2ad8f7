//! The end of the loop, for good or until the guest wakes up: what was said arrives, if the host
//! takes it in time

use agent_core::{Agent, Pump, ShutdownMode};
use embedded_io::ErrorKind;

use crate::serve::{Channel, Platform, Served, turn};

/// How long the host is given to take the last replies before a shutdown, and how long a host is
/// waited for that takes nothing, ms.
const DRAIN_MS: u64 = 200;

/// How long the requests of a host that does not stop sending are handled before a suspend, ms.
/// What it sends at the end of that may be lost on a serial line.
const HUSH_MS: u64 = 10_000;

/// How long the CPU sleeps between two looks, ms, unless there is an interrupt: not every channel
/// has one for the last byte that has left.
const PAUSE_MS: u64 = 2;

/// Pauses in which nothing has come until nothing is on its way. An emulator may have been half-way
/// through looking at the beginning of the first.
const PAUSES: u32 = 2;

/// How long the host is given to notice that the channel is closed before the machine ends, ms.
/// libvirt otherwise may see its connection end first, and take a shutdown that worked as failed.
const LINGER_MS: u64 = 150;

/// The loop, as it ends.
pub(crate) struct Farewell<'f, 'a, C, B, P> {
    pub(crate) pump: &'f mut Pump,
    pub(crate) channel: &'f mut C,
    pub(crate) agent: &'f mut Agent<'a, B>,
    pub(crate) platform: &'f P,
}

impl<C: Channel, B: Served, P: Platform> Farewell<'_, '_, C, B, P> {
    /// Shuts the guest down.
    pub(crate) fn shut_down(mut self, mode: ShutdownMode) -> ! {
        self.drain();
        self.agent.board_mut().settle();
        self.channel.close();
        self.linger();
        self.platform.shut_down(mode)
    }

    /// Suspends the guest, and goes on when it has been woken.
    pub(crate) fn suspend(mut self) {
        self.drain();
        self.hush();
        self.agent.board_mut().settle();
        self.platform.suspend();
        self.agent.board_mut().resume();
        self.channel.resume();
    }

    /// Gives the last replies to the host, or gives up.
    fn drain(&mut self) {
        // Without a timer, which the smallest images need for nothing else.
        let pause = |_: &P| core::hint::spin_loop();
        if !self.take_turns_until(DRAIN_MS, pause, |channel, _| channel.is_drained()) {
            crate::warning!("the host does not take the last replies");
        }
    }

    /// Handles all that the host has sent until it keeps the rest and the channel is at rest, or
    /// gives up.
    fn hush(&mut self) {
        // Also a host that takes no replies.
        let _ = self.channel.hush();
        let pause = |platform: &P| platform.idle_for(PAUSE_MS);
        let is_hushed = self.take_turns_until(HUSH_MS, pause, |channel, quiet_turns| {
            // What came before the host has kept silent shows only now.
            let is_quiet = channel.hush()? && quiet_turns > PAUSES;
            Ok(is_quiet && !channel.read_ready()? && channel.is_drained()? && channel.rest()?)
        });
        if !is_hushed {
            crate::warning!("the host does not keep silent, or takes no replies");
        }
    }

    /// Takes turns, with a `pause` after each that moves nothing, until nothing is left to be
    /// written and `is_done`, which is told how many turns in a row have moved nothing, says so.
    /// Gives up after `longest_ms`, or where nothing moves. Returns whether it is done.
    fn take_turns_until(
        &mut self,
        longest_ms: u64,
        pause: impl Fn(&P),
        is_done: impl Fn(&mut C, u32) -> Result<bool, ErrorKind>,
    ) -> bool {
        let start_ms = self.platform.uptime_ms();
        let (mut moved_ms, mut quiet_turns) = (start_ms, 0_u32);
        loop {
            let moved = turn(self.pump, self.channel, self.agent);
            let now_ms = self.platform.uptime_ms();
            if moved == Ok(true) {
                (moved_ms, quiet_turns) = (now_ms, 0);
            } else {
                quiet_turns = quiet_turns.saturating_add(1);
            }
            let is_written = self.agent.pending().is_empty();
            match moved.and_then(|_| Ok(is_written && is_done(self.channel, quiet_turns)?)) {
                Ok(false) => {}
                // A device that does not work is not waited for.
                Ok(true) | Err(_) => return true,
            }
            let passed = |since_ms| now_ms.saturating_sub(since_ms);
            if passed(moved_ms) >= DRAIN_MS || passed(start_ms) >= longest_ms {
                return false;
            }
            if quiet_turns > 0 {
                pause(self.platform);
            }
        }
    }

    /// Waits until the host has noticed that the channel is closed.
    fn linger(&self) {
        let start_ms = self.platform.uptime_ms();
        while self.platform.uptime_ms().saturating_sub(start_ms) < LINGER_MS {
            core::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use agent_core::{Board, Buffers, Suspend};

    use super::*;
    use crate::fake::{Clockwork, Host};
    use crate::guest::Guest;
    use crate::suspend::SuspendToRam;

    const PING: &[u8] = b"{\"execute\": \"guest-ping\"}\n";
    const PONG: &[u8] = b"{\"return\": {}}\n";

    /// A guest that can be suspended.
    #[derive(Default)]
    struct Sleepy(SuspendToRam, Vec<&'static str>);

    impl Board for Sleepy {
        fn suspend(&mut self) -> Option<&mut dyn Suspend> {
            Some(&mut self.0)
        }
    }

    impl Served for Sleepy {
        fn requested_shutdown(&self) -> Option<ShutdownMode> {
            None
        }

        fn requested_suspend(&mut self) -> bool {
            self.0.take()
        }

        /// As with a network that is never quiet, which holds nothing up.
        fn has_waited(&mut self) -> bool {
            true
        }

        fn settle(&mut self) {
            self.1.push("settle");
        }

        fn resume(&mut self) {
            self.1.push("resume");
        }
    }

    #[test]
    fn a_suspend_waits_for_what_is_under_way() {
        let mut buffers: Buffers = Buffers::new();
        let mut agent = Agent::new(Sleepy::default(), &mut buffers);
        let sends = [PING, b"{\"execute\": \"guest-suspend-ram\"}\n"].concat();
        let mut host = Host { sends, takes: usize::MAX, late: PING.to_vec(), ..Host::default() };
        let mut pump = Pump::new();
        while turn(&mut pump, &mut host, &mut agent).unwrap() {}
        assert!(agent.board_mut().requested_suspend());
        let platform = Clockwork::default();
        let (pump, channel) = (&mut pump, &mut host);
        Farewell { pump, channel, agent: &mut agent, platform: &platform }.suspend();
        assert_eq!(host.taken, [PONG, PONG].concat());
        assert_eq!(host.calls.last_chunk(), Some(&["hush", "rest", "resume"]));
        assert_eq!(agent.board_mut().1, ["settle", "resume"]);
        assert!(platform.uptime_ms() < 20, "{}", platform.uptime_ms());
    }

    #[test]
    fn a_host_that_does_not_keep_silent_holds_a_suspend_up_for_a_bounded_time() {
        let takes_nothing = Host { in_flight: true, ..Host::default() };
        let sends_for_ever = Host { has_more: true, ..Host::default() };
        for (mut host, longest_ms) in [(takes_nothing, 2 * DRAIN_MS), (sends_for_ever, HUSH_MS)] {
            let mut buffers: Buffers = Buffers::new();
            let mut agent = Agent::new(Sleepy::default(), &mut buffers);
            let platform = Clockwork::default();
            let (pump, channel) = (&mut Pump::new(), &mut host);
            Farewell { pump, channel, agent: &mut agent, platform: &platform }.suspend();
            assert_eq!(agent.board_mut().1, ["settle", "resume"]);
            let duration_ms = platform.uptime_ms();
            assert!((longest_ms..longest_ms + 20).contains(&duration_ms), "{duration_ms}");
        }
    }

    /// Serves `host` until nothing moves, and then drains; returns how long that took.
    fn drained_after_ms(host: &mut Host, can_power_off: bool) -> (u64, Option<ShutdownMode>) {
        let mut buffers: Buffers = Buffers::new();
        let mut agent = Agent::new(Guest::new(None, can_power_off), &mut buffers);
        let mut pump = Pump::new();
        while turn(&mut pump, host, &mut agent).unwrap() {}
        let platform = Clockwork::default();
        let (pump, channel) = (&mut pump, host);
        Farewell { pump, channel, agent: &mut agent, platform: &platform }.drain();
        (platform.uptime_ms(), agent.board_mut().requested_shutdown())
    }

    #[test]
    fn replies_reach_a_host_that_takes_them() {
        let mut host = Host { sends: PING.to_vec(), takes: usize::MAX, ..Host::default() };
        let (duration_ms, shutdown) = drained_after_ms(&mut host, true);
        assert_eq!((&host.taken[..], shutdown), (PONG, None));
        assert!(duration_ms < 10, "{duration_ms}");
    }

    #[test]
    fn a_host_that_takes_nothing_holds_a_shutdown_up_for_a_bounded_time() {
        for in_flight in [false, true] {
            let takes = if in_flight { usize::MAX } else { 3 };
            let mut host = Host { sends: PING.to_vec(), takes, in_flight, ..Host::default() };
            let (duration_ms, _) = drained_after_ms(&mut host, true);
            assert!((DRAIN_MS..DRAIN_MS + 10).contains(&duration_ms), "{in_flight}: {duration_ms}");
        }
    }

    #[test]
    fn a_shutdown_is_only_noted_and_only_where_the_machine_can() {
        for (mode, can_power_off, expected) in [
            ("powerdown", true, Some(ShutdownMode::Powerdown)),
            ("powerdown", false, None),
            ("reboot", false, Some(ShutdownMode::Reboot)),
            ("halt", false, Some(ShutdownMode::Halt)),
        ] {
            let request =
                format!(r#"{{"execute": "guest-shutdown", "arguments": {{"mode": "{mode}"}}}}"#);
            let mut host =
                Host { sends: request.into_bytes(), takes: usize::MAX, ..Host::default() };
            let (_, shutdown) = drained_after_ms(&mut host, can_power_off);
            assert_eq!(shutdown, expected, "{mode}");
            assert_eq!(
                host.taken.is_empty(),
                expected.is_some(),
                "{mode}: only a refusal is answered"
            );
        }
    }
}

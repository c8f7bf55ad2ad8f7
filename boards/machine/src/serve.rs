//! The main loop: bytes to and fro, a shutdown in the end, sleep in between
//!
//! Interrupts are disabled but in [`Platform::idle`]. So whatever a device does after
//! [`Channel::attend`] has looked at it raises an interrupt that is still pending when the CPU
//! halts, and wakes it at once: nothing is missed, and nothing is polled. A board that sleeps by
//! itself says so ([`Served::has_waited`]), and the loop looks once more.

use agent_core::{Agent, Board, Pump, ShutdownMode};
use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};

use crate::watchdog::{Look, Watchdog};

/// How long the host is given to take the last replies before a shutdown, ms.
const DRAIN_MS: u64 = 200;

/// How long the host is given to notice that the channel is closed before the machine ends, ms.
/// libvirt otherwise may see its connection end first, and take a shutdown that worked as failed.
const LINGER_MS: u64 = 150;

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

    /// Prepares the device for its reset: it loses nothing then that the guest could still have.
    /// Nothing is read or written until [`resume`](Self::resume).
    fn rest(&mut self) {}

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
            drain(&mut pump, channel, agent, platform);
            agent.board_mut().settle();
            channel.close();
            linger(platform);
            platform.shut_down(mode);
        }
        if agent.board_mut().requested_suspend() {
            suspend(&mut pump, channel, agent, platform);
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
fn turn<C: Channel, B: Served>(
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
    Ok(moved | more | agent.board_mut().has_waited())
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

/// Suspends the guest, and goes on when it has been woken.
fn suspend<C: Channel, B: Served>(
    pump: &mut Pump,
    channel: &mut C,
    agent: &mut Agent<'_, B>,
    platform: &impl Platform,
) {
    drain(pump, channel, agent, platform);
    hush(pump, channel, agent, platform);
    agent.board_mut().settle();
    channel.rest();
    platform.suspend();
    agent.board_mut().resume();
    channel.resume();
}

/// Handles all that the host has sent until it keeps the rest, or gives up.
fn hush<C: Channel, B: Served>(
    pump: &mut Pump,
    channel: &mut C,
    agent: &mut Agent<'_, B>,
    platform: &impl Platform,
) {
    let start_ms = platform.uptime_ms();
    while platform.uptime_ms().saturating_sub(start_ms) < DRAIN_MS {
        let is_quiet = turn(pump, channel, agent).and_then(|moved| {
            // What came before the host has kept silent shows only now.
            let is_hushed = channel.hush()?;
            Ok(is_hushed && !moved && !channel.read_ready()? && channel.is_drained()?)
        });
        if is_quiet != Ok(false) && agent.pending().is_empty() {
            return;
        }
        core::hint::spin_loop();
    }
    crate::warning!("the host does not keep silent");
}

/// Lets time pass, whatever the host does.
fn linger(platform: &impl Platform) {
    let start_ms = platform.uptime_ms();
    while platform.uptime_ms().saturating_sub(start_ms) < LINGER_MS {
        core::hint::spin_loop();
    }
}

/// Gives the last replies to the host, or gives up.
///
/// It polls, since not every channel has an interrupt for the last byte that has left.
fn drain<C: Channel, B: Served>(
    pump: &mut Pump,
    channel: &mut C,
    agent: &mut Agent<'_, B>,
    platform: &impl Platform,
) {
    let start_ms = platform.uptime_ms();
    while platform.uptime_ms().saturating_sub(start_ms) < DRAIN_MS {
        let drained = turn(pump, channel, agent).and_then(|_| channel.is_drained());
        if !matches!(drained, Ok(false)) && agent.pending().is_empty() {
            return;
        }
        core::hint::spin_loop();
    }
    crate::warning!("the host does not take the last replies");
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use agent_core::{Buffers, Filesystems, Suspend};

    use super::*;
    use crate::freezer::{Freezer, tests::Noting};
    use crate::guest::Guest;
    use crate::suspend::SuspendToRam;

    /// A host's end: what it sends, how much of the answers it takes, and what it has taken.
    #[derive(Default)]
    struct Host {
        sends: Vec<u8>,
        takes: usize,
        taken: Vec<u8>,
        has_more: bool,
        in_flight: bool,
        /// What it sends before it has heard that nobody listens.
        late: Vec<u8>,
        calls: Vec<&'static str>,
    }

    impl Channel for Host {
        fn attend(&mut self) -> Result<bool, ErrorKind> {
            Ok(self.has_more)
        }

        fn is_drained(&mut self) -> Result<bool, ErrorKind> {
            Ok(!self.in_flight)
        }

        fn close(&mut self) {}

        fn hush(&mut self) -> Result<bool, ErrorKind> {
            self.calls.push("hush");
            // What was under way when it was told arrives before it has heard.
            self.sends.append(&mut self.late);
            Ok(self.calls.iter().filter(|&&call| call == "hush").count() > 1)
        }

        fn rest(&mut self) {
            self.calls.push("rest");
        }

        fn resume(&mut self) {
            self.calls.push("resume");
        }
    }

    impl ErrorType for Host {
        type Error = ErrorKind;
    }

    impl ReadReady for Host {
        fn read_ready(&mut self) -> Result<bool, ErrorKind> {
            Ok(!self.sends.is_empty())
        }
    }

    impl Read for Host {
        fn read(&mut self, bytes: &mut [u8]) -> Result<usize, ErrorKind> {
            let len = bytes.len().min(self.sends.len());
            for (slot, byte) in bytes.iter_mut().zip(self.sends.drain(..len)) {
                *slot = byte;
            }
            Ok(len)
        }
    }

    impl WriteReady for Host {
        fn write_ready(&mut self) -> Result<bool, ErrorKind> {
            Ok(self.takes > 0)
        }
    }

    impl Write for Host {
        fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
            let len = bytes.len().min(self.takes);
            self.takes -= len;
            self.taken.extend(&bytes[..len]);
            Ok(len)
        }

        fn flush(&mut self) -> Result<(), ErrorKind> {
            Ok(())
        }
    }

    /// A machine on which each look at the clock takes a millisecond.
    #[derive(Default)]
    struct Clockwork(Cell<u64>);

    impl Platform for Clockwork {
        fn idle(&self) {}

        fn idle_for(&self, longest_ms: u64) {
            self.0.set(self.0.get() + longest_ms);
        }

        fn uptime_ms(&self) -> u64 {
            self.0.set(self.0.get() + 1);
            self.0.get()
        }

        fn shut_down(&self, mode: ShutdownMode) -> ! {
            panic!("{mode:?}")
        }
    }

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
        suspend(&mut pump, &mut host, &mut agent, &platform);
        assert_eq!(host.taken, [PONG, PONG].concat());
        assert_eq!(host.calls, ["hush", "hush", "hush", "rest", "resume"]);
        assert_eq!(agent.board_mut().1, ["settle", "resume"]);
        assert!(platform.uptime_ms() < 20, "{}", platform.uptime_ms());
    }

    #[test]
    fn a_host_that_does_not_keep_silent_holds_a_suspend_up_for_a_bounded_time() {
        let mut buffers: Buffers = Buffers::new();
        let mut agent = Agent::new(Sleepy::default(), &mut buffers);
        let mut host = Host { in_flight: true, ..Host::default() };
        let platform = Clockwork::default();
        suspend(&mut Pump::new(), &mut host, &mut agent, &platform);
        assert_eq!(agent.board_mut().1, ["settle", "resume"]);
        let duration_ms = platform.uptime_ms();
        assert!((2 * DRAIN_MS..2 * DRAIN_MS + 20).contains(&duration_ms), "{duration_ms}");
    }

    const PING: &[u8] = b"{\"execute\": \"guest-ping\"}\n";
    const PONG: &[u8] = b"{\"return\": {}}\n";

    /// Serves `host` until nothing moves, and then drains; returns how long that took.
    fn drained_after_ms(host: &mut Host, can_power_off: bool) -> (u64, Option<ShutdownMode>) {
        let mut buffers: Buffers = Buffers::new();
        let mut agent = Agent::new(Guest::new(None, can_power_off), &mut buffers);
        let mut pump = Pump::new();
        while turn(&mut pump, host, &mut agent).unwrap() {}
        let platform = Clockwork::default();
        drain(&mut pump, host, &mut agent, &platform);
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

//! The other processors of a machine: started, asked, stopped.
//!
//! ```text
//! (here)       Processors: which there are, and what the boot processor has them do
//! signals      how it reaches them
//! slot         what it and another one share
//! application  what another one runs: it answers, and sleeps
//! ```
//!
//! The boot processor is the one that runs the program, and has index 0. Another one is off line
//! until it is started, wherever the firmware left it, and again after it has been stopped: then it
//! waits for its start and does nothing at all. On line it sleeps until it is asked, answers, and
//! sleeps again.
//!
//! Starting is that of Intel SDM volume 3, §10.4.4: INIT, a start-up interrupt, a second one.

mod application;
mod error;
mod signals;
mod slot;

use core::sync::atomic::{AtomicBool, Ordering};

use crate::acpi::Madt;
use crate::descriptors;
use crate::interrupts::Interrupts;
use crate::real_mode::StartPage;
use crate::relax::relax;
use crate::tsc::{Counter, Rdtsc};
use slot::Slot;

pub use error::ProcessorError;
pub use signals::{Hardware, Signals};

/// Processors that are known, the boot processor included; a machine's others are left alone.
pub const MAX_PROCESSORS: usize = 64;

/// How often processors are reset that the firmware may have started.
const FIRMWARE_RESETS: u32 = 2;
/// Between INIT and the start-up interrupt, ms.
const INIT_MS: u64 = 10;
/// Until a processor that has not answered is sent the second start-up interrupt, ms; 0.2 by the
/// manual.
const SECOND_MS: u64 = 1;
/// Until a processor that has not answered is given up, ms. A host with too much to do may let it
/// wait for more than half a second.
const ANSWER_MS: u64 = 2_000;
/// Looks for an answer after which the wait ends, even if the counter stands still.
const MAX_LOOKS: u32 = 10_000_000;

/// What a processor has spent its time on, in ticks of the time-stamp counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Running.
    pub busy_ticks: u64,
    /// Sleeping.
    pub idle_ticks: u64,
}

/// The processors of a machine, for its boot processor.
#[derive(Debug)]
pub struct Processors<S = Hardware, C = Rdtsc> {
    signals: S,
    counter: C,
    ticks_per_ms: u64,
    slots: &'static [Slot; MAX_PROCESSORS],
    members: [Member; MAX_PROCESSORS],
    len: usize,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
struct Member {
    /// Its local APIC's number.
    id: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Offline,
    /// Reset, to be started.
    Reset,
    Online,
}

/// Tests read the counters in here.
static SLOTS: [Slot; MAX_PROCESSORS] = [const { Slot::new() }; MAX_PROCESSORS];
static TAKEN: AtomicBool = AtomicBool::new(false);

impl Processors {
    /// The boot processor, and those that `madt` lists, off line. Without a page to start them in
    /// they stay so.
    ///
    /// A second call returns `None`.
    pub fn new(
        interrupts: &Interrupts,
        madt: Option<&Madt<'_>>,
        page: Option<StartPage>,
        ticks_per_ms: u64,
    ) -> Option<Self> {
        if TAKEN.swap(true, Ordering::Relaxed) {
            return None;
        }
        // SAFETY: `interrupts` exists only on a processor whose descriptors have been installed,
        // `TAKEN` lets one call come here, and other processors are started by what it returns.
        unsafe { descriptors::share() };
        let signals = Hardware::new(interrupts.inter_processor(), page);
        let ids = madt.into_iter().flat_map(Madt::processors);
        Some(Self::with_signals(signals, Rdtsc, ticks_per_ms, ids, &SLOTS))
    }
}

impl<S: Signals, C: Counter> Processors<S, C> {
    fn with_signals(
        signals: S,
        counter: C,
        ticks_per_ms: u64,
        ids: impl Iterator<Item = u32>,
        slots: &'static [Slot; MAX_PROCESSORS],
    ) -> Self {
        let boot = Member { id: signals.own_id(), state: State::Online };
        let mut processors =
            Self { signals, counter, ticks_per_ms, slots, members: [boot; MAX_PROCESSORS], len: 1 };
        for id in ids {
            // A hostile table may list one twice, or the boot processor again, which would then
            // reset itself.
            if processors.members().iter().any(|member| member.id == id) {
                continue;
            }
            let Some(free) = processors.members.get_mut(processors.len) else { break };
            *free = Member { id, state: State::Offline };
            processors.len += 1;
        }
        processors
    }

    /// How many there are. The boot processor has index 0, the others follow in the order of the
    /// MADT.
    #[expect(clippy::len_without_is_empty, reason = "there always is the boot processor")]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether processor `index` is on line. None beyond the last is.
    pub fn is_online(&self, index: usize) -> bool {
        self.members().get(index).is_some_and(|member| member.state == State::Online)
    }

    /// Starts processor `index`. One that is on line is left alone.
    ///
    /// # Errors
    ///
    /// All but [`ProcessorError::Boot`]. It is off line then.
    pub fn bring_online(&mut self, index: usize) -> Result<(), ProcessorError> {
        if self.member(index)?.state == State::Online {
            return Ok(());
        }
        self.reset(index)?;
        self.wait(INIT_MS);
        self.start(index, ANSWER_MS)
    }

    /// Starts all the others, within two seconds; those that do not answer stay off line. Returns
    /// how many processors are on line.
    pub fn bring_all_online(&mut self) -> usize {
        self.start_where(|_, _| true)
    }

    /// Starts those again that were on line, after the machine has slept: then all have been reset,
    /// and started by the firmware. As [`Self::bring_all_online`].
    pub fn restart(&mut self) -> usize {
        // One that had no time yet to take notice of the firmware's start-up interrupt does so
        // after an INIT, in QEMU, and then takes none of another one. So each is given that time,
        // and is reset again.
        for _ in 0..FIRMWARE_RESETS {
            for member in self.members().iter().skip(1) {
                let _ = self.signals.init(member.id);
            }
            if self.len > 1 {
                self.wait(INIT_MS);
            }
        }
        let was_online = self.members.map(|member| member.state == State::Online);
        self.start_where(|_, state| state == State::Online);
        self.start_where(|index, state| {
            state != State::Online && was_online.get(index).is_some_and(|&was_online| was_online)
        })
    }

    /// Stops processor `index`, which then waits to be started. One that is off line is left alone.
    ///
    /// # Errors
    ///
    /// [`ProcessorError::Absent`], [`ProcessorError::Boot`], [`ProcessorError::NotSent`]; it is
    /// what it was then.
    pub fn take_offline(&mut self, index: usize) -> Result<(), ProcessorError> {
        let member = self.member(index)?;
        if index == 0 {
            return Err(ProcessorError::Boot);
        }
        if member.state == State::Online {
            // It is asked first so that it is not in the midst of anything. Whether it answers or
            // not, it is reset.
            let has_stopped = self.request(index, true) == Ok(true);
            let reset = self.reset(index);
            if !has_stopped {
                reset?;
            }
            self.set_state(index, State::Offline);
        }
        Ok(())
    }

    /// Has processor `index` tell what it has spent its time on. Of the boot processor nothing is
    /// known here.
    ///
    /// # Errors
    ///
    /// Any but [`ProcessorError::NoStartPage`].
    pub fn times(&mut self, index: usize) -> Result<Times, ProcessorError> {
        let member = self.member(index)?;
        if index == 0 {
            return Err(ProcessorError::Boot);
        }
        if member.state != State::Online {
            return Err(ProcessorError::Offline);
        }
        if self.request(index, false)? {
            return Ok(self.slot(index)?.times());
        }
        Err(self.give_up(index))
    }

    /// What processor `index` told last of its time, without asking it again.
    pub fn told(&self, index: usize) -> Times {
        self.slot(index).map(Slot::times).unwrap_or_default()
    }

    fn start_where(&mut self, wanted: impl Fn(usize, State) -> bool) -> usize {
        for index in 1..self.len {
            let wanted = self.member(index).is_ok_and(|member| wanted(index, member.state));
            if wanted && self.reset(index).is_err() {
                self.set_state(index, State::Offline);
            }
        }
        let is_reset = |member: &Member| member.state == State::Reset;
        if self.members().iter().any(is_reset) {
            self.wait(INIT_MS);
        }
        let begun = self.counter.ticks();
        for index in 1..self.len {
            if self.member(index).as_ref().is_ok_and(is_reset) {
                let spent = self.counter.ticks().saturating_sub(begun);
                let spent_ms = spent.checked_div(self.ticks_per_ms).unwrap_or(0);
                // One that fails is off line, which is all that there is to know here.
                let _ = self.start(index, ANSWER_MS.saturating_sub(spent_ms));
            }
        }
        self.members().iter().filter(|member| member.state == State::Online).count()
    }

    /// Sends INIT. Until [`Self::start`] some milliseconds have to pass.
    fn reset(&mut self, index: usize) -> Result<(), ProcessorError> {
        self.signals.init(self.member(index)?.id)?;
        self.set_state(index, State::Reset);
        Ok(())
    }

    /// Starts a processor that has been reset, and waits for its first answer.
    fn start(&mut self, index: usize, patience_ms: u64) -> Result<(), ProcessorError> {
        self.set_state(index, State::Offline);
        let id = self.member(index)?.id;
        let start = application::start(self.slots, index);
        if !self.signals.prepare(start.ok_or(ProcessorError::Absent)?) {
            return Err(ProcessorError::NoStartPage);
        }
        self.slot(index)?.ask(false);
        self.signals.start_up(id)?;
        if !self.await_answer(index, SECOND_MS)? {
            // A processor that runs already takes no notice.
            self.signals.start_up(id)?;
            if !self.await_answer(index, patience_ms)? {
                return Err(self.give_up(index));
            }
        }
        self.set_state(index, State::Online);
        Ok(())
    }

    /// Asks processor `index`; returns whether it answered in time.
    fn request(&self, index: usize, stop: bool) -> Result<bool, ProcessorError> {
        self.slot(index)?.ask(stop);
        self.signals.wake(self.member(index)?.id)?;
        self.await_answer(index, ANSWER_MS)
    }

    /// Resets a processor that has not answered, so that it does not do so later.
    fn give_up(&mut self, index: usize) -> ProcessorError {
        let reset = self.reset(index);
        self.set_state(index, State::Offline);
        reset.err().unwrap_or(ProcessorError::NoAnswer)
    }

    fn await_answer(&self, index: usize, patience_ms: u64) -> Result<bool, ProcessorError> {
        let slot = self.slot(index)?;
        Ok(self.until(patience_ms, || slot.has_answered()))
    }

    fn wait(&self, duration_ms: u64) {
        self.until(duration_ms, || false);
    }

    /// Looks until `done`, or the time is over. Returns whether it was done.
    fn until(&self, patience_ms: u64, done: impl Fn() -> bool) -> bool {
        let patience = patience_ms.saturating_mul(self.ticks_per_ms);
        let begun = self.counter.ticks();
        for _ in 0..MAX_LOOKS {
            if done() {
                return true;
            }
            if self.counter.ticks().saturating_sub(begun) >= patience {
                break;
            }
            relax();
        }
        done()
    }

    fn members(&self) -> &[Member] {
        self.members.get(..self.len).unwrap_or_default()
    }

    fn member(&self, index: usize) -> Result<Member, ProcessorError> {
        self.members().get(index).copied().ok_or(ProcessorError::Absent)
    }

    fn set_state(&mut self, index: usize, state: State) {
        if let Some(member) = self.members.get_mut(index) {
            member.state = state;
        }
    }

    fn slot(&self, index: usize) -> Result<&'static Slot, ProcessorError> {
        self.slots.get(index).ok_or(ProcessorError::Absent)
    }
}

#[cfg(test)]
mod tests;

//! How the boot processor reaches the others: by the local APIC, and a page in which they begin.

use crate::interrupts::{InterProcessor, NotSent};
use crate::real_mode::{Start, StartPage};

/// How the boot processor reaches the others.
pub trait Signals {
    /// The boot processor's own number.
    fn own_id(&self) -> u32;

    /// See [`InterProcessor::init`].
    ///
    /// # Errors
    ///
    /// It cannot be sent.
    fn init(&self, id: u32) -> Result<(), NotSent>;

    /// What the next processor that is started begins with. False where there is no place for that.
    fn prepare(&self, start: Start) -> bool;

    /// See [`InterProcessor::start_up`].
    ///
    /// # Errors
    ///
    /// It cannot be sent.
    fn start_up(&self, id: u32) -> Result<(), NotSent>;

    /// See [`InterProcessor::wake`].
    ///
    /// # Errors
    ///
    /// It cannot be sent.
    fn wake(&self, id: u32) -> Result<(), NotSent>;
}

/// The local APIC, and the page in which processors begin.
#[derive(Debug)]
pub struct Hardware {
    interrupts: InterProcessor,
    page: Option<StartPage>,
}

impl Hardware {
    pub(super) const fn new(interrupts: InterProcessor, page: Option<StartPage>) -> Self {
        Self { interrupts, page }
    }
}

impl Signals for Hardware {
    fn own_id(&self) -> u32 {
        self.interrupts.own_id()
    }

    fn init(&self, id: u32) -> Result<(), NotSent> {
        self.interrupts.init(id)
    }

    fn prepare(&self, start: Start) -> bool {
        self.page.as_ref().map(|page| page.prepare(start)).is_some()
    }

    fn start_up(&self, id: u32) -> Result<(), NotSent> {
        self.interrupts.start_up(id, StartPage::NUMBER)
    }

    fn wake(&self, id: u32) -> Result<(), NotSent> {
        self.interrupts.wake(id)
    }
}

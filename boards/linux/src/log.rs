//! What the agent has to say, a line each, on standard error.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use std::io::{self, Write as _};

/// Whether nothing may be written: standard error may lie on a file system that is frozen, and
/// writing to it would wait for a thaw that then never comes.
static HELD: AtomicBool = AtomicBool::new(false);

/// The log. It holds only how much is to be said.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Log {
    verbose: bool,
}

impl Log {
    /// A log that tells the details too if it is to be verbose.
    pub(crate) const fn new(verbose: bool) -> Self {
        Self { verbose }
    }

    /// From now on nothing is logged; what there is to say is lost.
    pub(crate) fn hold() {
        HELD.store(true, Ordering::Relaxed);
    }

    /// From now on things are logged again.
    pub(crate) fn release() {
        HELD.store(false, Ordering::Relaxed);
    }

    /// Something failed, or is not done that was asked for.
    #[expect(clippy::unused_self, reason = "the one way to write a line is to have a log")]
    pub(crate) fn note(self, message: fmt::Arguments<'_>) {
        write(message);
    }

    /// Something was done, as it should be.
    pub(crate) fn detail(self, message: fmt::Arguments<'_>) {
        if self.verbose {
            write(message);
        }
    }
}

fn write(message: fmt::Arguments<'_>) {
    if HELD.load(Ordering::Relaxed) {
        return;
    }
    // Where nobody listens there is nobody to tell: not a reason to stop, as `eprintln!` would.
    let _ = writeln!(io::stderr(), "tinyqga: {message}");
}

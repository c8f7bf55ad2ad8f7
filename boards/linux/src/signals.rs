//! The signals that the main loop is told of.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

/// What has come since it was last asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Came {
    /// Some child has ended.
    pub(crate) child: bool,
    /// The agent is to end.
    pub(crate) end: bool,
}

/// The signals of this process. One that interrupts a system call has it begin again.
#[derive(Debug)]
pub(crate) struct Signals(SignalDelivery<UnixStream, SignalOnly>);

impl Signals {
    /// Takes the signals over.
    ///
    /// That of a child is among them everywhere: who has started this process may have had it
    /// ignored, and then the kernel keeps nothing of the end of a child (wait(2)).
    ///
    /// # Errors
    ///
    /// There is no descriptor left.
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        let signals = [SIGCHLD, SIGINT, SIGTERM];
        Ok(Self(SignalDelivery::with_pipe(reader, writer, SignalOnly, signals)?))
    }

    /// What becomes readable when one has come.
    pub(crate) fn activity(&self) -> BorrowedFd<'_> {
        self.0.get_read().as_fd()
    }

    /// Which have come.
    pub(crate) fn take(&mut self) -> Came {
        let mut came = Came::default();
        for signal in self.0.pending() {
            match signal {
                SIGCHLD => came.child = true,
                _ => came.end = true,
            }
        }
        came
    }
}

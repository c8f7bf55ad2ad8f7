//! A file descriptor that never blocks, and what it has refused.

use core::time::Duration;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{self, Errno, retry_on_intr};

/// A non-blocking descriptor.
#[derive(Debug)]
pub(crate) struct Descriptor {
    descriptor: OwnedFd,
    /// What was refused since the last wait, which is what to wait for.
    refused: PollFlags,
}

impl Descriptor {
    /// Takes a descriptor that is in non-blocking mode.
    pub(crate) fn new(descriptor: OwnedFd) -> Self {
        Self { descriptor, refused: PollFlags::empty() }
    }

    /// Whether reading will bring something: bytes, the end, or an error.
    pub(crate) fn read_ready(&mut self) -> Result<bool, Errno> {
        self.ready(PollFlags::IN)
    }

    /// Whether writing will do something: take bytes, or fail.
    pub(crate) fn write_ready(&mut self) -> Result<bool, Errno> {
        self.ready(PollFlags::OUT)
    }

    /// Reads; [`Errno::AGAIN`] where there is nothing.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let outcome = retry_on_intr(|| io::read(&self.descriptor, &mut *buffer));
        self.refused.set(PollFlags::IN, outcome == Err(Errno::AGAIN));
        outcome
    }

    /// Writes; [`Errno::AGAIN`] where nothing is taken.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let outcome = retry_on_intr(|| io::write(&self.descriptor, bytes));
        self.refused.set(PollFlags::OUT, outcome == Err(Errno::AGAIN));
        outcome
    }

    /// Whether anything was refused since the last wait.
    pub(crate) fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    /// Forgets what was refused.
    pub(crate) fn forget(&mut self) {
        self.refused = PollFlags::empty();
    }

    /// Waits until what was refused may go on, one of `others` can be read, or `timeout` is over.
    pub(crate) fn wait(
        &mut self,
        timeout: Option<Duration>,
        others: &[BorrowedFd<'_>],
    ) -> Result<(), Errno> {
        let refused = self.refused;
        self.forget();
        wait_for(Some(PollFd::new(&self.descriptor, refused)), others, timeout)
    }

    fn ready(&mut self, events: PollFlags) -> Result<bool, Errno> {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut polled = [PollFd::new(&self.descriptor, events)];
        // Not only `events` count: the kernel also tells of errors and of the other side's end.
        let ready = retry_on_intr(|| poll(&mut polled, Some(&now)))? > 0;
        self.refused.set(events, !ready);
        Ok(ready)
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Waits until `first` has an event, one of `others` can be read, or `timeout` is over.
pub(crate) fn wait_for(
    first: Option<PollFd<'_>>,
    others: &[BorrowedFd<'_>],
    timeout: Option<Duration>,
) -> Result<(), Errno> {
    // A time that the kernel's type cannot hold is as good as for ever.
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    let others = others.iter().map(|other| PollFd::from_borrowed_fd(*other, PollFlags::IN));
    let mut polled: Vec<_> = first.into_iter().chain(others).collect();
    match poll(&mut polled, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error),
    }
}

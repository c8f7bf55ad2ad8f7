//! The capability to run programs: child processes, fed and drained by the main loop.
//!
//! Nothing waits for them. Their pipes and their ends are in one epoll(7) set, whose descriptor the
//! main loop waits for beside its channel; [`Processes::advance`] then does what can be done.

mod capture;
mod feed;
mod orphans;
mod process;
mod search;
mod start;

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use agent_core::{Errno as Words, Invocation, Pid, ProgramStatus, Programs, Stream};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{PidfdFlags, WaitStatus, getpid, pidfd_open};

pub(crate) use self::orphans::reap as reap_orphans;
use self::process::{Part, Process};
use super::errno::words;

/// Programs that are known at the same time: those that run, and those whose end has not been
/// asked for. Each takes five descriptors and up to 32 MiB for its output.
const PROGRAMS: usize = 64;

/// Events that are dealt with before the main loop serves its channel again.
const EVENTS: usize = 16;

/// The programs that were started.
#[derive(Debug)]
pub(crate) struct Processes {
    /// The epoll set.
    events: OwnedFd,
    /// In the order in which they were started.
    started: Vec<Process>,
    /// What the next one is known by in the set: numbers of processes come again.
    next: u64,
}

impl Processes {
    /// No programs yet.
    ///
    /// # Errors
    ///
    /// The kernel cannot tell the end of a process by a descriptor: that takes Linux 5.3.
    pub(crate) fn new() -> Result<Self, Errno> {
        pidfd_open(getpid(), PidfdFlags::empty())?;
        let events = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { events, started: Vec::new(), next: 0 })
    }

    /// What becomes readable when [`advance`](Self::advance) has something to do.
    pub(crate) fn activity(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }

    /// Feeds and drains those programs that are ready for it, and takes note of those that have
    /// ended.
    pub(crate) fn advance(&mut self) {
        if self.started.is_empty() {
            return;
        }
        let mut events = Vec::with_capacity(EVENTS);
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        // It fails only where this process is wrong about its own memory and descriptors.
        let _ =
            retry_on_intr(|| epoll::wait(&self.events, spare_capacity(&mut events), Some(&now)));
        for event in events {
            let (number, part) = Part::of_event(event.data.u64());
            if let Some(process) = self.started.iter_mut().find(|process| process.number == number)
            {
                process.advance(part);
            }
        }
    }

    /// A process has ended in this way, which somebody else has found out.
    fn end(&mut self, pid: rustix::process::Pid, status: WaitStatus) {
        // One that has ended before may have had the same number.
        let process = self.find(Pid(pid.as_raw_nonzero().get().into()));
        if let Some(process) = process.filter(|process| process.end.is_none()) {
            process.end_with(status);
        }
    }

    fn find(&mut self, pid: Pid) -> Option<&mut Process> {
        self.started.iter_mut().find(|process| process.pid() == pid)
    }

    /// Forgets those whose end was told, and if there still is no room for another, the one that
    /// ended unasked and was started first.
    fn make_room(&mut self) -> Result<(), Errno> {
        self.forget_told();
        if self.started.len() < PROGRAMS {
            return Ok(());
        }
        let ended = self.started.iter().position(Process::has_ended).ok_or(Errno::AGAIN)?;
        self.started.remove(ended);
        Ok(())
    }

    fn forget_told(&mut self) {
        self.started.retain(|process| !process.is_told);
    }

    fn start(&mut self, program: &mut Invocation<'_, '_>) -> Result<Pid, Errno> {
        self.make_room()?;
        let process = Process::start(program, self.next, &self.events)?;
        self.next += 1;
        let pid = process.pid();
        // One that has ended may have had the same number.
        self.started.retain(|process| process.pid() != pid);
        self.started.push(process);
        Ok(pid)
    }
}

impl Programs for Processes {
    fn start(&mut self, program: &mut Invocation<'_, '_>) -> Result<Pid, Words> {
        Self::start(self, program).map_err(words)
    }

    fn status(&mut self, pid: Pid) -> Option<ProgramStatus> {
        self.forget_told();
        self.find(pid).map(Process::status)
    }

    fn read_output(&mut self, pid: Pid, stream: Stream, buffer: &mut [u8]) -> usize {
        self.find(pid).map_or(0, |process| process.captured(stream).read(buffer))
    }
}

#[cfg(test)]
mod tests;

//! One program: a child process, its pipes and its end.

use std::os::fd::{AsFd, OwnedFd};
use std::process::Child;

use agent_core::{End, Invocation, Pid, ProgramStatus, Stream};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::process::{self, PidfdFlags, WaitOptions, WaitStatus, pidfd_open, waitpid};

use super::{
    capture::Captured,
    feed::Feed,
    start::{Started, start},
};

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    End,
    Error,
    Input,
    Output,
}

impl Part {
    const ALL: [Self; 4] = [Self::End, Self::Error, Self::Input, Self::Output];

    /// What a part of the process that is known by this number is known by.
    fn event(self, number: u64) -> EventData {
        EventData::new_u64(number << 2 | self as u64)
    }

    /// The process and the part of an event.
    pub(super) fn of_event(event: u64) -> (u64, Self) {
        (event >> 2, Self::ALL[(event & 3) as usize])
    }
}

/// A program that was started.
#[derive(Debug)]
pub(super) struct Process {
    /// What it is known by in the epoll set.
    pub(super) number: u64,
    /// Its end has been told.
    pub(super) is_told: bool,
    child: Child,
    /// Becomes readable at its end; `None` after it.
    pidfd: Option<OwnedFd>,
    /// How the child process itself has ended.
    pub(super) end: Option<End>,
    input: Feed,
    output: Captured,
    error: Captured,
}

impl Process {
    /// Starts a program, and has `events` tell of it.
    pub(super) fn start(
        program: &mut Invocation<'_, '_>,
        number: u64,
        events: impl AsFd,
    ) -> Result<Self, Errno> {
        let input = program.input.as_mut().map(|input| Feed::collect(input));
        let Started { mut child, output, error } = start(program)?;
        let stdin = child.stdin.take().map(OwnedFd::from);
        let mut process = Self {
            number,
            is_told: false,
            child,
            pidfd: None,
            end: None,
            input: input.unwrap_or_default().into_pipe(stdin),
            output: Captured::from(output),
            error: Captured::from(error),
        };
        match process.watch(events) {
            Ok(()) => Ok(process),
            Err(error) => {
                // Nobody would notice its end. It has this moment been started, and dies at once.
                let _ = process.child.kill();
                let _ = process.child.wait();
                Err(error)
            }
        }
    }

    /// Has `events` tell of it.
    fn watch(&mut self, events: impl AsFd) -> Result<(), Errno> {
        let pidfd = pidfd_open(process::Pid::from_child(&self.child), PidfdFlags::empty())?;
        for (part, descriptor, flags) in [
            (Part::End, Some(&pidfd), EventFlags::IN),
            (Part::Input, self.input.pipe(), EventFlags::OUT),
            (Part::Output, self.output.pipe(), EventFlags::IN),
            (Part::Error, self.error.pipe(), EventFlags::IN),
        ] {
            let Some(descriptor) = descriptor else { continue };
            ioctl_fionbio(descriptor, true)?;
            epoll::add(&events, descriptor, part.event(self.number), flags)?;
        }
        self.pidfd = Some(pidfd);
        Ok(())
    }

    pub(super) fn pid(&self) -> Pid {
        Pid(self.child.id().into())
    }

    /// Does what can be done about a part that has an event.
    pub(super) fn advance(&mut self, part: Part) {
        match part {
            Part::End => self.reap(),
            Part::Error => self.error.advance(),
            Part::Input => self.input.advance(),
            Part::Output => self.output.advance(),
        }
    }

    fn reap(&mut self) {
        let pid = process::Pid::from_child(&self.child);
        if let Ok(Some((_, status))) = waitpid(Some(pid), WaitOptions::NOHANG) {
            self.end_with(status);
        }
    }

    /// It has ended in this way.
    pub(super) fn end_with(&mut self, status: WaitStatus) {
        self.end = Some(end(status));
        self.pidfd = None;
    }

    /// Whether it has ended, and all that it has written is here: as with qemu-ga, who keeps a
    /// captured stream open goes on in its name.
    pub(super) fn has_ended(&self) -> bool {
        self.end.is_some() && self.output.has_ended() && self.error.has_ended()
    }

    /// What has become of it.
    pub(super) fn status(&mut self) -> ProgramStatus {
        let Some(end) = self.end.filter(|_| self.has_ended()) else {
            return ProgramStatus::Running;
        };
        self.is_told = true;
        ProgramStatus::Ended { end, output: self.output.kept(), error: self.error.kept() }
    }

    /// What a stream has had.
    pub(super) fn captured(&mut self, stream: Stream) -> &mut Captured {
        match stream {
            Stream::Error => &mut self.error,
            Stream::Output => &mut self.output,
        }
    }
}

fn end(status: WaitStatus) -> End {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => End::Exit(code.into()),
        (None, Some(signal)) => End::Signal(signal.into()),
        // wait(2) tells of nothing else without being asked to.
        (None, None) => End::Exit(status.as_raw().into()),
    }
}

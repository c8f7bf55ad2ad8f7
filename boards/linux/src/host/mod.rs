//! The board: what the Linux kernel under this process can do.

mod clock;
mod errno;
mod files;
mod filesystems;
mod rtc;
mod shutdown;

use agent_core::{Board, Clock, Files, Filesystems, Power};

use self::{clock::SystemClock, files::OpenFiles, filesystems::Disks, shutdown::Shutdown};
use crate::log::Log;

/// The machine that this process runs on.
#[derive(Debug)]
pub(crate) struct Host {
    clock: SystemClock,
    disks: Disks,
    files: OpenFiles,
    /// The shutdown that was asked for.
    pub(crate) shutdown: Shutdown,
}

impl Host {
    /// The machine, or one whose changes are only logged, except those to files.
    pub(crate) fn new(log: Log, dry_run: bool) -> Self {
        Self {
            clock: SystemClock::new(log, dry_run),
            disks: Disks::new(log, dry_run),
            files: OpenFiles::default(),
            shutdown: Shutdown::new(log, dry_run),
        }
    }

    /// Does the shutdown that was asked for. Returns only where the kernel refuses, or in a dry
    /// run.
    pub(crate) fn shut_down(&mut self) {
        self.files.write_back();
        self.shutdown.carry_out();
    }
}

impl Board for Host {
    fn clock(&mut self) -> Option<&mut dyn Clock> {
        Some(&mut self.clock)
    }

    fn files(&mut self) -> Option<&mut dyn Files> {
        Some(&mut self.files)
    }

    fn filesystems(&mut self) -> Option<&mut dyn Filesystems> {
        Some(self)
    }

    fn power(&mut self) -> Option<&mut dyn Power> {
        Some(&mut self.shutdown)
    }
}

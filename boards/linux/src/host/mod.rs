//! The board: what the Linux kernel under this process can do.

mod accounts;
mod clock;
mod errno;
mod files;
mod filesystems;
mod programs;
mod rtc;
mod shutdown;

use std::path::PathBuf;

use agent_core::{AuthorizedKeys, Board, Clock, Files, Filesystems, Passwords, Power, Programs};

pub(crate) use self::programs::Processes;
use self::{
    accounts::Accounts, clock::SystemClock, files::OpenFiles, filesystems::Disks,
    shutdown::Shutdown,
};
use crate::log::Log;

/// The machine that this process runs on.
#[derive(Debug)]
pub(crate) struct Host {
    accounts: Accounts,
    clock: SystemClock,
    disks: Disks,
    files: OpenFiles,
    /// The programs that were started; `None` where none may be.
    pub(crate) programs: Option<Processes>,
    /// The shutdown that was asked for.
    pub(crate) shutdown: Shutdown,
}

impl Host {
    /// The machine, or one whose changes are only logged, except those to files.
    pub(crate) fn new(log: Log, dry_run: bool) -> Self {
        Self {
            accounts: Accounts::new("/".into(), log, dry_run),
            clock: SystemClock::new(log, dry_run),
            disks: Disks::new(log, dry_run),
            files: OpenFiles::default(),
            programs: None,
            shutdown: Shutdown::new(log, dry_run),
        }
    }

    /// The same machine, but the users of the system at `root`.
    pub(crate) fn with_users_of(self, root: PathBuf) -> Self {
        let accounts = self.accounts.at(root);
        Self { accounts, ..self }
    }

    /// The same machine, on which the host may run programs.
    pub(crate) fn with_programs(self, programs: Option<Processes>) -> Self {
        Self { programs, ..self }
    }

    /// Does the shutdown that was asked for. Returns only where the kernel refuses, or in a dry
    /// run.
    pub(crate) fn shut_down(&mut self) {
        self.files.write_back();
        self.shutdown.carry_out();
    }
}

impl Board for Host {
    fn authorized_keys(&mut self) -> Option<&mut dyn AuthorizedKeys> {
        self.accounts.has_users.then_some(&mut self.accounts)
    }

    fn clock(&mut self) -> Option<&mut dyn Clock> {
        Some(&mut self.clock)
    }

    fn files(&mut self) -> Option<&mut dyn Files> {
        Some(&mut self.files)
    }

    fn filesystems(&mut self) -> Option<&mut dyn Filesystems> {
        Some(self)
    }

    fn passwords(&mut self) -> Option<&mut dyn Passwords> {
        self.accounts.has_passwords.then_some(&mut self.accounts)
    }

    fn power(&mut self) -> Option<&mut dyn Power> {
        Some(&mut self.shutdown)
    }

    fn programs(&mut self) -> Option<&mut dyn Programs> {
        Some(self.programs.as_mut()?)
    }
}

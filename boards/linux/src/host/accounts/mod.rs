//! The capabilities over users: their passwords, and the SSH keys that may log in.
//!
//! The files themselves are changed, `/etc/shadow` and `authorized_keys`, without the help of a
//! program. Who the users are is what `/etc/passwd` says; directory services are not asked.

mod authorized_keys;
mod file;
mod lock;
mod passwords;
mod user;

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use crate::log::Log;

/// The users of a system.
#[derive(Debug)]
pub(super) struct Accounts {
    log: Log,
    dry_run: bool,
    /// Where the system's root folder is.
    root: PathBuf,
    /// There are users, as far as `/etc/passwd` says.
    pub(super) has_users: bool,
    /// They may have passwords.
    pub(super) has_passwords: bool,
}

impl Accounts {
    /// The users of the system at `root`; none of them changes in a dry run.
    pub(super) fn new(root: PathBuf, log: Log, dry_run: bool) -> Self {
        let has = |path: &str| root.join(path).is_file();
        let (has_users, has_passwords) = (has("etc/passwd"), has("etc/shadow"));
        Self { log, dry_run, root, has_users, has_passwords }
    }

    /// The users of another system.
    pub(super) fn at(self, root: PathBuf) -> Self {
        Self::new(root, self.log, self.dry_run)
    }

    /// The folder of the tables.
    fn etc(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        open(self.root.join("etc"), flags, Mode::empty())
    }
}

//! The capability to keep SSH keys: the file `authorized_keys` of each user (`sshd(8)`).
//!
//! The folder belongs to the user, who may put anything into it, while the agent may be root. So
//! below the home no symbolic link is followed, nothing is read that the user may not read, and what
//! is written is a new file.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};

use agent_core::{AuthorizedKeys, Errno as Words, KeysError};
use rustix::fs::{Mode, OFlags, fchmod, fchown, fsync, mkdirat, open, openat};
use rustix::io::Errno;

use super::{
    Accounts,
    file::{self, Rights},
    user::User,
};
use crate::host::errno::words;

const FOLDER: &str = ".ssh";
const FILE: &str = "authorized_keys";

impl Accounts {
    fn user(&self, name: &[u8]) -> Result<User, KeysError> {
        let table = self.etc().and_then(|etc| file::read(etc, "passwd"));
        let (table, _) = table.map_err(|error| KeysError::NoSuchUser(words(error)))?;
        User::find(&table, name).ok_or(KeysError::NoSuchUser(Words("Success")))
    }

    fn home(&self, user: &User) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        open(self.root.join(&user.home), flags, Mode::empty())
    }

    /// What the user's file holds.
    fn text(&self, user: &User) -> Result<Vec<u8>, Errno> {
        let (text, rights) = file::read(open_folder(self.home(user)?)?, FILE)?;
        // It may be another name of a file that only root can read (link(2)), and what is kept of it
        // would be copied into one of the user's own.
        let is_readable = rights.owner == user.uid || rights.mode.contains(Mode::ROTH);
        if is_readable { Ok(text) } else { Err(Errno::ACCESS) }
    }

    /// The same; nothing where there is no file.
    fn text_if_any(&self, user: &User) -> Result<Vec<u8>, Errno> {
        match self.text(user) {
            Err(Errno::NOENT) => Ok(Vec::new()),
            outcome => outcome,
        }
    }

    fn store(&self, user: &User, text: &[u8]) -> Result<(), Errno> {
        if self.dry_run {
            let home = user.home.display();
            self.log.note(format_args!("dry run: the keys of /{home} are not changed"));
            return Ok(());
        }
        let home = self.home(user)?;
        let folder = match open_folder(&home) {
            Err(Errno::NOENT) => make_folder(&home, user)?,
            outcome => outcome?,
        };
        let mode = Mode::RUSR | Mode::WUSR;
        file::replace(folder, FILE, text, Rights { owner: user.uid, group: user.gid, mode })
    }
}

fn open_folder(home: impl AsFd) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(home, FOLDER, flags, Mode::empty())
}

fn make_folder(home: impl AsFd, user: &User) -> Result<OwnedFd, Errno> {
    mkdirat(&home, FOLDER, Mode::RWXU)?;
    let folder = open_folder(&home)?;
    fchown(&folder, Some(user.uid), Some(user.gid))?;
    // Whatever the umask has taken away.
    fchmod(&folder, Mode::RWXU)?;
    fsync(home)?;
    Ok(folder)
}

impl AuthorizedKeys for Accounts {
    fn list(&mut self, user: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<(), KeysError> {
        let user = self.user(user)?;
        let text = self.text(&user).map_err(|error| KeysError::Read(words(error)))?;
        lines(&text).filter_map(key).for_each(visit);
        Ok(())
    }

    fn add(
        &mut self,
        user: &[u8],
        keys: &mut dyn Iterator<Item = &[u8]>,
        reset: bool,
    ) -> Result<(), KeysError> {
        let user = self.user(user)?;
        let mut text = if reset {
            Vec::new()
        } else {
            self.text_if_any(&user).map_err(|error| KeysError::Read(words(error)))?
        };
        if text.last().is_some_and(|byte| *byte != b'\n') {
            text.push(b'\n');
        }
        let mut known: HashSet<_> = lines(&text).filter_map(key).map(<[u8]>::to_vec).collect();
        for new in keys {
            if known.insert(new.to_vec()) {
                text.extend(new);
                text.push(b'\n');
            }
        }
        self.store(&user, &text).map_err(|error| KeysError::Write(words(error)))
    }

    fn remove(
        &mut self,
        user: &[u8],
        selected: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), KeysError> {
        let user = self.user(user)?;
        let text = match self.text(&user) {
            // Nothing to remove.
            Err(Errno::NOENT) => return Ok(()),
            outcome => outcome.map_err(|error| KeysError::Read(words(error)))?,
        };
        let kept: Vec<_> =
            lines(&text).filter(|line| !key(line).is_some_and(&mut *selected)).collect();
        self.store(&user, &kept.concat()).map_err(|error| KeysError::Write(words(error)))
    }
}

/// The lines of a file, with what ends them.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
}

/// The key of a line, unless it is empty or a comment.
fn key(line: &[u8]) -> Option<&[u8]> {
    let line = line.trim_ascii();
    (!line.is_empty() && !line.starts_with(b"#")).then_some(line)
}

#[cfg(test)]
mod tests;

//! The capability to keep the SSH keys that may log in.

use super::Errno;

/// The authorized SSH keys of a guest's users: the lines of `authorized_keys`, comments left out.
pub trait AuthorizedKeys {
    /// Shows the keys of a user to `visit`.
    ///
    /// # Errors
    ///
    /// The user does not exist, or the keys cannot be read.
    fn list(&mut self, user: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<(), KeysError>;

    /// Adds keys that the user does not have yet, all or none of them. With `reset` the user has
    /// only these afterwards. Each is a line of text that is not empty and no comment, without
    /// white space around it.
    ///
    /// # Errors
    ///
    /// The user does not exist, or the keys cannot be kept.
    fn add(
        &mut self,
        user: &[u8],
        keys: &mut dyn Iterator<Item = &[u8]>,
        reset: bool,
    ) -> Result<(), KeysError>;

    /// Removes the keys that `selected` says yes to; it is to be asked without white space around
    /// them.
    ///
    /// # Errors
    ///
    /// The user does not exist, or the others cannot be kept.
    fn remove(
        &mut self,
        user: &[u8],
        selected: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), KeysError>;
}

/// Why keys were not read or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeysError {
    /// There is no such user. `Success` is what qemu-ga then says.
    NoSuchUser(Errno),
    /// The user's keys cannot be read.
    Read(Errno),
    /// The user's keys cannot be written.
    Write(Errno),
}

//! The capability to set passwords.

use super::Errno;

/// The passwords of a guest's users.
pub trait Passwords {
    /// Sets the password of a user.
    ///
    /// # Errors
    ///
    /// Why that cannot be done, such as [`Errno::NOT_FOUND`] for a user who does not exist.
    fn set(&mut self, user: &[u8], password: Password<'_>) -> Result<(), Errno>;
}

/// A password as it was sent.
#[derive(Clone, Copy)]
pub enum Password<'p> {
    /// A string of `crypt(5)`, to be stored as it is.
    Crypted(&'p [u8]),
    /// The password itself.
    Plain(&'p [u8]),
}

/// Without the password.
impl core::fmt::Debug for Password<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Crypted(_) => "Crypted(..)",
            Self::Plain(_) => "Plain(..)",
        })
    }
}

//! The one user of the demonstration, in fixed memory: gone when the guest is

use agent_core::{AuthorizedKeys, Errno, KeysError, Password, Passwords};
use heapless::Vec;

/// The user's name.
const NAME: &[u8] = b"operator";

/// Bytes of the longest password.
const PASSWORD: usize = 64;
/// How many keys there may be.
const KEYS: usize = 8;
/// Bytes of the longest key: one of RSA with 4096 bits has about 740, and then a comment.
const KEY: usize = 1024;

type Key = Vec<u8, KEY>;

/// The operator of the appliance.
pub(super) struct Operator {
    /// None until one is set. It is kept as it is, and shown nowhere.
    password: Option<Vec<u8, PASSWORD>>,
    keys: Vec<Key, KEYS>,
}

impl Operator {
    /// Without a password, and without keys.
    pub(super) const fn new() -> Self {
        Self { password: None, keys: Vec::new() }
    }

    /// Whether this is the password of a user; `None` if there is no such user.
    pub(super) fn has_password(&self, user: &[u8], password: &[u8]) -> Option<bool> {
        (user == NAME).then(|| self.password.as_ref().is_some_and(|known| known == password))
    }
}

impl Passwords for Operator {
    fn set(&mut self, user: &[u8], password: Password<'_>) -> Result<(), Errno> {
        if user != NAME {
            return Err(Errno::NOT_FOUND);
        }
        match password {
            // There is no crypt(3) here that could compare it.
            Password::Crypted(_) => Err(Errno("Operation not supported")),
            Password::Plain(plain) => {
                let plain = Vec::from_slice(plain).map_err(|_| Errno::INVALID_ARGUMENT)?;
                self.password = Some(plain);
                Ok(())
            }
        }
    }
}

impl AuthorizedKeys for Operator {
    fn list(&mut self, user: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<(), KeysError> {
        exists(user)?;
        for key in &self.keys {
            visit(key);
        }
        Ok(())
    }

    fn add(
        &mut self,
        user: &[u8],
        keys: &mut dyn Iterator<Item = &[u8]>,
        reset: bool,
    ) -> Result<(), KeysError> {
        exists(user)?;
        let mut all = if reset { Vec::new() } else { self.keys.clone() };
        for new in keys {
            if all.iter().any(|key| key == new) {
                continue;
            }
            let no_space = KeysError::Write(Errno::NO_SPACE);
            let key = Key::from_slice(new).map_err(|_| no_space)?;
            all.push(key).map_err(|_| no_space)?;
        }
        self.keys = all;
        Ok(())
    }

    fn remove(
        &mut self,
        user: &[u8],
        selected: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), KeysError> {
        exists(user)?;
        self.keys.retain(|key| !selected(key));
        Ok(())
    }
}

fn exists(user: &[u8]) -> Result<(), KeysError> {
    // The text is what qemu-ga says of a user who does not exist.
    if user == NAME { Ok(()) } else { Err(KeysError::NoSuchUser(Errno("Success"))) }
}

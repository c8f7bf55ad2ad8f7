//! The capability to set passwords: those of `/etc/shadow` (`shadow(5)`).

use std::time::{SystemTime, UNIX_EPOCH};

use agent_core::{Errno as Words, Password, Passwords};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use sha_crypt::{PasswordHasher as _, ShaCrypt};

use super::{Accounts, file, lock::Lock};
use crate::host::errno::words;

const TABLE: &str = "shadow";

/// Bytes of the longest password: that of libxcrypt's `crypt(3)` is one shorter than its buffer of
/// 512. The work of SHA-crypt grows with the square of it.
const LONGEST: usize = 511;

/// Bytes of a salt. SHA-crypt takes 16 characters of 6 bits.
const SALT: usize = 12;

impl Accounts {
    fn set_password(&self, user: &[u8], password: Password<'_>) -> Result<(), Errno> {
        let hash = match password {
            Password::Crypted(string) => crypted(string)?.to_vec(),
            Password::Plain(plain) => hash(plain, &salt()?)?,
        };
        let etc = self.etc()?;
        let lock = (!self.dry_run).then(|| Lock::take(&etc)).transpose()?;
        let (table, rights) = file::read(&etc, TABLE)?;
        let table = changed(&table, user, &hash, today()).ok_or(Errno::NOENT)?;
        if lock.is_none() {
            let user = user.escape_ascii();
            self.log.note(format_args!("dry run: the password of {user} is not set"));
            return Ok(());
        }
        file::replace(&etc, TABLE, &table, rights)
    }
}

impl Passwords for Accounts {
    fn set(&mut self, user: &[u8], password: Password<'_>) -> Result<(), Words> {
        self.set_password(user, password).map_err(words)
    }
}

/// What was sent as a string of `crypt(5)`, if it can stand in the table.
fn crypted(string: &[u8]) -> Result<&[u8], Errno> {
    let breaks_the_line = |byte: &u8| byte.is_ascii_control() || *byte == b':';
    if string.iter().any(breaks_the_line) { Err(Errno::INVAL) } else { Ok(string) }
}

/// What `crypt(3)` makes of a password. One that C cannot hold could never be entered.
fn hash(plain: &[u8], salt: &[u8; SALT]) -> Result<Vec<u8>, Errno> {
    if plain.len() > LONGEST || plain.contains(&0) {
        return Err(Errno::INVAL);
    }
    let hash = ShaCrypt::SHA512.hash_password_with_salt(plain, salt).map_err(|_| Errno::INVAL)?;
    Ok(hash.as_str().as_bytes().to_vec())
}

/// Random bytes. Where the kernel has none yet this is an error: it may be long until it has.
fn salt() -> Result<[u8; SALT], Errno> {
    let mut salt = [0; SALT];
    let count = getrandom(&mut salt, GetRandomFlags::NONBLOCK)?;
    if count == SALT { Ok(salt) } else { Err(Errno::AGAIN) }
}

/// Days since 1970-01-01.
fn today() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    time.as_secs() / (24 * 60 * 60)
}

/// The table with another hash and day of change for a user; `None` where it has no such user.
fn changed(table: &[u8], user: &[u8], hash: &[u8], day: u64) -> Option<Vec<u8>> {
    // > The value 0 has a special meaning, which is that the user should change her password the
    // > next time she will log in the system. (shadow(5))
    // So a machine whose clock is not set has no day of change.
    let day = if day == 0 { String::new() } else { day.to_string() };
    let mut found = false;
    let mut new = Vec::with_capacity(table.len() + hash.len());
    for line in table.split_inclusive(|byte| *byte == b'\n') {
        let mut fields = line.splitn(4, |byte| *byte == b':');
        match [(); 4].map(|()| fields.next()) {
            [Some(name), Some(_), Some(_), Some(rest)]
                if !found && name == user && !name.is_empty() =>
            {
                found = true;
                new.extend([name, hash, day.as_bytes(), rest].join(&b':'));
            }
            _ => new.extend(line),
        }
    }
    found.then_some(new)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::path::Path;

    use tempfile::TempDir;

    use super::*;
    use crate::log::Log;

    const OLD: &str = "root:*:19000:0:99999:7:::\n\
        operator:$6$old:19001:0:99999:7:::\n\
        operator2:!:19002:0:99999:7:::\n\
        short:!\n\
        :!:1:0:99999:7:::\n\
        last:!::::::";

    fn system() -> TempDir {
        let root = TempDir::new().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        let shadow = root.path().join("etc/shadow");
        fs::write(&shadow, OLD).unwrap();
        fs::set_permissions(&shadow, fs::Permissions::from_mode(0o640)).unwrap();
        root
    }

    fn accounts(root: &Path) -> Accounts {
        Accounts::new(root.to_owned(), Log::default(), false)
    }

    fn shadow(root: &TempDir) -> String {
        fs::read_to_string(root.path().join("etc/shadow")).unwrap()
    }

    #[test]
    fn only_the_password_and_its_day_change() {
        let root = system();
        let mut accounts = accounts(root.path());
        assert!(accounts.has_passwords && !accounts.has_users);
        for (user, line) in [
            ("operator", "operator:$6$old:19001:0:99999:7:::"),
            ("operator2", "operator2:!:19002:0:99999:7:::"),
            ("last", "last:!::::::"),
        ] {
            let before = shadow(&root);
            assert_eq!(accounts.set(user.as_bytes(), Password::Crypted(b"$y$j9T$x")), Ok(()));
            let (name, rest) = line.split_once(':').unwrap();
            let rest = rest.splitn(3, ':').nth(2).unwrap();
            let new = format!("{name}:$y$j9T$x:{}:{rest}", today());
            assert_eq!(shadow(&root), before.replace(line, &new));
        }
        let metadata = fs::metadata(root.path().join("etc/shadow")).unwrap();
        assert_eq!(metadata.mode() & 0o7777, 0o640);
    }

    #[test]
    fn a_plain_password_is_hashed() {
        let root = system();
        let mut accounts = accounts(root.path());
        let mut hashes = Vec::new();
        for password in [&b"secret"[..], b"secret", b"with : and \xFF", b""] {
            assert_eq!(accounts.set(b"operator", Password::Plain(password)), Ok(()));
            let table = shadow(&root);
            let line = table.lines().find(|line| line.starts_with("operator:")).unwrap();
            let hash = line.split(':').nth(1).unwrap().to_owned();
            let parts: Vec<_> = hash.split('$').collect();
            assert_eq!((parts[0], parts[1], parts[2]), ("", "6", "rounds=5000"), "{hash}");
            assert_eq!((parts[3].len(), parts[4].len(), parts.len()), (16, 86, 5), "{hash}");
            hashes.push(hash);
        }
        assert_ne!(hashes[0], hashes[1], "the salt is not random");
    }

    /// From the specification's test program (Drepper, "Unix crypt using SHA-256 and SHA-512").
    #[test]
    fn the_hash_is_that_of_the_specification() {
        let salt = [0x39, 0x4D, 0xC7, 0xF4, 0xCC, 0xE2, 0x66, 0x9C, 0xE3, 0xF9, 0xED, 0xCE];
        let expected = "$6$rounds=5000$toolongsaltstrin$lQ8jolhgVRVhY4b5pZKaysCLi0QBxGoNeKQzQ3gl\
                        MhwllF7oGDZxUhx1yxdYcz/e1JSbq3y6JMxxl8audkUEm0";
        let hash = hash(b"This is just a test", &salt).unwrap();
        assert_eq!(String::from_utf8(hash).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_set_changes_nothing() {
        let root = system();
        let mut accounts = accounts(root.path());
        for user in ["nobody", "oper", "operator:", "", "short", "root:*:19000:0:99999:7"] {
            let outcome = accounts.set(user.as_bytes(), Password::Crypted(b"x"));
            assert_eq!(outcome, Err(Words::NOT_FOUND), "{user:?}");
        }
        for string in ["a:b", "a\nb", "a\rb", "a\0", "\x7F"] {
            let outcome = accounts.set(b"operator", Password::Crypted(string.as_bytes()));
            assert_eq!(outcome, Err(Words::INVALID_ARGUMENT), "{string:?}");
        }
        for plain in [&[b'x'; LONGEST + 1][..], b"a\0b"] {
            let outcome = accounts.set(b"operator", Password::Plain(plain));
            assert_eq!(outcome, Err(Words::INVALID_ARGUMENT));
        }
        assert_eq!(shadow(&root), OLD);
        fs::remove_file(root.path().join("etc/shadow")).unwrap();
        let outcome = accounts.set(b"operator", Password::Crypted(b"x"));
        assert_eq!(outcome, Err(Words::NOT_FOUND));
    }

    #[test]
    fn a_dry_run_changes_nothing() {
        let root = system();
        let mut accounts = Accounts::new(root.path().to_owned(), Log::default(), true);
        assert_eq!(accounts.set(b"operator", Password::Plain(b"secret")), Ok(()));
        assert_eq!(accounts.set(b"nobody", Password::Plain(b"secret")), Err(Words::NOT_FOUND));
        assert_eq!(shadow(&root), OLD);
        assert_eq!(fs::read_dir(root.path().join("etc")).unwrap().count(), 1);
    }

    #[test]
    fn a_machine_without_a_clock_has_no_day_of_change() {
        let table = changed(b"a:b:5:0:::::\nc:d:5:0:::::\n", b"a", b"x", 0).unwrap();
        assert_eq!(table, b"a:x::0:::::\nc:d:5:0:::::\n");
    }
}

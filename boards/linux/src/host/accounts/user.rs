//! A user, as a line of `/etc/passwd` has one (`passwd(5)`).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Uid};

/// A user.
#[derive(Debug, PartialEq)]
pub(super) struct User {
    pub(super) uid: Uid,
    pub(super) gid: Gid,
    /// The home folder, relative to the root folder.
    pub(super) home: PathBuf,
}

impl User {
    /// Finds the user of this name in a table.
    pub(super) fn find(table: &[u8], name: &[u8]) -> Option<Self> {
        table.split(|byte| *byte == b'\n').find_map(|line| Self::read(line, name))
    }

    /// Reads a line, if it is whole and tells of this name.
    fn read(line: &[u8], wanted: &[u8]) -> Option<Self> {
        let fields: Vec<_> = line.split(|byte| *byte == b':').collect();
        let [name, _password, uid, gid, _comment, home, _shell] = fields[..] else { return None };
        let home = Path::new(OsStr::from_bytes(home)).strip_prefix("/").ok()?;
        (name == wanted && !name.is_empty()).then_some(Self {
            uid: Uid::from_raw(number(uid)?),
            gid: Gid::from_raw(number(gid)?),
            home: home.to_owned(),
        })
    }
}

/// Reads a user's or a group's number. The last one means "none" to chown(2).
fn number(text: &[u8]) -> Option<u32> {
    str::from_utf8(text).ok()?.parse().ok().filter(|number| *number != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n\
        # a comment\n\
        \n\
        short:x:1:1::/home/short\n\
        :x:1:1::/home/nameless:/bin/sh\n\
        letters:x:a:1::/home/letters:/bin/sh\n\
        none:x:4294967295:1::/home/none:/bin/sh\n\
        homeless:x:1:1:::/bin/sh\n\
        relative:x:1:1::home/relative:/bin/sh\n\
        operator:x:1000:1001:The Operator,,,:/home/operator:";

    #[test]
    fn users_are_found() {
        let check = |name: &str, expected: Option<(u32, u32, &str)>| {
            let expected = expected.map(|(uid, gid, home)| User {
                uid: Uid::from_raw(uid),
                gid: Gid::from_raw(gid),
                home: home.into(),
            });
            assert_eq!(User::find(TABLE, name.as_bytes()), expected, "{name:?}");
        };
        check("root", Some((0, 0, "root")));
        check("operator", Some((1000, 1001, "home/operator")));
        for name in [
            "",
            "nobody",
            "roo",
            "root:x",
            "operator:x:1000",
            "# a comment",
            "short",
            "letters",
            "none",
            "homeless",
            "relative",
            "root:x:0:0:root:/root:/bin/sh\n# a comment",
        ] {
            check(name, None);
        }
    }
}

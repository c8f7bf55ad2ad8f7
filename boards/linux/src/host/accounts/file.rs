//! Small files that are read whole, and replaced whole or not at all.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Uid, fchmod, fchown, fstat, fsync, openat, renameat,
    unlinkat,
};
use rustix::io::Errno;

/// Bytes of the longest file that is read. More than a hundred thousand users.
const LONGEST: u64 = 16 << 20;

/// Whose a file is, and who may use it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rights {
    pub(super) owner: Uid,
    pub(super) group: Gid,
    pub(super) mode: Mode,
}

/// Reads a file of `folder`. Symbolic links are not followed, and devices and pipes not read.
pub(super) fn read(folder: impl AsFd, name: &str) -> Result<(Vec<u8>, Rights), Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(folder, name, flags, Mode::empty())?;
    let found = fstat(&file)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL);
    }
    let mut bytes = Vec::new();
    let read = File::from(file).take(LONGEST + 1).read_to_end(&mut bytes);
    let length = read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    if length as u64 > LONGEST {
        return Err(Errno::FBIG);
    }
    let rights = Rights {
        owner: Uid::from_raw(found.st_uid),
        group: Gid::from_raw(found.st_gid),
        mode: Mode::from_raw_mode(found.st_mode),
    };
    Ok((bytes, rights))
}

/// Replaces a file of `folder`, or makes it.
///
/// Whoever opens it meanwhile sees the old contents or the new ones, and so does who looks after a
/// cut of power. Once this has returned the new ones survive it.
pub(super) fn replace(
    folder: impl AsFd,
    name: &str,
    bytes: &[u8],
    rights: Rights,
) -> Result<(), Errno> {
    let folder = folder.as_fd();
    let temporary = format!(".{name}.tinyqga");
    // One that a cut of power has left behind.
    match unlinkat(folder, &temporary, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // For nobody else until its owner is set.
    let file = File::from(openat(folder, &temporary, flags, Mode::RUSR | Mode::WUSR)?);
    let replaced = fill(file, bytes, rights)
        .and_then(|()| renameat(folder, &temporary, folder, name))
        .inspect_err(|_| {
            // The error before is the one to tell of.
            let _ = unlinkat(folder, &temporary, AtFlags::empty());
        });
    replaced.and_then(|()| fsync(folder))
}

fn fill(mut file: File, bytes: &[u8], rights: Rights) -> Result<(), Errno> {
    fchown(&file, Some(rights.owner), Some(rights.group))?;
    fchmod(&file, rights.mode)?;
    file.write_all(bytes).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    fsync(&file)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use rustix::process::{getgid, getuid};
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_file_is_made_and_replaced() {
        let directory = TempDir::new().unwrap();
        let folder = File::open(directory.path()).unwrap();
        let rights = Rights { owner: getuid(), group: getgid(), mode: Mode::from_raw_mode(0o640) };
        fs::write(directory.path().join(".table.tinyqga"), "left behind").unwrap();
        for contents in [&b"first"[..], b"", b"second"] {
            assert_eq!(replace(&folder, "table", contents, rights), Ok(()));
            assert_eq!(read(&folder, "table"), Ok((contents.to_vec(), rights)));
        }
        assert_eq!(fs::metadata(directory.path().join("table")).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_replaced_leaves_nothing_behind() {
        let directory = TempDir::new().unwrap();
        let folder = File::open(directory.path()).unwrap();
        let rights = Rights { owner: getuid(), group: getgid(), mode: Mode::RUSR };
        fs::create_dir_all(directory.path().join("table/full")).unwrap();
        assert_eq!(replace(&folder, "table", b"new", rights), Err(Errno::ISDIR));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_regular_files_are_read() {
        let directory = TempDir::new().unwrap();
        let folder = File::open(directory.path()).unwrap();
        fs::write(directory.path().join("target"), "text").unwrap();
        symlink("target", directory.path().join("link")).unwrap();
        fs::create_dir(directory.path().join("folder")).unwrap();
        let long = File::create(directory.path().join("long")).unwrap();
        long.set_len(LONGEST + 1).unwrap();
        for (name, expected) in [
            ("nothing", Errno::NOENT),
            ("link", Errno::LOOP),
            ("folder", Errno::INVAL),
            ("long", Errno::FBIG),
        ] {
            assert_eq!(read(&folder, name).unwrap_err(), expected, "{name}");
        }
    }
}

//! What the kernel tells of itself in files: procfs and sysfs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// What is longer is not read at all. `/proc/net/route` has 128 bytes for a route.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A directory with more names is not listed at all. Memory blocks of 128 MiB each are 8 TiB.
const NAMES_MAX: usize = 65_536;

/// The files under `/`, or under a test's directory.
#[derive(Clone, Debug)]
pub(super) struct KernelFiles {
    root: PathBuf,
}

impl Default for KernelFiles {
    fn default() -> Self {
        Self { root: "/".into() }
    }
}

impl KernelFiles {
    #[cfg(test)]
    pub(super) fn under(root: &Path) -> Self {
        Self { root: root.into() }
    }

    /// Where the file `path`, such as `proc/stat`, is.
    pub(super) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join(path)
    }

    /// All of a file. What is not UTF-8 in it has been made so.
    pub(super) fn read(&self, path: impl AsRef<Path>) -> Result<String, Errno> {
        read(&self.path(path))
    }

    /// A file that is a value, without the line feed behind it.
    pub(super) fn value(&self, path: impl AsRef<Path>) -> Result<String, Errno> {
        self.read(path).map(|value| value.trim_end().to_owned())
    }

    /// Writes a value.
    pub(super) fn set(&self, path: impl AsRef<Path>, value: &str) -> Result<(), Errno> {
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).truncate(true).open(self.path(path))?;
            file.write_all(value.as_bytes())
        };
        write().map_err(|error| errno(&error))
    }

    /// The names in a directory, in the order in which the kernel gives them.
    pub(super) fn names(&self, directory: impl AsRef<Path>) -> Result<Vec<String>, Errno> {
        names(&self.path(directory))
    }
}

/// All of the file at `path`; see [`KernelFiles::read`].
pub(super) fn read(path: &Path) -> Result<String, Errno> {
    let bytes = read_bytes(path).map_err(|error| errno(&error))?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// All of the file at `path`, if it is not too long.
pub(super) fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let count = File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(count).is_ok_and(|count| count <= FILE_BYTES_MAX) {
        Ok(bytes)
    } else {
        Err(Errno::FBIG.into())
    }
}

/// The names in the directory at `path`; those that are not UTF-8 are not the kernel's.
pub(super) fn names(path: &Path) -> Result<Vec<String>, Errno> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| errno(&error))? {
        if names.len() == NAMES_MAX {
            return Err(Errno::OVERFLOW);
        }
        let entry = entry.map_err(|error| errno(&error))?;
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}

/// Reads a number that the kernel has written in decimal.
pub(super) fn number<N: core::str::FromStr>(text: &str) -> Result<N, Errno> {
    text.parse().map_err(|_| Errno::BADMSG)
}

/// Why a file cannot be read or written.
pub(super) fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn values_are_read_and_written() {
        let root = TempDir::new().unwrap();
        let files = KernelFiles::under(root.path());
        fs::write(files.path("value"), "offline\n").unwrap();
        assert_eq!(files.read("value").unwrap(), "offline\n");
        assert_eq!(files.value("value").unwrap(), "offline");
        files.set("value", "on").unwrap();
        assert_eq!(files.read("value").unwrap(), "on");
        assert_eq!(files.names("").unwrap(), ["value"]);
        assert_eq!(files.set("none", "on"), Err(Errno::NOENT));
        assert_eq!(files.read("none"), Err(Errno::NOENT));
        assert_eq!(files.read(""), Err(Errno::ISDIR));
        assert_eq!(files.names("value"), Err(Errno::NOTDIR));
        assert_eq!(number::<u64>("x"), Err(Errno::BADMSG));
    }

    #[test]
    fn what_is_too_long_is_not_cut() {
        let root = TempDir::new().unwrap();
        let files = KernelFiles::under(root.path());
        let file = File::create(files.path("long")).unwrap();
        file.set_len(FILE_BYTES_MAX).unwrap();
        assert_eq!(files.read("long").map(|text| text.len() as u64), Ok(FILE_BYTES_MAX));
        file.set_len(FILE_BYTES_MAX + 1).unwrap();
        assert_eq!(files.read("long"), Err(Errno::FBIG));
        assert_eq!(read(Path::new("/dev/zero")), Err(Errno::FBIG));
    }

    #[test]
    fn what_is_not_text_is_made_text() {
        let root = TempDir::new().unwrap();
        let files = KernelFiles::under(root.path());
        fs::write(files.path("name"), b"a\xFFb").unwrap();
        assert_eq!(files.read("name").unwrap(), "a\u{FFFD}b");
    }
}

//! The capability to keep files.

use embedded_io::SeekFrom;

/// Files, as the commands `guest-file-*` see them: opened by path, then known by a handle.
///
/// The semantics are those of C's `FILE`: one position per handle for reading and writing, which
/// goes to the end before every write where the file was opened to append.
///
/// [`Handles`] is the table that an implementation keeps its open files in.
pub trait Files {
    /// Opens a file. `path` is what the client sent, in modified UTF-8 (U+0000 is C0 80).
    ///
    /// # Errors
    ///
    /// As `open(2)`; [`Errno::TOO_MANY_OPEN_FILES`] where the table of handles is full.
    fn open(&mut self, path: &[u8], mode: OpenMode) -> Result<Handle, Errno>;

    /// Whether a handle is open.
    fn is_open(&mut self, handle: Handle) -> bool;

    /// Writes what is still to be written and closes the handle.
    ///
    /// # Errors
    ///
    /// As `close(2)`; the handle stays open then.
    fn close(&mut self, handle: Handle) -> Result<(), Errno>;

    /// Finds out what reading up to `longest` bytes from the position will give, without reading.
    ///
    /// The reply to a read says how much it holds before it holds it, and is sent piece by piece.
    /// So what can go wrong should go wrong here: an implementation over a disk reads the sectors
    /// once to see that they can be read. It is the one call whose work grows with what is asked for.
    ///
    /// # Errors
    ///
    /// As `read(2)`.
    fn measure(&mut self, handle: Handle, longest: u64) -> Result<Extent, Errno>;

    /// Reads from the position; less than the buffer's length, or nothing, only at the end.
    ///
    /// # Errors
    ///
    /// As `read(2)`.
    fn read(&mut self, handle: Handle, buffer: &mut [u8]) -> Result<usize, Errno>;

    /// Writes at the position, all of it or as much as there is room for; never nothing.
    ///
    /// # Errors
    ///
    /// As `write(2)`: [`Errno::NO_SPACE`] where there is no room for a single byte.
    fn write(&mut self, handle: Handle, bytes: &[u8]) -> Result<usize, Errno>;

    /// Moves the position, also beyond the end; returns where it is now.
    ///
    /// # Errors
    ///
    /// [`Errno::INVALID_ARGUMENT`] for a position before the start or beyond what can be.
    fn seek(&mut self, handle: Handle, to: SeekFrom) -> Result<u64, Errno>;

    /// Writes what is still to be written, to where it survives the guest.
    ///
    /// # Errors
    ///
    /// As `fsync(2)`.
    fn flush(&mut self, handle: Handle) -> Result<(), Errno>;
}

/// What a read will give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Bytes.
    pub count: u64,
    /// Whether the file ends before the bytes that were asked for do (C's `feof`).
    pub end: bool,
}

/// The number that a client knows an open file by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(pub i64);

/// How a file is opened: a mode of `fopen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the five answers that open(2) wants")]
pub struct OpenMode {
    /// It may be read.
    pub read: bool,
    /// It may be written.
    pub write: bool,
    /// Every write goes to its end.
    pub append: bool,
    /// It is made where it does not exist.
    pub create: bool,
    /// It is emptied where it does exist.
    pub truncate: bool,
}

impl OpenMode {
    /// The mode `r`.
    pub const READ: Self =
        Self { read: true, write: false, append: false, create: false, truncate: false };

    /// Reads the modes that qemu-ga takes: `r`, `w` or `a`, with `b` and `+` in either order.
    pub fn parse(mode: &[u8]) -> Option<Self> {
        let (letter, flags) = mode.split_first()?;
        let update = match flags {
            b"" | b"b" => false,
            b"+" | b"b+" | b"+b" => true,
            _ => return None,
        };
        let write = *letter != b'r';
        Some(Self {
            read: update || !write,
            write: update || write,
            append: match letter {
                b'r' | b'w' => false,
                b'a' => true,
                _ => return None,
            },
            create: write,
            truncate: *letter == b'w',
        })
    }
}

/// Why something failed, in the words of Linux's `strerror`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub &'static str);

impl Errno {
    /// `EBADF`: the handle is not open for this.
    pub const BAD_DESCRIPTOR: Self = Self("Bad file descriptor");
    /// `EFBIG`
    pub const FILE_TOO_LARGE: Self = Self("File too large");
    /// `EINVAL`
    pub const INVALID_ARGUMENT: Self = Self("Invalid argument");
    /// `EIO`: the disk failed, or holds nonsense.
    pub const IO: Self = Self("Input/output error");
    /// `EISDIR`
    pub const IS_DIRECTORY: Self = Self("Is a directory");
    /// `ENAMETOOLONG`
    pub const NAME_TOO_LONG: Self = Self("File name too long");
    /// `ENOSPC`
    pub const NO_SPACE: Self = Self("No space left on device");
    /// `ENOTDIR`
    pub const NOT_DIRECTORY: Self = Self("Not a directory");
    /// `ENOENT`
    pub const NOT_FOUND: Self = Self("No such file or directory");
    /// `EROFS`
    pub const READ_ONLY: Self = Self("Read-only file system");
    /// `EMFILE`
    pub const TOO_MANY_OPEN_FILES: Self = Self("Too many open files");
}

/// A table of up to `N` open files with handles as qemu-ga gives them: from 1000 on, never reused.
#[derive(Debug)]
pub struct Handles<T, const N: usize> {
    files: heapless::Vec<(Handle, T), N>,
    next: i64,
}

impl<T, const N: usize> Handles<T, N> {
    /// An empty table.
    pub const fn new() -> Self {
        Self { files: heapless::Vec::new(), next: 1000 }
    }

    /// Gives a handle to a file.
    ///
    /// # Errors
    ///
    /// [`Errno::TOO_MANY_OPEN_FILES`]; nothing has changed then.
    pub fn insert(&mut self, file: T) -> Result<Handle, Errno> {
        let handle = Handle(self.next);
        self.files.push((handle, file)).map_err(|_| Errno::TOO_MANY_OPEN_FILES)?;
        self.next = self.next.saturating_add(1);
        Ok(handle)
    }

    /// Whether another file can be entered.
    pub fn is_full(&self) -> bool {
        self.files.is_full()
    }

    /// The file of a handle.
    pub fn get_mut(&mut self, handle: Handle) -> Option<&mut T> {
        self.files.iter_mut().find(|(other, _)| *other == handle).map(|(_, file)| file)
    }

    /// Takes a file out of the table.
    pub fn remove(&mut self, handle: Handle) -> Option<T> {
        let at = self.files.iter().position(|(other, _)| *other == handle)?;
        let last = self.files.len().saturating_sub(1);
        self.files.swap(at, last);
        self.files.pop().map(|(_, file)| file)
    }

    /// All files.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.files.iter_mut().map(|(_, file)| file)
    }
}

impl<T, const N: usize> Default for Handles<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        let check = |modes: &[&str], expected: &str| {
            for mode in modes {
                let shown = OpenMode::parse(mode.as_bytes()).map_or("none".to_owned(), |mode| {
                    [
                        (mode.read, "read "),
                        (mode.write, "write "),
                        (mode.append, "append "),
                        (mode.create, "create "),
                        (mode.truncate, "truncate "),
                    ]
                    .iter()
                    .filter_map(|(set, name)| set.then_some(*name))
                    .collect()
                });
                assert_eq!(shown, expected, "{mode}");
            }
        };
        check(&["r", "rb"], "read ");
        check(&["r+", "rb+", "r+b"], "read write ");
        check(&["w", "wb"], "write create truncate ");
        check(&["w+", "wb+", "w+b"], "read write create truncate ");
        check(&["a", "ab"], "write append create ");
        check(&["a+", "ab+", "a+b"], "read write append create ");
        check(&["", "x", "r++", "rt", "wx", "br", "+r", "r ", "rbb", "R", "w,ccs=UTF-8"], "none");
    }

    #[test]
    fn handles_are_never_reused() {
        let mut handles: Handles<char, 2> = Handles::new();
        assert_eq!(handles.insert('a'), Ok(Handle(1000)));
        assert_eq!(handles.insert('b'), Ok(Handle(1001)));
        assert_eq!(handles.insert('c'), Err(Errno::TOO_MANY_OPEN_FILES));
        assert_eq!(handles.remove(Handle(1000)), Some('a'));
        assert_eq!(handles.remove(Handle(1000)), None);
        assert_eq!(handles.insert('c'), Ok(Handle(1002)));
        assert_eq!(handles.get_mut(Handle(1001)), Some(&mut 'b'));
        assert_eq!(handles.get_mut(Handle(1002)), Some(&mut 'c'));
    }
}

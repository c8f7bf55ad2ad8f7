//! The capability to keep files: what the agent's clients do.

use agent_core::{Errno, Extent, Files, Handle, OpenMode};
use embedded_io::SeekFrom;

use crate::{
    chain::Cursor,
    fs::RamFs,
    tree::{NodeId, Place},
};

/// The largest position in a file: that of ext4 with blocks of 4 KiB.
pub const POSITION_MAX: u64 = (u32::MAX as u64) << 12;

/// An open file or directory.
#[derive(Debug)]
pub(crate) struct Open {
    node: NodeId,
    mode: OpenMode,
    position: u64,
    /// The block that was used last.
    cursor: Option<Cursor>,
}

impl Open {
    /// Forgets where the contents of a file were.
    pub(crate) fn forget_block_of(&mut self, node: NodeId) {
        if self.node == node {
            self.cursor = None;
        }
    }
}

impl<const HANDLES: usize> Files for RamFs<'_, HANDLES> {
    fn open(&mut self, path: &[u8], mode: OpenMode) -> Result<Handle, Errno> {
        if self.handles.is_full() {
            return Err(Errno::TOO_MANY_OPEN_FILES);
        }
        let place = if mode.create {
            self.place_to_write(path)?
        } else {
            Place::Node(self.existing(path)?)
        };
        let node = self.make(place)?;
        if mode.write {
            self.tree.contents(node)?;
        }
        if mode.truncate {
            self.empty(node)?;
        }
        self.handles.insert(Open { node, mode, position: 0, cursor: None })
    }

    fn is_open(&mut self, handle: Handle) -> bool {
        self.handles.get_mut(handle).is_some()
    }

    fn close(&mut self, handle: Handle) -> Result<(), Errno> {
        self.handles.remove(handle).map(|_| ()).ok_or(Errno::BAD_DESCRIPTOR)
    }

    fn measure(&mut self, handle: Handle, longest: u64) -> Result<Extent, Errno> {
        let open = self.handles.get_mut(handle).ok_or(Errno::BAD_DESCRIPTOR)?;
        if longest == 0 {
            // C's fread does not look at the file then.
            return Ok(Extent { count: 0, end: false });
        }
        if !open.mode.read {
            return Err(Errno::BAD_DESCRIPTOR);
        }
        let left = self.tree.contents(open.node)?.length().saturating_sub(open.position);
        Ok(Extent { count: left.min(longest), end: left < longest })
    }

    fn read(&mut self, handle: Handle, buffer: &mut [u8]) -> Result<usize, Errno> {
        let open = self.handles.get_mut(handle).ok_or(Errno::BAD_DESCRIPTOR)?;
        if buffer.is_empty() {
            return Ok(0);
        }
        if !open.mode.read {
            return Err(Errno::BAD_DESCRIPTOR);
        }
        let contents = self.tree.contents(open.node)?;
        let count = contents.read(&self.blocks, &mut open.cursor, open.position, buffer);
        open.position = open.position.saturating_add(count as u64);
        Ok(count)
    }

    fn write(&mut self, handle: Handle, bytes: &[u8]) -> Result<usize, Errno> {
        let open = self.handles.get_mut(handle).ok_or(Errno::BAD_DESCRIPTOR)?;
        if bytes.is_empty() {
            return Ok(0);
        }
        if !open.mode.write {
            return Err(Errno::BAD_DESCRIPTOR);
        }
        if self.frozen {
            return Err(Errno::READ_ONLY);
        }
        let contents = self.tree.contents_mut(open.node)?;
        let position = if open.mode.append { contents.length() } else { open.position };
        let count = contents.write(&mut self.blocks, &mut open.cursor, position, bytes)?;
        open.position = position.saturating_add(count as u64);
        Ok(count)
    }

    fn seek(&mut self, handle: Handle, to: SeekFrom) -> Result<u64, Errno> {
        let open = self.handles.get_mut(handle).ok_or(Errno::BAD_DESCRIPTOR)?;
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => open.position.checked_add_signed(offset),
            // Linux's tmpfs knows no end of a directory either.
            SeekFrom::End(offset) => match self.tree.contents(open.node) {
                Ok(contents) => contents.length().checked_add_signed(offset),
                Err(_) => None,
            },
        };
        open.position = position.filter(|at| *at <= POSITION_MAX).ok_or(Errno::INVALID_ARGUMENT)?;
        Ok(open.position)
    }

    fn flush(&mut self, handle: Handle) -> Result<(), Errno> {
        // There is nowhere to write it to, and nothing that could survive the guest.
        if self.is_open(handle) { Ok(()) } else { Err(Errno::BAD_DESCRIPTOR) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Arena;

    type Fs<'a> = RamFs<'a, 4>;

    fn open(fs: &mut Fs<'_>, path: &str, mode: &str) -> Result<Handle, Errno> {
        fs.open(path.as_bytes(), OpenMode::parse(mode.as_bytes()).unwrap())
    }

    /// What `guest-file-read` shows.
    fn read(fs: &mut Fs<'_>, handle: Handle, longest: u64) -> Result<(String, bool), Errno> {
        let extent = fs.measure(handle, longest)?;
        let mut text = vec![0; usize::try_from(extent.count).unwrap()];
        assert_eq!(fs.read(handle, &mut text), Ok(text.len()));
        Ok((String::from_utf8(text).unwrap(), extent.end))
    }

    /// The files that the corpus was recorded with.
    fn corpus(arena: &mut Arena<8, 8>) -> Fs<'_> {
        let mut fs = Fs::new(arena);
        fs.write_file(b"hello.txt", b"Hello World!\n").unwrap();
        fs.write_file(b"empty", b"").unwrap();
        fs.write_file(b"abc", b"abcdefghijklmnopqrstuvwxyz").unwrap();
        fs.mkdir(b"dir").unwrap();
        fs
    }

    #[test]
    fn opens() {
        let check = |path: &str, mode: &str, expected: Option<Errno>| {
            let mut arena = Arena::new();
            let mut fs = corpus(&mut arena);
            assert_eq!(open(&mut fs, path, mode).err(), expected, "{path} {mode}");
        };
        for mode in ["r", "r+", "w", "w+", "a", "a+"] {
            check("hello.txt", mode, None);
            check("dir/../hello.txt", mode, None);
            check("", mode, Some(Errno::NOT_FOUND));
            check("nope/x", mode, Some(Errno::NOT_FOUND));
            check("hello.txt/x", mode, Some(Errno::NOT_DIRECTORY));
            let is_directory = (mode != "r").then_some(Errno::IS_DIRECTORY);
            check(".", mode, is_directory);
            check("/dir/", mode, is_directory);
        }
        for mode in ["r", "r+"] {
            check("nope", mode, Some(Errno::NOT_FOUND));
            check("nope/", mode, Some(Errno::NOT_FOUND));
            check("hello.txt/", mode, Some(Errno::NOT_DIRECTORY));
        }
        for mode in ["w", "w+", "a", "a+"] {
            check("nope", mode, None);
            check("dir//nope", mode, None);
            check("nope/", mode, Some(Errno::IS_DIRECTORY));
            check("hello.txt/", mode, Some(Errno::IS_DIRECTORY));
        }
    }

    #[test]
    fn a_file_is_read_and_written_at_one_position() {
        let mut arena = Arena::new();
        let mut fs = corpus(&mut arena);
        let abc = open(&mut fs, "abc", "r+").unwrap();
        assert_eq!(read(&mut fs, abc, 3), Ok(("abc".into(), false)));
        assert_eq!(fs.write(abc, b"XYZ"), Ok(3));
        assert_eq!(read(&mut fs, abc, 3), Ok(("ghi".into(), false)));
        assert_eq!(fs.seek(abc, SeekFrom::Start(0)), Ok(0));
        assert_eq!(read(&mut fs, abc, 26), Ok(("abcXYZghijklmnopqrstuvwxyz".into(), false)));
        assert_eq!(read(&mut fs, abc, 1), Ok((String::new(), true)));
        assert_eq!(read(&mut fs, abc, 0), Ok((String::new(), false)));
        assert_eq!(fs.seek(abc, SeekFrom::End(-3)), Ok(23));
        assert_eq!(read(&mut fs, abc, 4096), Ok(("xyz".into(), true)));
        assert_eq!(fs.flush(abc), Ok(()));
        assert_eq!(fs.close(abc), Ok(()));
        assert!(!fs.is_open(abc));
        assert_eq!(fs.close(abc), Err(Errno::BAD_DESCRIPTOR));
    }

    #[test]
    fn a_file_opened_to_append_is_written_at_its_end() {
        let mut arena = Arena::new();
        let mut fs = corpus(&mut arena);
        let abc = open(&mut fs, "abc", "a+").unwrap();
        assert_eq!(fs.seek(abc, SeekFrom::Current(0)), Ok(0));
        assert_eq!(read(&mut fs, abc, 2), Ok(("ab".into(), false)));
        assert_eq!(fs.write(abc, b"XYZ"), Ok(3));
        assert_eq!(fs.seek(abc, SeekFrom::Current(0)), Ok(29));
    }

    #[test]
    fn a_handle_is_good_for_what_it_was_opened_for() {
        let mut arena = Arena::new();
        let mut fs = corpus(&mut arena);
        let bad = Errno::BAD_DESCRIPTOR;
        let reader = open(&mut fs, "abc", "r").unwrap();
        assert_eq!(fs.write(reader, b"x"), Err(bad));
        assert_eq!(fs.write(reader, b""), Ok(0));
        assert_eq!(fs.flush(reader), Ok(()));
        let writer = open(&mut fs, "abc", "a").unwrap();
        assert_eq!(read(&mut fs, writer, 1), Err(bad));
        assert_eq!(fs.read(writer, &mut [0]), Err(bad));
        assert_eq!(read(&mut fs, writer, 0), Ok((String::new(), false)));
        let directory = open(&mut fs, "/", "r").unwrap();
        assert_eq!(read(&mut fs, directory, 1), Err(Errno::IS_DIRECTORY));
        assert_eq!(fs.read(directory, &mut [0]), Err(Errno::IS_DIRECTORY));
        assert_eq!(fs.write(directory, b"x"), Err(bad));
        assert_eq!(fs.seek(directory, SeekFrom::Start(7)), Ok(7));
        assert_eq!(fs.seek(directory, SeekFrom::End(0)), Err(Errno::INVALID_ARGUMENT));
        let unknown = Handle(999);
        assert_eq!(fs.measure(unknown, 0), Err(bad));
        assert_eq!(fs.read(unknown, &mut []), Err(bad));
        assert_eq!(fs.write(unknown, b""), Err(bad));
        assert_eq!(fs.seek(unknown, SeekFrom::Start(0)), Err(bad));
        assert_eq!(fs.flush(unknown), Err(bad));
    }

    #[test]
    fn seeks() {
        let mut arena = Arena::new();
        let mut fs = corpus(&mut arena);
        let abc = open(&mut fs, "abc", "r+").unwrap();
        let mut check = |to: SeekFrom, expected: Option<u64>| {
            assert_eq!(fs.seek(abc, to), expected.ok_or(Errno::INVALID_ARGUMENT), "{to:?}");
        };
        check(SeekFrom::Start(5), Some(5));
        check(SeekFrom::Current(-6), None);
        check(SeekFrom::Current(-5), Some(0));
        check(SeekFrom::End(-27), None);
        check(SeekFrom::End(10), Some(36));
        check(SeekFrom::End(i64::MIN), None);
        check(SeekFrom::Start(POSITION_MAX), Some(POSITION_MAX));
        check(SeekFrom::Current(1), None);
        check(SeekFrom::End(i64::MAX), None);
        check(SeekFrom::Start(i64::MAX.cast_unsigned()), None);
        check(SeekFrom::Start(u64::MAX), None);
        // A refused seek moved nothing; there is no room so far out.
        check(SeekFrom::Current(0), Some(POSITION_MAX));
        assert_eq!(read(&mut fs, abc, 1), Ok((String::new(), true)));
        assert_eq!(fs.write(abc, b"x"), Err(Errno::NO_SPACE));
        assert_eq!(fs.length(b"abc"), Ok(26));
    }

    #[test]
    fn two_handles_see_one_file() {
        let mut arena: Arena<2, 3> = Arena::new();
        let mut fs = Fs::new(&mut arena);
        let one = open(&mut fs, "f", "w+").unwrap();
        assert_eq!(fs.write(one, &[b'1'; 600]), Ok(600));
        let two = open(&mut fs, "f", "r").unwrap();
        assert_eq!(read(&mut fs, two, 600), Ok(("1".repeat(600), false)));

        // Emptied under both, and its blocks given to another file.
        let three = open(&mut fs, "f", "w").unwrap();
        assert_eq!(read(&mut fs, two, 1), Ok((String::new(), true)));
        let other = open(&mut fs, "g", "w").unwrap();
        assert_eq!(fs.write(other, &[b'2'; 2000]), Ok(1024));
        assert_eq!(fs.write(three, b"3"), Err(Errno::NO_SPACE));
        assert_eq!(fs.seek(two, SeekFrom::Start(0)), Ok(0));
        assert_eq!(read(&mut fs, two, 1), Ok((String::new(), true)));
        assert_eq!(open(&mut fs, "g", "w"), Err(Errno::TOO_MANY_OPEN_FILES));
        assert_eq!(fs.length(b"g"), Ok(1024));

        // What the first handle skips holds nothing of either.
        assert_eq!(fs.write_file(b"g", b""), Ok(()));
        assert_eq!(fs.write(one, b"1"), Ok(1));
        assert_eq!(read(&mut fs, two, 4096), Ok(("\0".repeat(600) + "1", true)));
    }

    #[test]
    fn no_handle_reads_where_an_emptied_file_was() {
        let mut arena: Arena<4, 3> = Arena::new();
        let mut fs = Fs::new(&mut arena);
        fs.write_file(b"f", &[b'1'; 3 * 512]).unwrap();
        let reader = open(&mut fs, "f", "r").unwrap();
        assert_eq!(read(&mut fs, reader, 600), Ok(("1".repeat(600), false)));
        // The file's first block goes to another one; its second becomes the first.
        fs.write_file(b"f", b"").unwrap();
        fs.write_file(b"g", b"2").unwrap();
        fs.append_file(b"f", &[b'3'; 512]).unwrap();
        fs.append_file(b"f", &[b'4'; 512 * 2]).unwrap();
        assert_eq!(read(&mut fs, reader, 8), Ok(("4".repeat(8), false)));
    }
}

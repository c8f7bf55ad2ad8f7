//! The capability to keep files: those of this machine, as C's `FILE` shows them.
//!
//! A reply to a read says how much it holds before it holds it. For most files nobody knows that
//! without reading: the size of what is in `/proc` is zero, of what is in `/sys` a page, and of a
//! device or a pipe nothing at all. So what is to be read is read first and kept, except for a
//! long read of a long file, which must not cost memory: there the size is believed.

mod stream;

use agent_core::{Errno as Words, Extent, Files, Handle, Handles, OpenMode};
use embedded_io::SeekFrom;
use rustix::io::Errno;

use self::stream::{BLOCK, Stream};
use super::errno::words;

/// Files that can be open at the same time. Each takes a descriptor and a page of memory.
const FILES: usize = 64;

/// What is left of a file is read first, and not believed, if it is no longer than this. More
/// than any page of sysfs, and what clients read at once most often.
const KEPT: u64 = 64 << 10;

/// Bytes that are read ahead by one system call.
const AT_ONCE: usize = 16 * BLOCK;

/// The open files.
#[derive(Debug, Default)]
pub(crate) struct OpenFiles {
    streams: Handles<Stream, FILES>,
    ahead: Ahead,
}

/// What was read before the reply that holds it.
#[derive(Debug, Default)]
struct Ahead {
    bytes: Vec<u8>,
    taken: usize,
}

impl Ahead {
    /// Takes up to the buffer's length out of it.
    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let rest = &self.bytes[self.taken..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        if self.taken == self.bytes.len() {
            // Up to 64 MiB are not kept for the next one.
            *self = Self::default();
        }
        count
    }
}

impl OpenFiles {
    /// Writes what is still to be written of every file. What fails is told of when the client
    /// next flushes the file or closes it.
    pub(crate) fn write_back(&mut self) {
        for stream in self.streams.iter_mut() {
            stream.write_back_unasked();
        }
    }

    fn stream(&mut self, handle: Handle) -> Result<&mut Stream, Words> {
        self.streams.get_mut(handle).ok_or(Words::BAD_DESCRIPTOR)
    }
}

/// Reads until there are `longest` bytes or no more; whether there are no more.
fn read_ahead(stream: &mut Stream, longest: u64, bytes: &mut Vec<u8>) -> Result<bool, Errno> {
    let mut left = usize::try_from(longest).map_err(|_| Errno::NOMEM)?;
    while left > 0 {
        let at = bytes.len();
        let count = if left < BLOCK || stream.has_unread() {
            let available = stream.fill()?;
            let count = available.len().min(left);
            bytes.try_reserve(count).map_err(|_| Errno::NOMEM)?;
            bytes.extend_from_slice(&available[..count]);
            stream.consume(count);
            count
        } else {
            let blocks = (left - left % BLOCK).min(AT_ONCE);
            bytes.try_reserve(blocks).map_err(|_| Errno::NOMEM)?;
            bytes.resize(at + blocks, 0);
            let count = stream.read_blocks(&mut bytes[at..])?;
            bytes.truncate(at + count);
            count
        };
        if count == 0 {
            return Ok(true);
        }
        left -= count;
    }
    Ok(false)
}

impl Files for OpenFiles {
    fn open(&mut self, path: &[u8], mode: OpenMode) -> Result<Handle, Words> {
        // Before anything is made or emptied.
        if self.streams.is_full() {
            return Err(Words::TOO_MANY_OPEN_FILES);
        }
        self.streams.insert(Stream::open(path, mode).map_err(words)?)
    }

    fn is_open(&mut self, handle: Handle) -> bool {
        self.streams.get_mut(handle).is_some()
    }

    fn close(&mut self, handle: Handle) -> Result<(), Words> {
        self.stream(handle)?.write_back().map_err(words)?;
        self.streams.remove(handle);
        Ok(())
    }

    fn measure(&mut self, handle: Handle, longest: u64) -> Result<Extent, Words> {
        self.ahead = Ahead::default();
        let stream = self.streams.get_mut(handle).ok_or(Words::BAD_DESCRIPTOR)?;
        stream.end_writing().map_err(words)?;
        if longest > KEPT
            && let Some(left) = stream.known_left().map_err(words)?
            && left > KEPT
        {
            // A file that has an error has it here, most likely.
            stream.fill().map_err(words)?;
            return Ok(Extent { count: longest.min(left), end: longest > left });
        }
        let mut bytes = Vec::new();
        let end = read_ahead(stream, longest, &mut bytes).map_err(words)?;
        let count = bytes.len() as u64;
        self.ahead.bytes = bytes;
        Ok(Extent { count, end })
    }

    fn read(&mut self, handle: Handle, buffer: &mut [u8]) -> Result<usize, Words> {
        let kept = self.ahead.take(buffer);
        if kept > 0 {
            return Ok(kept);
        }
        let stream = self.stream(handle)?;
        let available = stream.fill().map_err(words)?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        stream.consume(count);
        Ok(count)
    }

    fn write(&mut self, handle: Handle, bytes: &[u8]) -> Result<usize, Words> {
        self.stream(handle)?.write(bytes).map_err(words)
    }

    fn seek(&mut self, handle: Handle, to: SeekFrom) -> Result<u64, Words> {
        self.stream(handle)?.seek(to).map_err(words)
    }

    fn flush(&mut self, handle: Handle) -> Result<(), Words> {
        self.stream(handle)?.flush().map_err(words)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::ffi::OsStrExt as _;

    use tempfile::TempDir;

    use super::*;

    /// What a read gives: as measured, and then in pieces.
    fn read_all(files: &mut OpenFiles, handle: Handle, longest: u64) -> (Vec<u8>, bool) {
        let Extent { count, end } = files.measure(handle, longest).unwrap();
        let mut bytes = vec![0; usize::try_from(count).unwrap()];
        let mut at = 0;
        while at < bytes.len() {
            let piece = (at + 384).min(bytes.len());
            let read = files.read(handle, &mut bytes[at..piece]).unwrap();
            assert!(read > 0, "{at} of {count}");
            at += read;
        }
        (bytes, end)
    }

    #[test]
    fn reads_of_every_length() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("file");
        let mut files = OpenFiles::default();
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 65_536, 65_537, 200_000] {
            let contents: Vec<u8> = (0..=250).cycle().take(length).collect();
            fs::write(&path, &contents).unwrap();
            for first in [0, 1, 100, BLOCK, 65_536, 65_537, 199_999, 1 << 20] {
                let handle = files.open(path.as_os_str().as_bytes(), OpenMode::READ).unwrap();
                let (begin, end) = read_all(&mut files, handle, first as u64);
                assert_eq!(begin, contents[..length.min(first)], "{first} of {length}");
                assert_eq!(end, first > length, "{first} of {length}");
                let (rest, end) = read_all(&mut files, handle, 1 << 20);
                assert_eq!(rest, contents[length.min(first)..], "after {first} of {length}");
                assert!(end, "after {first} of {length}");
                assert_eq!(files.close(handle), Ok(()));
            }
        }
    }

    #[test]
    fn reading_nothing_ends_writing_and_fails_never() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("file");
        let mut files = OpenFiles::default();
        let mode = OpenMode::parse(b"w").unwrap();
        let handle = files.open(path.as_os_str().as_bytes(), mode).unwrap();
        assert_eq!(files.write(handle, b"text"), Ok(4));
        assert_eq!(files.measure(handle, 0), Ok(Extent { count: 0, end: false }));
        assert_eq!(fs::read(&path).unwrap(), b"text");
        assert_eq!(files.measure(handle, 1), Err(Words::BAD_DESCRIPTOR));
    }

    #[test]
    fn what_is_not_read_to_its_end_is_forgotten() {
        let mut files = OpenFiles::default();
        let zero = files.open(b"/dev/zero", OpenMode::READ).unwrap();
        let null = files.open(b"/dev/null", OpenMode::READ).unwrap();
        assert_eq!(files.measure(zero, 1000), Ok(Extent { count: 1000, end: false }));
        assert_eq!(files.measure(null, 1000), Ok(Extent { count: 0, end: true }));
        assert_eq!(files.read(null, &mut [1]), Ok(0));
    }
}

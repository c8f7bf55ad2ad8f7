//! A file with a buffer, which shows through as that of C's `FILE` does.
//!
//! Clients can see the buffer: an error of the disk comes with the flush and not with the write,
//! and what was read ahead stays as it was read, also when another handle has changed the file.
//! This does what glibc does there, block for block.

use core::fmt;
use std::os::fd::OwnedFd;

use agent_core::OpenMode;
use embedded_io::SeekFrom;
use rustix::fs::{FileType, Mode, OFlags, fchmod, fdatasync, fstat, open, seek, unlink};
use rustix::io::{Errno, read, retry_on_intr, write};

/// Bytes of a buffer: `st_blksize` of nearly everything, and so glibc's choice.
pub(super) const BLOCK: usize = 4096;

const HERE: rustix::fs::SeekFrom = rustix::fs::SeekFrom::Current(0);

/// An open file and its buffer.
pub(super) struct Stream {
    file: OwnedFd,
    mode: OpenMode,
    is_regular: bool,
    buffer: Box<[u8; BLOCK]>,
    /// `buffer[start..end]` is read and not consumed; or, in a buffer [to be
    /// written](Self::is_writing), written by the client and not yet to the file.
    start: usize,
    end: usize,
    is_writing: bool,
    /// What went wrong when nobody had asked, and has not been told yet.
    failure: Option<Errno>,
    /// The last thing done was to read, and a seek must come before a write.
    has_read: bool,
    /// The kernel's position in the file, where it is known; `buffer[..end]` was read before it.
    position: Option<u64>,
}

impl Stream {
    /// Opens a file. It never blocks, then or later; what would wait is `EAGAIN`, and a pipe that
    /// nobody reads `ENXIO`.
    pub(super) fn open(path: &[u8], mode: OpenMode) -> Result<Self, Errno> {
        let mut flags = OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        flags |= match (mode.read, mode.write) {
            (_, false) => OFlags::RDONLY,
            (false, true) => OFlags::WRONLY,
            (true, true) => OFlags::RDWR,
        };
        flags.set(OFlags::APPEND, mode.append);
        flags.set(OFlags::TRUNC, mode.truncate);
        // A new file, and only a new one, is made readable and writable for everybody, whatever
        // the umask says.
        let file = match mode.create.then(|| create(path, flags)) {
            None | Some(Err(Errno::EXIST)) => open(path, flags, Mode::empty())?,
            Some(created) => created?,
        };
        Ok(Self {
            is_regular: FileType::from_raw_mode(fstat(&file)?.st_mode) == FileType::RegularFile,
            file,
            mode,
            buffer: Box::new([0; BLOCK]),
            start: 0,
            end: 0,
            is_writing: false,
            failure: None,
            has_read: false,
            position: None,
        })
    }

    /// What can be read next, read from the file where the buffer has nothing; empty at the end.
    pub(super) fn fill(&mut self) -> Result<&[u8], Errno> {
        self.prepare_to_read()?;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            self.end = retry_on_intr(|| read(&self.file, &mut self.buffer[..]))?;
            self.advance(self.end);
            if self.end == 0 {
                // glibc does not trust the position here either.
                self.position = None;
            }
        }
        self.has_read = true;
        Ok(&self.buffer[self.start..self.end])
    }

    /// Reads past the buffer, which must have been consumed, as is done with whole blocks.
    pub(super) fn read_blocks(&mut self, blocks: &mut [u8]) -> Result<usize, Errno> {
        self.prepare_to_read()?;
        (self.start, self.end) = (0, 0);
        let count = retry_on_intr(|| read(&self.file, &mut *blocks))?;
        self.advance(count);
        self.has_read = true;
        Ok(count)
    }

    fn prepare_to_read(&mut self) -> Result<(), Errno> {
        self.end_writing()?;
        if self.mode.read { Ok(()) } else { Err(Errno::BADF) }
    }

    /// Writes what is in the buffer, since reading comes next.
    pub(super) fn end_writing(&mut self) -> Result<(), Errno> {
        if self.is_writing {
            self.write_out()?;
            self.position = None;
        }
        Ok(())
    }

    /// The kernel's position has moved on.
    fn advance(&mut self, count: usize) {
        self.position = self.position.and_then(|position| position.checked_add(count as u64));
    }

    /// Takes the first `count` bytes of what [`fill`](Self::fill) shows.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// Whether [`fill`](Self::fill) has something without reading.
    pub(super) fn has_unread(&self) -> bool {
        !self.is_writing && self.unread() > 0
    }

    /// How many bytes there are up to the end of the file, if its size tells.
    pub(super) fn known_left(&mut self) -> Result<Option<u64>, Errno> {
        self.prepare_to_read()?;
        if !self.is_regular {
            return Ok(None);
        }
        let size = u64::try_from(fstat(&self.file)?.st_size).unwrap_or_default();
        let position = self.position.map_or_else(|| seek(&self.file, HERE), Ok)?;
        Ok(Some(size.saturating_sub(position).saturating_add(self.unread())))
    }

    /// Writes into the buffer, and a full buffer to the file; returns how many bytes it took.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        if self.has_read {
            match self.seek(SeekFrom::Current(0)) {
                Ok(_) => {}
                // It has no position: a pipe, a line.
                Err(Errno::SPIPE) => self.has_read = false,
                Err(error) => return Err(error),
            }
        }
        if !self.mode.write {
            return Err(Errno::BADF);
        }
        if !self.is_writing {
            self.drop_unread()?;
            self.is_writing = true;
        }
        let room = &mut self.buffer[self.end..];
        let count = room.len().min(bytes.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.end += count;
        if self.end == BLOCK {
            self.write_out()?;
        }
        Ok(count)
    }

    /// Writes what is in the buffer to the file, for a client that asks for just that: it is told
    /// what has failed [before](Self::write_back_unasked), too.
    pub(super) fn write_back(&mut self) -> Result<(), Errno> {
        let outcome = self.write_out();
        self.failure.take().map_or(outcome, Err)
    }

    /// The same where no client waits for the outcome; the next one to ask is told.
    pub(super) fn write_back_unasked(&mut self) {
        if let Err(error) = self.write_out() {
            self.failure.get_or_insert(error);
        }
    }

    /// Writes what is in the buffer to the file. What fails is dropped: it is told of once.
    fn write_out(&mut self) -> Result<(), Errno> {
        if !self.is_writing {
            return Ok(());
        }
        self.is_writing = false;
        let end = core::mem::take(&mut self.end);
        let mut rest = &self.buffer[..end];
        if self.mode.append && !rest.is_empty() {
            self.position = None;
        }
        while !rest.is_empty() {
            let count = retry_on_intr(|| write(&self.file, rest))?;
            if count == 0 {
                return Err(Errno::IO);
            }
            rest = &rest[count.min(rest.len())..];
            self.position = self.position.and_then(|position| position.checked_add(count as u64));
        }
        Ok(())
    }

    /// Makes the file what the client has written, on the disk too, and forgets what was read
    /// ahead.
    pub(super) fn flush(&mut self) -> Result<(), Errno> {
        self.write_back()?;
        match self.drop_unread() {
            // It has no position, and what was read ahead cannot be given back.
            Ok(()) | Err(Errno::SPIPE) => {}
            Err(error) => return Err(error),
        }
        self.position = None;
        self.has_read = false;
        if self.is_regular && self.mode.write {
            match fdatasync(&self.file) {
                // Not a file that is on a disk.
                Ok(()) | Err(Errno::INVAL) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Moves the position; returns where it is now.
    ///
    /// Within the buffer this reads nothing, and elsewhere it reads to where the position is,
    /// from the block's begin.
    pub(super) fn seek(&mut self, to: SeekFrom) -> Result<u64, Errno> {
        let position = self.move_to(to)?;
        self.has_read = false;
        Ok(position)
    }

    fn move_to(&mut self, to: SeekFrom) -> Result<u64, Errno> {
        let was_empty = self.end == 0;
        self.write_out()?;
        let target = match to {
            SeekFrom::Start(offset) => i64::try_from(offset).map_err(|_| Errno::INVAL)?,
            SeekFrom::Current(offset) => {
                let offset = offset.checked_sub_unsigned(self.unread()).ok_or(Errno::INVAL)?;
                let Some(position) = self.position else {
                    return self.seek_file(rustix::fs::SeekFrom::Current(offset));
                };
                offset.checked_add_unsigned(position).ok_or(Errno::INVAL)?
            }
            SeekFrom::End(offset) if self.is_regular => {
                fstat(&self.file)?.st_size.checked_add(offset).ok_or(Errno::INVAL)?
            }
            SeekFrom::End(offset) => return self.seek_file(rustix::fs::SeekFrom::End(offset)),
        };
        let target = u64::try_from(target).map_err(|_| Errno::INVAL)?;

        if let Some(position) = self.position
            && let Some(back) = position.checked_sub(target)
            && back > 0
            && back <= self.end as u64
        {
            self.start = self.end.saturating_sub(usize::try_from(back).unwrap_or_default());
            return Ok(target);
        }
        if !self.mode.read {
            return self.seek_file(rustix::fs::SeekFrom::Start(target));
        }
        let into_block = target % BLOCK as u64;
        let base = seek(&self.file, rustix::fs::SeekFrom::Start(target - into_block))?;
        let into_block = usize::try_from(into_block).unwrap_or_default();
        let count = if into_block == 0 {
            0
        } else {
            let wanted = if was_empty { into_block } else { BLOCK };
            read(&self.file, &mut self.buffer[..wanted]).unwrap_or_default()
        };
        if count < into_block {
            // It cannot be read up to there.
            let rest = (into_block - count) as u64;
            return self.seek_file(rustix::fs::SeekFrom::Current(rest.cast_signed()));
        }
        (self.start, self.end) = (into_block, count);
        let position = base.saturating_add(count as u64);
        self.position = Some(position);
        Ok(position.saturating_sub(self.unread()))
    }

    /// Moves the kernel's position and forgets what was read ahead.
    fn seek_file(&mut self, to: rustix::fs::SeekFrom) -> Result<u64, Errno> {
        let position = seek(&self.file, to)?;
        (self.start, self.end) = (0, 0);
        self.position = Some(position);
        Ok(position)
    }

    fn unread(&self) -> u64 {
        (self.end - self.start) as u64
    }

    /// Moves the kernel's position back to where the client is.
    fn drop_unread(&mut self) -> Result<(), Errno> {
        let unread = self.unread();
        if unread > 0 {
            let back = rustix::fs::SeekFrom::Current(-unread.cast_signed());
            self.position = Some(seek(&self.file, back)?);
        }
        (self.start, self.end) = (0, 0);
        Ok(())
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Stream")
            .field("file", &self.file)
            .field("mode", &self.mode)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// Makes a file that must not exist yet.
fn create(path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    const EVERYBODY: Mode = Mode::from_raw_mode(0o666);
    let file = open(path, flags | OFlags::CREATE | OFlags::EXCL, Mode::empty())?;
    fchmod(&file, EVERYBODY).inspect_err(|_| {
        // It is not what was asked for.
        let _ = unlink(path);
    })?;
    Ok(file)
}

#[cfg(test)]
mod tests;

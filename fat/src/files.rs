//! A mounted volume: [`Files`] for the agent.

use agent_core::{Errno, Extent, Files, Handle, OpenMode};
use embedded_io::SeekFrom;

use crate::disk::Disk;
use crate::volume::{Parts, Volume};

/// The longest file, and the last position: a length is a number of 32 bits.
const LONGEST: u64 = 0xFFFF_FFFF;

impl<D: Disk, const FILES: usize> Files for Volume<'_, D, FILES> {
    fn open(&mut self, path: &[u8], mode: OpenMode) -> Result<Handle, Errno> {
        if self.handles.is_full() {
            return Err(Errno::TOO_MANY_OPEN_FILES);
        }
        let open = self.open_path(path, mode)?;
        self.handles.insert(open)
    }

    fn is_open(&mut self, handle: Handle) -> bool {
        self.handles.get_mut(handle).is_some()
    }

    fn close(&mut self, handle: Handle) -> Result<(), Errno> {
        self.flush(handle)?;
        let at = self.handles.get_mut(handle).and_then(|open| open.file);
        if let Some(slot) = at.and_then(|at| self.files.get_mut(at))
            && let Some(file) = slot
        {
            if file.handles <= 1 {
                file.drop_spare(&mut self.medium)?;
                self.medium.write_table()?;
                *slot = None;
            } else {
                file.handles = file.handles.saturating_sub(1);
            }
        }
        self.handles.remove(handle);
        Ok(())
    }

    fn measure(&mut self, handle: Handle, longest: u64) -> Result<Extent, Errno> {
        let Parts { open, file, medium } = self.parts(handle)?;
        if !open.mode.read {
            return Err(Errno::BAD_DESCRIPTOR);
        }
        let count = u64::from(file.size()).saturating_sub(open.position).min(longest);
        if count > 0 {
            let length = u32::try_from(count).map_err(|_| Errno::IO)?;
            file.verify(medium, number(open.position)?, length)?;
        }
        Ok(Extent { count, end: count < longest })
    }

    fn read(&mut self, handle: Handle, buffer: &mut [u8]) -> Result<usize, Errno> {
        let Parts { open, file, medium } = self.parts(handle)?;
        if !open.mode.read {
            return Err(Errno::BAD_DESCRIPTOR);
        }
        let count = file.read(medium, number(open.position)?, buffer)?;
        open.position = open.position.saturating_add(bytes(count));
        Ok(count)
    }

    fn write(&mut self, handle: Handle, buffer: &[u8]) -> Result<usize, Errno> {
        let Parts { open, file, .. } = self.parts(handle)?;
        if !open.mode.write {
            return Err(Errno::BAD_DESCRIPTOR);
        }
        let start = if open.mode.append { u64::from(file.size()) } else { open.position };
        self.check_writable()?;
        if buffer.is_empty() {
            return Ok(0);
        }
        let end = start.saturating_add(bytes(buffer.len())).min(LONGEST);
        if end <= start {
            return Err(Errno::FILE_TOO_LARGE);
        }
        let (at, end) = (number(start)?, number(end)?);
        let Parts { file, medium, .. } = self.parts(handle)?;
        if !file.plan(medium, at, end).ample {
            self.make_room()?;
        }
        let Parts { open, file, medium } = self.parts(handle)?;
        let plan = file.plan(medium, at, end);
        let count = file.write(medium, plan, at, buffer)?;
        open.position = start.saturating_add(bytes(count));
        Ok(count)
    }

    fn seek(&mut self, handle: Handle, to: SeekFrom) -> Result<u64, Errno> {
        let open = self.handles.get_mut(handle).ok_or(Errno::BAD_DESCRIPTOR)?;
        let size = match open.file.and_then(|at| self.files.get(at)) {
            Some(Some(file)) => u64::from(file.size()),
            _ => 0,
        };
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => open.position.checked_add_signed(offset),
            SeekFrom::End(offset) => size.checked_add_signed(offset),
        };
        let position = position.filter(|position| *position <= LONGEST);
        open.position = position.ok_or(Errno::INVALID_ARGUMENT)?;
        Ok(open.position)
    }

    fn flush(&mut self, handle: Handle) -> Result<(), Errno> {
        let open = self.handles.get_mut(handle).ok_or(Errno::BAD_DESCRIPTOR)?;
        let Some(at) = open.file else { return Ok(()) };
        // Frozen, everything is flushed.
        if let Some(Some(file)) = self.files.get_mut(at) {
            file.publish(&mut self.medium)?;
            self.medium.write_table()?;
        }
        Ok(())
    }
}

impl<D: Disk, const FILES: usize> Volume<'_, D, FILES> {
    /// Gives back what files hold beside what they need.
    fn make_room(&mut self) -> Result<(), Errno> {
        for file in self.files.iter_mut().flatten() {
            file.make_room(&mut self.medium)?;
        }
        Ok(())
    }
}

/// A position that was seen to be one of a file.
fn number(position: u64) -> Result<u32, Errno> {
    u32::try_from(position).map_err(|_| Errno::FILE_TOO_LARGE)
}

fn bytes(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

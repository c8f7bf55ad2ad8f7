//! A mounted volume: [`Files`] for the agent.

use agent_core::{Errno, Extent, Files, Handle, Handles, OpenMode};
use embedded_io::SeekFrom;

use crate::disk::{Disk, SECTOR_SIZE};
use crate::file::File;
use crate::filesystem::Label;
use crate::medium::Medium;
use crate::partition::{MountError, find};
use crate::path::Target;
use crate::survey::Unused;
use crate::time::Timestamp;

/// The longest file: its length is a number of 32 bits.
const LONGEST: u64 = 0xFFFF_FFFF;

/// The memory for moving sectors, and for marking clusters when a volume is mounted: `SIZE` is a
/// whole number of sectors, two or more. Every byte marks eight clusters; a volume that has more
/// clusters than can be marked at once is walked over so many times more.
pub type Scratch<const SIZE: usize> = [u8; SIZE];

/// Whether a volume is what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It is.
    Sound,
    /// It is not: a chain is broken, or two files share one. It can be read, as far as that goes,
    /// and is not written, so that nothing gets worse.
    Damaged,
}

/// A FAT volume, with up to `FILES` handles open at a time.
pub struct Volume<'s, D, const FILES: usize> {
    pub(crate) medium: Medium<'s, D>,
    pub(crate) files: [Option<File>; FILES],
    handles: Handles<Open, FILES>,
    pub(crate) label: Label<'s>,
    partition: Option<u8>,
    condition: Condition,
    pub(crate) frozen: bool,
}

/// What a handle is.
struct Open {
    /// Which file it is; none for a directory.
    file: Option<usize>,
    position: u64,
    mode: OpenMode,
}

impl<D, const FILES: usize> core::fmt::Debug for Volume<'_, D, FILES> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Volume")
            .field("label", &self.label)
            .field("partition", &self.partition)
            .field("condition", &self.condition)
            .field("frozen", &self.frozen)
            .finish_non_exhaustive()
    }
}

impl<'s, D: Disk, const FILES: usize> Volume<'s, D, FILES> {
    /// Mounts the first FAT volume of a disk. Takes back clusters that no file uses, unless the
    /// disk cannot be written.
    ///
    /// # Errors
    ///
    /// Where there is no such volume, or the disk fails. A damaged volume is no error, see
    /// [`Volume::condition`].
    pub fn mount<const SIZE: usize>(
        mut disk: D,
        scratch: &'s mut Scratch<SIZE>,
        label: Label<'s>,
    ) -> Result<Self, MountError> {
        const {
            assert!(
                SIZE >= 2 * SECTOR_SIZE && SIZE.is_multiple_of(SECTOR_SIZE),
                "the scratch memory is a whole number of sectors, two or more"
            );
        }
        let (geometry, partition) = find(&mut disk)?;
        let mut medium = Medium::new(disk, geometry, scratch);
        let condition = match prepare(&mut medium) {
            Ok(()) => Condition::Sound,
            // Which of the two it is makes no difference: what cannot be read is damaged.
            Err(Preparation::Damaged) => {
                medium.read_only = true;
                Condition::Damaged
            }
            Err(Preparation::Disk(errno)) => return Err(MountError::Disk(errno)),
        };
        Ok(Self {
            medium,
            files: [const { None }; FILES],
            handles: Handles::new(),
            label,
            partition,
            condition,
            frozen: false,
        })
    }

    /// Whether the volume was sound when it was mounted.
    pub fn condition(&self) -> Condition {
        self.condition
    }

    /// The number of the partition that the volume is, counted from one; none where it is the whole
    /// disk.
    pub fn partition(&self) -> Option<u8> {
        self.partition
    }

    /// Whether nothing can be written, because of the disk or because the volume is damaged.
    pub fn is_read_only(&self) -> bool {
        self.medium.read_only
    }

    /// Tells the time, in seconds since the start of 1970. Files that are made or written from now
    /// on bear it. Until a board tells it, that is the start of 1980.
    pub fn set_time(&mut self, unix_seconds: u64) {
        self.medium.time = Timestamp::from_unix(unix_seconds);
    }

    /// The disk.
    pub fn disk_mut(&mut self) -> &mut D {
        &mut self.medium.disk
    }

    /// Gives the disk back. What was written and not flushed since is lost.
    pub fn into_disk(self) -> D {
        self.medium.disk
    }

    /// Gives back what files hold beside what they need.
    fn make_room(&mut self) -> Result<(), Errno> {
        for file in self.files.iter_mut().flatten() {
            file.make_room(&mut self.medium)?;
        }
        Ok(())
    }

    /// The handle's file, its position and its mode.
    fn open_file(&mut self, handle: Handle) -> Result<(&mut File, &mut Open), Errno> {
        let open = self.handles.get_mut(handle).ok_or(Errno::BAD_DESCRIPTOR)?;
        let file = open.file.ok_or(Errno::IS_DIRECTORY)?;
        match self.files.get_mut(file) {
            Some(Some(file)) => Ok((file, open)),
            _ => Err(Errno::BAD_DESCRIPTOR),
        }
    }

    /// The slot of the file at a place, opened unless it is open.
    fn slot(&mut self, entry: &crate::entry::Entry) -> Result<usize, Errno> {
        let is_it = |file: &Option<File>| file.as_ref().is_some_and(|f| f.place == entry.place);
        if let Some(at) = self.files.iter().position(is_it) {
            return Ok(at);
        }
        // There are as many slots as handles, and a file in one of them has a handle.
        let at = self.files.iter().position(Option::is_none).ok_or(Errno::TOO_MANY_OPEN_FILES)?;
        if let Some(slot) = self.files.get_mut(at) {
            *slot = Some(File::open(entry, &self.medium));
        }
        Ok(at)
    }

    fn open_target(&mut self, path: &[u8], mode: OpenMode) -> Result<Open, Errno> {
        let entry = match self.medium.resolve(path)? {
            Target::Directory if mode.write => return Err(Errno::IS_DIRECTORY),
            Target::Directory => return Ok(Open { file: None, position: 0, mode }),
            Target::File(entry) => entry,
            Target::Missing(..) if !mode.create => return Err(Errno::NOT_FOUND),
            Target::Missing(..) if path.ends_with(b"/") => return Err(Errno::IS_DIRECTORY),
            Target::Missing(..) if self.medium.read_only => return Err(Errno::READ_ONLY),
            Target::Missing(_, None) => return Err(Errno::INVALID_ARGUMENT),
            Target::Missing(directory, Some(name)) => {
                self.refuse_frozen()?;
                let place = self.medium.create(directory, &name)?;
                let content = crate::entry::Content::default();
                crate::entry::Entry { place, is_directory: false, content }
            }
        };
        if mode.write && self.medium.read_only {
            return Err(Errno::READ_ONLY);
        }
        if mode.truncate {
            self.refuse_frozen()?;
        }
        let at = self.slot(&entry)?;
        let Some(Some(file)) = self.files.get_mut(at) else { return Err(Errno::IO) };
        if mode.truncate && file.size() > 0 {
            let emptied = file.truncate(&mut self.medium);
            if emptied.is_err() && file.handles == 0 {
                self.files.get_mut(at).map(Option::take);
            }
            emptied?;
        }
        let Some(Some(file)) = self.files.get_mut(at) else { return Err(Errno::IO) };
        file.handles = file.handles.saturating_add(1);
        // As glibc has it: where only writing is possible, the position is known to be the end.
        let at_end = mode.append && !mode.read;
        let position = if at_end { u64::from(file.size()) } else { 0 };
        Ok(Open { file: Some(at), position, mode })
    }

    /// While the volume is frozen nothing is written, and it is as one that cannot be.
    fn refuse_frozen(&self) -> Result<(), Errno> {
        if self.frozen { Err(Errno::READ_ONLY) } else { Ok(()) }
    }
}

/// Why a volume cannot be used as it is.
enum Preparation {
    Damaged,
    Disk(Errno),
}

/// Goes over the volume and puts in order what a cut of power left.
fn prepare<D: Disk>(medium: &mut Medium<'_, D>) -> Result<(), Preparation> {
    let mut findings = medium.survey(Unused::Count).map_err(|_| Preparation::Damaged)?;
    let written = if medium.read_only { Ok(()) } else { mend(medium, &mut findings) };
    medium.table.free = findings.free;
    medium.unowned = findings.free.saturating_add(findings.unused);
    if let Some(first) = findings.first_free {
        medium.table.hint = first.saturating_sub(1);
    }
    written
        .and_then(|()| if medium.read_only { Ok(()) } else { medium.tell_count() })
        .map_err(Preparation::Disk)
}

fn mend<D: Disk>(
    medium: &mut Medium<'_, D>,
    findings: &mut crate::survey::Findings,
) -> Result<(), Errno> {
    medium.even_tables()?;
    if findings.unused > 0 {
        *findings = medium.survey(Unused::TakeBack)?;
        findings.unused = 0;
        medium.flush()?;
    }
    Ok(())
}

impl<D: Disk, const FILES: usize> Files for Volume<'_, D, FILES> {
    fn open(&mut self, path: &[u8], mode: OpenMode) -> Result<Handle, Errno> {
        if self.handles.is_full() {
            return Err(Errno::TOO_MANY_OPEN_FILES);
        }
        let open = self.open_target(path, mode)?;
        self.handles.insert(open)
    }

    fn is_open(&mut self, handle: Handle) -> bool {
        self.handles.get_mut(handle).is_some()
    }

    fn close(&mut self, handle: Handle) -> Result<(), Errno> {
        let at = self.handles.get_mut(handle).ok_or(Errno::BAD_DESCRIPTOR)?.file;
        if let Some(at) = at
            && let Some(slot) = self.files.get_mut(at)
            && let Some(file) = slot
        {
            if file.dirty && self.frozen {
                return Err(Errno::READ_ONLY);
            }
            file.publish(&mut self.medium)?;
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
        let (at, rest) = self.readable(handle)?;
        let count = rest.min(longest);
        let Ok(length) = u32::try_from(count) else { return Err(Errno::IO) };
        let (file, _) = Self::parts(&mut self.files, &mut self.handles, handle)?;
        if length > 0 {
            file.verify(&mut self.medium, at, length)?;
        }
        Ok(Extent { count, end: count < longest })
    }

    fn read(&mut self, handle: Handle, buffer: &mut [u8]) -> Result<usize, Errno> {
        let (at, rest) = self.readable(handle)?;
        if rest == 0 {
            return Ok(0);
        }
        let (file, open) = Self::parts(&mut self.files, &mut self.handles, handle)?;
        let count = file.read(&mut self.medium, at, buffer)?;
        open.position = open.position.saturating_add(u64::try_from(count).unwrap_or(0));
        Ok(count)
    }

    fn write(&mut self, handle: Handle, bytes: &[u8]) -> Result<usize, Errno> {
        self.refuse_frozen()?;
        let (file, open) = self.open_file(handle)?;
        if !open.mode.write {
            return Err(Errno::BAD_DESCRIPTOR);
        }
        let start = if open.mode.append { u64::from(file.size()) } else { open.position };
        if bytes.is_empty() {
            return Ok(0);
        }
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let end = start.saturating_add(length).min(LONGEST);
        let (Ok(at), Ok(end)) = (u32::try_from(start), u32::try_from(end)) else {
            return Err(Errno::FILE_TOO_LARGE);
        };
        if end == at {
            return Err(Errno::FILE_TOO_LARGE);
        }
        let (file, _) = Self::parts(&mut self.files, &mut self.handles, handle)?;
        let mut plan = file.plan(&self.medium, at, end);
        if !plan.ample {
            self.make_room()?;
            let (file, _) = Self::parts(&mut self.files, &mut self.handles, handle)?;
            plan = file.plan(&self.medium, at, end);
        }
        let (file, open) = Self::parts(&mut self.files, &mut self.handles, handle)?;
        let count = file.write(&mut self.medium, plan, at, bytes)?;
        open.position = start.saturating_add(u64::try_from(count).unwrap_or(0));
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
        let at = self.handles.get_mut(handle).ok_or(Errno::BAD_DESCRIPTOR)?.file;
        if let Some(Some(file)) = at.and_then(|at| self.files.get_mut(at)) {
            if file.dirty && self.frozen {
                return Err(Errno::READ_ONLY);
            }
            file.publish(&mut self.medium)?;
            self.medium.write_table()?;
        }
        Ok(())
    }
}

impl<D: Disk, const FILES: usize> Volume<'_, D, FILES> {
    /// The file and the handle, apart from the rest of the volume.
    fn parts<'v>(
        files: &'v mut [Option<File>; FILES],
        handles: &'v mut Handles<Open, FILES>,
        handle: Handle,
    ) -> Result<(&'v mut File, &'v mut Open), Errno> {
        let open = handles.get_mut(handle).ok_or(Errno::BAD_DESCRIPTOR)?;
        let file = open.file.ok_or(Errno::IS_DIRECTORY)?;
        match files.get_mut(file) {
            Some(Some(file)) => Ok((file, open)),
            _ => Err(Errno::BAD_DESCRIPTOR),
        }
    }

    /// The position of a handle that may be read, and how many bytes follow it.
    fn readable(&mut self, handle: Handle) -> Result<(u32, u64), Errno> {
        let (file, open) = self.open_file(handle)?;
        if !open.mode.read {
            return Err(Errno::BAD_DESCRIPTOR);
        }
        let rest = u64::from(file.size()).saturating_sub(open.position);
        let at = u32::try_from(open.position).map_err(|_| Errno::INVALID_ARGUMENT)?;
        Ok((at, rest))
    }
}

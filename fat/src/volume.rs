//! A mounted volume: what it is, and the files that are open.

use agent_core::{Errno, Handle, Handles, OpenMode};

use crate::disk::Disk;
use crate::entry::{Content, Entry};
use crate::file::File;
use crate::filesystem::Label;
use crate::medium::Medium;
use crate::name::Name;
use crate::path::Target;
use crate::time::Timestamp;

/// Whether a volume is what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It is.
    Sound,
    /// It is not: a chain is broken, or two files share one, or the disk could not be read. The
    /// volume can be read, as far as that goes, and is not written, so that nothing gets worse.
    Damaged,
}

/// A FAT volume, with up to `FILES` handles open at a time.
pub struct Volume<'s, D, const FILES: usize> {
    pub(crate) medium: Medium<'s, D>,
    pub(crate) files: [Option<File>; FILES],
    pub(crate) handles: Handles<Open, FILES>,
    pub(crate) label: Label<'s>,
    pub(crate) partition: Option<u8>,
    pub(crate) condition: Condition,
    pub(crate) frozen: bool,
}

/// What a handle is.
pub(crate) struct Open {
    /// Which file it is; none for a directory.
    pub(crate) file: Option<usize>,
    pub(crate) position: u64,
    pub(crate) mode: OpenMode,
}

/// A handle, its file, and the medium that the file is on.
pub(crate) struct Parts<'v, 's, D> {
    pub(crate) open: &'v mut Open,
    pub(crate) file: &'v mut File,
    pub(crate) medium: &'v mut Medium<'s, D>,
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

    /// Whether the volume is frozen. To write is refused then, as if it were read-only.
    pub fn is_frozen(&self) -> bool {
        self.frozen
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

    /// Gives the disk back. What was written since the last flush is lost.
    pub fn into_disk(self) -> D {
        self.medium.disk
    }

    /// # Errors
    ///
    /// [`Errno::READ_ONLY`] where nothing may be written, now or ever.
    pub(crate) fn check_writable(&self) -> Result<(), Errno> {
        if self.medium.read_only || self.frozen { Err(Errno::READ_ONLY) } else { Ok(()) }
    }

    /// Opens what a path leads to, or makes it.
    pub(crate) fn open_path(&mut self, path: &[u8], mode: OpenMode) -> Result<Open, Errno> {
        let entry = match self.medium.resolve(path)? {
            Target::Directory if mode.write => return Err(Errno::IS_DIRECTORY),
            Target::Directory => return Ok(Open { file: None, position: 0, mode }),
            Target::File(entry) => entry,
            Target::Missing(..) if !mode.create => return Err(Errno::NOT_FOUND),
            Target::Missing(..) if path.ends_with(b"/") => return Err(Errno::IS_DIRECTORY),
            Target::Missing(directory, name) => {
                self.check_writable()?;
                let name = Name::parse(name)?.ok_or(Errno::INVALID_ARGUMENT)?;
                let place = self.medium.create(directory, &name)?;
                Entry { place, is_directory: false, content: Content::default() }
            }
        };
        if mode.truncate {
            self.check_writable()?;
        }
        if mode.write && self.medium.read_only {
            return Err(Errno::READ_ONLY);
        }
        let at = self.slot(&entry)?;
        let Some(slot) = self.files.get_mut(at) else { return Err(Errno::IO) };
        let file = slot.get_or_insert_with(|| File::open(&entry, &self.medium));
        if mode.truncate && file.size() > 0 {
            let emptied = file.truncate(&mut self.medium);
            if emptied.is_err() && file.handles == 0 {
                *slot = None;
            }
            emptied?;
        }
        let file = slot.as_mut().ok_or(Errno::IO)?;
        file.handles = file.handles.saturating_add(1);
        // Also where it appends: as qemu-ga has it, the end is gone to with the first write.
        Ok(Open { file: Some(at), position: 0, mode })
    }

    /// Where the file of an entry is open, or can be.
    fn slot(&self, entry: &Entry) -> Result<usize, Errno> {
        let is_it =
            |file: &Option<File>| file.as_ref().is_some_and(|file| file.place == entry.place);
        let open = self.files.iter().position(is_it);
        // There are as many slots as handles, and a file in one of them has a handle.
        open.or_else(|| self.files.iter().position(Option::is_none))
            .ok_or(Errno::TOO_MANY_OPEN_FILES)
    }

    /// What takes part in the use of a handle.
    pub(crate) fn parts(&mut self, handle: Handle) -> Result<Parts<'_, 's, D>, Errno> {
        let open = self.handles.get_mut(handle).ok_or(Errno::BAD_DESCRIPTOR)?;
        let at = open.file.ok_or(Errno::IS_DIRECTORY)?;
        let slot = self.files.get_mut(at).ok_or(Errno::BAD_DESCRIPTOR)?;
        let file = slot.as_mut().ok_or(Errno::BAD_DESCRIPTOR)?;
        Ok(Parts { open, file, medium: &mut self.medium })
    }
}

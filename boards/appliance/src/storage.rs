//! The file system at `/`

use agent_core::{Clock, Files, Filesystem, Filesystems, FreezeError, Trim};
use machine::info;
use pc::{Devices, Drivers};
use ramfs::{Arena, RamFs};
use static_cell::ConstStaticCell;

use crate::disk::VirtioDisk;
use crate::disks::Disks;
use crate::mounted::Mounted;

/// Blocks of 512 bytes, and files and directories, in memory: 1 MiB of contents.
const RAM_BLOCKS: usize = 2048;
const RAM_NODES: usize = 256;

/// Files that the agent can have open at once.
pub(crate) const FILES: usize = 16;

/// Where files are.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one value, and no heap to put it on")]
pub(crate) enum Storage<'m> {
    /// On a disk.
    Disk(Mounted<'m>),
    /// In memory: they are gone with the guest.
    Ram(RamFs<'static, FILES>),
}

impl<'m> Storage<'m> {
    /// The first FAT volume of the disks, or else an empty file system in memory. To be called
    /// once. All disks are entered in `disks`.
    pub(crate) fn find(
        devices: &Devices<'m, 'm>,
        drivers: &mut Drivers,
        disks: &mut Disks,
    ) -> Self {
        static ARENA: ConstStaticCell<Arena<RAM_BLOCKS, RAM_NODES>> =
            ConstStaticCell::new(Arena::new());
        Mounted::find(devices, drivers, disks).map_or_else(
            || {
                info!("no FAT volume on a virtio disk: files are in memory");
                Self::Ram(RamFs::new(ARENA.take()))
            },
            Self::Disk,
        )
    }

    /// The files. What is written bears the time of `clock`, where it can.
    pub(crate) fn files(&mut self, clock: Option<&mut dyn Clock>) -> &mut dyn Files {
        match self {
            Self::Disk(mounted) => {
                if let Some(clock) = clock {
                    mounted.tell_time(clock);
                }
                mounted.files()
            }
            Self::Ram(files) => files,
        }
    }

    /// The disk, where files are on one.
    pub(crate) fn disk_mut(&mut self) -> Option<&mut VirtioDisk<'m>> {
        match self {
            Self::Disk(mounted) => Some(mounted.disk_mut()),
            Self::Ram(_) => None,
        }
    }

    fn filesystems(&mut self) -> &mut dyn Filesystems {
        match self {
            Self::Disk(filesystems) => filesystems,
            Self::Ram(filesystems) => filesystems,
        }
    }
}

impl Filesystems for Storage<'_> {
    fn list(&mut self, visit: &mut dyn FnMut(&Filesystem<'_>)) {
        self.filesystems().list(visit);
    }

    fn freeze(&mut self, selected: &mut dyn FnMut(&[u8]) -> bool) -> Result<u32, FreezeError> {
        self.filesystems().freeze(selected)
    }

    fn thaw(&mut self) -> Result<u32, FreezeError> {
        self.filesystems().thaw()
    }

    fn trim(&mut self, minimum: u64, visit: &mut dyn FnMut(&Trim<'_>)) {
        self.filesystems().trim(minimum, visit);
    }
}

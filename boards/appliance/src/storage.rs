//! The file system at `/`

use agent_core::{Files, Filesystem, Filesystems, FreezeError, Trim};
use ramfs::{Arena, RamFs};

/// Blocks of 512 bytes, and files and directories, in memory: 1 MiB of contents.
pub(crate) const RAM_BLOCKS: usize = 2048;
pub(crate) const RAM_NODES: usize = 256;

/// Files that the agent can have open at once.
const FILES: usize = 16;

/// Where files are.
#[derive(Debug)]
pub(crate) enum Storage {
    /// In memory: they are gone with the guest.
    Ram(RamFs<'static, FILES>),
}

impl Storage {
    /// An empty file system in memory.
    pub(crate) fn in_memory(arena: &'static mut Arena<RAM_BLOCKS, RAM_NODES>) -> Self {
        Self::Ram(RamFs::new(arena))
    }

    /// The files.
    pub(crate) fn files(&mut self) -> &mut dyn Files {
        match self {
            Self::Ram(files) => files,
        }
    }

    fn filesystems(&mut self) -> &mut dyn Filesystems {
        match self {
            Self::Ram(filesystems) => filesystems,
        }
    }
}

impl Filesystems for Storage {
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

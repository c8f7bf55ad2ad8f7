//! The capability to list memory blocks and to take them off and on line: sysfs.

use agent_core::{Memory, MemoryBlock, MemoryBlockError};
use rustix::io::Errno;

use super::{errno::words, kernel_files::KernelFiles};
use crate::log::Log;

/// Where there is a directory for each block, with a kernel that can take them off line.
const DIRECTORY: &str = "sys/devices/system/memory";

/// The memory blocks that the kernel knows.
#[derive(Debug)]
pub(super) struct MemoryBlocks {
    log: Log,
    dry_run: bool,
    files: KernelFiles,
}

impl MemoryBlocks {
    pub(super) const fn new(log: Log, dry_run: bool, files: KernelFiles) -> Self {
        Self { log, dry_run, files }
    }

    /// A file of a block; `None` where there is no such file.
    fn value(&self, index: u64, file: &str) -> Result<Option<String>, Errno> {
        match self.files.value(format!("{DIRECTORY}/memory{index}/{file}")) {
            Ok(value) => Ok(Some(value)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn block(&self, index: u64) -> Result<MemoryBlock, Errno> {
        let Some(state) = self.value(index, "state")? else {
            return Ok(MemoryBlock { index, online: true, can_offline: false });
        };
        let removable = self.value(index, "removable")?;
        let can_offline = removable.is_some_and(|removable| removable != "0");
        Ok(MemoryBlock { index, online: is_online(&state), can_offline })
    }

    fn switch(&self, index: u64, online: bool) -> Result<(), Errno> {
        if self.dry_run {
            self.log.note(format_args!("dry run: memory block {index} stays as it is"));
            return Ok(());
        }
        self.log.detail(format_args!("memory block {index}: online {online}"));
        let state = if online { "online" } else { "offline" };
        self.files.set(format!("{DIRECTORY}/memory{index}/state"), state)
    }
}

impl Memory for MemoryBlocks {
    fn block_bytes(&mut self) -> Result<u64, agent_core::Errno> {
        let text = self.files.value(format!("{DIRECTORY}/block_size_bytes")).map_err(words)?;
        // Hexadecimal, without a prefix (Linux, Documentation/ABI/testing/sysfs-devices-memory).
        u64::from_str_radix(&text, 16).map_err(|_| words(Errno::BADMSG))
    }

    /// In the order of the directory, as in qemu-ga's list.
    fn blocks(&mut self, visit: &mut dyn FnMut(&MemoryBlock)) -> Result<(), agent_core::Errno> {
        let names = match self.files.names(DIRECTORY) {
            // A kernel without hot-plugging of memory has no blocks.
            Err(Errno::NOENT) => return Ok(()),
            names => names.map_err(words)?,
        };
        for index in names.iter().filter_map(|name| name.strip_prefix("memory")?.parse().ok()) {
            visit(&self.block(index).map_err(words)?);
        }
        Ok(())
    }

    fn set_online(&mut self, index: u64, online: bool) -> Result<(), MemoryBlockError> {
        match self.files.names(DIRECTORY) {
            Err(Errno::NOENT) => return Err(MemoryBlockError::Unsupported),
            names => names.map_err(failed)?,
        };
        match self.files.names(format!("{DIRECTORY}/memory{index}")) {
            Err(Errno::NOENT) => return Err(MemoryBlockError::NotFound),
            names => names.map_err(failed)?,
        };
        match self.value(index, "state").map_err(failed)? {
            None if online => Ok(()),
            None => Err(MemoryBlockError::Unsupported),
            Some(state) if is_online(&state) == online => Ok(()),
            Some(_) => self.switch(index, online).map_err(failed),
        }
    }
}

/// A block may also be `going-offline`.
fn is_online(state: &str) -> bool {
    state.starts_with("online")
}

fn failed(error: Errno) -> MemoryBlockError {
    MemoryBlockError::Failed(error.raw_os_error().into())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use agent_core::Errno as Words;
    use tempfile::TempDir;

    use super::*;

    fn file(root: &Path, path: &str, contents: &str) {
        let path = root.join(DIRECTORY).join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    fn tree() -> TempDir {
        let root = TempDir::new().unwrap();
        file(root.path(), "block_size_bytes", "8000000\n");
        for (index, state, removable) in
            [(0, "online\n", "0\n"), (32, "online\n", "1\n"), (33, "offline\n", "1\n")]
        {
            file(root.path(), &format!("memory{index}/state"), state);
            file(root.path(), &format!("memory{index}/removable"), removable);
        }
        file(root.path(), "memory34/valid_zones", "none\n");
        file(root.path(), "memory35/state", "going-offline\n");
        file(root.path(), "power/control", "auto\n");
        root
    }

    fn memory(root: &TempDir, dry_run: bool) -> MemoryBlocks {
        MemoryBlocks::new(Log::default(), dry_run, KernelFiles::under(root.path()))
    }

    fn list(memory: &mut MemoryBlocks) -> Vec<(u64, bool, bool)> {
        let mut found = Vec::new();
        let listed = memory.blocks(&mut |block| {
            found.push((block.index, block.online, block.can_offline));
        });
        assert_eq!(listed, Ok(()));
        found.sort_unstable();
        found
    }

    #[test]
    fn blocks_are_listed() {
        let root = tree();
        let mut memory = memory(&root, false);
        assert_eq!(memory.block_bytes(), Ok(128 * 1024 * 1024));
        assert_eq!(
            list(&mut memory),
            [
                (0, true, false),
                (32, true, true),
                (33, false, true),
                (34, true, false),
                (35, false, false),
            ]
        );
    }

    #[test]
    fn blocks_go_off_and_on_line() {
        let root = tree();
        let mut memory = memory(&root, false);
        assert_eq!(memory.set_online(32, false), Ok(()));
        assert_eq!(memory.set_online(33, true), Ok(()));
        assert_eq!(list(&mut memory)[1..3], [(32, false, true), (33, true, true)]);
        assert_eq!(memory.set_online(33, true), Ok(()));
        assert_eq!(memory.set_online(34, true), Ok(()));
        assert_eq!(memory.set_online(34, false), Err(MemoryBlockError::Unsupported));
        assert_eq!(memory.set_online(36, false), Err(MemoryBlockError::NotFound));
        assert_eq!(memory.set_online(u64::MAX, true), Err(MemoryBlockError::NotFound));
        file(root.path(), "memory40", "");
        let not_a_directory = i64::from(Errno::NOTDIR.raw_os_error());
        assert_eq!(memory.set_online(40, true), Err(MemoryBlockError::Failed(not_a_directory)));
    }

    #[test]
    fn blocks_stay_as_they_are_in_a_dry_run() {
        let root = tree();
        let mut memory = memory(&root, true);
        let before = list(&mut memory);
        assert_eq!(memory.set_online(32, false), Ok(()));
        assert_eq!(list(&mut memory), before);
    }

    #[test]
    fn a_kernel_without_blocks() {
        let root = TempDir::new().unwrap();
        let mut memory = memory(&root, false);
        assert_eq!(list(&mut memory), []);
        assert_eq!(memory.block_bytes(), Err(Words("No such file or directory")));
        assert_eq!(memory.set_online(0, false), Err(MemoryBlockError::Unsupported));
        file(root.path(), "block_size_bytes", "much\n");
        assert_eq!(memory.block_bytes(), Err(Words("Bad message")));
    }
}

//! The capability to list, freeze and trim: one file system, with no disk beneath it.

use agent_core::{Filesystem, Filesystems, FreezeError, Trim, TrimError};

use crate::{blocks::BLOCK_SIZE, fs::RamFs};

const MOUNTPOINT: &str = "/";

/// There is nothing to flush, but a snapshot of the guest's memory deserves files that nobody is
/// half way through writing: while frozen, neither the agent nor the application can write.
/// An application's hooks are the board's affair.
impl<const HANDLES: usize> Filesystems for RamFs<'_, HANDLES> {
    fn list(&mut self, visit: &mut dyn FnMut(&Filesystem<'_>)) {
        let bytes = |blocks: u32| u64::from(blocks).saturating_mul(BLOCK_SIZE as u64);
        let (free, total) = (self.blocks.free(), self.blocks.total());
        visit(&Filesystem {
            name: "ram",
            mountpoint: MOUNTPOINT,
            r#type: "ram",
            used_bytes: Some(bytes(total.saturating_sub(free))),
            total_bytes: Some(bytes(total)),
            disks: &[],
        });
    }

    fn freeze(&mut self, selected: &mut dyn FnMut(&[u8]) -> bool) -> Result<u32, FreezeError> {
        let freezes = !self.frozen && selected(MOUNTPOINT.as_bytes());
        self.frozen |= freezes;
        Ok(freezes.into())
    }

    fn thaw(&mut self) -> Result<u32, FreezeError> {
        Ok(core::mem::take(&mut self.frozen).into())
    }

    fn trim(&mut self, _minimum: u64, visit: &mut dyn FnMut(&Trim<'_>)) {
        visit(&Trim { path: MOUNTPOINT, outcome: Err(TrimError::Unsupported) });
    }
}

#[cfg(test)]
mod tests {
    use agent_core::{Errno, Files, OpenMode};

    use super::*;
    use crate::fs::Arena;

    #[test]
    fn usage() {
        let mut arena: Arena<8, 4> = Arena::new();
        let mut fs: RamFs<'_> = RamFs::new(&mut arena);
        let mut check = |length: usize, expected: u64| {
            fs.write_file(b"f", &vec![1; length]).unwrap();
            let mut shown = Vec::new();
            fs.list(&mut |entry| {
                shown.push((entry.used_bytes, entry.total_bytes));
                assert_eq!((entry.name, entry.mountpoint, entry.r#type), ("ram", "/", "ram"));
                assert!(entry.disks.is_empty());
            });
            assert_eq!(shown, [(Some(expected), Some(4096))], "{length}");
        };
        check(0, 0);
        check(1, 512);
        check(4096, 4096);
        check(513, 1024);
    }

    #[test]
    fn frozen_files_are_read_but_not_written() {
        let mut arena: Arena<8, 4> = Arena::new();
        let mut fs: RamFs<'_> = RamFs::new(&mut arena);
        fs.write_file(b"f", b"text").unwrap();
        let mode = |mode: &[u8]| OpenMode::parse(mode).unwrap();
        let handle = fs.open(b"f", mode(b"r+")).unwrap();

        assert_eq!(fs.freeze(&mut |path| path != b"/"), Ok(0));
        assert!(!fs.is_frozen());
        assert_eq!(fs.freeze(&mut |path| path == b"/"), Ok(1));
        assert_eq!(fs.freeze(&mut |_| true), Ok(0));
        assert!(fs.is_frozen());
        assert_eq!(fs.write(handle, b"x"), Err(Errno::READ_ONLY));
        assert_eq!(fs.open(b"f", mode(b"w")), Err(Errno::READ_ONLY));
        assert_eq!(fs.open(b"g", mode(b"a")), Err(Errno::READ_ONLY));
        let mut text = [0; 4];
        assert_eq!(fs.read(handle, &mut text), Ok(4));
        assert_eq!(&text, b"text");

        assert_eq!(fs.thaw(), Ok(1));
        assert_eq!(fs.thaw(), Ok(0));
        assert_eq!(fs.write(handle, b"x"), Ok(1));
    }

    #[test]
    fn nothing_to_trim() {
        let mut arena: Arena<8, 4> = Arena::new();
        let mut fs: RamFs<'_> = RamFs::new(&mut arena);
        let mut shown = Vec::new();
        fs.trim(0, &mut |trim| shown.push((trim.path.to_owned(), trim.outcome)));
        assert_eq!(shown, [("/".to_owned(), Err(TrimError::Unsupported))]);
    }
}

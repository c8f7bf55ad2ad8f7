//! Images of volumes: made by mkfs.fat, filled and read by mtools, checked by fsck.fat.
//!
//! The tests need Debian's packages `dosfstools` and `mtools`, and say so where they are missing.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// What mkfs.fat is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    pub(crate) kib: u64,
    pub(crate) arguments: &'static [&'static str],
}

/// The least FAT16 volume: clusters of one sector, 512 entries in the root directory.
pub(crate) const FAT16: Format = Format { kib: 2200, arguments: &["-F", "16", "-s", "1"] };
/// A small volume with 32-bit fields.
pub(crate) const FAT32: Format = Format { kib: 1024, arguments: &["-F", "32", "-s", "1"] };
/// One with clusters of 2 KiB.
pub(crate) const FAT32_LARGE: Format = Format { kib: 4096, arguments: &["-F", "32", "-s", "4"] };

/// An image in a file of a directory of its own.
pub(crate) struct Image {
    _directory: TempDir,
    pub(crate) path: PathBuf,
}

impl Image {
    /// An image with these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        // In memory where that can be had: thousands of images are written.
        let memory = std::path::Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let directory = tempfile::tempdir_in(place).unwrap();
        let path = directory.path().join("disk");
        fs::write(&path, bytes).unwrap();
        Self { _directory: directory, path }
    }

    /// A new, empty volume.
    pub(crate) fn new(format: Format) -> Self {
        let image = Self::of(&[]);
        fs::File::options()
            .write(true)
            .open(&image.path)
            .unwrap()
            .set_len(format.kib * 1024)
            .unwrap();
        image.mkfs(format.arguments);
        image
    }

    /// Makes a volume in it.
    pub(crate) fn mkfs(&self, arguments: &[&str]) {
        let output = run("mkfs.fat", Command::new("mkfs.fat").args(arguments).arg(&self.path), b"");
        assert!(output.status.success(), "mkfs.fat: {output:?}");
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap()
    }

    /// Writes a file with mtools; `path` is such as `/sub/file`.
    pub(crate) fn put(&self, path: &str, content: &[u8]) {
        let output = self.mtool("mcopy", &["-", &format!("::{path}")], content);
        assert!(output.status.success(), "mcopy to {path}: {output:?}");
    }

    /// Makes the directory `/sub` in a new FAT32 volume that has too few clusters for mtools to take
    /// it for one.
    pub(crate) fn mkdir_small_fat32(&self) {
        let mut bytes = self.bytes();
        let number = |at: usize, width: usize| {
            bytes[at..at + width].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
        };
        let (reserved, table) = (number(14, 2), number(36, 4));
        let (cluster, free) = (number(13, 1) * 512, number(512 + 488, 4));
        let root = (reserved + 2 * table) * 512;
        let mut entry = *b"SUB        \x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x03\0\0\0\0\0";
        bytes[root..root + 32].copy_from_slice(&entry);
        entry[..3].copy_from_slice(b".  ");
        bytes[root + cluster..][..32].copy_from_slice(&entry);
        entry[1] = b'.';
        entry[26] = 0;
        bytes[root + cluster + 32..][..32].copy_from_slice(&entry);
        for copy in 0..2 {
            let at = (reserved + copy * table) * 512 + 12;
            bytes[at..at + 4].copy_from_slice(&0x0FFF_FFFF_u32.to_le_bytes());
        }
        bytes[1000..1004].copy_from_slice(&u32::try_from(free - 1).unwrap().to_le_bytes());
        fs::write(&self.path, bytes).unwrap();
        assert!(self.check().is_clean());
    }

    /// Makes a directory with mtools.
    pub(crate) fn mkdir(&self, path: &str) {
        let output = self.mtool("mmd", &[&format!("::{path}")], b"");
        assert!(output.status.success(), "mmd {path}: {output:?}");
    }

    /// Deletes a file with mtools.
    pub(crate) fn delete(&self, path: &str) {
        let output = self.mtool("mdel", &[&format!("::{path}")], b"");
        assert!(output.status.success(), "mdel {path}: {output:?}");
    }

    /// Reads a file with mtools.
    pub(crate) fn get(&self, path: &str) -> Option<Vec<u8>> {
        let output = self.mtool("mcopy", &[&format!("::{path}"), "-"], b"");
        output.status.success().then_some(output.stdout)
    }

    fn mtool(&self, program: &str, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = Command::new(program);
        command.args(["-i", self.path.to_str().unwrap(), "-o"]).args(arguments);
        command.env("MTOOLS_SKIP_CHECK", "1").env("LC_ALL", "C.UTF-8");
        if matches!(program, "mmd" | "mdel") {
            command = Command::new(program);
            command.args(["-i", self.path.to_str().unwrap()]).args(arguments);
            command.env("MTOOLS_SKIP_CHECK", "1").env("LC_ALL", "C.UTF-8");
        }
        run(program, &mut command, input)
    }

    /// Checks it with fsck.fat, without changing it.
    pub(crate) fn check(&self) -> Report {
        let output = run("fsck.fat", Command::new("fsck.fat").arg("-n").arg(&self.path), b"");
        Report::parse(&String::from_utf8_lossy(&output.stdout), output.status.success())
    }
}

fn run(program: &str, command: &mut Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| {
        panic!("{program}: {error}; these tests need it: apt-get install dosfstools mtools")
    });
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input).unwrap();
    child.wait_with_output().unwrap()
}

/// What fsck.fat found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// Clusters that no file uses.
    pub(crate) unused: bool,
    /// The two copies of the table differ.
    pub(crate) tables_differ: bool,
    /// The count of free clusters says that it is not known.
    pub(crate) count_unknown: bool,
    /// Everything else.
    pub(crate) damage: Vec<String>,
}

impl Report {
    fn parse(output: &str, success: bool) -> Self {
        let mut report =
            Self { unused: false, tables_differ: false, count_unknown: false, damage: Vec::new() };
        for line in output.lines() {
            match line.trim() {
                line if line.starts_with("fsck.fat 4") || line.ends_with(" clusters") => {}
                "" | "Leaving filesystem unchanged." | "Using first FAT." => {}
                "FATs differ but appear to be intact." => report.tables_differ = true,
                line if line.starts_with("Reclaimed ") => report.unused = true,
                line if line.starts_with("Free cluster summary uninitialized") => {
                    report.count_unknown = true;
                }
                line => report.damage.push(line.to_owned()),
            }
        }
        if !success && !report.unused && !report.tables_differ && report.damage.is_empty() {
            report.damage.push(format!("fsck.fat failed: {output}"));
        }
        report
    }

    /// fsck.fat found nothing at all.
    pub(crate) fn is_clean(&self) -> bool {
        !self.unused && !self.tables_differ && !self.count_unknown && self.damage.is_empty()
    }
}

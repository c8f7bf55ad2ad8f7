//! Disks for guests: raw files with FAT volumes that the host makes, reads and checks.
//!
//! mkfs.fat and fsck.fat (Debian's dosfstools) and mtools are second readings of the format, as
//! this crate is of the protocol.

use core::fmt;
use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

/// The programs that this file runs.
pub const PROGRAMS: [&str; 4] = ["mkfs.fat", "fsck.fat", "mcopy", "mmd"];

const SECTOR: u64 = 512;
const MIB: u64 = 1024 * 1024;

/// How a volume is made, and on how large a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// The size of the disk.
    pub mib: u32,
    /// 16 or 32: which FAT.
    pub fat_bits: u8,
    /// Sectors of a cluster; decides, with the size, whether there may be that many.
    pub cluster_sectors: u32,
    /// The sector of the only partition; 0 for a volume that has the whole disk.
    pub first_sector: u32,
}

impl Format {
    /// FAT16 on the whole disk.
    pub const FAT16: Self = Self { mib: 16, fat_bits: 16, cluster_sectors: 4, first_sector: 0 };
    /// FAT32 on the whole disk.
    pub const FAT32: Self = Self { mib: 64, fat_bits: 32, cluster_sectors: 1, first_sector: 0 };
    /// FAT32 in the first partition of an MBR, where partitioning programs put it.
    pub const PARTITIONED: Self = Self { first_sector: 2048, ..Self::FAT32 };

    /// The same on a disk of another size.
    #[must_use]
    pub const fn mib(mut self, mib: u32) -> Self {
        self.mib = mib;
        self
    }

    /// The same with clusters of another size.
    #[must_use]
    pub const fn cluster_sectors(mut self, cluster_sectors: u32) -> Self {
        self.cluster_sectors = cluster_sectors;
        self
    }
}

/// A raw disk image, which is removed when dropped.
#[derive(Debug)]
pub struct Disk {
    directory: TempDir,
    first_sector: u32,
}

impl Disk {
    /// A disk of zeros.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn blank(mib: u32) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("tinyqga-disk-").tempdir()?;
        let disk = Self { directory, first_sector: 0 };
        File::create(disk.path())?.set_len(u64::from(mib) * MIB)?;
        Ok(disk)
    }

    /// A disk with an empty FAT volume.
    ///
    /// # Errors
    ///
    /// mkfs.fat is missing, or refuses.
    pub fn formatted(format: Format) -> Result<Self> {
        let mut disk = Self::blank(format.mib)?;
        disk.first_sector = format.first_sector;
        let sectors = u64::from(format.mib) * MIB / SECTOR - u64::from(format.first_sector);
        if format.first_sector != 0 {
            disk.write_partition_table(format, u32::try_from(sectors)?)?;
        }
        let kib = sectors * SECTOR / 1024;
        run(
            "mkfs.fat",
            [
                "-F",
                &format.fat_bits.to_string(),
                "-s",
                &format.cluster_sectors.to_string(),
                "--offset",
                &format.first_sector.to_string(),
                &disk.path().display().to_string(),
                &kib.to_string(),
            ],
            b"",
        )?;
        Ok(disk)
    }

    /// An MBR with one partition (the layout is that of the IBM PC's DOS 2 and later).
    fn write_partition_table(&self, format: Format, sectors: u32) -> Result<()> {
        const ENTRY: usize = 446;
        const SIGNATURE: usize = 510;
        /// FAT16 and FAT32, addressed by sector numbers.
        const KINDS: [u8; 2] = [0x0e, 0x0c];
        let kind = if format.fat_bits == 16 { KINDS[0] } else { KINDS[1] };
        // Cylinders, heads and sectors that are out of range say: look at the sector numbers.
        let mut entry = vec![0, 0xfe, 0xff, 0xff, kind, 0xfe, 0xff, 0xff];
        entry.extend(format.first_sector.to_le_bytes());
        entry.extend(sectors.to_le_bytes());
        let file = self.open()?;
        file.write_all_at(&entry, ENTRY as u64)?;
        Ok(file.write_all_at(&[0x55, 0xaa], SIGNATURE as u64)?)
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("disk")
    }

    /// What is on the disk now, as a disk of its own: a backup, taken while a guest runs.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn copy(&self) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("tinyqga-disk-").tempdir()?;
        let copy = Self { directory, first_sector: self.first_sector };
        fs::copy(self.path(), copy.path())?;
        Ok(copy)
    }

    /// How many bytes the file takes on the host, which is less than its size where it has holes.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn bytes_on_host(&self) -> Result<u64> {
        Ok(fs::metadata(self.path())?.blocks() * SECTOR)
    }

    /// Reads the raw disk.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn read(&self) -> Result<Vec<u8>> {
        Ok(fs::read(self.path())?)
    }

    /// Writes over the raw disk.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn overwrite(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        Ok(self.open()?.write_all_at(bytes, offset)?)
    }

    fn open(&self) -> Result<File> {
        Ok(File::options().read(true).write(true).open(self.path())?)
    }

    /// Puts a file into the volume, in the place of one with its name.
    ///
    /// # Errors
    ///
    /// mtools cannot.
    pub fn put(&self, path: &str, contents: &[u8]) -> Result<()> {
        let target = format!("::{path}");
        run("mcopy", ["-o", "-i", &self.volume(), "-", &target], contents).map(|_| ())
    }

    /// Makes a directory in the volume.
    ///
    /// # Errors
    ///
    /// mtools cannot.
    pub fn make_directory(&self, path: &str) -> Result<()> {
        run("mmd", ["-i", &self.volume(), &format!("::{path}")], b"").map(|_| ())
    }

    /// The contents of a file in the volume.
    ///
    /// # Errors
    ///
    /// There is none, or mtools cannot read it.
    pub fn get(&self, path: &str) -> Result<Vec<u8>> {
        run("mcopy", ["-i", &self.volume(), &format!("::{path}"), "-"], b"")
    }

    /// [`Disk::get`], or `None` where there is no such file.
    ///
    /// # Errors
    ///
    /// mtools cannot read it.
    pub fn get_if_there(&self, path: &str) -> Result<Option<Vec<u8>>> {
        match self.get(path) {
            Ok(contents) => Ok(Some(contents)),
            Err(error) if format!("{error:#}").contains("not found") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The volume as mtools take it.
    fn volume(&self) -> String {
        format!("{}@@{}", self.path().display(), u64::from(self.first_sector) * SECTOR)
    }

    /// What fsck.fat has to say about the volume, which it does not change.
    ///
    /// # Errors
    ///
    /// fsck.fat is missing.
    pub fn check(&self) -> Result<Findings> {
        let mut path = self.path();
        if self.first_sector != 0 {
            // fsck.fat knows nothing of partitions.
            let volume = self.read()?.split_off(usize::try_from(self.first_sector)? * 512);
            path = self.directory.path().join("volume");
            fs::write(&path, volume)?;
        }
        let output = start("fsck.fat", [OsStr::new("-n"), path.as_os_str()], b"")?;
        let mut findings = Findings::of(&String::from_utf8_lossy(&output.stdout));
        if !output.status.success() && findings == Findings::default() {
            findings.damage.push(format!("fsck.fat: {output:?}"));
        }
        Ok(findings)
    }

    /// Demands that fsck.fat finds nothing.
    ///
    /// # Errors
    ///
    /// It finds something.
    pub fn expect_clean(&self) -> Result<()> {
        let findings = self.check()?;
        ensure!(findings == Findings::default(), "fsck.fat finds {findings}");
        Ok(())
    }
}

/// What fsck.fat finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Clusters that no file uses are marked as used.
    pub lost_clusters: bool,
    /// What a cut of power leaves where nothing is in use: how many clusters are free is not
    /// known, or the copies of the table differ while both are sound.
    pub loose_ends: Vec<String>,
    /// Everything else.
    pub damage: Vec<String>,
}

impl Findings {
    fn of(text: &str) -> Self {
        let mut findings = Self::default();
        for line in text.lines().map(str::trim) {
            let begins = |starts: &[&str]| starts.iter().any(|start| line.starts_with(start));
            let is_the_usual = line.is_empty() || line.ends_with(" clusters");
            if line.starts_with("Reclaimed ") {
                findings.lost_clusters = true;
            } else if begins(&[
                "FATs differ but appear to be intact",
                "Free cluster summary uninit",
            ]) {
                findings.loose_ends.push(line.to_owned());
            } else if !is_the_usual
                && !begins(&["fsck.fat 4", "Leaving filesystem", "Using first FAT", "Auto-correct"])
            {
                findings.damage.push(line.to_owned());
            }
        }
        findings
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost = self.lost_clusters.then_some("clusters that no file uses");
        let all = lost.into_iter().chain(self.loose_ends.iter().map(String::as_str));
        let all: Vec<&str> = all.chain(self.damage.iter().map(String::as_str)).collect();
        f.write_str(&all.join("; "))
    }
}

/// A disk of a machine: the file and how QEMU is to use it.
#[derive(Clone, Debug)]
pub struct Drive {
    path: PathBuf,
    read_only: bool,
    discard: bool,
    write_cache: bool,
    failing: Option<Failing>,
}

/// Requests of a drive that fail with EIO, as QEMU's blkdebug filter makes them.
#[derive(Clone, Copy, Debug)]
pub struct Failing {
    /// Which: `read`, `write`, `flush` or `discard`.
    pub requests: &'static str,
    /// Only where they include this sector.
    pub sector: Option<u64>,
}

impl Drive {
    /// `disk` as a drive that is written back, and does not take discards.
    pub fn of(disk: &Disk) -> Self {
        Self {
            path: disk.path(),
            read_only: false,
            discard: false,
            write_cache: true,
            failing: None,
        }
    }

    /// The guest may not write.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// The guest can discard sectors, and the host forgets them (`discard=unmap`).
    #[must_use]
    pub fn discard(mut self) -> Self {
        self.discard = true;
        self
    }

    /// Every write is on the disk when it is answered; the guest is not asked to flush.
    #[must_use]
    pub fn write_through(mut self) -> Self {
        self.write_cache = false;
        self
    }

    /// Some requests fail.
    #[must_use]
    pub fn failing(mut self, failing: Failing) -> Self {
        self.failing = Some(failing);
        self
    }

    /// QEMU's arguments for it as number `index`, on the bus of `device`, a virtio-blk model.
    pub(crate) fn arguments(&self, device: &str, index: usize) -> [String; 4] {
        let switch = |on: bool| if on { "on" } else { "off" };
        let mut node = serde_json::json!({
            "driver": "file",
            "filename": self.path,
            "read-only": self.read_only,
            "discard": if self.discard { "unmap" } else { "ignore" },
        });
        if let Some(Failing { requests, sector }) = self.failing {
            let mut rule = serde_json::json!({"event": "none", "iotype": requests, "errno": 5});
            if let Some(sector) = sector {
                rule["sector"] = sector.into();
            }
            node = serde_json::json!({
                "driver": "blkdebug",
                "image": node,
                "inject-error": [rule],
                "read-only": self.read_only,
                "discard": if self.discard { "unmap" } else { "ignore" },
            });
        }
        let node = serde_json::json!({
            "driver": "raw",
            "node-name": format!("disk{index}"),
            "file": node,
            "read-only": self.read_only,
            "discard": if self.discard { "unmap" } else { "ignore" },
        });
        let device = format!(
            "{device},id=drive{index},drive=disk{index},serial=tinyqga-{index},discard={},write-cache={}",
            switch(self.discard),
            switch(self.write_cache),
        );
        ["-blockdev".to_owned(), node.to_string(), "-device".to_owned(), device]
    }
}

/// Runs a program that must succeed, and gives what it prints.
fn run<S: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = S>,
    input: &[u8],
) -> Result<Vec<u8>> {
    let output = start(program, arguments, input)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{program}: {}", said.trim());
    }
    Ok(output.stdout)
}

fn start<S: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = S>,
    input: &[u8],
) -> Result<Output> {
    // Debian keeps what makes and checks file systems where only root looks.
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    let mut child = Command::new(program)
        .args(arguments)
        .env("PATH", env::join_paths(path)?)
        .env("LC_ALL", "C.UTF-8")
        // The geometry of a floppy is not asked of a disk.
        .env("MTOOLS_SKIP_CHECK", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{program}; `cargo xtask test` installs it, or tells how"))?;
    // Taken, so that it is closed. All of these read their input before they write.
    let written = child.stdin.take().context("no pipe")?.write_all(input);
    let output = child.wait_with_output()?;
    if output.status.success() {
        written.with_context(|| program.to_owned())?;
    }
    Ok(output)
}

/// Whether every program of [`PROGRAMS`] is there.
pub fn are_tools_installed() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let places: Vec<PathBuf> =
        env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from)).collect();
    PROGRAMS.iter().all(|name| places.iter().any(|place| Path::is_file(&place.join(name))))
}

#[cfg(test)]
mod tests {
    use super::{Disk, Findings, Format};

    #[test]
    fn files_go_in_and_out() {
        for format in [Format::FAT16, Format::FAT32, Format::PARTITIONED] {
            let disk = Disk::formatted(format).unwrap();
            disk.make_directory("etc").unwrap();
            disk.put("etc/A long name.conf", b"contents").unwrap();
            disk.expect_clean().unwrap();
            let copy = disk.copy().unwrap();
            assert_eq!(copy.get("etc/A long name.conf").unwrap(), b"contents", "{format:?}");
            assert_eq!(copy.get_if_there("etc/other").unwrap(), None, "{format:?}");
        }
    }

    #[test]
    fn lost_clusters_are_told_from_damage() {
        let disk = Disk::formatted(Format::FAT16).unwrap();
        // mkfs.fat reserves four sectors for clusters of that size.
        let image = disk.read().unwrap();
        let reserved = u64::from(u16::from_le_bytes([image[14], image[15]])) * 512;
        let table_bytes = u64::from(u16::from_le_bytes([image[22], image[23]])) * 512;
        for table in [reserved, reserved + table_bytes] {
            disk.overwrite(table + 2 * 100, &[0xff, 0xff]).unwrap();
        }
        let lost = Findings { lost_clusters: true, ..Findings::default() };
        assert_eq!(disk.check().unwrap(), lost);
        disk.overwrite(reserved + 2 * 200, &[7]).unwrap();
        assert_ne!(disk.check().unwrap(), lost);
    }
}

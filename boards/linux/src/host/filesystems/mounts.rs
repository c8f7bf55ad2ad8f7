//! What is mounted where: `/proc/self/mountinfo` (proc(5)).

use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, major, minor, open};
use rustix::io::Errno;

/// Where the kernel tells it.
pub(super) const TABLE: &str = "/proc/self/mountinfo";

/// A file system on a block device, mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) point: PathBuf,
    pub(super) r#type: String,
    /// Numbers of the device.
    pub(super) major: u32,
    pub(super) minor: u32,
}

impl Mount {
    /// Opens the mount point, for an ioctl.
    pub(super) fn open(&self) -> Result<OwnedFd, Errno> {
        open(&self.point, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
    }
}

/// The file systems on block devices, in the order in which they were mounted. Those without a
/// device are not file systems of a disk, though btrfs has one and does not say so.
pub(super) fn read() -> Result<Vec<Mount>, Errno> {
    let table =
        fs::read(TABLE).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(table.split(|&byte| byte == b'\n').filter_map(|line| parse(line, device_of)).collect())
}

/// Reads a line; `device_of` tells the device behind a path.
fn parse(line: &[u8], device_of: impl FnOnce(&Path) -> Option<(u32, u32)>) -> Option<Mount> {
    // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    let mut fields = line.split(|&byte| byte == b' ');
    let device = fields.nth(2)?;
    let point = fields.nth(1)?;
    let mut fields = fields.skip_while(|field| field != b"-").skip(1);
    let r#type = fields.next()?;
    let source = fields.next()?;

    let (major, minor) = core::str::from_utf8(device).ok()?.split_once(':')?;
    let (major, minor) = match (major.parse().ok()?, minor.parse().ok()?) {
        (0, _) if r#type == b"btrfs" => device_of(&unescape(source))?,
        (0, _) => return None,
        device => device,
    };
    let r#type = String::from_utf8_lossy(r#type).into_owned();
    Some(Mount { point: unescape(point), r#type, major, minor })
}

/// Blank, tab, line feed and backslash are written in octal.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, behind @ ..] = rest {
        rest = behind;
        match rest {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', behind @ ..] if *first == b'\\' => {
                bytes.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                rest = behind;
            }
            _ => bytes.push(*first),
        }
    }
    OsStr::from_bytes(&bytes).into()
}

/// The numbers of a block device.
fn device_of(path: &Path) -> Option<(u32, u32)> {
    let metadata = fs::metadata(path).ok()?;
    let is_block = FileType::from_raw_mode(metadata.mode()) == FileType::BlockDevice;
    is_block.then(|| (major(metadata.rdev()), minor(metadata.rdev())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<(&str, &str, u32, u32)>) {
        let device_of = |path: &Path| (path == Path::new("/dev/sd a")).then_some((8, 16));
        let found = parse(line.as_bytes(), device_of);
        let expected = expected.map(|(point, r#type, major, minor)| Mount {
            point: point.into(),
            r#type: r#type.to_owned(),
            major,
            minor,
        });
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn lines() {
        let root = Some(("/", "ext4", 254, 0));
        check("27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard", root);
        check("27 1 254:0 / / rw shared:1 master:2 - ext4 /dev/vda rw", root);
        check(
            r"36 27 8:17 /sub /mnt/a\040b\134c\011 ro - vfat /dev/sdb1 ro",
            Some(("/mnt/a b\\c\t", "vfat", 8, 17)),
        );
        check(
            r"36 27 8:1 / /a\0x\\\777 ro - vfat /dev/sda1 ro",
            Some((r"/a\0x\\\777", "vfat", 8, 1)),
        );
        check(r"40 27 0:50 / /data rw - btrfs /dev/sd\040a rw", Some(("/data", "btrfs", 8, 16)));
        check("40 27 0:50 / /data rw - btrfs /dev/gone rw", None);
    }

    #[test]
    fn what_is_not_on_a_disk() {
        for line in [
            "",
            "22 27 0:21 / /proc rw,relatime - proc proc rw",
            "25 24 0:23 / /dev/shm rw - tmpfs tmpfs rw",
            "41 27 0:40 / /net rw - nfs4 server:/x rw",
            "27 1 254:0 / / rw,relatime",
            "27 1 254:0 / / rw -",
            "27 1 254:0 / / rw - ext4",
            "27 1 254 / / rw - ext4 /dev/vda rw",
            "27 1 a:b / / rw - ext4 /dev/vda rw",
        ] {
            check(line, None);
        }
    }

    #[test]
    fn this_machine_has_mounts_on_disks_only() {
        assert!(read().unwrap().iter().all(|mount| mount.major != 0 && mount.point.is_absolute()));
    }
}

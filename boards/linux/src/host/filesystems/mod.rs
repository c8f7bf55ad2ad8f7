//! The capability to list, freeze and trim file systems: those on disks, by the kernel's ioctls.
//!
//! A file system that is frozen blocks whoever writes to it, for ever, and so must not be the one
//! that this process logs to: while one is frozen nothing is logged.

mod mounts;

use std::os::fd::AsFd;

use agent_core::{Filesystem, Filesystems, FreezeError, Trim, TrimError, Trimmed};
use linux_raw_sys::ioctl::{FIFREEZE, FITHAW, FITRIM};
use rustix::fs::statvfs;
use rustix::io::Errno;
use rustix::ioctl::{NoArg, Updater, ioctl};

use self::mounts::Mount;
use super::{
    Host,
    disks::attachment::{Attachment, Sysfs},
    errno::words,
};
use crate::log::Log;

/// How often a file system is thawed, at most: as often as it was frozen. The kernel counts.
const THAWS: usize = 1000;

/// The file systems of this machine.
#[derive(Debug)]
pub(super) struct Mounted {
    log: Log,
    dry_run: bool,
    sysfs: Sysfs,
    /// What a dry run has not frozen.
    spared: u32,
    /// Mount points that errors have named: what is in an error lives for ever.
    named: Vec<&'static str>,
}

impl Mounted {
    pub(super) fn new(log: Log, dry_run: bool) -> Self {
        Self { log, dry_run, sysfs: Sysfs::default(), spared: 0, named: Vec::new() }
    }

    /// What is mounted; where that cannot be known, the empty list and a line in the log.
    fn mounts(&self) -> Vec<Mount> {
        mounts::read().unwrap_or_else(|error| {
            self.log.note(format_args!("cannot read {}: {error}", mounts::TABLE));
            Vec::new()
        })
    }

    fn show(&self, mount: &Mount, visit: &mut dyn FnMut(&Filesystem<'_>)) {
        let (name, disks) = self.sysfs.device(mount.major, mount.minor);
        let disks: Vec<_> = disks.iter().map(Attachment::address).collect();
        let sizes = statvfs(&mount.point).ok();
        let bytes = |blocks: fn(&rustix::fs::StatVfs) -> u64| {
            sizes.as_ref().map(|sizes| blocks(sizes).wrapping_mul(sizes.f_frsize))
        };
        visit(&Filesystem {
            name: &name,
            mountpoint: &mount.point.to_string_lossy(),
            r#type: &mount.r#type,
            used_bytes: bytes(|sizes| sizes.f_blocks.wrapping_sub(sizes.f_bfree)),
            // What is kept for root is not counted, as in df(1).
            total_bytes: bytes(|sizes| {
                sizes.f_blocks.wrapping_sub(sizes.f_bfree).wrapping_add(sizes.f_bavail)
            }),
            disks: &disks,
        });
    }

    /// Freezes the last mounted first, as what is mounted last may lie on the others.
    fn freeze(&mut self, selected: &mut dyn FnMut(&[u8]) -> bool) -> Result<u32, FreezeError> {
        let mut frozen = 0;
        let mounts = mounts::read().map_err(no_table)?;
        if !self.dry_run {
            Log::hold();
        }
        for mount in mounts.iter().rev() {
            if !selected(mount.point.as_os_str().as_encoded_bytes()) {
                continue;
            }
            match self.freeze_one(mount) {
                Ok(()) => frozen += 1,
                // It cannot be frozen, or is, under another mount point.
                Err(Errno::OPNOTSUPP | Errno::BUSY) => {}
                Err(error) => {
                    self.thaw_all(&mounts);
                    Log::release();
                    self.log.note(format_args!(
                        "cannot freeze {}: {error}; all is thawed again",
                        mount.point.display()
                    ));
                    return Err(FreezeError::Disk {
                        mountpoint: self.name(&mount.point.to_string_lossy()),
                        errno: words(error),
                    });
                }
            }
        }
        if frozen == 0 {
            Log::release();
        }
        Ok(frozen)
    }

    fn freeze_one(&mut self, mount: &Mount) -> Result<(), Errno> {
        if self.dry_run {
            self.log.note(format_args!("dry run: {} is not frozen", mount.point.display()));
            self.spared += 1;
            return Ok(());
        }
        let point = mount.open()?;
        // SAFETY: FIFREEZE takes no argument (linux/fs.h says int, which ioctl_fsfreeze ignores).
        let request = unsafe { NoArg::<FIFREEZE>::new() };
        // SAFETY: The request touches no memory of this process.
        unsafe { ioctl(&point, request) }
    }

    fn thaw(&mut self) -> Result<u32, FreezeError> {
        let mounts = mounts::read().map_err(no_table)?;
        let thawed = self.thaw_all(&mounts);
        Log::release();
        self.log.detail(format_args!("{thawed} file systems thawed"));
        Ok(thawed)
    }

    /// Thaws every file system as often as it is frozen, whoever has frozen it; returns how many
    /// were. That one was not, or cannot be opened, is no error.
    fn thaw_all(&mut self, mounts: &[Mount]) -> u32 {
        if self.dry_run {
            return core::mem::take(&mut self.spared);
        }
        let was_frozen = |mount: &&Mount| {
            let Ok(point) = mount.open() else { return false };
            (0..THAWS).take_while(|_| thaw_once(&point).is_ok()).count() > 0
        };
        let thawed = mounts.iter().filter(was_frozen).count();
        u32::try_from(thawed).unwrap_or(u32::MAX)
    }

    fn trim(&self, minimum: u64, visit: &mut dyn FnMut(&Trim<'_>)) {
        let mounts = self.mounts();
        let outcomes: Vec<_> = mounts.iter().map(|mount| self.trim_one(mount, minimum)).collect();
        // qemu-ga's list has the last mounted first too.
        for (mount, outcome) in mounts.iter().zip(outcomes).rev() {
            visit(&Trim { path: &mount.point.to_string_lossy(), outcome });
        }
    }

    fn trim_one(&self, mount: &Mount, minimum: u64) -> Result<Trimmed, TrimError> {
        if self.dry_run {
            self.log.note(format_args!("dry run: {} is not trimmed", mount.point.display()));
            return Ok(Trimmed { bytes: 0, minimum });
        }
        let mut range = TrimRange { start: 0, length: u64::MAX, minimum };
        let trimmed = mount.open().and_then(|point| {
            // SAFETY: FITRIM reads and writes a `struct fstrim_range`, whose layout `TrimRange` has.
            let request = unsafe { Updater::<FITRIM, TrimRange>::new(&mut range) };
            // SAFETY: The request touches no other memory of this process.
            unsafe { ioctl(&point, request) }
        });
        match trimmed {
            Ok(()) => Ok(Trimmed { bytes: range.length, minimum: range.minimum }),
            Err(Errno::NOTTY | Errno::OPNOTSUPP) => Err(TrimError::Unsupported),
            Err(error) => Err(TrimError::Disk(words(error))),
        }
    }

    /// A name for an error. There are no more of them than mount points have ever failed.
    fn name(&mut self, name: &str) -> &'static str {
        if let Some(known) = self.named.iter().find(|known| **known == name) {
            return known;
        }
        let name: &'static str = Box::leak(name.into());
        self.named.push(name);
        name
    }
}

/// What is to be frozen or thawed is not known.
fn no_table(error: Errno) -> FreezeError {
    FreezeError::Disk { mountpoint: mounts::TABLE, errno: words(error) }
}

fn thaw_once(point: &impl AsFd) -> Result<(), Errno> {
    // SAFETY: FITHAW takes no argument (linux/fs.h says int, which ioctl_fsthaw ignores).
    let request = unsafe { NoArg::<FITHAW>::new() };
    // SAFETY: The request touches no memory of this process.
    unsafe { ioctl(point, request) }
}

/// `struct fstrim_range` of linux/fs.h.
#[repr(C)]
#[derive(Debug)]
struct TrimRange {
    start: u64,
    /// What is to be trimmed; afterwards, what was.
    length: u64,
    minimum: u64,
}

/// The host, since what its clients have written must be written before a freeze.
impl Filesystems for Host {
    /// The last mounted comes first, as in qemu-ga's list.
    fn list(&mut self, visit: &mut dyn FnMut(&Filesystem<'_>)) {
        for mount in self.mounted.mounts().iter().rev() {
            self.mounted.show(mount, visit);
        }
    }

    fn freeze(&mut self, selected: &mut dyn FnMut(&[u8]) -> bool) -> Result<u32, FreezeError> {
        self.files.write_back();
        self.mounted.freeze(selected)
    }

    fn thaw(&mut self) -> Result<u32, FreezeError> {
        self.mounted.thaw()
    }

    fn trim(&mut self, minimum: u64, visit: &mut dyn FnMut(&Trim<'_>)) {
        self.mounted.trim(minimum, visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Never anything but a dry run here: a frozen root would stop the machine that tests.
    fn host() -> Host {
        Host::new(Log::default(), true)
    }

    fn mountpoints() -> Vec<String> {
        let mut points = Vec::new();
        host().list(&mut |filesystem| points.push(filesystem.mountpoint.to_owned()));
        points
    }

    #[test]
    fn what_is_listed_is_frozen_and_thawed() {
        let points = mountpoints();
        let mut host = host();
        let mut asked = Vec::new();
        let frozen = host.freeze(&mut |point| {
            asked.push(String::from_utf8(point.to_vec()).unwrap());
            true
        });
        assert_eq!(asked, points);
        assert_eq!(frozen, Ok(u32::try_from(points.len()).unwrap()));
        assert_eq!(host.thaw(), frozen);
        assert_eq!(host.thaw(), Ok(0));
        assert_eq!(host.freeze(&mut |_| false), Ok(0));
    }

    #[test]
    fn what_is_listed_is_trimmed() {
        let mut trimmed = Vec::new();
        host().trim(4096, &mut |trim| {
            assert_eq!(trim.outcome, Ok(Trimmed { bytes: 0, minimum: 4096 }));
            trimmed.push(trim.path.to_owned());
        });
        assert_eq!(trimmed, mountpoints());
    }

    #[test]
    fn a_name_is_kept_once() {
        let mut mounted = Mounted::new(Log::default(), true);
        let first = mounted.name("/a");
        assert_eq!(mounted.name("/b"), "/b");
        assert!(core::ptr::eq(first, mounted.name("/a")));
    }
}

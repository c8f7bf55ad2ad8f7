//! The capability to tell what disks the guest has: sysfs and `/proc/diskstats`.

pub(super) mod attachment;
mod statistics;

use std::path::Path;

use agent_core::{Disk, DiskStatistics, Disks};
use rustix::io::Errno;

use self::attachment::{Attachment, Sysfs};
use super::{errno::words, kernel_files, kernel_files::KernelFiles};

/// Where there is a link for each disk.
const DIRECTORY: &str = "sys/block";

/// The block devices that the kernel knows.
#[derive(Debug)]
pub(super) struct BlockDevices {
    files: KernelFiles,
    sysfs: Sysfs,
}

/// A disk, or a partition of one.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    name: String,
    partition: bool,
    dependencies: Vec<String>,
    attachment: Option<Attachment>,
    alias: Option<String>,
}

impl BlockDevices {
    pub(super) const fn new(files: KernelFiles, sysfs: Sysfs) -> Self {
        Self { files, sysfs }
    }

    /// In qemu-ga's order: what the kernel names last comes first.
    fn find(&self) -> Result<Vec<Found>, Errno> {
        let mut found = Vec::new();
        for name in self.files.names(DIRECTORY)? {
            self.add_disk(&name, &mut found);
        }
        found.reverse();
        Ok(found)
    }

    /// Adds a disk and its partitions. A drive without a medium, or a device that is not set up,
    /// has no sectors and is left out; so is one that goes away while it is looked at.
    fn add_disk(&self, name: &str, found: &mut Vec<Found>) {
        let path = self.files.path(format!("{DIRECTORY}/{name}"));
        let has_sectors = kernel_files::read(&path.join("size"))
            .is_ok_and(|sectors| !sectors.is_empty() && sectors.trim_end() != "0");
        if !path.is_symlink() || !has_sectors {
            return;
        }
        let Some(device) = attachment::device_node(&path) else { return };
        found.push(Found {
            name: device.clone(),
            partition: false,
            dependencies: slaves(&path),
            attachment: self.sysfs.attachment(&path),
            alias: kernel_files::read(&path.join("dm/name"))
                .ok()
                .map(|alias| alias.trim_end().to_owned()),
        });
        for directory in kernel_files::names(&path).unwrap_or_default() {
            if !is_partition(name, &directory) {
                continue;
            }
            let partition = attachment::device_node(&path.join(directory));
            found.extend(partition.map(|partition| Found {
                name: partition,
                partition: true,
                dependencies: vec![device.clone()],
                attachment: None,
                alias: None,
            }));
        }
    }
}

impl Disks for BlockDevices {
    fn list(&mut self, visit: &mut dyn FnMut(&Disk<'_>)) -> Result<(), agent_core::Errno> {
        for disk in self.find().map_err(words)? {
            let dependencies: Vec<_> = disk.dependencies.iter().map(String::as_str).collect();
            visit(&Disk {
                name: &disk.name,
                partition: disk.partition,
                dependencies: &dependencies,
                address: disk.attachment.as_ref().map(Attachment::address),
                alias: disk.alias.as_deref(),
            });
        }
        Ok(())
    }

    fn statistics(
        &mut self,
        visit: &mut dyn FnMut(&DiskStatistics<'_>),
    ) -> Result<(), agent_core::Errno> {
        let table = self.files.read("proc/diskstats").map_err(words)?;
        table.lines().try_for_each(|line| {
            visit(&statistics::parse(line).map_err(words)?);
            Ok(())
        })
    }
}

/// The devices that a volume lies on, the last one first.
fn slaves(path: &Path) -> Vec<String> {
    let slaves = path.join("slaves");
    let names = kernel_files::names(&slaves).unwrap_or_default();
    names.iter().rev().filter_map(|name| attachment::device_node(&slaves.join(name))).collect()
}

/// Whether a directory of the disk `disk` is a partition: its name is the disk's, perhaps a `p`,
/// and a number.
fn is_partition(disk: &str, directory: &str) -> bool {
    directory.strip_prefix(disk).is_some_and(|rest| {
        rest.strip_prefix('p').unwrap_or(rest).starts_with(|first: char| first.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests;

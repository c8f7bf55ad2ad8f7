//! Where disks are attached, and which lie under a block device: sysfs.
//!
//! The path of a device in `/sys/devices` tells what it hangs on. qemu-ga takes what a few drivers
//! make of it for the addresses on QEMU's command line; here is the same, for those drivers.

use std::fs;
use std::path::{Path, PathBuf};

use agent_core::{DiskAddress, PciAddress};
use rustix::io::Errno;

use crate::host::kernel_files::read;

/// Where a disk, or what of it there is a device for, is attached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::host) struct Attachment {
    /// `None` where it is not known.
    bus_type: Option<&'static str>,
    bus: u32,
    unit: u32,
    target: u32,
    pci: Option<PciAddress>,
    serial: Option<String>,
    dev: Option<String>,
}

impl Attachment {
    pub(in crate::host) fn address(&self) -> DiskAddress<'_> {
        DiskAddress {
            bus_type: self.bus_type.unwrap_or("unknown"),
            bus: self.bus.into(),
            target: self.target.into(),
            unit: self.unit.into(),
            pci: self.pci,
            serial: self.serial.as_deref(),
            dev: self.dev.as_deref(),
        }
    }
}

/// How deep volumes can lie on each other: a bound, where sysfs has loops.
const LAYERS: usize = 16;

/// sysfs and what udev has found out, at their places or a test's.
#[derive(Debug)]
pub(in crate::host) struct Sysfs {
    root: PathBuf,
    udev: PathBuf,
}

impl Default for Sysfs {
    fn default() -> Self {
        Self { root: "/sys".into(), udev: "/run/udev/data".into() }
    }
}

impl Sysfs {
    /// The name of a block device and the disks under it.
    pub(in crate::host) fn device(&self, major: u32, minor: u32) -> (String, Vec<Attachment>) {
        let path = self.root.join(format!("dev/block/{major}:{minor}"));
        // Where the device is not shown, as in a container, its numbers are its name.
        let named = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        let name = named.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut disks = Vec::new();
        self.add_disks(&path, LAYERS, &mut disks);
        // The last one found comes first, as in qemu-ga's list.
        disks.reverse();
        (name, disks)
    }

    /// Where the disk with this path in sysfs is attached; volumes are nowhere.
    pub(super) fn attachment(&self, path: &Path) -> Option<Attachment> {
        let path = fs::canonicalize(path).ok()?;
        if is_volume(&path) { None } else { self.disk(&path) }
    }

    fn add_disks(&self, path: &Path, layers: usize, disks: &mut Vec<Attachment>) {
        let Ok(path) = fs::canonicalize(path) else { return };
        if !is_volume(&path) {
            disks.extend(self.disk(&path));
            return;
        }
        // It lies on others.
        let Some(layers) = layers.checked_sub(1) else { return };
        let Ok(slaves) = fs::read_dir(path.join("slaves")) else { return };
        for slave in slaves.flatten() {
            if slave.file_type().is_ok_and(|r#type| r#type.is_symlink()) {
                self.add_disks(&slave.path(), layers, disks);
            }
        }
    }

    /// What can be told of the disk with this path, if anything.
    fn disk(&self, path: &Path) -> Option<Attachment> {
        let mut disk = Attachment { dev: device_node(path), ..Attachment::default() };
        let is_known = attach(&mut disk, path).is_some();
        let serial = match self.udev_serial(path) {
            Err(Errno::NOENT) if disk.bus_type == Some("virtio") => virtio_serial(path),
            serial => serial.unwrap_or_default(),
        };
        disk.serial = serial.filter(|serial| !serial.is_empty());
        (is_known || disk.dev.is_some() || disk.serial.is_some()).then_some(disk)
    }

    /// What udev takes for a disk's serial number; `ENOENT` where it knows nothing of the disk.
    fn udev_serial(&self, path: &Path) -> Result<Option<String>, Errno> {
        let uevent = read(&path.join("uevent"))?;
        let number = |key| line_behind(&uevent, key).ok_or(Errno::BADMSG);
        let (major, minor) = (number("MAJOR=")?, number("MINOR=")?);
        let found_out = read(&self.udev.join(format!("b{major}:{minor}")))?;
        Ok(line_behind(&found_out, "E:ID_SERIAL=").map(str::to_owned))
    }
}

/// The serial number of a virtio disk, which is what udev would take.
fn virtio_serial(path: &Path) -> Option<String> {
    // A partition lies in the directory of its disk.
    let mut directories = [Some(path), path.parent()].into_iter().flatten();
    let serial = directories.find_map(|directory| read(&directory.join("serial")).ok())?;
    Some(serial.trim_end().to_owned())
}

/// The path of the device whose directory in sysfs `path` is.
pub(super) fn device_node(path: &Path) -> Option<String> {
    let uevent = read(&path.join("uevent")).ok()?;
    Some(format!("/dev/{}", line_behind(&uevent, "DEVNAME=")?))
}

/// Whether a path in sysfs is that of a volume, such as RAID or LVM, or of a file.
fn is_volume(path: &Path) -> bool {
    path.to_string_lossy().contains("/devices/virtual/block/")
}

/// Finds out where a disk is attached; what is known before that fails stays.
fn attach(disk: &mut Attachment, path: &Path) -> Option<()> {
    let text = path.to_str()?;
    if text.contains("/devices/pci") {
        return attach_pci(disk, text);
    }
    if !text.contains("/virtio") || !text.contains("/block") {
        return None;
    }
    // virtio, but not PCI: MMIO.
    disk.bus_type = Some("virtio");
    if let Some([channel, target, lun]) = scsi_target(text) {
        disk.bus_type = Some("scsi");
        (disk.bus, disk.target, disk.unit) = (channel, target, lun);
    }
    Some(())
}

/// A disk behind a PCI device.
fn attach_pci(disk: &mut Attachment, path: &str) -> Option<()> {
    let (pci, driver) = controller(path)?;
    disk.pci = Some(pci);
    match (driver, scsi_target(path), host(path)) {
        // A host for each bus, and a target for each unit.
        ("ata_piix", Some([_, unit, _]), Some(host)) => {
            (disk.bus_type, disk.bus, disk.unit) = (Some("ide"), host, unit);
        }
        // A host for each unit.
        ("ahci", Some(_), Some(host)) => (disk.bus_type, disk.unit) = (Some("sata"), host),
        ("sym53c8xx", Some([_, unit, _]), _) | ("virtio-pci", Some([_, _, unit]), _) => {
            (disk.bus_type, disk.unit) = (Some("scsi"), unit);
        }
        ("virtio-pci", None, _) => disk.bus_type = Some("virtio"),
        ("nvme", ..) => disk.bus_type = Some("nvme"),
        _ => return None,
    }
    Some(())
}

/// The PCI device that is the disk's controller and its driver: the first one on the way to the
/// disk that has a driver for disks.
fn controller(path: &str) -> Option<(PciAddress, &'static str)> {
    const DRIVERS: [&str; 5] = ["ahci", "ata_piix", "nvme", "sym53c8xx", "virtio-pci"];

    let (before, rest) = path.split_once("/devices/pci")?;
    let mut end = before.len() + "/devices/pci".len();
    // The bus, then devices, each behind a slash.
    let mut parts = rest.split('/');
    end += parts.next()?.len();
    for part in parts {
        end += 1 + part.len();
        let address = pci_address(part)?;
        let driver = fs::read_link(format!("{}/driver", path.get(..end)?));
        let known = driver.ok().and_then(|driver| {
            DRIVERS.into_iter().find(|known| driver.file_name().is_some_and(|name| name == *known))
        });
        if let Some(driver) = known {
            return Some((address, driver));
        }
    }
    None
}

/// Reads `0000:00:1f.2`.
fn pci_address(text: &str) -> Option<PciAddress> {
    let (domain, rest) = text.split_once(':')?;
    let (bus, rest) = rest.split_once(':')?;
    let (slot, function) = rest.split_once('.')?;
    Some(PciAddress {
        domain: u16::from_str_radix(domain, 16).ok()?,
        bus: u8::from_str_radix(bus, 16).ok()?,
        slot: u8::from_str_radix(slot, 16).ok()?,
        function: u8::from_str_radix(function, 16).ok()?,
    })
}

/// The last three numbers of `/target0:0:1/0:0:1:2`: channel, target and logical unit.
fn scsi_target(path: &str) -> Option<[u32; 3]> {
    let (_, rest) = path.split_once("/target")?;
    let mut numbers = rest.split('/').nth(1)?.split(':').skip(1).map(|number| number.parse().ok());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

/// Which of its controller's hosts a disk hangs on, counted from 0, by the numbers that the kernel
/// gives them: ATA ports, else SCSI hosts.
fn host(path: &str) -> Option<u32> {
    let kind = if path.contains("/ata") { "ata" } else { "host" };
    let (before, rest) = path.split_once(&format!("/{kind}"))?;
    let own = leading_number(rest)?;
    let mut numbers: Vec<u32> = fs::read_dir(before)
        .ok()?
        .flatten()
        .filter_map(|entry| leading_number(entry.file_name().to_str()?.strip_prefix(kind)?))
        .collect();
    numbers.sort_unstable();
    u32::try_from(numbers.iter().position(|number| *number == own)?).ok()
}

fn leading_number(text: &str) -> Option<u32> {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

/// What stands behind `key` at the beginning of a line.
fn line_behind<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(key))
}

#[cfg(test)]
mod tests;

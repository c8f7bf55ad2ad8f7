//! The machine's virtio disks, as the host is told of them
//!
//! All that work are there, also those without a volume that can be mounted. They are named as
//! Linux names them, in the order in which they are found.

use agent_core::{Disk, DiskAddress, DiskStatistics, Errno, PciAddress};
use hal_virtio::block::SERIAL_BYTES;
use pc::Location;
use static_cell::ConstStaticCell;

use crate::counters::Counters;

/// `vda` to `vdz`.
const DISKS: usize = 26;

/// The first of the numbers that Linux gives to drivers without one of their own
/// (admin-guide/devices), and how many a disk has for itself and its partitions.
const MAJOR: u64 = 254;
const MINORS: u64 = 16;

/// The disks that have been found.
#[derive(Debug)]
pub(crate) struct Disks {
    known: heapless::Vec<Known, DISKS>,
    counters: &'static [Counters; DISKS],
    ticks_per_ms: u64,
}

/// What is known of a disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// How many there are before it.
    pub(crate) index: u8,
    pub(crate) location: Location,
    pub(crate) serial: [u8; SERIAL_BYTES],
    /// The number of the partition that is in use, where one is.
    pub(crate) partition: Option<u8>,
}

impl Disks {
    /// None yet. To be called once.
    pub(crate) fn new(ticks_per_ms: u64) -> Self {
        static COUNTERS: ConstStaticCell<[Counters; DISKS]> =
            ConstStaticCell::new([const { Counters::new() }; DISKS]);
        Self { known: heapless::Vec::new(), counters: COUNTERS.take(), ticks_per_ms }
    }

    /// The counters of the disk that comes after `index` others, unless these are too many.
    pub(crate) fn counters(&self, index: u8) -> Option<&'static Counters> {
        self.counters.get(usize::from(index))
    }

    /// Adds a disk, whose index has counters and is not there yet.
    pub(crate) fn add(&mut self, known: Known) {
        // Then there is room for it, too.
        let _ = self.known.push(known);
    }
}

impl agent_core::Disks for Disks {
    fn list(&mut self, visit: &mut dyn FnMut(&Disk<'_>)) -> Result<(), Errno> {
        for disk in &self.known {
            let path = disk.path(None);
            visit(&Disk {
                name: path.as_str(),
                partition: false,
                dependencies: &[],
                address: Some(disk.address(&path)),
                alias: None,
            });
            if disk.partition.is_some() {
                visit(&Disk {
                    name: disk.path(disk.partition).as_str(),
                    partition: true,
                    dependencies: &[path.as_str()],
                    address: None,
                    alias: None,
                });
            }
        }
        Ok(())
    }

    fn statistics(&mut self, visit: &mut dyn FnMut(&DiskStatistics<'_>)) -> Result<(), Errno> {
        for disk in &self.known {
            let Some(counters) = self.counters(disk.index) else { continue };
            let number = (MAJOR, MINORS * u64::from(disk.index));
            visit(&counters.statistics(disk.path(None).name(), number, self.ticks_per_ms));
        }
        Ok(())
    }
}

impl Known {
    /// The path of the disk, or of a partition of it.
    pub(crate) fn path(&self, partition: Option<u8>) -> Path {
        let mut path = Path(*b"/dev/vda\0");
        let [.., letter, number] = &mut path.0;
        *letter += self.index;
        if let Some(partition) = partition {
            *number = b'0' + partition % 10;
        }
        path
    }

    /// Where the disk is, with `path` as that of what is on it.
    pub(crate) fn address<'d>(&'d self, path: &'d Path) -> DiskAddress<'d> {
        DiskAddress {
            bus_type: "virtio",
            bus: 0,
            target: 0,
            unit: 0,
            pci: self.pci(),
            serial: Some(text(&self.serial)).filter(|serial| !serial.is_empty()),
            dev: Some(path.as_str()),
        }
    }

    fn pci(&self) -> Option<PciAddress> {
        match self.location {
            Location::Pci(at) => {
                Some(PciAddress { domain: 0, bus: at.bus, slot: at.device, function: at.function })
            }
            Location::Mmio { .. } => None,
        }
    }
}

/// The path of a device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path([u8; "/dev/vda1".len()]);

impl Path {
    /// All of it.
    pub(crate) fn as_str(&self) -> &str {
        text(&self.0)
    }

    /// Without its folder.
    pub(crate) fn name(&self) -> &str {
        self.as_str().get("/dev/".len()..).unwrap_or_default()
    }
}

/// The text before the first NUL; none where it is not to be shown.
fn text(bytes: &[u8]) -> &str {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    let is_shown = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    str::from_utf8(text)
        .ok()
        .filter(|text| text.as_bytes().iter().all(is_shown))
        .unwrap_or_default()
}

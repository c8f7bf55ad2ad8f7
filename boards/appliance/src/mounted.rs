//! The first FAT volume of the machine's virtio disks, as it is shown to the host
//!
//! Disks are named as Linux names them, in the order in which they are found.

use agent_core::{
    Clock, DiskAddress, Files, Filesystem, Filesystems, FreezeError, PciAddress, Trim, UnixNanos,
};
use fat::{Condition, Label, MountError, Scratch, Volume};
use hal_virtio::DeviceType;
use hal_virtio::block::SERIAL_BYTES;
use hal_virtio::transport::AnyTransport;
use machine::{info, warning};
use pc::{Devices, Location};
use static_cell::ConstStaticCell;

use crate::disk::VirtioDisk;
use crate::storage::FILES;

const MOUNTPOINT: &str = "/";

/// Enough to mark the clusters of 2 GiB at a time where they are of 4 KiB.
const SCRATCH: usize = 64 * 1024;

/// The path of the first disk's first partition.
const PATH: &[u8; 9] = b"/dev/vda1";
/// How it begins where the volume has the whole disk, and what comes before the name.
const DISK_PATH: usize = PATH.len() - 1;
const FOLDER: usize = "/dev/".len();

/// A mounted volume, and what is known of its disk.
#[derive(Debug)]
pub(crate) struct Mounted<'m> {
    volume: Volume<'static, VirtioDisk<'m>, FILES>,
    /// The path of its device.
    path: [u8; PATH.len()],
    location: Location,
    serial: [u8; SERIAL_BYTES],
}

impl<'m> Mounted<'m> {
    /// Mounts the first FAT volume that there is. To be called once.
    pub(crate) fn find(devices: &Devices<'m, 'm>) -> Option<Self> {
        static MEMORY: ConstStaticCell<Scratch<SCRATCH>> = ConstStaticCell::new([0; SCRATCH]);
        let scratch: *mut Scratch<SCRATCH> = MEMORY.take();
        let mut mounted = None;
        let mut letters = b'a'..=b'z';
        let mut take = |location: Location, transport: AnyTransport| {
            let Some(letter) = letters.next() else { return false };
            let mut disk = match VirtioDisk::open(transport, devices.machine()) {
                Ok(disk) => disk,
                Err(failure) => {
                    warning!("the disk vd{=char}: {}", char::from(letter), failure);
                    return false;
                }
            };
            devices.wake(location, disk.transport());
            let serial = disk.serial();
            // SAFETY: `MEMORY` has given this memory away for good, and nothing else refers to it:
            // if there was a volume over it before, mounting it has failed, and it is gone.
            let scratch = unsafe { &mut *scratch };
            let label = Label { name: "", mountpoint: MOUNTPOINT, disk: None };
            match Volume::mount(disk, scratch, label) {
                Ok(volume) => mounted = Some(Self::new(volume, letter, location, serial)),
                Err(failure) => tell(letter, failure),
            }
            mounted.is_some()
        };
        devices.find(DeviceType::Block, &mut take);
        mounted
    }

    fn new(
        volume: Volume<'static, VirtioDisk<'m>, FILES>,
        letter: u8,
        location: Location,
        serial: [u8; SERIAL_BYTES],
    ) -> Self {
        let mut path = *PATH;
        path[DISK_PATH - 1] = letter;
        path[DISK_PATH] = volume.partition().map_or(0, |number| b'0' + number % 10);
        let mounted = Self { volume, path, location, serial };
        let read_only = mounted.volume.is_read_only();
        info!("{=str} is mounted, read-only: {=bool}", mounted.path(), read_only);
        if mounted.volume.condition() == Condition::Damaged {
            warning!("the volume is damaged");
        }
        mounted
    }

    /// The files.
    pub(crate) const fn files(&mut self) -> &mut dyn Files {
        &mut self.volume
    }

    /// Tells the volume the time, for what is written from now on.
    pub(crate) fn tell_time(&mut self, clock: &mut dyn Clock) {
        if let Ok(UnixNanos(now_ns)) = clock.now() {
            self.volume.set_time(u64::try_from(now_ns / 1_000_000_000).unwrap_or(0));
        }
    }

    /// Lets the disk's interrupt fall.
    pub(crate) fn attend(&mut self) {
        self.volume.disk_mut().attend();
    }

    /// Whether a call has slept since this was asked last.
    pub(crate) fn has_waited(&mut self) -> bool {
        self.volume.disk_mut().has_waited()
    }

    fn path(&self) -> &str {
        text(&self.path)
    }

    fn address(&self) -> DiskAddress<'_> {
        DiskAddress {
            bus_type: "virtio",
            bus: 0,
            target: 0,
            unit: 0,
            pci: self.pci(),
            serial: Some(text(&self.serial)).filter(|serial| !serial.is_empty()),
            dev: Some(self.path()),
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

impl Filesystems for Mounted<'_> {
    fn list(&mut self, visit: &mut dyn FnMut(&Filesystem<'_>)) {
        // The volume was mounted before anybody knew what it would be called.
        let mut listed = None;
        self.volume.list(&mut |volume| listed = Some((volume.used_bytes, volume.total_bytes)));
        let Some((used_bytes, total_bytes)) = listed else { return };
        visit(&Filesystem {
            name: self.path().get(FOLDER..).unwrap_or_default(),
            mountpoint: MOUNTPOINT,
            r#type: "vfat",
            used_bytes,
            total_bytes,
            disks: &[self.address()],
        });
    }

    fn freeze(&mut self, selected: &mut dyn FnMut(&[u8]) -> bool) -> Result<u32, FreezeError> {
        self.volume.freeze(selected)
    }

    fn thaw(&mut self) -> Result<u32, FreezeError> {
        self.volume.thaw()
    }

    fn trim(&mut self, minimum: u64, visit: &mut dyn FnMut(&Trim<'_>)) {
        self.volume.trim(minimum, visit);
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

/// Tells why there is nothing mounted.
fn tell(letter: u8, failure: MountError) {
    let letter = char::from(letter);
    match failure {
        MountError::NotFound => info!("the disk vd{=char} has no FAT volume", letter),
        MountError::Unsupported => warning!("the disk vd{=char}: not FAT16 or FAT32", letter),
        MountError::Disk(errno) => warning!("the disk vd{=char}: {=str}", letter, errno.0),
    }
}

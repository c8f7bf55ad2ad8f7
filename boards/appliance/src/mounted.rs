//! The first FAT volume of the machine's virtio disks, as it is shown to the host

use agent_core::{Clock, Files, Filesystem, Filesystems, FreezeError, Trim, UnixNanos};
use fat::{Condition, Label, MountError, Scratch, Volume};
use hal_virtio::DeviceType;
use hal_virtio::transport::AnyTransport;
use machine::{info, warning};
use pc::{Devices, Drivers, Location};
use static_cell::ConstStaticCell;

use crate::disk::VirtioDisk;
use crate::disks::{Disks, Known, Path};
use crate::storage::FILES;

const MOUNTPOINT: &str = "/";

/// Enough to mark the clusters of 2 GiB at a time where they are of 4 KiB.
const SCRATCH: usize = 64 * 1024;

/// A mounted volume, and what is known of its disk.
#[derive(Debug)]
pub(crate) struct Mounted<'m> {
    volume: Volume<'static, VirtioDisk<'m>, FILES>,
    disk: Known,
    /// The path of its device.
    path: Path,
}

impl<'m> Mounted<'m> {
    /// Mounts the first FAT volume that there is, and enters all disks in `disks`. To be called
    /// once.
    pub(crate) fn find(
        devices: &Devices<'m, 'm>,
        drivers: &mut Drivers,
        disks: &mut Disks,
    ) -> Option<Self> {
        static MEMORY: ConstStaticCell<Scratch<SCRATCH>> = ConstStaticCell::new([0; SCRATCH]);
        let scratch: *mut Scratch<SCRATCH> = MEMORY.take();
        let mut mounted = None;
        let mut indices = 0..=u8::MAX;
        let mut look = |location: Location, transport: AnyTransport| {
            let index = indices.next().unwrap_or(u8::MAX);
            let Some(counters) = disks.counters(index) else {
                warning!("more disks than there are letters");
                return false;
            };
            let letter = char::from(b'a' + index);
            let mut disk = match VirtioDisk::open(transport, devices.machine(), counters) {
                Ok(disk) => disk,
                Err(failure) => {
                    warning!("the disk vd{=char}: {}", letter, failure);
                    return false;
                }
            };
            devices.wake(location, disk.transport());
            let mut known = Known { index, location, serial: disk.serial(), partition: None };
            if mounted.is_none() {
                // SAFETY: `MEMORY` has given this memory away for good, and nothing else refers to
                // it: if a volume over it was tried before, mounting that has failed, and it is
                // gone.
                let scratch = unsafe { &mut *scratch };
                let label = Label { name: "", mountpoint: MOUNTPOINT, disk: None };
                match Volume::mount(disk, scratch, label) {
                    Ok(volume) => {
                        known.partition = volume.partition();
                        mounted = Some(Self::new(volume, known));
                        drivers.add("virtio_blk", devices, location);
                    }
                    Err(failure) => tell(letter, failure),
                }
            }
            disks.add(known);
            // It goes on, to see them all.
            false
        };
        devices.find(DeviceType::Block, &mut look);
        mounted
    }

    fn new(volume: Volume<'static, VirtioDisk<'m>, FILES>, disk: Known) -> Self {
        let path = disk.path(disk.partition);
        let mounted = Self { volume, disk, path };
        let read_only = mounted.volume.is_read_only();
        info!("{=str} is mounted, read-only: {=bool}", mounted.path.as_str(), read_only);
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

    /// The disk.
    pub(crate) fn disk_mut(&mut self) -> &mut VirtioDisk<'m> {
        self.volume.disk_mut()
    }
}

impl Filesystems for Mounted<'_> {
    fn list(&mut self, visit: &mut dyn FnMut(&Filesystem<'_>)) {
        // The volume was mounted before anybody knew what it would be called.
        let mut listed = None;
        self.volume.list(&mut |volume| listed = Some((volume.used_bytes, volume.total_bytes)));
        let Some((used_bytes, total_bytes)) = listed else { return };
        visit(&Filesystem {
            name: self.path.name(),
            mountpoint: MOUNTPOINT,
            r#type: "vfat",
            used_bytes,
            total_bytes,
            disks: &[self.disk.address(&self.path)],
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

/// Tells why there is nothing mounted.
fn tell(letter: char, failure: MountError) {
    match failure {
        MountError::NotFound => info!("the disk vd{=char} has no FAT volume", letter),
        MountError::Unsupported => warning!("the disk vd{=char}: not FAT16 or FAT32", letter),
        MountError::Disk(errno) => warning!("the disk vd{=char}: {=str}", letter, errno.0),
    }
}

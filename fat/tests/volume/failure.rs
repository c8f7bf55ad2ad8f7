//! A disk that fails, at any request: an error each time, and nothing half done.

use agent_core::{Errno, Files};

use crate::disk::Memory;
use crate::image::{self, FAT16, FAT32, Format};
use crate::{Scratch, TestVolume, mount, open, pattern, read_file, try_mount, write, write_file};

/// Some of everything, up to the first error.
fn use_it(volume: &mut TestVolume<'_>) -> Result<(), Errno> {
    let handle = open(volume, "/log", "a+")?;
    write(volume, handle, &pattern(2, 3000))?;
    volume.flush(handle)?;
    write(volume, handle, &pattern(3, 3000))?;
    volume.measure(handle, 100)?;
    let other = open(volume, "/a new file", "w")?;
    write(volume, other, &pattern(4, 3000))?;
    volume.close(other)?;
    volume.close(handle)
}

fn check(format: Format) {
    let mut volume = mount(Memory::new(image::new(format)));
    write_file(&mut volume, "/log", &pattern(1, 2000)).unwrap();
    let disk = Memory::new(volume.into_disk().bytes);
    let mut whole = mount(disk.clone());
    let mounting = whole.disk_mut().requests;
    use_it(&mut whole).unwrap();
    let requests = whole.disk_mut().requests - mounting;
    for fails in 0..requests {
        let mut volume = mount(disk.clone());
        volume.disk_mut().until_failure = Some(fails);
        assert_eq!(use_it(&mut volume), Err(Errno::IO), "request {fails}");
        // It works again: what is open is closed, and the disk is what it should be.
        volume.disk_mut().until_failure = None;
        (1000..1002).map(agent_core::Handle).for_each(|handle| {
            if volume.is_open(handle) {
                volume.close(handle).unwrap();
            }
        });
        write_file(&mut volume, "/once more", &pattern(5, 2000)).unwrap();
        let log = read_file(&mut volume, "/log").unwrap();
        assert!([2000, 5000, 8000].contains(&log.len()), "{}", log.len());
        assert_eq!(log[..2000], pattern(1, 2000));
        let bytes = volume.into_disk().bytes;
        let report = image::check(&bytes);
        assert!(report.damage.is_empty(), "request {fails}: {report:?}");
        let mut volume = mount(Memory::new(bytes));
        assert_eq!(read_file(&mut volume, "/once more").unwrap(), pattern(5, 2000));
        let report = image::check(&volume.into_disk().bytes);
        assert!(report.is_clean(), "request {fails}: {report:?}");
    }
}

#[test]
fn every_request_fails_once() {
    check(FAT16);
    check(FAT32);
}

#[test]
fn a_disk_that_fails_from_the_start() {
    let bytes = image::new(FAT16);
    for fails in 0..200 {
        let mut disk = Memory::new(bytes.clone());
        disk.until_failure = Some(fails);
        if let Ok(mut volume) = try_mount(disk) {
            assert!(open(&mut volume, "/new", "w").is_err() || fails > 20);
        }
    }
}

#[test]
fn what_is_no_volume_is_not_mounted() {
    let check = |bytes: Vec<u8>, expected| {
        assert_eq!(try_mount(Memory::new(bytes)).map(|_| ()).unwrap_err(), expected);
    };
    check(vec![], fat::MountError::NotFound);
    check(vec![0; 512], fat::MountError::NotFound);
    check(pattern(1, 1 << 20), fat::MountError::NotFound);
    let cut = image::new(FAT16);
    check(cut[..1 << 20].to_vec(), fat::MountError::NotFound);
}

#[test]
fn a_small_window_finds_the_same() {
    let bytes = image::new(Format { kib: 24_000, bits: 16, cluster_sectors: 1 });
    let mut volume = mount(Memory::new(bytes));
    write_file(&mut volume, "/file", &pattern(1, 9_000_000)).unwrap();
    let handle = open(&mut volume, "/file", "r+").unwrap();
    write(&mut volume, handle, b"a chain of its own").unwrap();
    volume.flush(handle).unwrap();
    // Left as it is: the spare chain is used by no file.
    let bytes = volume.into_disk().bytes;
    assert!(image::check(&bytes).unused);
    let scratch: &'static mut Scratch<1024> = Box::leak(Box::new([0; 1024]));
    let volume: TestVolume<'_> =
        fat::Volume::mount(Memory::new(bytes.clone()), scratch, crate::LABEL).unwrap();
    assert_eq!(volume.free_bytes(), mount(Memory::new(bytes)).free_bytes());
    assert!(image::check(&volume.into_disk().bytes).is_clean());
}

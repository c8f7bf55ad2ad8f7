//! A disk that fails, at any request: an error each time, and nothing half done.

use agent_core::{Errno, Files};

use crate::disk::Memory;
use crate::image::{FAT16, FAT32, Format, Image};
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
    let image = Image::new(format);
    let mut volume = mount(Memory::new(image.bytes()));
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
        let report = Image::of(&bytes).check();
        assert!(
            report
                .damage
                .iter()
                .all(|line| line.starts_with("Free cluster summary wrong")
                    || line == "Auto-correcting."),
            "request {fails}: {report:?}"
        );
        let mut volume = mount(Memory::new(bytes));
        assert_eq!(read_file(&mut volume, "/once more").unwrap(), pattern(5, 2000));
        let report = Image::of(&volume.into_disk().bytes).check();
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
    let image = Image::new(FAT16);
    for fails in 0..200 {
        let mut disk = Memory::new(image.bytes());
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
    let fat12 = Image::new(Format { kib: 1440, arguments: &["-F", "12"] });
    check(fat12.bytes(), fat::MountError::Unsupported);
    let sectors =
        Image::new(Format { kib: 65_536, arguments: &["-F", "16", "-S", "4096", "-s", "1"] });
    check(sectors.bytes(), fat::MountError::Unsupported);
    let cut = Image::new(FAT16).bytes();
    check(cut[..1 << 20].to_vec(), fat::MountError::NotFound);
}

#[test]
fn a_small_window_finds_the_same() {
    let image = Image::new(Format { kib: 24_000, arguments: &["-F", "16", "-s", "1"] });
    let mut volume = mount(Memory::new(image.bytes()));
    write_file(&mut volume, "/file", &pattern(1, 9_000_000)).unwrap();
    let handle = open(&mut volume, "/file", "r+").unwrap();
    write(&mut volume, handle, b"a chain of its own").unwrap();
    volume.flush(handle).unwrap();
    // Left as it is: the spare chain is used by no file.
    let bytes = volume.into_disk().bytes;
    assert!(Image::of(&bytes).check().unused);
    let scratch: &'static mut Scratch<1024> = Box::leak(Box::new([0; 1024]));
    let volume: TestVolume<'_> =
        fat::Volume::mount(Memory::new(bytes.clone()), scratch, crate::LABEL).unwrap();
    assert_eq!(volume.free_bytes(), mount(Memory::new(bytes)).free_bytes());
    assert!(Image::of(&volume.into_disk().bytes).check().is_clean());
}

//! What a client sees of the volume as a whole: size, freezing, trimming; and partitions.

use agent_core::{Errno, Files, Filesystems, TrimError, Trimmed};

use crate::disk::Memory;
use crate::image::{self, FAT16, FAT32};
use crate::{TestVolume, mount, open, pattern, read_file, write, write_file};

fn trim(volume: &mut TestVolume<'_>, minimum: u64) -> Result<Trimmed, TrimError> {
    let mut outcome = None;
    volume.trim(minimum, &mut |trim| {
        assert_eq!(trim.path, "/");
        outcome = Some(trim.outcome);
    });
    outcome.unwrap()
}

#[test]
fn the_volume_is_listed() {
    let mut volume = mount(Memory::new(image::new(FAT16)));
    let used = |volume: &mut TestVolume<'_>| {
        let mut found = None;
        volume.list(&mut |system| {
            assert_eq!((system.name, system.mountpoint, system.r#type), ("vda", "/", "vfat"));
            assert!(system.disks.is_empty());
            assert!(
                system.total_bytes.is_some_and(|total| (2_100_000..2_252_800).contains(&total))
            );
            found = system.used_bytes;
        });
        found
    };
    assert_eq!(used(&mut volume), Some(0));
    write_file(&mut volume, "/file", &[1; 1000]).unwrap();
    assert_eq!(used(&mut volume), Some(1024));
}

#[test]
fn a_frozen_disk_is_complete_and_stays_so() {
    for format in [FAT16, FAT32] {
        let mut volume = mount(Memory::new(image::new(format)));
        let handle = open(&mut volume, "/log", "a+").unwrap();
        write(&mut volume, handle, &pattern(1, 3000)).unwrap();
        volume.flush(handle).unwrap();
        write(&mut volume, handle, &pattern(2, 3000)).unwrap();
        assert_eq!(volume.freeze(&mut |path| path != b"/"), Ok(0));
        assert_eq!(volume.freeze(&mut |path| path == b"/"), Ok(1));
        let copy = volume.disk_mut().bytes.clone();
        assert!(image::check(&copy).is_clean(), "{:?}", image::check(&copy));
        let content = [pattern(1, 3000), pattern(2, 3000)].concat();
        assert!(read_file(&mut mount(Memory::new(copy.clone())), "/log").unwrap() == content);

        assert_eq!(volume.write(handle, b"x"), Err(Errno::READ_ONLY));
        assert_eq!(open(&mut volume, "/new", "w"), Err(Errno::READ_ONLY));
        assert_eq!(open(&mut volume, "/log", "w"), Err(Errno::READ_ONLY));
        assert_eq!(trim(&mut volume, 0), Err(TrimError::Disk(Errno::READ_ONLY)));
        assert!(read_file(&mut volume, "/log").unwrap() == content);
        assert_eq!(volume.flush(handle), Ok(()));
        assert!(volume.disk_mut().bytes == copy);

        assert_eq!(volume.thaw(), Ok(1));
        assert_eq!(volume.thaw(), Ok(0));
        write(&mut volume, handle, b"x").unwrap();
        volume.close(handle).unwrap();
        assert!(image::check(&volume.into_disk().bytes).is_clean());
    }
}

#[test]
fn free_clusters_are_discarded() {
    let mut volume = mount(Memory::new(image::new(FAT16)));
    for (path, length) in [("/1", 512), ("/2", 1024), ("/3", 512), ("/4", 4096), ("/5", 512)] {
        write_file(&mut volume, path, &vec![1; length]).unwrap();
    }
    for path in ["/2", "/4"] {
        write_file(&mut volume, path, b"").unwrap();
    }
    assert_eq!(trim(&mut volume, 0), Err(TrimError::Unsupported));
    let free = volume.free_bytes().unwrap();
    let mut check = |unit, minimum, bytes, least, runs| {
        let disk = volume.disk_mut();
        disk.discard_unit = Some(unit);
        disk.discarded.clear();
        assert_eq!(trim(&mut volume, minimum), Ok(Trimmed { bytes, minimum: least }));
        assert_eq!(volume.disk_mut().discarded.len(), runs);
    };
    check(1, 0, free, 512, 3);
    check(1, 1025, free - 1024, 1025, 2);
    check(8, 0, free - 1024, 4096, 2);
    check(8, 4097, free - 5120, 4097, 1);
    check(1, u64::MAX, 0, u64::MAX, 0);
    let bytes = volume.into_disk().bytes;
    assert!(image::check(&bytes).is_clean());
    let mut disk = Memory::new(bytes);
    disk.read_only = true;
    disk.discard_unit = Some(1);
    assert_eq!(trim(&mut mount(disk), 0), Err(TrimError::Disk(Errno::READ_ONLY)));
}

/// A disk with an MBR, and volumes in partitions of these types, each of 4 MiB.
fn partitioned(volumes: &[(u8, Option<&[u8]>)]) -> Vec<u8> {
    let mut bytes = vec![0; 512];
    for (number, (kind, image)) in volumes.iter().enumerate() {
        let start = bytes.len() + 512 * 7;
        let entry = &mut bytes[446 + 16 * number..][..16];
        entry[4] = *kind;
        entry[8..12].copy_from_slice(&u32::try_from(start / 512).unwrap().to_le_bytes());
        entry[12..16].copy_from_slice(&8192_u32.to_le_bytes());
        bytes.resize(start, 0);
        bytes.extend(image.unwrap_or_default());
        bytes.resize(start + (4 << 20), 0);
    }
    bytes[510..512].copy_from_slice(&[0x55, 0xAA]);
    bytes
}

#[test]
fn the_first_fat_partition_is_mounted() {
    let (one, two) = (image::new(FAT16), image::new(FAT32));
    let check = |volumes: &[(u8, Option<&[u8]>)], expected| {
        let mut volume = mount(Memory::new(partitioned(volumes)));
        assert_eq!(volume.partition(), expected);
        write_file(&mut volume, "/new", &pattern(1, 5000)).unwrap();
        let bytes = volume.into_disk().bytes;
        let start = 512 * 8 + (usize::from(expected.unwrap()) - 1) * ((4 << 20) + 512 * 7);
        let report = image::check(&bytes[start..][..4 << 20]);
        assert!(report.is_clean(), "{report:?}");
    };
    check(&[(0x06, Some(&one)), (0x0C, Some(&two))], Some(1));
    check(&[(0x83, None), (0x0C, Some(&two)), (0x06, Some(&one))], Some(2));
    check(&[(0x06, None), (0x83, Some(&one)), (0, None), (0x0E, Some(&one))], Some(4));
    let none = partitioned(&[(0x83, Some(&one)), (0x06, None)]);
    assert_eq!(
        crate::try_mount(Memory::new(none)).map(|_| ()).unwrap_err(),
        fat::MountError::NotFound
    );
}

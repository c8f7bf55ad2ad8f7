//! Corrupted volumes: errors, and never a panic, a hang, or a sector that does not exist.

use agent_core::{Errno, Files, Filesystems};
use embedded_io::SeekFrom;

use crate::disk::Memory;
use crate::image::{self, FAT16, FAT32, Format};
use crate::{mount, open, pattern, try_mount, write_file};

/// More requests than everything that is tried below can need.
const ENOUGH: u64 = 100_000;

fn filled(format: Format) -> Vec<u8> {
    let mut bytes = image::new(format);
    image::make_sub(&mut bytes);
    let mut volume = mount(Memory::new(bytes));
    for number in 0..30 {
        let path = format!("/sub/a file with the number {number}");
        write_file(&mut volume, &path, &pattern(number, 3000)).unwrap();
    }
    write_file(&mut volume, "/large", &pattern(1, 300_000)).unwrap();
    volume.into_disk().bytes
}

/// Uses a volume in every way, whatever comes of it.
fn use_it(bytes: Vec<u8>) -> (bool, bool) {
    let Ok(mut volume) = try_mount(Memory::new(bytes)) else { return (false, false) };
    let sound = volume.condition() == fat::Condition::Sound;
    volume.disk_mut().discard_unit = Some(1);
    let mut buffer = [0; 4096];
    let paths = ["/large", "/sub/a file with the number 7", "/sub/..", "/sub", "/new", "/sub/new"];
    for path in paths {
        for mode in ["r+", "a+", "w+"] {
            let Ok(handle) = open(&mut volume, path, mode) else { continue };
            assert!(sound, "a damaged volume is not written");
            let _ = volume.measure(handle, 48 << 20);
            for position in [0, 299_000, 5000, 0xFFFF_0000] {
                let _ = volume.seek(handle, SeekFrom::Start(position));
                let _ = volume.read(handle, &mut buffer);
            }
            let _ = volume.seek(handle, SeekFrom::Start(2000));
            let _ = volume.write(handle, &buffer);
            let _ = volume.flush(handle);
            let _ = volume.seek(handle, SeekFrom::End(1000));
            let _ = volume.write(handle, &buffer);
            let _ = volume.close(handle);
        }
        if let Ok(handle) = open(&mut volume, path, "r") {
            let _ = volume.measure(handle, 48 << 20);
            while matches!(volume.read(handle, &mut buffer), Ok(1..)) {}
            let _ = volume.close(handle);
        }
    }
    let _ = volume.freeze(&mut |_| true);
    let _ = volume.thaw();
    volume.trim(0, &mut |_| {});
    let requests = volume.disk_mut().requests;
    assert!(requests < ENOUGH, "{requests} requests");
    (true, sound)
}

fn check(format: Format, seeds: core::ops::Range<u64>) {
    let whole = filled(format);
    assert_eq!(use_it(whole.clone()), (true, true));
    let [boot, table, directories] = image::areas(&whole);
    let mut tally = (0, 0, 0);
    for seed in seeds {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = whole.clone();
        let changes = random.usize(1..40);
        for _ in 0..changes {
            let at = match seed % 4 {
                0 => random.usize(boot.clone()),
                1 => table.start + random.usize(..4000) + random.usize(..2) * table.len(),
                2 => random.usize(directories.clone()),
                _ => random.usize(..directories.end),
            };
            match random.u8(..4) {
                0 => bytes[at] ^= 1 << random.u8(..8),
                1 => bytes[at] = random.u8(..),
                2 => bytes[at..at + 4].fill(random.choice([0, 0xFF, 0xE5]).unwrap()),
                // The table: a link to somewhere near.
                _ => bytes[at] = random.u8(2..40),
            }
        }
        let (mounted, sound) = use_it(bytes);
        tally.0 += usize::from(!mounted);
        tally.1 += usize::from(mounted && !sound);
        tally.2 += usize::from(sound);
    }
    println!("{format:?}: not mounted, damaged, sound: {tally:?}");
    assert!(tally.0 > 0 && tally.1 > 0 && tally.2 > 0, "{tally:?}");
}

#[test]
fn corrupted_fat16() {
    check(FAT16, 0..100);
}

#[test]
fn corrupted_fat32() {
    check(FAT32, 100..200);
}

/// A volume with a table entry changed.
fn linked(from: usize, to: u16) -> Memory {
    let mut bytes = filled(FAT16);
    image::link16(&mut bytes, from, to);
    Memory::new(bytes)
}

#[test]
fn what_is_damaged_is_not_written() {
    // Cluster 2 is the directory's; 200 is in the middle of the large file.
    for (from, to) in [(200, 200), (200, 150), (200, 0), (200, 0xFFF0), (200, 2), (2, 2)] {
        let mut volume = mount(linked(from, to));
        assert_eq!(volume.condition(), fat::Condition::Damaged, "{from} leads to {to}");
        assert!(volume.is_read_only());
        assert_eq!(open(&mut volume, "/new", "w"), Err(Errno::READ_ONLY));
        assert_eq!(volume.free_bytes(), None);
        assert!(volume.disk_mut().events.is_empty());
    }
    let mut volume = mount(linked(200, 0));
    let handle = open(&mut volume, "/large", "r").unwrap();
    assert_eq!(volume.measure(handle, 1000).unwrap().count, 1000);
    assert_eq!(volume.measure(handle, 300_000), Err(Errno::IO));
}

//! Power is cut after every single sector that a scenario writes: what is found, and what is lost?
//!
//! At every moment each file must be what it was at its last flush or close, or at the one that was
//! under way; `fsck.fat -n` may find clusters that no file uses, and nothing worse; and once the
//! volume was mounted again, nothing at all.

use std::collections::BTreeMap;

use agent_core::{Errno, Files, Handle};
use embedded_io::SeekFrom;

use crate::disk::{Event, Memory};
use crate::image::{self, FAT16, FAT32, FAT32_LARGE, Format, Image, Report};
use crate::{TestVolume, mount, open, pattern, read_file, write, write_file};

/// A scenario being played, and what it has made to stay.
struct Stage {
    volume: TestVolume<'static>,
    /// For each path, what it held from which event on.
    kept: BTreeMap<String, Vec<(usize, Vec<u8>)>>,
    paths: BTreeMap<i64, String>,
}

impl Stage {
    fn new(base: &[u8]) -> Self {
        let mut volume = mount(Memory::new(base.to_vec()));
        assert!(volume.disk_mut().events.is_empty(), "mounting a clean volume writes nothing");
        Self { volume, kept: BTreeMap::new(), paths: BTreeMap::new() }
    }

    /// States what a file of the image holds at the start.
    fn expect(&mut self, path: &str) {
        let content = read_file(&mut self.volume, path).unwrap();
        self.kept.entry(path.to_owned()).or_default().push((0, content));
    }

    fn open(&mut self, path: &str, mode: &str) -> Handle {
        let handle = open(&mut self.volume, path, mode).unwrap();
        self.paths.insert(handle.0, path.to_owned());
        self.kept.entry(path.to_owned()).or_default();
        handle
    }

    fn write(&mut self, handle: Handle, bytes: &[u8]) {
        write(&mut self.volume, handle, bytes).unwrap();
    }

    fn seek(&mut self, handle: Handle, position: u64) {
        self.volume.seek(handle, SeekFrom::Start(position)).unwrap();
    }

    fn flush(&mut self, handle: Handle) {
        let path = self.paths[&handle.0].clone();
        let content = read_unflushed(&mut self.volume, handle);
        self.volume.flush(handle).unwrap();
        let now = self.volume.disk_mut().events.len();
        self.kept.get_mut(&path).unwrap().push((now, content));
    }

    fn close(&mut self, handle: Handle) {
        let path = self.paths[&handle.0].clone();
        let content = read_unflushed(&mut self.volume, handle);
        self.volume.close(handle).unwrap();
        let now = self.volume.disk_mut().events.len();
        self.kept.get_mut(&path).unwrap().push((now, content));
    }

    /// A new file in one go.
    fn put(&mut self, path: &str, bytes: &[u8]) {
        let handle = self.open(path, "w+");
        self.write(handle, bytes);
        self.close(handle);
    }

    /// Whether a file may hold this after a cut after `events` events.
    fn allows(&self, path: &str, events: usize, found: Result<&[u8], Errno>) -> bool {
        let kept = &self.kept[path];
        let at = kept.partition_point(|(since, _)| *since <= events);
        let last = match at.checked_sub(1) {
            Some(last) => found == Ok(&kept[last].1),
            None => matches!(found, Ok(&[]) | Err(Errno::NOT_FOUND)),
        };
        last || kept.get(at).is_some_and(|(_, next)| found == Ok(next))
    }
}

/// What a file holds for those who read it now, by the handle that it is written by: to close
/// another one would write what is to be written.
fn read_unflushed(volume: &mut TestVolume<'_>, handle: Handle) -> Vec<u8> {
    let position = volume.seek(handle, SeekFrom::Current(0)).unwrap();
    volume.seek(handle, SeekFrom::Start(0)).unwrap();
    let bytes = crate::read(volume, handle).unwrap();
    volume.seek(handle, SeekFrom::Start(position)).unwrap();
    bytes
}

/// How often each thing was found.
#[derive(Debug, Default)]
struct Tally {
    cuts: usize,
    clean: usize,
    unused: usize,
    tables_differ: usize,
    count_unknown: usize,
}

/// Plays a scenario and cuts the power at every moment of it.
fn check(name: &str, base: &[u8], play: impl FnOnce(&mut Stage)) {
    let mut stage = Stage::new(base);
    play(&mut stage);
    let events = core::mem::take(&mut stage.volume.disk_mut().events);
    cut_everywhere(name, base, &stage, &events);
    reorder(name, base, &stage, &events);
}

/// Cuts the power after each sector of each request.
fn cut_everywhere(name: &str, base: &[u8], stage: &Stage, events: &[Event]) {
    let mut image = Image::of(base);
    let mut tally = Tally::default();
    judge(name, stage, 0, &image, &mut tally);
    for (at, event) in events.iter().enumerate() {
        let name = format!("{name}, cut in {at} of {}", events.len());
        let parts = event.torn();
        for (left, part) in (0..parts.len()).rev().zip(&parts) {
            let Event::Write(sector, bytes) = part else { continue };
            let place = usize::try_from(sector * 512).unwrap();
            if left > 0 && image.bytes()[place..][..512] == *bytes {
                continue;
            }
            image.write(*sector, bytes);
            let report = judge(&name, stage, at, &image, &mut tally);
            assert!(left > 0 || !report.tables_differ, "{name}: after a whole request");
        }
    }
    assert!(tally.clean > 0, "{name}: {tally:?}");
    println!("{name}: {tally:?}");
}

/// Checks what a cut of power left, before and after it is mounted.
fn judge(name: &str, stage: &Stage, cut: usize, image: &Image, tally: &mut Tally) -> Report {
    let report = image.check();
    assert!(report.damage.is_empty(), "{name}: {report:?}");
    tally.cuts += 1;
    tally.clean += usize::from(report.is_clean());
    tally.unused += usize::from(report.unused);
    tally.tables_differ += usize::from(report.tables_differ);
    tally.count_unknown += usize::from(report.count_unknown);
    let mended = remount(name, stage, cut, image.bytes());
    if !report.is_clean() || cut.is_multiple_of(16) {
        let report = image::check(&mended);
        assert!(report.is_clean(), "{name}, mounted again: {report:?}");
    }
    report
}

/// Mounts what is left, reads every file, and returns what is on the disk then.
fn remount(name: &str, stage: &Stage, cut: usize, bytes: &[u8]) -> Vec<u8> {
    let mut volume = mount(Memory::new(bytes.to_vec()));
    assert_eq!(volume.condition(), fat::Condition::Sound, "{name}");
    for path in stage.kept.keys() {
        let found = read_file(&mut volume, path);
        let found = found.as_deref().map_err(|errno| *errno);
        assert!(
            stage.allows(path, cut, found),
            "{name}: {path} holds {:?} bytes",
            found.map(<[u8]>::len)
        );
    }
    volume.into_disk().bytes
}

/// A host that loses its power: of what was written after the last flush, any part may be missing.
fn reorder(name: &str, base: &[u8], stage: &Stage, events: &[Event]) {
    let mut random = fastrand::Rng::with_seed(7);
    let events: Vec<(usize, Event)> = (0..)
        .zip(events)
        .flat_map(|(at, event)| event.torn().into_iter().map(move |event| (at, event)))
        .collect();
    for round in 0..40 {
        let cut = random.usize(..=events.len());
        let flushed = events[..cut].iter().rposition(|(_, event)| matches!(event, Event::Flush));
        let mut bytes = base.to_vec();
        for (at, (_, event)) in events[..cut].iter().enumerate() {
            let Event::Write(sector, sector_bytes) = event else { continue };
            if flushed.is_some_and(|flushed| at < flushed) || random.bool() {
                let at = usize::try_from(sector * 512).unwrap();
                bytes[at..at + 512].copy_from_slice(&sector_bytes[..]);
            }
        }
        let name = format!("{name}, power lost after {cut} ({round})");
        let report = image::check(&bytes);
        assert!(report.damage.is_empty(), "{name}: {report:?}");
        let kept = flushed.map_or(0, |at| events[at].0 + 1);
        let mended = remount(&name, stage, kept, &bytes);
        let report = image::check(&mended);
        assert!(report.is_clean(), "{name}, mounted again: {report:?}");
    }
}

fn each(check: impl Fn(&str, Format)) {
    check("FAT16", FAT16);
    check("FAT32", FAT32);
    check("FAT32 with clusters of 2 KiB", FAT32_LARGE);
}

/// A volume with the directory `/sub`, and with a file.
fn base(format: Format, path: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = image::new(format);
    image::make_sub(&mut bytes);
    let mut volume = mount(Memory::new(bytes));
    write_file(&mut volume, path, content).unwrap();
    volume.into_disk().bytes
}

#[test]
fn new_files() {
    each(|name, format| {
        let image = image::new(format);
        check(&format!("new files, {name}"), &image, |stage| {
            stage.put("/SHORT.TXT", &pattern(1, 3000));
            stage.put("/a name that needs slots.txt", &pattern(2, 700));
            stage.put("/empty file", &[]);
            stage.put("/SHORT.TXT", &pattern(3, 2048));
            stage.put("/SHORT.TXT", &[]);
            for number in 0..5 {
                stage.put(&format!("/a name of {number} two slots"), b"x");
            }
        });
    });
}

#[test]
fn appending() {
    each(|name, format| {
        let image = base(format, "/log", &pattern(4, 5000));
        check(&format!("appending, {name}"), &image, |stage| {
            stage.expect("/log");
            let handle = stage.open("/log", "a+");
            for line in 0..6 {
                stage.write(handle, &pattern(line, 400));
                stage.flush(handle);
            }
            stage.write(handle, &pattern(9, 5000));
            stage.close(handle);
        });
    });
}

#[test]
fn overwriting() {
    each(|name, format| {
        let image = base(format, "/config", &pattern(4, 6000));
        check(&format!("overwriting, {name}"), &image, |stage| {
            stage.expect("/config");
            let handle = stage.open("/config", "r+");
            stage.seek(handle, 1000);
            stage.write(handle, &pattern(5, 1500));
            stage.flush(handle);
            stage.seek(handle, 3);
            stage.write(handle, b"x");
            stage.seek(handle, 9000);
            stage.write(handle, b"beyond the end");
            stage.close(handle);
            let handle = stage.open("/config", "w+");
            stage.write(handle, &pattern(6, 100));
            stage.close(handle);
        });
    });
}

#[test]
fn two_at_a_time() {
    each(|name, format| {
        let image = base(format, "/sub/one", &pattern(4, 3000));
        check(&format!("two at a time, {name}"), &image, |stage| {
            stage.expect("/sub/one");
            let one = stage.open("/sub/one", "r+");
            let two = stage.open("/sub/the other of the two", "w+");
            for round in 0..4 {
                stage.write(one, &pattern(round, 900));
                stage.write(two, &pattern(round + 10, 700));
                if round == 2 {
                    stage.flush(two);
                }
            }
            stage.close(one);
            stage.close(two);
        });
    });
}

#[test]
fn directories_grow() {
    for (name, format) in [("FAT16", FAT16), ("FAT32", FAT32)] {
        let image = base(format, "/sub/first", b"");
        check(&format!("directories grow, {name}"), &image, |stage| {
            for number in 0..5 {
                stage
                    .put(&format!("/sub/the name of file {number} is long enough for slots"), b"x");
            }
            let longest = "n".repeat(255);
            stage.put(&format!("/sub/{longest}"), &pattern(1, 600));
            stage.put("/sub/after it", b"y");
            if name == "FAT32" {
                stage.put(&format!("/{longest}"), &pattern(2, 600));
            }
        });
    }
}

#[test]
fn a_full_disk() {
    let mut volume = mount(Memory::new(image::new(FAT16)));
    let free = usize::try_from(volume.free_bytes().unwrap()).unwrap();
    // All but a few clusters are taken.
    write_file(&mut volume, "/ballast", &vec![7; free - 30 * 512]).unwrap();
    write_file(&mut volume, "/old", &pattern(1, 20 * 512)).unwrap();
    let image = volume.into_disk().bytes;
    check("a full disk", &image, |stage| {
        stage.expect("/old");
        let handle = stage.open("/old", "w+");
        stage.write(handle, &pattern(2, 8 * 512));
        // More than is free beside the old content: that goes at once, and the file is empty.
        stage.write(handle, &pattern(3, 12 * 512));
        let now = stage.volume.disk_mut().events.len();
        stage.kept.get_mut("/old").unwrap().push((now, Vec::new()));
        stage.close(handle);
    });
}

#[test]
fn anything() {
    for (seed, format) in (0..).zip([FAT16, FAT32, FAT32_LARGE, FAT16, FAT32]) {
        let image = base(format, "/sub/file 0", &pattern(4, 3000));
        check(&format!("anything, {seed}"), &image, |stage| {
            stage.expect("/sub/file 0");
            let mut random = fastrand::Rng::with_seed(seed);
            let mut open = Vec::new();
            for _ in 0..30 {
                if open.len() < 2 || random.u8(..6) == 0 && open.len() < 6 {
                    let path = format!("/sub/file {}", random.u8(..4));
                    open.push(stage.open(&path, random.choice(["w+", "a+"]).unwrap()));
                    continue;
                }
                let at = random.usize(..open.len());
                match random.u8(..8) {
                    0 => stage.seek(open[at], random.u64(..4000)),
                    1 | 2 => stage.flush(open[at]),
                    3 => stage.close(open.swap_remove(at)),
                    _ => {
                        let bytes = pattern(random.u64(..), random.usize(1..2500));
                        stage.write(open[at], &bytes);
                    }
                }
            }
            for handle in open {
                stage.close(handle);
            }
        });
    }
}

//! Random operations on a volume and on a map of paths to bytes: both must say the same.

use std::collections::BTreeMap;

use agent_core::{Errno, Files, Handle, OpenMode};
use embedded_io::SeekFrom;

use crate::disk::Memory;
use crate::image::{self, FAT16, FAT32, FAT32_LARGE, Format};
use crate::{TestVolume, mount, open, pattern, read_file};

/// Paths that are opened; the directories are there.
const PATHS: [&str; 7] = [
    "/A.TXT",
    "/another file, with a name of several slots.configuration",
    "/log",
    "/sub/x",
    "/sub/the file.one",
    "/sub/the file.two",
    "/sub/the file.three",
];

const MODES: [&str; 6] = ["r", "r+", "w", "w+", "a", "a+"];

/// What a volume should be.
#[derive(Default)]
struct Model {
    files: BTreeMap<&'static str, Vec<u8>>,
    open: Vec<(Handle, &'static str, OpenMode, usize)>,
    /// A write ended early for want of room.
    was_full: bool,
}

struct Play {
    volume: TestVolume<'static>,
    model: Model,
    random: fastrand::Rng,
}

impl Play {
    fn open(&mut self) {
        let path = PATHS[self.random.usize(..PATHS.len())];
        let mode = MODES[self.random.usize(..MODES.len())];
        let opened = open(&mut self.volume, path, mode);
        let parsed = OpenMode::parse(mode.as_bytes()).unwrap();
        if self.model.open.len() == 8 {
            return assert_eq!(opened, Err(Errno::TOO_MANY_OPEN_FILES));
        }
        if !parsed.create && !self.model.files.contains_key(path) {
            return assert_eq!(opened, Err(Errno::NOT_FOUND));
        }
        let content = self.model.files.entry(path).or_default();
        if parsed.truncate {
            content.clear();
        }
        let position = if parsed.append && !parsed.read { content.len() } else { 0 };
        self.model.open.push((opened.unwrap(), path, parsed, position));
    }

    fn write(&mut self, at: usize) {
        let (handle, path, mode, position) = self.model.open[at];
        let length = match self.random.u8(..4) {
            0 => self.random.usize(1..40),
            1 | 2 => self.random.usize(1..3000),
            _ => self.random.usize(1..20_000),
        };
        let bytes = pattern(self.random.u64(..), length);
        let written = self.volume.write(handle, &bytes);
        if !mode.write {
            return assert_eq!(written, Err(Errno::BAD_DESCRIPTOR));
        }
        let content = self.model.files.get_mut(path).unwrap();
        let start = if mode.append { content.len() } else { position };
        let count = match written {
            Ok(count) => count,
            Err(errno) => {
                assert_eq!(errno, Errno::NO_SPACE);
                self.model.was_full = true;
                return;
            }
        };
        assert!((1..=length).contains(&count));
        content.resize(content.len().max(start + count), 0);
        content[start..start + count].copy_from_slice(&bytes[..count]);
        self.model.open[at].3 = start + count;
    }

    fn read(&mut self, at: usize) {
        let (handle, path, mode, position) = self.model.open[at];
        let mut buffer = vec![0; self.random.usize(1..9000)];
        let longest = buffer.len() as u64;
        let measured = self.volume.measure(handle, longest);
        let found = self.volume.read(handle, &mut buffer);
        if !mode.read {
            assert_eq!(measured.map(|_| ()), Err(Errno::BAD_DESCRIPTOR));
            return assert_eq!(found, Err(Errno::BAD_DESCRIPTOR));
        }
        let rest = self.model.files[path].get(position..).unwrap_or(&[]);
        let expected = &rest[..rest.len().min(buffer.len())];
        let measured = measured.unwrap();
        assert_eq!(measured.count, expected.len() as u64);
        assert_eq!(measured.end, rest.len() < buffer.len());
        assert!(buffer[..found.unwrap()] == *expected, "{path} at {position}");
        self.model.open[at].3 += expected.len();
    }

    fn seek(&mut self, at: usize) {
        let (handle, path, _, _) = self.model.open[at];
        let end = self.model.files[path].len() as u64;
        // Now and then beyond the end.
        let position = self.random.u64(..end + end / 4 + 10);
        assert_eq!(self.volume.seek(handle, SeekFrom::Start(position)), Ok(position));
        self.model.open[at].3 = usize::try_from(position).unwrap();
    }

    fn close(&mut self, at: usize) {
        let (handle, ..) = self.model.open.swap_remove(at);
        self.volume.close(handle).unwrap();
    }

    fn step(&mut self) {
        if self.model.open.is_empty() || self.random.u8(..12) == 0 {
            return self.open();
        }
        let at = self.random.usize(..self.model.open.len());
        match self.random.u8(..12) {
            0..4 => self.write(at),
            4..7 => self.read(at),
            7..9 => self.seek(at),
            9 => self.volume.flush(self.model.open[at].0).unwrap(),
            _ => self.close(at),
        }
    }
}

/// Plays steps, then closes everything and checks what is on the disk.
fn check(format: Format, seed: u64, steps: usize, ballast: u64) {
    let mut bytes = image::new(format);
    image::make_sub(&mut bytes);
    let mut volume = mount(Memory::new(bytes));
    if ballast > 0 {
        let taken = volume.free_bytes().unwrap() - ballast;
        let bytes = vec![1; usize::try_from(taken).unwrap()];
        crate::write_file(&mut volume, "/ballast", &bytes).unwrap();
    }
    let random = fastrand::Rng::with_seed(seed);
    let mut play = Play { volume, model: Model::default(), random };
    for _ in 0..4 {
        (0..steps).for_each(|_| play.step());
        while !play.model.open.is_empty() {
            play.close(0);
        }
        // What is free is what no file takes.
        let report = image::check(&play.volume.disk_mut().bytes);
        assert!(report.is_clean(), "seed {seed}: {report:?}");
        let again = mount(Memory::new(play.volume.disk_mut().bytes.clone()));
        assert_eq!(again.free_bytes(), play.volume.free_bytes(), "seed {seed}");
        play.volume = again;
        for (path, content) in &play.model.files {
            assert!(read_file(&mut play.volume, path).as_ref() == Ok(content), "{path}, {seed}");
        }
        assert!(play.volume.disk_mut().events.is_empty(), "mounting what is clean writes nothing");
    }
    assert_eq!(play.model.was_full, ballast > 0, "seed {seed}");
}

#[test]
fn random_operations_on_fat16() {
    (0..4).for_each(|seed| check(FAT16, seed, 400, 0));
}

#[test]
fn random_operations_on_fat32() {
    (10..13).for_each(|seed| check(FAT32_LARGE, seed, 400, 0));
}

#[test]
fn random_operations_on_a_full_disk() {
    (20..23).for_each(|seed| check(FAT16, seed, 400, 60_000));
    (30..33).for_each(|seed| check(FAT32, seed, 400, 40_000));
}

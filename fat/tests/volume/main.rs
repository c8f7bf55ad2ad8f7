//! Whole volumes: used, filled, corrupted, failing, and cut off from power at every moment.
//!
//! With the feature `dosfstools` it is mkfs.fat and fsck.fat that make and check them.

mod corruption;
mod disk;
#[cfg(feature = "dosfstools")]
mod dosfstools;
mod failure;
mod files;
mod filesystems;
mod image;
mod model;
mod power;

use agent_core::{Errno, Files, Handle, OpenMode};
use fat::{Label, MountError, Scratch, Volume};

use crate::disk::Memory;

/// Enough to write both copies of the table at once.
const SCRATCH: usize = 16_384;

/// A volume as the tests use it.
type TestVolume<'s> = Volume<'s, Memory, 8>;

const LABEL: Label<'_> = Label { name: "vda", mountpoint: "/", disk: None };

/// Mounts a disk with memory that is never given back: a test is over soon.
fn try_mount(disk: Memory) -> Result<TestVolume<'static>, MountError> {
    let scratch: &'static mut Scratch<SCRATCH> = Box::leak(Box::new([0; SCRATCH]));
    Volume::mount(disk, scratch, LABEL)
}

fn mount(disk: Memory) -> TestVolume<'static> {
    try_mount(disk).unwrap()
}

fn open(volume: &mut TestVolume<'_>, path: &str, mode: &str) -> Result<Handle, Errno> {
    volume.open(path.as_bytes(), OpenMode::parse(mode.as_bytes()).unwrap())
}

/// Writes all bytes, in as many calls as it takes.
fn write(volume: &mut TestVolume<'_>, handle: Handle, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let count = volume.write(handle, bytes)?;
        assert!(count > 0);
        bytes = &bytes[count..];
    }
    Ok(())
}

/// Reads from the position to the end.
fn read(volume: &mut TestVolume<'_>, handle: Handle) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 3000];
    loop {
        match volume.read(handle, &mut buffer)? {
            0 => return Ok(bytes),
            count => bytes.extend(&buffer[..count]),
        }
    }
}

/// Reads a whole file.
fn read_file(volume: &mut TestVolume<'_>, path: &str) -> Result<Vec<u8>, Errno> {
    let handle = open(volume, path, "r")?;
    let bytes = read(volume, handle);
    volume.close(handle)?;
    bytes
}

/// Writes a whole file.
fn write_file(volume: &mut TestVolume<'_>, path: &str, bytes: &[u8]) -> Result<(), Errno> {
    let handle = open(volume, path, "w")?;
    let written = write(volume, handle, bytes);
    let closed = volume.close(handle);
    written.and(closed)
}

/// Bytes that are not like any others.
fn pattern(seed: u64, length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    bytes
}

//! Large files, in a guest with little memory.

use core::time::Duration;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use tests::disk::{Disk, Drive, Format};
use tests::files::Verdict as _;

use crate::{Case, launch, with_guest};

pub(crate) const CASES: &[Case] = &[
    Case::new("32-mebibytes-in-and-out", in_and_out),
    Case::new("count-beyond-the-end", beyond_the_end),
];

const MIB: usize = 1024 * 1024;

/// Bytes of which no two blocks are the same.
fn bytes(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(32).fill(&mut bytes);
    bytes
}

fn in_and_out() -> Result<()> {
    const LENGTH: usize = 32 * MIB;
    let contents = bytes(LENGTH);
    let disk = Disk::formatted(Format::FAT32.mib(128))?;
    disk.put("in", &contents)?;
    let launch = launch()?.memory_mib(16).lifetime(Duration::from_mins(5));
    with_guest(launch.drive(Drive::of(&disk)), |_, client| {
        let speed = |what: &str, started: Instant| {
            println!("{what}: {:.1} MiB/s", 32.0 / started.elapsed().as_secs_f64());
        };
        for piece in [64 * 1024, 16 * MIB] {
            let started = Instant::now();
            let taken = client.take_file("in", piece)?;
            speed(&format!("out, in reads of {piece} bytes"), started);
            ensure!(taken == contents, "in reads of {piece} bytes it is another file");
        }
        let started = Instant::now();
        client.put_file("out", &contents)?;
        speed("in, in writes of 64 KiB", started);
        ensure!(disk.get("out")? == contents, "it was written as another file");
        disk.expect_clean()
    })
}

/// qemu-ga takes counts up to 48 MiB, however short the file is.
fn beyond_the_end() -> Result<()> {
    const COUNT_MAX: usize = 48 * MIB;
    with_guest(launch()?, |_, client| {
        let contents = bytes(700_000);
        client.put_file("f", &contents)?;
        let handle = client.open("f", "r").granted()?;
        let (taken, eof) = client.read(handle, COUNT_MAX).granted()?;
        ensure!(eof && taken == contents, "{} bytes", taken.len());
        let text = client.read(handle, COUNT_MAX + 1).refused().context("one more")?;
        ensure!(text == "value '50331649' is invalid for argument count", "{text}");
        Ok(())
    })
}

//! Compares with the real qemu-ga, byte by byte.

#![allow(clippy::missing_errors_doc, reason = "an error is a failed test")]

use core::time::Duration;

use anyhow::{Result, ensure};
use tests::conformance::{Comparison, Entry, Real, Subject, queries, read_corpus, recorded};
use tests::image::{Image, linux};
use tests::machine::{Channel, Machine};
use tests::qemu::{Launch, is_installed};

/// Plays recorded and generated inputs; prints what was not played and demands equality.
fn compare(subject: Subject, random: usize, seed: u64) -> Result<()> {
    ensure!(
        is_installed(Real::PROGRAM),
        "qemu-ga is missing; `cargo xtask test` installs it, or tells how"
    );
    let plays_all = subject.is_fresh_each_time();
    let entries: Vec<Entry> = read_corpus(&recorded())?.into_iter().chain(queries()).collect();
    let mut comparison = Comparison::new(subject)?;
    comparison.play_corpus(&entries)?;
    comparison.play_random(random, seed)?;
    let (tally, report) = comparison.finish();
    println!("{tally:#?}");
    ensure!(tally.unlisted == 0, "{} differences:\n{}", tally.unlisted, report.join("\n"));
    ensure!(!plays_all || tally.skipped.is_empty(), "not all were played: {tally:#?}");
    ensure!(tally.equal > random, "hardly anything was compared: {tally:#?}");
    Ok(())
}

/// The harness itself: the real agent does not differ from the real agent.
#[test]
fn qemu_ga_equals_itself() -> Result<()> {
    compare(Subject::Real, 200, 2)
}

#[test]
fn linux_process_equals_qemu_ga() -> Result<()> {
    compare(Subject::Linux(linux()?), 2000, 3)
}

#[test]
fn pc_image_over_virtio_equals_qemu_ga() -> Result<()> {
    image(Image::Pc, Machine::Q35, Channel::VirtioPci, 1000, 1)
}

#[test]
fn pc_image_over_a_uart_equals_qemu_ga() -> Result<()> {
    image(Image::Pc, Machine::Pc, Channel::Com1, 200, 7)
}

#[test]
fn appliance_equals_qemu_ga() -> Result<()> {
    image(Image::Appliance, Machine::Pc, Channel::VirtioPci, 200, 4)
}

fn image(image: Image, machine: Machine, channel: Channel, random: usize, seed: u64) -> Result<()> {
    let launch = Launch::image(image, machine, channel)?.lifetime(Duration::from_mins(5));
    compare(Subject::guest(launch)?, random, seed)
}

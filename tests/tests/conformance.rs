//! Compares with the real qemu-ga, byte by byte.

#![allow(clippy::missing_errors_doc, reason = "an error is a failed test")]

use core::time::Duration;

use anyhow::{Result, ensure};
use tests::conformance::{Comparison, Entry, Real, Subject, read_corpus, recorded};
use tests::image::{Image, linux};
use tests::machine::{Channel, Machine};
use tests::qemu::{Launch, is_installed};

/// Plays recorded and generated inputs; prints what was not played and demands equality.
fn compare(subject: Subject, entries: &[Entry], random: usize, seed: u64) -> Result<()> {
    ensure!(
        is_installed(Real::PROGRAM),
        "qemu-ga is missing; `cargo xtask test` installs it, or tells how"
    );
    let mut comparison = Comparison::new(subject)?;
    comparison.play_corpus(entries)?;
    comparison.play_random(random, seed)?;
    let (tally, report) = comparison.finish();
    println!("{tally:#?}");
    ensure!(tally.unlisted == 0, "{} differences:\n{}", tally.unlisted, report.join("\n"));
    ensure!(tally.equal > random, "hardly anything was compared: {tally:#?}");
    Ok(())
}

/// The harness itself: the real agent does not differ from the real agent.
#[test]
fn qemu_ga_equals_itself() -> Result<()> {
    let mut entries = read_corpus(&recorded())?;
    // Processes and processor times differ from one moment to the next.
    entries.retain(|entry| !entry.name.starts_with("exec_") && entry.group != "query");
    compare(Subject::Real, &entries, 200, 2)
}

#[test]
fn linux_process_equals_qemu_ga() -> Result<()> {
    compare(Subject::Linux(linux()?), &read_corpus(&recorded())?, 2000, 3)
}

#[test]
fn pc_image_over_virtio_equals_qemu_ga() -> Result<()> {
    pc_image(Machine::Q35, Channel::VirtioPci, 1000, 1)
}

#[test]
fn pc_image_over_a_uart_equals_qemu_ga() -> Result<()> {
    pc_image(Machine::Pc, Channel::Com1, 200, 7)
}

fn pc_image(machine: Machine, channel: Channel, random: usize, seed: u64) -> Result<()> {
    let launch = Launch::image(Image::Pc, machine, channel)?.lifetime(Duration::from_mins(5));
    compare(Subject::guest(launch.start()?)?, &read_corpus(&recorded())?, random, seed)
}

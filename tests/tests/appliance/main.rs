//! Boots the appliance with all kinds of disks, and uses its files and file systems.
//!
//! As with the other images: a case gets a guest of its own, and when it fails, the channel's
//! transcript, the decoded guest log and the processor's registers are printed with the reason.
//!
//! `cargo test -p tests --test appliance -- freeze` runs a part; `--list` shows all.

#![allow(clippy::missing_errors_doc, reason = "an error is a failed test")]

mod clients;
mod corpus;
mod demonstration;
mod disks;
mod enemy;
mod failure;
mod files;
mod freeze;
mod identity;
mod idle;
mod network;
mod power_cut;
mod processors;
mod suspend;
mod transfer;
mod trim;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use libtest_mimic::{Arguments, Trial};
use tests::client::Client;
use tests::disk::{Disk, Drive, Format, are_tools_installed};
use tests::image::{self, Image};
use tests::machine::{Channel, Machine};
use tests::qemu::{self, EMULATOR, Guest, Launch};
use tests::report::verdict;

/// How many guests are up at a time, unless `--test-threads` says otherwise.
const TEST_THREADS: usize = 4;

/// Something that must hold, with guests and disks that it makes itself.
struct Case {
    name: &'static str,
    check: fn() -> Result<()>,
}

impl Case {
    const fn new(name: &'static str, check: fn() -> Result<()>) -> Self {
        Self { name, check }
    }
}

/// Something that must hold wherever files are.
struct EverywhereCase {
    name: &'static str,
    prepare: fn(Launch) -> Launch,
    check: fn(&mut Appliance) -> Result<()>,
}

impl EverywhereCase {
    const fn new(name: &'static str, check: fn(&mut Appliance) -> Result<()>) -> Self {
        Self { name, prepare: |launch| launch, check }
    }

    const fn prepared(mut self, prepare: fn(Launch) -> Launch) -> Self {
        self.prepare = prepare;
        self
    }
}

/// A machine with the agent's channel, and where its files are.
#[derive(Clone, Copy, Debug)]
struct Setup {
    name: &'static str,
    machine: Machine,
    channel: Channel,
    /// `None`: there is no disk, files are in memory.
    format: Option<Format>,
}

impl Setup {
    /// Each machine, transport, FAT and layout at least once.
    const ALL: [Self; 6] = [
        Self::new("pc/fat16", Machine::Pc, Channel::VirtioPci, Some(Format::FAT16)),
        Self::new("pc/com1/fat32", Machine::Pc, Channel::Com1, Some(Format::FAT32)),
        Self::new(
            "q35/partition",
            Machine::Q35,
            Channel::VirtioRootPort,
            Some(Format::PARTITIONED),
        ),
        Self::new(
            "microvm/legacy/fat32",
            Machine::Microvm,
            Channel::VirtioMmioLegacy,
            Some(Format::FAT32),
        ),
        Self::new(
            "microvm/modern/fat16",
            Machine::Microvm,
            Channel::VirtioMmioModern,
            Some(Format::FAT16),
        ),
        Self::new("microvm/ram", Machine::Microvm, Channel::VirtioMmioLegacy, None),
    ];

    const fn new(
        name: &'static str,
        machine: Machine,
        channel: Channel,
        format: Option<Format>,
    ) -> Self {
        Self { name, machine, channel, format }
    }
}

/// A running guest with its disk.
struct Appliance {
    setup: Setup,
    /// Dropped before the disk.
    guest: Guest,
    disk: Option<Disk>,
}

impl Appliance {
    fn start(setup: Setup, prepare: impl FnOnce(Launch) -> Launch) -> Result<Self> {
        let disk = setup.format.map(Disk::formatted).transpose()?;
        let mut launch = Launch::image(Image::Appliance, setup.machine, setup.channel)?;
        if let Some(disk) = &disk {
            launch = launch.drive(Drive::of(disk));
        }
        Ok(Self { setup, guest: prepare(launch).start()?, disk })
    }

    /// The contents of a file as the host finds them on the disk, or else the agent.
    fn contents(&self, client: &mut Client, path: &str) -> Result<Vec<u8>> {
        match &self.disk {
            Some(disk) => disk.get(path),
            None => client.take_file(path, 4096),
        }
    }
}

/// The usual launch of the appliance: a microvm, which starts fastest, over virtio.
fn launch() -> Result<Launch> {
    Launch::image(Image::Appliance, Machine::Microvm, Channel::VirtioMmioLegacy)
}

/// Plays at a guest; a failure comes with the evidence.
fn with_guest(
    launch: Launch,
    check: impl FnOnce(&mut Guest, &mut Client) -> Result<()>,
) -> Result<()> {
    let mut guest = launch.start()?;
    let outcome = guest.connect_when_up().and_then(|mut client| check(&mut guest, &mut client));
    outcome.map_err(|error| error.context(guest.evidence()))
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Guests mostly wait, for their firmware, for the host's disk.
    arguments.test_threads.get_or_insert(TEST_THREADS);
    if !arguments.list {
        if !qemu::is_installed(EMULATOR) || !are_tools_installed() {
            eprintln!(
                "{EMULATOR}, dosfstools or mtools are missing; `cargo xtask test` installs them, \
                 or tells how"
            );
            return ExitCode::FAILURE;
        }
        // Before any test runs, so that none waits for the compiler.
        let built = Image::Appliance.build().context("building the appliance");
        let built =
            built.and_then(|_| image::demonstration().context("building the demonstration"));
        if let Err(error) = built {
            eprintln!("{error:#}");
            return ExitCode::FAILURE;
        }
    }
    let mut trials = Vec::new();
    // Those that take longest go first, so that the others run beside them.
    let tables = [
        transfer::CASES,
        suspend::CASES,
        idle::CASES,
        network::CASES,
        enemy::CASES,
        power_cut::CASES,
        corpus::CASES,
        failure::CASES,
        trim::CASES,
        clients::CASES,
        disks::CASES,
        identity::CASES,
        freeze::CASES,
        demonstration::CASES,
    ];
    for case in tables.into_iter().flatten() {
        trials.push(Trial::test(case.name, || Ok(verdict((case.check)())?)));
    }
    for setup in Setup::ALL {
        let tables = [
            files::EVERYWHERE,
            freeze::EVERYWHERE,
            disks::EVERYWHERE,
            identity::EVERYWHERE,
            processors::EVERYWHERE,
        ];
        for case in tables.into_iter().flatten() {
            let name = format!("{}/{}", setup.name, case.name);
            trials.push(Trial::test(name, move || {
                let outcome = Appliance::start(setup, case.prepare).and_then(|mut appliance| {
                    (case.check)(&mut appliance)
                        .map_err(|error| error.context(appliance.guest.evidence()))
                });
                Ok(verdict(outcome)?)
            }));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

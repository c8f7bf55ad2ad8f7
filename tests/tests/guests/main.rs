//! Boots every image on every machine and channel, and plays each case at it.
//!
//! A case gets a guest of its own. When it fails, the channel's transcript, the decoded guest log
//! and the processor's registers are printed with the reason.
//!
//! `cargo test -p tests --test guests -- q35/com1` runs a part; `--list` shows all.

#![allow(clippy::missing_errors_doc, reason = "an error is a failed test")]

mod channels;
mod handshake;
mod identity;
mod idle;
mod input;
mod memory;
mod policy;
mod power;
mod processors;
mod suspend;
mod time;
mod timers;

use std::process::ExitCode;

use anyhow::Result;
use libtest_mimic::{Arguments, Trial};
use tests::image::Image;
use tests::machine::{Channel, Machine, combinations};
use tests::qemu::{self, EMULATOR, Guest, Launch};
use tests::report::verdict;

/// How many guests are up at a time, unless `--test-threads` says otherwise.
const TEST_THREADS: usize = 4;

/// Something that must hold for a guest.
struct Case {
    name: &'static str,
    /// Where it makes sense.
    applies: fn(Setup) -> bool,
    /// What the launch needs beyond the usual.
    prepare: fn(Launch) -> Launch,
    check: fn(&mut Guest) -> Result<()>,
}

impl Case {
    /// A case for every setup, with the usual launch.
    const fn new(name: &'static str, check: fn(&mut Guest) -> Result<()>) -> Self {
        Self { name, applies: |_| true, prepare: |launch| launch, check }
    }

    const fn only_where(mut self, applies: fn(Setup) -> bool) -> Self {
        self.applies = applies;
        self
    }

    const fn prepared(mut self, prepare: fn(Launch) -> Launch) -> Self {
        self.prepare = prepare;
        self
    }

    fn run(&self, setup: Setup) -> Result<()> {
        let launch = Launch::image(setup.image, setup.machine, setup.channel)?;
        let mut guest = (self.prepare)(launch).start()?;
        (self.check)(&mut guest).map_err(|error| error.context(guest.evidence()))
    }
}

/// An image on a machine, with the agent's channel.
#[derive(Clone, Copy, Debug)]
struct Setup {
    image: Image,
    machine: Machine,
    channel: Channel,
}

impl Setup {
    fn all() -> Vec<Self> {
        let pc = combinations().into_iter().map(|(machine, channel)| Self {
            image: Image::Pc,
            machine,
            channel,
        });
        let uart = Machine::ALL.into_iter().map(|machine| Self {
            image: Image::Uart,
            machine,
            channel: Channel::Com1,
        });
        pc.chain(uart).collect()
    }

    fn name(self) -> String {
        match self.image {
            Image::Pc => format!("{}/{}", self.machine, self.channel),
            image @ (Image::Appliance | Image::Uart) => {
                format!("{}-image/{}", image.name(), self.machine)
            }
        }
    }
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Guests mostly wait: for their firmware, for a clock to tick.
    arguments.test_threads.get_or_insert(TEST_THREADS);
    if !arguments.list {
        if !qemu::is_installed(EMULATOR) {
            eprintln!("{EMULATOR} is missing; `cargo xtask test` installs it, or tells how");
            return ExitCode::FAILURE;
        }
        // Before any test runs, so that none waits for the compiler; one that fails to build fails
        // the tests that need it.
        for image in Image::ALL {
            if let Err(error) = image.build() {
                eprintln!("{error:#}");
            }
        }
    }
    let tables = [
        channels::CASES,
        handshake::CASES,
        identity::CASES,
        input::CASES,
        memory::CASES,
        policy::CASES,
        power::CASES,
        processors::CASES,
        suspend::CASES,
        time::CASES,
        timers::CASES,
    ];
    let mut trials = Vec::new();
    // The one that waits longest goes first, so that the others run beside it.
    trials.push(Trial::test("idle", || Ok(verdict(idle::check(&Setup::all()))?)));
    trials.push(Trial::test("processors/idle", || Ok(verdict(processors::idle())?)));
    for setup in Setup::all() {
        for case in tables.into_iter().flatten() {
            if (case.applies)(setup) {
                let name = format!("{}/{}", setup.name(), case.name);
                trials.push(Trial::test(name, move || Ok(verdict(case.run(setup))?)));
            }
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

//! `cargo xtask conformance`: the corpus and generated inputs at the real qemu-ga and at ours.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use lexopt::{Arg, Parser};
use tests::conformance::{Comparison, Subject, queries, read_corpus, recorded};
use tests::image::{Image, linux};
use tests::machine::{Channel, Machine};
use tests::qemu::Launch;

use crate::{choice, install, number, unexpected};

/// Which of ours is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Agent {
    Appliance,
    Linux,
    Pc,
    PcUart,
}

/// What was asked for.
pub(crate) struct Options {
    agent: Agent,
    corpus: PathBuf,
    random: usize,
    seed: u64,
}

impl Options {
    /// `None` when help was asked for.
    pub(crate) fn parse(mut parser: Parser) -> Result<Option<Self>> {
        let agents = [
            ("appliance", Agent::Appliance),
            ("linux", Agent::Linux),
            ("pc", Agent::Pc),
            ("pc-uart", Agent::PcUart),
        ];
        let mut options = Self { agent: Agent::Linux, corpus: recorded(), random: 0, seed: 1 };
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("agent") => options.agent = choice(&mut parser, "agent", &agents)?,
                Arg::Long("corpus") => options.corpus = parser.value()?.into(),
                Arg::Long("random") => {
                    options.random = number(&mut parser, "random", "a number")?;
                }
                Arg::Long("seed") => {
                    options.seed = number(&mut parser, "seed", "a number")?;
                }
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(unexpected(other)),
            }
        }
        Ok(Some(options))
    }
}

/// Plays everything and prints each difference.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    install::qemu_ga()?;
    let entries = read_corpus(&options.corpus)?;
    let queries = queries();
    let mut comparison = Comparison::new(subject(options.agent)?)?;
    println!("playing {} recorded exchanges and {} queries", entries.len(), queries.len());
    comparison.play_corpus(&entries)?;
    comparison.play_corpus(&queries)?;
    if options.random > 0 {
        println!("playing {} inputs generated from seed {}", options.random, options.seed);
        comparison.play_random(options.random, options.seed)?;
    }
    let (tally, report) = comparison.finish();
    for difference in report {
        println!("{difference}");
    }
    for (reason, count) in &tally.skipped {
        println!("not played, {reason}: {count}");
    }
    println!(
        "{} equal, {} different as docs/differences.md says, {} different",
        tally.equal, tally.listed, tally.unlisted
    );
    Ok(if tally.unlisted == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn subject(agent: Agent) -> Result<Subject> {
    let usual = Machine::Pc.usual_virtio();
    let (image, channel) = match agent {
        Agent::Linux => return Ok(Subject::Linux(linux()?)),
        Agent::Appliance => (Image::Appliance, usual),
        Agent::Pc => (Image::Pc, usual),
        Agent::PcUart => (Image::Pc, Channel::Com1),
    };
    install::qemu()?;
    let launch = Launch::image(image, Machine::Pc, channel)?;
    Subject::guest(launch.lifetime(core::time::Duration::from_hours(24)))
}

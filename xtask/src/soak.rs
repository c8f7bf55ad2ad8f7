//! `cargo xtask soak`: rounds of writing to an appliance's disk and killing it, hundreds of them.

use std::io::{IsTerminal as _, Write as _, stdout};
use std::process::ExitCode;

use anyhow::Result;
use lexopt::{Arg, Parser};
use tests::power_cuts;

use crate::{install, number, unexpected};

/// What was asked for.
pub(crate) struct Options {
    rounds: u32,
    seed: u64,
}

impl Options {
    /// `None` when help was asked for.
    pub(crate) fn parse(mut parser: Parser) -> Result<Option<Self>> {
        let mut options = Self { rounds: 200, seed: 1 };
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("rounds") => {
                    options.rounds = number(&mut parser, "rounds", "a number")?;
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

/// Plays all rounds; the first that goes wrong ends it, with the evidence.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    install::qemu()?;
    install::fat_tools()?;
    let is_watched = stdout().is_terminal();
    let tally = power_cuts::play(options.rounds, options.seed, |tally| {
        if is_watched {
            print!("\r{tally}");
            // A line that cannot be shown is not missed.
            let _ = stdout().flush();
        }
    })?;
    println!("{}{tally}", if is_watched { "\r" } else { "" });
    Ok(ExitCode::SUCCESS)
}

//! `cargo xtask fuzz TARGET`: runs one target of `fuzz/` for a while.
//!
//! It starts from the recorded exchanges, and from what earlier runs have found.

use std::fs;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use lexopt::{Arg, Parser, ValueExt as _};
use tests::conformance::{read_corpus, recorded};
use tests::image::workspace;

use crate::{number, unexpected};

/// The files in `fuzz/fuzz_targets`.
const TARGETS: [&str; 3] = ["lexer", "request", "agent"];

/// What was asked for.
pub(crate) struct Options {
    target: String,
    seconds: u64,
}

impl Options {
    /// `None` when help was asked for.
    pub(crate) fn parse(mut parser: Parser) -> Result<Option<Self>> {
        let mut target = None;
        let mut seconds = 60;
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Value(value) if target.is_none() => target = Some(value.string()?),
                Arg::Long("seconds") => {
                    seconds = number(&mut parser, "seconds", "a number")?;
                }
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(unexpected(other)),
            }
        }
        let targets = TARGETS.join(", ");
        let target = target.with_context(|| format!("which fuzz target? {targets}"))?;
        ensure!(
            TARGETS.contains(&target.as_str()),
            "there is no fuzz target `{target}`: {targets}"
        );
        Ok(Some(Self { target, seconds }))
    }
}

/// Installs cargo-fuzz where it is missing and runs the target.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let has_nightly = cargo().args(["+nightly", "--version"]).output()?.status.success();
    ensure!(
        has_nightly,
        "fuzzing takes a nightly toolchain; type: rustup toolchain install nightly --profile minimal"
    );
    let has_fuzz = cargo().args(["fuzz", "--version"]).output()?.status.success();
    if !has_fuzz {
        println!("cargo-fuzz is missing: installing it");
        let installed = cargo().args(["install", "--locked", "cargo-fuzz"]).status()?;
        ensure!(installed.success(), "cargo-fuzz cannot be installed");
    }
    seed(&options.target)?;
    let status = cargo()
        .args(["+nightly", "fuzz", "run", &options.target, "--", "-max_len=4096"])
        .arg(format!("-max_total_time={}", options.seconds))
        .status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Puts the recorded requests where the fuzzer looks for inputs to start from.
fn seed(target: &str) -> Result<()> {
    let folder = workspace().join("fuzz/corpus").join(target);
    fs::create_dir_all(&folder)?;
    for entry in read_corpus(&recorded())? {
        let mut input = entry.sent();
        if target == "agent" {
            // That target takes the sizes of its chunks from the first four bytes.
            input.splice(..0, [255, 255, 3, 40]);
        }
        fs::write(folder.join(&entry.name), input)?;
    }
    Ok(())
}

/// rustup's cargo, which knows toolchains by name, unlike the one that runs this program.
fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(workspace());
    // These name the toolchain of the cargo that runs this program.
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(variable);
    }
    command
}

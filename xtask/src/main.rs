//! The project's commands: `cargo xtask run | image | test | conformance | soak | fuzz`.
//!
//! One file per command. What boots and talks to guests is the crate `tests`.

#![allow(clippy::missing_errors_doc, reason = "an error here is a message and an exit code")]

mod conformance;
mod files;
mod fuzz;
mod image;
mod install;
mod machine;
mod network;
mod run;
mod soak;
mod stage;
mod test;

use core::str::FromStr;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, bail};
use lexopt::{Arg, Parser};

const HELP: &str = "\
cargo xtask COMMAND [OPTIONS]

  run          boot a guest in QEMU, play every command at its agent, shut it down
    --board pc|appliance       the image; the appliance gets a disk and a network, files go in
                               and out, and its page is shown [pc]
    --machine pc|q35|microvm   the machine [pc]
    --channel virtio|uart      how the agent is reached [virtio]
    --memory M                 memory in MiB [8]
    --stay                     leave the guest running, and print how to talk to it
    --log                      print the guest's log

  image        build images and print their sizes
    --board pc|uart|appliance|linux
                               only this one [all]
    --demonstration            the appliance with an application in it, which adds a user,
                               programs and a command of its own
    --out DIR                  where to write tinyqga-BOARD.elf, tinyqga-linux [target/images]

  test         run every test; installs QEMU where it is missing
    --quick                    without QEMU
    --libvirt                  also under a real libvirt, which it installs

  conformance  compare with the real qemu-ga, byte by byte; installs it where it is missing
    --agent linux|appliance|pc|pc-uart
                               which of ours; all but linux under QEMU [linux]
    --corpus FILE              recorded exchanges [tests/corpus/qemu-ga-7.2.22.jsonl]
    --random N                 that many generated inputs after the corpus [0]
    --seed S                   where generating starts [1]

  soak         write to an appliance's disk, kill it at a random moment, look what is left
    --rounds N                 how many times [200]
    --seed S                   where chance starts [1]

  fuzz TARGET  run one fuzz target (needs a nightly toolchain)
    --seconds N                for how long [60]

  --help       this text, after any command
";

/// Ends an error about a word that nothing takes.
const HINT: &str = "see `cargo xtask --help`";

fn main() -> ExitCode {
    match dispatch(Parser::from_env()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(mut parser: Parser) -> Result<ExitCode> {
    let command = match parser.next()? {
        Some(Arg::Value(command)) => command,
        Some(Arg::Long("help") | Arg::Short('h')) | None => {
            print!("{HELP}");
            return Ok(ExitCode::SUCCESS);
        }
        Some(other) => return Err(unexpected(other)),
    };
    match command.to_str().unwrap_or_default() {
        "run" => carry_out(run::Options::parse(parser)?, run::run),
        "image" => carry_out(image::Options::parse(parser)?, image::run),
        "test" => carry_out(test::Options::parse(parser)?, test::run),
        "conformance" => carry_out(conformance::Options::parse(parser)?, conformance::run),
        "soak" => carry_out(soak::Options::parse(parser)?, soak::run),
        "fuzz" => carry_out(fuzz::Options::parse(parser)?, fuzz::run),
        "help" => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        other => bail!("there is no command `{other}`; {HINT}"),
    }
}

/// Runs a command, or prints the help that was asked for instead.
fn carry_out<T>(options: Option<T>, run: impl FnOnce(&T) -> Result<ExitCode>) -> Result<ExitCode> {
    if let Some(options) = options {
        return run(&options);
    }
    print!("{HELP}");
    Ok(ExitCode::SUCCESS)
}

/// The error for an argument that the command does not take.
fn unexpected(argument: Arg<'_>) -> anyhow::Error {
    anyhow!("{}; {HINT}", argument.unexpected())
}

/// The value of an option, which must be one of a few words.
fn choice<T: Copy>(parser: &mut Parser, option: &str, choices: &[(&str, T)]) -> Result<T> {
    let value = parser.value()?;
    choices.iter().find_map(|&(word, choice)| (value == word).then_some(choice)).with_context(
        || {
            let words: Vec<&str> = choices.iter().map(|&(word, _)| word).collect();
            format!("--{option} takes {}, not `{}`", words.join(" or "), value.to_string_lossy())
        },
    )
}

/// The value of an option, which must be a number: `what`, such as `a number`.
fn number<T: FromStr>(parser: &mut Parser, option: &str, what: &str) -> Result<T> {
    let value = parser.value()?;
    let value = value.to_string_lossy();
    value.parse().map_err(|_| anyhow!("--{option} takes {what}, not `{value}`"))
}

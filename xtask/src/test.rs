//! `cargo xtask test`: every check of the project, one after another, with a summary.
//!
//! A failure does not stop the rest: all of them are listed at the end.

use core::time::Duration;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Result;
use lexopt::{Arg, Parser};
use tests::image::{Image, cargo};

use crate::{install, unexpected};

/// What was asked for.
pub(crate) struct Options {
    quick: bool,
    libvirt: bool,
}

impl Options {
    /// `None` when help was asked for.
    pub(crate) fn parse(mut parser: Parser) -> Result<Option<Self>> {
        let mut options = Self { quick: false, libvirt: false };
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("quick") => options.quick = true,
                Arg::Long("libvirt") => options.libvirt = true,
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(unexpected(other)),
            }
        }
        Ok(Some(options))
    }
}

/// How one check ended.
enum Outcome {
    Passed,
    Failed(String),
    Skipped(&'static str),
}

/// Runs everything that was asked for.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if !options.quick {
        install::qemu()?;
        install::fat_tools()?;
        install::qemu_ga()?;
        install::socat()?;
    }
    if options.libvirt {
        install::libvirt()?;
    }
    let mut summary = Summary::default();
    let warnings = ["--", "-D", "warnings"];
    summary.component("format", "rustfmt", cargo().args(["fmt", "--all", "--check"]));
    summary.component(
        "lints",
        "clippy",
        cargo()
            .args([
                "clippy",
                "--quiet",
                "--workspace",
                "--all-targets",
                "--features",
                "tests/libvirt",
            ])
            .args(warnings),
    );
    summary.command(
        "documentation",
        cargo()
            .args(["doc", "--quiet", "--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    );
    summary.command("tests without QEMU", cargo().arg("test"));
    if options.quick {
        summary.command("the harness's own tests", cargo().args(["test", "-p", "tests", "--lib"]));
    } else {
        summary.step("images", "cargo build of every image", || {
            Image::ALL.into_iter().try_for_each(|image| image.build().map(|_| ()))
        });
        // One failing file must not hide the others.
        let mut system = cargo();
        system.args(["test", "-p", "tests", "--no-fail-fast"]);
        if options.libvirt {
            system.args(["--features", "libvirt"]);
        }
        summary.command("system tests", &mut system);
    }
    Ok(summary.print())
}

/// What ran, how it ended and how long it took.
#[derive(Default)]
struct Summary {
    steps: Vec<(&'static str, Outcome, Duration)>,
}

impl Summary {
    /// A check that needs a part of the toolchain which may not be installed.
    fn component(&mut self, name: &'static str, component: &'static str, command: &mut Command) {
        let program = command.get_args().next().unwrap_or_default().to_owned();
        let is_there = cargo().arg(program).arg("--version").output();
        if is_there.is_ok_and(|output| output.status.success()) {
            self.command(name, command);
        } else {
            println!("\n== {name}: skipped, type: rustup component add {component}");
            self.steps.push((name, Outcome::Skipped(component), Duration::ZERO));
        }
    }

    fn command(&mut self, name: &'static str, command: &mut Command) {
        let words = core::iter::once("cargo".into())
            .chain(command.get_args().map(|word| word.to_string_lossy().into_owned()));
        let shown = words.collect::<Vec<_>>().join(" ");
        self.step(name, &shown, || {
            let status = command.status()?;
            anyhow::ensure!(status.success(), "{shown}: {status}");
            Ok(())
        });
    }

    fn step(&mut self, name: &'static str, shown: &str, step: impl FnOnce() -> Result<()>) {
        println!("\n== {name}: {shown}");
        let started = Instant::now();
        let outcome = match step() {
            Ok(()) => Outcome::Passed,
            Err(error) => Outcome::Failed(format!("{error:#}")),
        };
        self.steps.push((name, outcome, started.elapsed()));
    }

    fn print(self) -> ExitCode {
        println!("\n== summary");
        let mut code = ExitCode::SUCCESS;
        for (name, outcome, took) in self.steps {
            let verdict = match outcome {
                Outcome::Passed => "passed".to_owned(),
                Outcome::Skipped(component) => format!("skipped: {component} is not installed"),
                Outcome::Failed(why) => {
                    code = ExitCode::FAILURE;
                    format!("FAILED: {why}")
                }
            };
            println!("{name:<24} {:>5} s  {verdict}", took.as_secs());
        }
        code
    }
}

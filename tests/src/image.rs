//! The images: how they are built and where they are.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Error, Result, ensure};
use serde_json::Value;

/// An image that this workspace builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// The pc image with files, on a disk or in memory.
    Appliance,
    /// One image for pc, q35 and microvm, over virtio or a UART.
    Pc,
    /// The smallest: COM1 only.
    Uart,
}

impl Image {
    /// Every image.
    pub const ALL: [Self; 3] = [Self::Appliance, Self::Pc, Self::Uart];

    /// The board's name, which is also its package's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Appliance => "appliance",
            Self::Pc => "pc",
            Self::Uart => "uart",
        }
    }

    /// MiB of memory that a machine has to have for it.
    pub fn least_memory_mib(self) -> u32 {
        match self {
            Self::Appliance => 4,
            Self::Pc | Self::Uart => 2,
        }
    }

    /// The image of the board called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|image| image.name() == name)
    }

    /// Builds the release image with logging; the path is that of the ELF.
    ///
    /// # Errors
    ///
    /// It does not build; cargo has then said why.
    pub fn build(self) -> Result<PathBuf> {
        // Each package on its own, so that none gets a feature that another asked for.
        once(self.name(), || {
            build_binary(&["--release", "--package", self.name(), "--features", "defmt"])
        })
    }
}

/// Builds the appliance with an application in it, which shows what one may offer; the path is that
/// of the ELF. It has a target folder of its own, as it is the same program built in another way.
///
/// # Errors
///
/// It does not build; cargo has then said why.
pub fn demonstration() -> Result<PathBuf> {
    let target = env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".into());
    let target = format!("{target}/demonstration");
    let package = ["--release", "--package", Image::Appliance.name()];
    let way = ["--features", "defmt,demonstration", "--target-dir", &target];
    once("demonstration", || build_binary(&[&package[..], &way].concat()))
}

/// Builds the agent as a Linux process; the path is that of the program. It is linked statically: an
/// appliance may have no libraries, nor a loader for them.
///
/// # Errors
///
/// It does not build; cargo has then said why.
pub fn linux() -> Result<PathBuf> {
    let package = ["--release", "--package", "linux", "--bin", "tinyqga"];
    let flags = ["--", "-C", "target-feature=+crt-static"];
    once("linux", || binary_of("rustc", &[&package[..], &flags].concat()))
}

/// A process builds each image once, however many of its threads ask.
fn once(name: &'static str, build: impl FnOnce() -> Result<PathBuf>) -> Result<PathBuf> {
    type Outcomes = BTreeMap<&'static str, Result<PathBuf, String>>;
    static OUTCOMES: Mutex<Outcomes> = Mutex::new(BTreeMap::new());
    let mut outcomes = OUTCOMES.lock().unwrap_or_else(PoisonError::into_inner);
    let outcome =
        outcomes.entry(name).or_insert_with(|| build().map_err(|error| format!("{error:#}")));
    outcome.clone().map_err(Error::msg)
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// The cargo that runs this process, or the one on the path.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    command
}

/// Runs `cargo build` and gives the path of the one binary that it built.
///
/// # Errors
///
/// It does not build, or builds no binary.
pub fn build_binary(arguments: &[&str]) -> Result<PathBuf> {
    binary_of("build", arguments)
}

/// Runs a command of cargo's that builds one binary, and gives its path.
fn binary_of(command: &str, arguments: &[&str]) -> Result<PathBuf> {
    let output = cargo()
        .args([command, "--quiet", "--message-format=json-render-diagnostics"])
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .context("running cargo")?;
    ensure!(output.status.success(), "cargo {command} {} failed", arguments.join(" "));
    String::from_utf8(output.stdout)?
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .with_context(|| format!("cargo {command} {} makes no binary", arguments.join(" ")))
}

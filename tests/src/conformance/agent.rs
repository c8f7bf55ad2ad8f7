//! The agents that are compared: the real qemu-ga, and ours as a process or in a guest.

use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::{BLOCKED, BLOCKED_AT_RANDOM, Entry};
use crate::client::{ANSWER, Client};
use crate::deadline::Deadline;
use crate::qemu::{Guest, Launch};
use crate::transcript::Transcript;

/// The description of a system that QEMU's own test of guest-get-osinfo has, one way of quoting each.
const OS_RELEASE: &[u8] = br#"ID=qemu-ga-test
NAME=QEMU-GA
PRETTY_NAME="QEMU Guest Agent test"
VERSION="Test 1"
VERSION_ID=1
VARIANT="Unit test \"\'\$\`\\ and \\\\ etc."
VARIANT_ID=unit-test
"#;

/// How long one agent may be played with.
const LIFETIME: Duration = Duration::from_mins(10);

/// An agent as a process on this machine, in a directory of its own.
#[derive(Debug)]
pub struct Process {
    child: Child,
    directory: TempDir,
}

impl Process {
    fn start(
        directory: TempDir,
        command: &mut Command,
        environment: &[(String, String)],
    ) -> Result<Self> {
        let child = command
            .current_dir(directory.path())
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {}", command.get_program().display()))?;
        Ok(Self { child, directory })
    }

    fn connect(&self) -> Result<Client> {
        let transcript = Transcript::new(Instant::now());
        Client::connect(&socket(&self.directory), transcript, Deadline::within(LIFETIME))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The real qemu-ga.
#[derive(Debug)]
pub struct Real;

impl Real {
    /// The program.
    pub const PROGRAM: &'static str = "qemu-ga";

    /// Plays a recorded exchange at a fresh agent.
    ///
    /// # Errors
    ///
    /// The agent cannot be started or does not answer.
    pub fn play(entry: &Entry) -> Result<Vec<u8>> {
        let process = Self::start(&blocked_for(entry), &entry.environment)?;
        play_entry(&mut process.connect()?, entry)
    }

    /// A connection for generated inputs, which reach even less; the agent lives as long as the
    /// process.
    ///
    /// # Errors
    ///
    /// The agent cannot be started.
    pub fn at_random() -> Result<(Process, Client)> {
        let process = Self::start(&blocked_at_random(), &[])?;
        let client = process.connect()?;
        Ok((process, client))
    }

    fn start(blocked: &str, environment: &[(String, String)]) -> Result<Process> {
        let directory = directory()?;
        let mut command = Command::new(Self::PROGRAM);
        command.args(["-m", "unix-listen", "-b", blocked]).arg("-p").arg(socket(&directory));
        command.arg("-t").arg(directory.path());
        Process::start(directory, &mut command, environment)
    }
}

/// Ours.
#[derive(Debug)]
pub enum Subject {
    /// `boards/linux`: the binary, a fresh process for each exchange.
    Linux(PathBuf),
    /// An image in a guest, on one connection at a time: it keeps no state but its parser's.
    Guest(Box<Guest>, Option<Client>),
    /// The real agent once more, to test the comparison itself.
    Real,
}

impl Subject {
    /// An image in a guest that is started here, with the usual commands blocked.
    ///
    /// # Errors
    ///
    /// It does not start, or its agent does not answer.
    pub fn guest(launch: Launch) -> Result<Self> {
        let blocked = format!("agent.block={}", BLOCKED.join(","));
        let guest = launch.more_command_line(&blocked).start()?;
        let client = guest.connect_when_up()?;
        Ok(Self::Guest(Box::new(guest), Some(client)))
    }

    /// Whether it answers for the machine that the real agent answers for.
    pub fn is_on_this_machine(&self) -> bool {
        !matches!(self, Self::Guest(..))
    }

    /// Whether every exchange is played at an agent of its own, with its own block list and files.
    pub fn is_fresh_each_time(&self) -> bool {
        !matches!(self, Self::Guest(..))
    }

    /// Plays a recorded exchange.
    ///
    /// # Errors
    ///
    /// The agent does not answer.
    pub fn play(&mut self, entry: &Entry) -> Result<Vec<u8>> {
        match self {
            Self::Linux(binary) => {
                let process = linux(binary, &blocked_for(entry), &entry.environment)?;
                play_entry(&mut process.connect()?, entry)
            }
            Self::Guest(guest, client) => {
                let mut connected = match client.take() {
                    Some(client) => client,
                    None => guest.connect()?,
                };
                let answer = play(&mut connected, &entry.chunks);
                *client = Some(connected);
                answer
            }
            Self::Real => Real::play(entry),
        }
    }

    /// A connection for generated inputs, with the process that must outlive it.
    ///
    /// # Errors
    ///
    /// The agent cannot be started.
    pub fn at_random(&mut self) -> Result<(Option<Process>, Client)> {
        match self {
            Self::Linux(binary) => {
                let process = linux(binary, &blocked_at_random(), &[])?;
                let client = process.connect()?;
                Ok((Some(process), client))
            }
            Self::Guest(guest, client) => {
                // A guest serves one client at a time.
                drop(client.take());
                Ok((None, guest.connect()?))
            }
            Self::Real => Real::at_random().map(|(process, client)| (Some(process), client)),
        }
    }
}

/// Plays `chunks`, then the sync of a client that has lost its place; gives everything that comes
/// before the sync's own reply, the sync's own complaint included.
///
/// # Errors
///
/// The sync is not answered.
pub(super) fn play(client: &mut Client, chunks: &[Vec<u8>]) -> Result<Vec<u8>> {
    for chunk in chunks {
        client.send(chunk)?;
    }
    client.sync_delimited(ANSWER)
}

/// As [`play`], unless the exchange blocks the very sync that it needs.
fn play_entry(client: &mut Client, entry: &Entry) -> Result<Vec<u8>> {
    if entry.extra_block.iter().any(|command| command == "guest-sync-delimited") {
        for chunk in &entry.chunks {
            client.send(chunk)?;
        }
        client.finish()?;
        return client.rest(ANSWER);
    }
    play(client, &entry.chunks)
}

fn linux(binary: &Path, blocked: &str, environment: &[(String, String)]) -> Result<Process> {
    let directory = directory()?;
    let mut command = Command::new(binary);
    command.args(["--method", "unix-listen", "--exec", "--dry-run", "--block-rpcs", blocked]);
    command.arg("--path").arg(socket(&directory));
    Process::start(directory, &mut command, environment)
}

fn blocked_for(entry: &Entry) -> String {
    let extra = entry.extra_block.iter().map(String::as_str);
    BLOCKED.into_iter().chain(extra).collect::<Vec<_>>().join(",")
}

fn blocked_at_random() -> String {
    [&BLOCKED[..], &BLOCKED_AT_RANDOM].concat().join(",")
}

fn socket(directory: &TempDir) -> PathBuf {
    directory.path().join("socket")
}

/// A directory with the files that the corpus was recorded beside.
fn directory() -> Result<TempDir> {
    let directory = tempfile::Builder::new().prefix("tinyqga-").tempdir()?;
    let big: Vec<u8> = (0..=u8::MAX).cycle().take(10_000).collect();
    for (name, contents) in [
        ("hello.txt", &b"Hello World!\n"[..]),
        ("empty", b""),
        ("big.bin", &big),
        ("abc", b"abcdefghijklmnopqrstuvwxyz"),
        ("os-release", OS_RELEASE),
    ] {
        fs::write(directory.path().join(name), contents)?;
    }
    Ok(directory)
}

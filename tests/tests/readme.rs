//! The README's lines work as pasted: the one that starts QEMU, and the one that asks the agent.

#![allow(clippy::missing_errors_doc, reason = "an error is a failed test")]

use core::time::Duration;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use tests::client::{ANSWER, Client};
use tests::deadline::Deadline;
use tests::image::Image;
use tests::readme;
use tests::transcript::Transcript;

/// A shell and what it started, ended together.
struct Shell(Child);

impl Drop for Shell {
    fn drop(&mut self) {
        if let Some(group) =
            i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw)
        {
            // It may have ended already.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.0.wait();
    }
}

/// Pastes the block into a shell, in a directory that holds the image as `cargo xtask image` writes
/// it, and talks to the agent through the socket that the line names.
#[test]
fn qemu_line_works_as_pasted() -> Result<()> {
    let line = readme::block("qemu-line")?;
    let dir = tempfile::Builder::new().prefix("tinyqga-").tempdir()?;
    let socket = line
        .split([',', ' ', '\n'])
        .find_map(|word| word.strip_prefix("path="))
        .context("the line names no socket (path=...)")?;
    for image in Image::ALL {
        fs::copy(image.build()?, dir.path().join(format!("tinyqga-{}.elf", image.name())))?;
    }
    let mut shell = Shell(
        Command::new("sh")
            .args(["-c", &line])
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()?,
    );
    let started = Instant::now();
    let deadline = Deadline::within(Duration::from_secs(40));
    let transcript = Transcript::new(started);
    let played = || -> Result<()> {
        let mut client = Client::connect(&dir.path().join(socket), transcript.clone(), deadline)?;
        client.wait_until_up()?;
        client.sync_as_libvirt(ANSWER)?;
        client.expect(r#"{"execute":"guest-ping"}"#, r#"{"return": {}}"#)?;
        // QEMU serves one client at a time.
        drop(client);
        agent_line_is_answered(dir.path())?;
        let mut client = Client::connect(&dir.path().join(socket), transcript.clone(), deadline)?;
        client.send("{\"execute\":\"guest-shutdown\"}\n")
    };
    played().with_context(|| format!("{line}\n{transcript}"))?;
    let status =
        deadline.or_within(ANSWER).await_some("QEMU's exit", || Ok(shell.0.try_wait()?))?;
    ensure!(status.success(), "QEMU ended with {status}");
    Ok(())
}

/// Pastes the line that asks the agent a few times, where its program is there: a reply that comes
/// only sometimes is no answer.
fn agent_line_is_answered(directory: &Path) -> Result<()> {
    const TIMES: usize = 5;
    let line = readme::block("agent-line")?;
    if Command::new("socat").arg("-V").output().is_err() {
        eprintln!("socat is missing: not run: {line}");
        return Ok(());
    }
    for _ in 0..TIMES {
        let output = Command::new("sh").args(["-c", &line]).current_dir(directory).output()?;
        let reply = String::from_utf8_lossy(&output.stdout);
        ensure!(
            reply.starts_with("{\"return\": {\"version\": ") && reply.ends_with("}\n"),
            "{line} answered `{reply}`"
        );
    }
    Ok(())
}

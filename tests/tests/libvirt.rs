//! The README's domain under a real libvirt, driven by virsh as an administrator does.
//!
//! libvirt's session daemon does not serve root, so a test that runs as root adds a user for the
//! time it takes. Either way the daemon has runtime and configuration directories of its own.

#![allow(clippy::missing_errors_doc, reason = "an error is a failed test")]

use core::time::Duration;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, id};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;
use tests::deadline::Deadline;
use tests::image::Image;
use tests::readme;

/// How long anything may take: libvirtd has to start and to ask QEMU what it can do.
const PATIENCE: Duration = Duration::from_mins(1);

#[test]
fn readme_domain_works() -> Result<()> {
    let session = Session::open()?;
    let kernel = session.home().join("tinyqga-pc.elf");
    fs::copy(Image::Pc.build()?, &kernel)?;
    let xml = readme::with_kernel(&readme::block("libvirt-domain")?, &kernel)?;
    let domain = readme::domain_name(&xml)?.to_owned();
    let file = session.home().join("domain.xml");
    fs::write(&file, &xml)?;

    session.virsh(&["define", &file.display().to_string()])?;
    session.virsh(&["start", &domain])?;
    let played = play(&session, &domain);
    // A guest that is left over must not outlive its session.
    let _ = session.virsh(&["destroy", &domain]);
    session.virsh(&["undefine", &domain])?;
    played.with_context(|| xml)
}

fn play(session: &Session, domain: &str) -> Result<()> {
    let deadline = Deadline::within(PATIENCE);
    deadline.await_some("the channel to become connected", || {
        let xml = session.virsh(&["dumpxml", domain])?;
        Ok(xml.contains("state='connected'").then_some(()))
    })?;

    let reply = session.virsh(&["qemu-agent-command", domain, r#"{"execute":"guest-ping"}"#])?;
    ensure!(reply.trim() == r#"{"return":{}}"#, "guest-ping: {reply}");
    let reply = session.virsh(&["qemu-agent-command", domain, r#"{"execute":"guest-info"}"#])?;
    ensure!(reply.contains(r#""name":"guest-shutdown""#), "guest-info: {reply}");
    let reply = session.try_virsh(&["qemu-agent-command", domain, r#"{"execute":"nope"}"#])?;
    ensure!(reply.is_err_and(|text| text.contains("nope")), "an unknown command did not fail");

    let ahead = |expected: i64| -> Result<()> {
        let before = seconds_now()?;
        let text = session.virsh(&["domtime", domain])?;
        let time: i64 =
            text.trim().strip_prefix("Time: ").with_context(|| text.clone())?.parse()?;
        // Whole seconds on both sides.
        ensure!(
            (before + expected - 2..=seconds_now()? + expected + 2).contains(&time),
            "domtime is {time}, expected about {}",
            before + expected
        );
        Ok(())
    };
    ahead(0)?;
    let hour = seconds_now()? + 3600;
    session.virsh(&["domtime", domain, "--time", &hour.to_string()])?;
    ahead(3600)?;
    session.virsh(&["domtime", domain, "--sync"])?;
    ahead(3600)?;
    session.virsh(&["domtime", domain, "--now"])?;
    ahead(0)?;

    session.virsh(&["reboot", domain, "--mode", "agent"])?;
    deadline.await_some("the agent after a reboot", || {
        let ping = ["qemu-agent-command", domain, r#"{"execute":"guest-ping"}"#];
        Ok(session.try_virsh(&ping)?.ok())
    })?;
    session.virsh(&["shutdown", domain, "--mode", "agent"])?;
    deadline.await_some("the domain to shut off", || {
        let state = session.virsh(&["domstate", domain, "--reason"])?;
        Ok(state.contains("shut off (shutdown)").then_some(()))
    })
}

fn seconds_now() -> Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?)
}

/// An ordinary user's own libvirt.
struct Session {
    directory: TempDir,
    /// The user that was added for it.
    user: Option<String>,
}

impl Session {
    fn open() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("tinyqga-").tempdir()?;
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        let mut session = Self { directory, user: None };
        fs::create_dir(session.home())?;
        if geteuid().is_root() {
            let user = format!("tinyqga{}", id());
            let home = session.home().display().to_string();
            run(Command::new("useradd").args(["--no-create-home", "--home-dir", &home, &user]))?;
            session.user = Some(user.clone());
            run(Command::new("chown").args([&user, &home]))?;
        }
        fs::set_permissions(session.home(), fs::Permissions::from_mode(0o700))?;
        Ok(session)
    }

    fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    /// What virsh prints; fails when virsh does.
    fn virsh(&self, arguments: &[&str]) -> Result<String> {
        match self.try_virsh(arguments)? {
            Ok(text) => Ok(text),
            Err(text) => bail!("virsh {}: {text}", arguments.join(" ")),
        }
    }

    /// What virsh prints, or its error text.
    fn try_virsh(&self, arguments: &[&str]) -> Result<Result<String, String>> {
        let mut command = match &self.user {
            Some(user) => {
                let mut command = Command::new("runuser");
                command.args(["-u", user, "--", "virsh"]);
                command
            }
            None => Command::new("virsh"),
        };
        let output = command
            .args(["--connect", "qemu:///session", "--quiet"])
            .args(arguments)
            .env("HOME", self.home())
            .env("LC_ALL", "C")
            .env("XDG_RUNTIME_DIR", self.home())
            .env("XDG_CONFIG_HOME", self.home().join("config"))
            .env("XDG_CACHE_HOME", self.home().join("cache"))
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .output()?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Ok(if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        })
    }

    /// The daemons that virsh started, by the files in which they left their process ids.
    fn daemons(&self) -> Vec<Pid> {
        let directory = self.home().join("libvirt");
        let files = ["libvirtd.pid", "virtqemud.pid", "virtlogd.pid"];
        let pids = files.iter().filter_map(|file| process_id(&directory.join(file)));
        pids.collect()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let daemons = self.daemons();
        for &daemon in &daemons {
            // It may have ended already.
            let _ = kill_process(daemon, Signal::TERM);
        }
        let ended = Deadline::within(PATIENCE).await_some("the daemons' end", || {
            let alive = |pid: &Pid| Path::new("/proc").join(pid.to_string()).exists();
            Ok((!daemons.iter().any(alive)).then_some(()))
        });
        if let Some(user) = self.user.take() {
            let removed = ended.and_then(|()| run(Command::new("userdel").arg(&user)));
            if let Err(error) = removed {
                eprintln!("the user {user} is left over: {error:#}");
            }
        }
    }
}

fn process_id(file: &Path) -> Option<Pid> {
    Pid::from_raw(fs::read_to_string(file).ok()?.trim().parse().ok()?)
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

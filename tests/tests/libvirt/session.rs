//! An ordinary user's own libvirt, for as long as a test takes.
//!
//! libvirt's session daemon does not serve root, so a test that runs as root adds a user for the
//! time it takes. Either way the daemon has runtime and configuration directories of its own.

use core::sync::atomic::{AtomicU32, Ordering};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, id};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;
use tests::deadline::Deadline;
use tests::readme;

use crate::PATIENCE;

/// An ordinary user's own libvirt.
pub(crate) struct Session {
    directory: TempDir,
    /// The user that was added for it.
    user: Option<String>,
}

impl Session {
    pub(crate) fn open() -> Result<Self> {
        static OPENED: AtomicU32 = AtomicU32::new(0);
        let directory = tempfile::Builder::new().prefix("tinyqga-").tempdir()?;
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        let mut session = Self { directory, user: None };
        fs::create_dir(session.home())?;
        if geteuid().is_root() {
            let count = OPENED.fetch_add(1, Ordering::Relaxed);
            let user = format!("tinyqga{}-{count}", id());
            let home = session.home().display().to_string();
            run(Command::new("useradd").args(["--no-create-home", "--home-dir", &home, &user]))?;
            session.user = Some(user.clone());
            run(Command::new("chown").args([&user, &home]))?;
        }
        fs::set_permissions(session.home(), fs::Permissions::from_mode(0o700))?;
        Ok(session)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    /// A domain, from its definition to its end: plays at it while it runs.
    pub(crate) fn with_domain(
        &self,
        xml: &str,
        play: impl FnOnce(&str) -> Result<()>,
    ) -> Result<()> {
        let domain = readme::domain_name(xml)?;
        let file = self.home().join("domain.xml");
        fs::write(&file, xml)?;
        self.virsh(&["define", &file.display().to_string()])?;
        let played = self.virsh(&["start", domain]).and_then(|_| play(domain));
        // A guest that is left over must not outlive its session.
        let _ = self.virsh(&["destroy", domain]);
        self.virsh(&["undefine", domain])?;
        played.with_context(|| xml.to_owned())
    }

    /// What virsh prints; fails when virsh does.
    pub(crate) fn virsh(&self, arguments: &[&str]) -> Result<String> {
        match self.try_virsh(arguments)? {
            Ok(text) => Ok(text),
            Err(text) => bail!("virsh {}: {text}", arguments.join(" ")),
        }
    }

    /// What virsh prints, or its error text.
    pub(crate) fn try_virsh(&self, arguments: &[&str]) -> Result<Result<String, String>> {
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

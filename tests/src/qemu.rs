//! A QEMU process with one guest in it.
//!
//! [`Launch`] says what to start, [`Guest`] is the running process. It is killed when dropped.

use core::time::Duration;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use tempfile::TempDir;

use crate::client::{ANSWER, Client};
use crate::deadline::Deadline;
use crate::disk::Drive;
use crate::guest_log;
use crate::image::Image;
use crate::machine::{Channel, Machine};
use crate::qmp::Qmp;
use crate::transcript::Transcript;

/// The emulator.
pub const EMULATOR: &str = "qemu-system-x86_64";

/// How long a guest may live, unless [`Launch::lifetime`] says otherwise.
const LIFETIME: Duration = Duration::from_mins(1);

/// How long QEMU may take to create its devices.
const START: Duration = Duration::from_secs(20);

/// What to start.
#[derive(Clone, Debug)]
pub struct Launch {
    kernel: PathBuf,
    machine: Machine,
    channel: Channel,
    memory_mib: u32,
    command_line: Option<String>,
    drives: Vec<Drive>,
    extra: Vec<String>,
    paused: bool,
    lifetime: Duration,
}

impl Launch {
    /// A machine that boots `kernel` and has the agent's channel; builds nothing.
    pub fn new(kernel: &Path, machine: Machine, channel: Channel) -> Self {
        Self {
            kernel: kernel.to_owned(),
            machine,
            channel,
            memory_mib: 8,
            command_line: channel.command_line().map(str::to_owned),
            drives: Vec::new(),
            extra: Vec::new(),
            paused: false,
            lifetime: LIFETIME,
        }
    }

    /// The same for an image of this workspace, which is built first.
    ///
    /// # Errors
    ///
    /// It does not build.
    pub fn image(image: Image, machine: Machine, channel: Channel) -> Result<Self> {
        Ok(Self::new(&image.build()?, machine, channel))
    }

    /// How much memory the machine has.
    #[must_use]
    pub fn memory_mib(mut self, memory_mib: u32) -> Self {
        self.memory_mib = memory_mib;
        self
    }

    /// The kernel command line, instead of what the channel needs.
    #[must_use]
    pub fn command_line(mut self, text: &str) -> Self {
        self.command_line = Some(text.to_owned());
        self
    }

    /// More words for the kernel command line, after what the channel needs.
    #[must_use]
    pub fn more_command_line(self, words: &str) -> Self {
        let text = self.command_line.iter().map(String::as_str).chain([words]);
        let text = text.collect::<Vec<_>>().join(" ");
        self.command_line(&text)
    }

    /// A virtio disk, after those that there are already.
    #[must_use]
    pub fn drive(mut self, drive: Drive) -> Self {
        self.drives.push(drive);
        self
    }

    /// More arguments for QEMU.
    #[must_use]
    pub fn extra<S: Into<String>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.extra.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Does not start the processor until [`Guest::resume`].
    #[must_use]
    pub fn paused(mut self) -> Self {
        self.paused = true;
        self
    }

    /// How long the guest and its clients may take in all.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Starts QEMU and waits until its devices exist.
    ///
    /// # Errors
    ///
    /// QEMU is missing, or refuses its arguments.
    pub fn start(self) -> Result<Guest> {
        let dir = tempfile::Builder::new().prefix("tinyqga-").tempdir()?;
        let listener = UnixListener::bind(dir.path().join("qmp"))?;
        listener.set_nonblocking(true)?;
        let mut command = self.command(dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(dir.path().join("stderr"))?);
        let shown = shown(&command);
        let started = Instant::now();
        let mut child = command.spawn().with_context(|| format!("starting {EMULATOR}"))?;
        let qmp = match negotiate(&listener, &mut child) {
            Ok(qmp) => qmp,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                let stderr = fs::read_to_string(dir.path().join("stderr")).unwrap_or_default();
                return Err(error.context(format!("{shown}\n{stderr}")));
            }
        };
        Ok(Guest {
            channel: self.channel,
            child,
            command: shown,
            deadline: Deadline::within(self.lifetime),
            dir,
            kernel: self.kernel,
            qmp,
            started,
            transcript: Transcript::new(started),
        })
    }

    fn command(&self, dir: &Path) -> Command {
        let at = |name: &str| dir.join(name).display().to_string();
        let mut command = Command::new(EMULATOR);
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg"]);
        command.args(["-M", self.machine.name(), "-m", &self.memory_mib.to_string()]);
        command.arg("-kernel").arg(&self.kernel);
        if let Some(text) = &self.command_line {
            command.args(["-append", text]);
        }
        let agent = format!("socket,id=agent,path={},server=on,wait=off", at("agent"));
        command.args(["-chardev", &agent]);
        command.args(self.channel.arguments(self.machine, "agent"));
        for (index, drive) in self.drives.iter().enumerate() {
            command.args(drive.arguments(self.machine.disk_device(), index));
        }
        command.args(["-debugcon", &format!("file:{}", at("log"))]);
        command.args(["-qmp", &format!("unix:{}", at("qmp"))]);
        if self.paused {
            command.arg("-S");
        }
        command.args(&self.extra);
        command
    }
}

/// A running QEMU process. Dropping it kills it.
#[derive(Debug)]
pub struct Guest {
    channel: Channel,
    child: Child,
    command: String,
    deadline: Deadline,
    dir: TempDir,
    kernel: PathBuf,
    qmp: Qmp,
    started: Instant,
    transcript: Transcript,
}

impl Guest {
    /// When QEMU was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// How its agent is reached.
    pub fn channel(&self) -> Channel {
        self.channel
    }

    /// The image that it boots.
    pub fn kernel(&self) -> &Path {
        &self.kernel
    }

    /// QEMU's machine protocol.
    pub fn qmp(&mut self) -> &mut Qmp {
        &mut self.qmp
    }

    /// The socket of the agent's channel.
    pub fn agent_socket(&self) -> PathBuf {
        self.dir.path().join("agent")
    }

    /// Connects to the agent's channel. QEMU serves one client at a time.
    ///
    /// # Errors
    ///
    /// QEMU does not listen there any more.
    pub fn connect(&self) -> Result<Client> {
        Client::connect(&self.agent_socket(), self.transcript.clone(), self.deadline)
    }

    /// Connects, and waits until the agent answers.
    ///
    /// # Errors
    ///
    /// It does not.
    pub fn connect_when_up(&self) -> Result<Client> {
        let mut client = self.connect()?;
        client.wait_until_up()?;
        Ok(client)
    }

    /// Starts the processor of a machine launched [`Launch::paused`].
    ///
    /// # Errors
    ///
    /// QEMU refuses.
    pub fn resume(&mut self) -> Result<()> {
        self.qmp.execute("cont", &json!({})).map(|_| ())
    }

    /// Waits for QEMU to end by itself.
    ///
    /// # Errors
    ///
    /// It is still there after `within`.
    pub fn wait_for_exit(&mut self, within: Duration) -> Result<ExitStatus> {
        let child = &mut self.child;
        self.deadline.or_within(within).await_some("QEMU's exit", || Ok(child.try_wait()?))
    }

    /// Ends QEMU from one moment to the next (SIGKILL), as a host that loses its power does.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Whether QEMU is still there.
    ///
    /// # Errors
    ///
    /// The system cannot tell.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Whether the processor sleeps in `hlt` with interrupts off, so that nothing wakes it: an idle
    /// guest sleeps too, with interrupts on.
    ///
    /// # Errors
    ///
    /// The monitor does not tell.
    pub fn is_halted_for_good(&mut self) -> Result<bool> {
        /// RFLAGS.IF.
        const INTERRUPTS: u64 = 1 << 9;
        let registers = self.qmp.monitor("info registers")?;
        let value = |name: &str| {
            let found = registers.split_whitespace().find_map(|word| word.strip_prefix(name));
            found.with_context(|| format!("no {name} in `info registers`"))
        };
        let flags = u64::from_str_radix(value("RFL=")?, 16)?;
        Ok(value("HLT=")? == "1" && flags & INTERRUPTS == 0)
    }

    /// Waits until nothing wakes the processor any more and QEMU is still there.
    ///
    /// # Errors
    ///
    /// That does not happen within [`ANSWER`], or QEMU ended.
    pub fn await_halt(&mut self) -> Result<()> {
        let deadline = self.deadline.or_within(ANSWER);
        deadline
            .await_some("the processor to halt", || Ok(self.is_halted_for_good()?.then_some(())))?;
        ensure!(self.is_running()?, "QEMU ended");
        Ok(())
    }

    /// The processor time that the QEMU process has used so far, all its threads together.
    ///
    /// # Errors
    ///
    /// `/proc` has no such process.
    pub fn processor_time(&self) -> Result<Duration> {
        processor_time(self.child.id())
    }

    /// The guest's log so far, decoded.
    pub fn log(&self) -> String {
        guest_log::decode(&self.kernel, &self.dir.path().join("log"))
    }

    /// The command line that started QEMU.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// Everything one wants to see when a test of this guest failed.
    pub fn evidence(&mut self) -> String {
        let state = match self.child.try_wait() {
            Ok(Some(status)) => format!("QEMU ended with {status}"),
            Ok(None) => "QEMU is running".into(),
            Err(error) => format!("QEMU's state is unknown: {error}"),
        };
        let registers = self.qmp.monitor("info registers").unwrap_or_default();
        let registers = registers.replace('\r', "");
        let registers = registers.lines().take_while(|line| !line.starts_with("FCW"));
        let registers: Vec<&str> = registers.collect();
        let stderr = fs::read_to_string(self.dir.path().join("stderr")).unwrap_or_default();
        format!(
            "--- command\n{}\n--- channel (seconds since the launch)\n{}--- guest log\n{}\
             --- QEMU\n{state}\n{stderr}{}\n",
            self.command,
            self.transcript,
            self.log(),
            registers.join("\n")
        )
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended already; either way there is nothing left to do about an error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processor time that each of `guests` uses in one window, the same for all.
///
/// # Errors
///
/// One of them has ended.
pub fn processor_time_during<'a>(
    window: Duration,
    guests: impl Iterator<Item = &'a Guest> + Clone,
) -> Result<Vec<Duration>> {
    let before = guests.clone().map(Guest::processor_time).collect::<Result<Vec<_>>>()?;
    thread::sleep(window);
    let after = guests.map(Guest::processor_time).collect::<Result<Vec<_>>>()?;
    Ok(after.into_iter().zip(before).map(|(after, before)| after.saturating_sub(before)).collect())
}

/// The processor time that process `pid` has used, all its threads together.
///
/// # Errors
///
/// `/proc` has no such process.
pub fn processor_time(pid: u32) -> Result<Duration> {
    /// `USER_HZ`, which Linux fixes for everything it shows in `/proc` on x86.
    const TICKS_A_SECOND: u64 = 100;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold anything; after it comes field 3 (proc(5)).
    let (_, fields) = stat.rsplit_once(')').context("no name in /proc/PID/stat")?;
    let mut fields = fields.split_whitespace().skip(14 - 3);
    let mut ticks = || -> Result<u64> { Ok(fields.next().context("short stat")?.parse()?) };
    let total = ticks()? + ticks()?;
    Ok(Duration::from_millis(total * 1000 / TICKS_A_SECOND))
}

/// Whether the emulator is installed.
pub fn is_installed(program: impl AsRef<OsStr>) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn negotiate(listener: &UnixListener, child: &mut Child) -> Result<Qmp> {
    let stream: UnixStream = Deadline::within(START).await_some("QEMU's start", || {
        if let Ok((stream, _)) = listener.accept() {
            return Ok(Some(stream));
        }
        if let Some(status) = child.try_wait()? {
            bail!("QEMU ended at once with {status}");
        }
        Ok(None)
    })?;
    stream.set_nonblocking(false)?;
    Qmp::negotiate(stream)
}

/// The command as one could paste it into a shell.
fn shown(command: &Command) -> String {
    let words = core::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

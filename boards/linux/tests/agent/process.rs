//! The agent as a child process. Without `--dry-run` it runs only under a policy and for a system
//! of the test's own.

use core::time::Duration;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use rustix::process::{Pid, Signal, getpid, kill_process, set_child_subreaper};

/// What no agent is left alone for longer than, and no read waits for.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

const AGENT: &str = env!("CARGO_BIN_EXE_tinyqga");

/// The agent, not started yet.
pub(crate) fn command() -> Command {
    let mut command = command_in_earnest();
    command.arg("--dry-run");
    command
}

/// The agent that does what it is asked for.
pub(crate) fn command_in_earnest() -> Command {
    piped(Command::new(AGENT))
}

/// The agent, started by something that has this signal ignored.
pub(crate) fn command_ignoring(signal: &str) -> Command {
    let mut command = piped(Command::new("env"));
    command.arg(format!("--ignore-signal={signal}")).args([AGENT, "--dry-run"]);
    command
}

/// The agent, to which the children are left of those that have ended before them.
pub(crate) fn command_as_subreaper() -> Command {
    let mut command = command();
    // SAFETY: Between fork and exec, all that this does is one system call.
    unsafe { command.pre_exec(|| Ok(set_child_subreaper(Some(getpid()))?)) };
    command
}

fn piped(mut command: Command) -> Command {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Exit code, output and errors of an agent that is to end by itself.
pub(crate) fn outcome(command: &mut Command) -> (Option<i32>, String, String) {
    let child = command.spawn().unwrap();
    let _guard = Watchdog::over(&child);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Kills a process unless dropped within the deadline, which ends whatever waits for it.
struct Watchdog {
    _dropped: mpsc::Sender<()>,
}

impl Watchdog {
    fn over(child: &Child) -> Self {
        let process = Pid::from_child(child);
        let (dropped, is_dropped) = mpsc::channel();
        thread::spawn(move || {
            if is_dropped.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout) {
                println!("the agent is killed: the deadline is over");
                let _ = kill_process(process, Signal::KILL);
            }
        });
        Self { _dropped: dropped }
    }
}

/// A running agent; killed when dropped.
pub(crate) struct Process {
    child: Child,
    log: BufReader<ChildStderr>,
    _watchdog: Watchdog,
}

impl Process {
    /// Starts the agent with `-v` and reads its log up to the line that has `ready` in it.
    pub(crate) fn start(command: &mut Command, ready: &str) -> Self {
        let mut child = command.arg("-v").spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut process = Self { _watchdog: Watchdog::over(&child), child, log };
        process.log_until(ready);
        process
    }

    /// Reads the log up to the line that has `text` in it. The log ends when the agent does.
    pub(crate) fn log_until(&mut self, text: &str) {
        let mut read = String::new();
        while !read.lines().last().is_some_and(|line| line.contains(text)) {
            let count = self.log.read_line(&mut read).unwrap();
            assert!(count > 0, "no {text:?} in the log:\n{read}");
        }
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal that ends it, and returns its exit code.
    pub(crate) fn end(&mut self, signal: Signal) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.child.wait().unwrap().code()
    }

    /// Whether the agent still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let mut rest = String::new();
            let _ = self.log.read_to_string(&mut rest);
            println!("the rest of the agent's log:\n{rest}");
        }
    }
}

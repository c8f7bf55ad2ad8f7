//! How a program is started: which file, with what environment, its streams connected to what.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use agent_core::{Capture, Invocation};
use rustix::io::Errno;

use super::search;

/// What runs a file that may be run but tells no interpreter.
const SHELL: &str = "/bin/sh";

/// A child process, and the pipes from the streams that are captured.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) child: Child,
    pub(super) output: Option<OwnedFd>,
    pub(super) error: Option<OwnedFd>,
}

type Environment<'p> = BTreeMap<&'p OsStr, &'p OsStr>;

/// Starts a program. Its standard input is a pipe if it is to have input.
pub(super) fn start(program: &mut Invocation<'_, '_>) -> Result<Started, Errno> {
    let environment = match &mut program.environment {
        Some(variables) => Some(read(&mut **variables)?),
        None => None,
    };
    let path = environment.as_ref().and_then(|variables| variables.get(OsStr::new("PATH")));
    let file = search::find(program.path, path.copied())?;
    let arguments: Vec<_> = program.arguments.map(OsStr::from_bytes).collect();
    let run = |mut command: Command| {
        if let Some(variables) = &environment {
            command.env_clear().envs(variables);
        }
        command.args(&arguments);
        spawn(command, program.capture, program.input.is_some())
    };
    let mut command = Command::new(&file);
    command.arg0(OsStr::from_bytes(program.path));
    match run(command) {
        // > If the header of a file isn't recognized […], these functions will execute the shell
        // > (/bin/sh) with the path of the file as its first argument. (execvp(3))
        Err(Errno::NOEXEC) => {
            let mut command = Command::new(SHELL);
            command.arg(&file);
            run(command).map_err(|_| Errno::NOEXEC)
        }
        outcome => outcome,
    }
}

/// Reads variables. The first one of a name counts, as with getenv(3).
fn read<'p>(variables: &mut dyn Iterator<Item = &'p [u8]>) -> Result<Environment<'p>, Errno> {
    let mut environment = Environment::new();
    for variable in variables {
        let at = variable.iter().position(|byte| *byte == b'=').ok_or(Errno::INVAL)?;
        let (name, value) = (&variable[..at], &variable[at + 1..]);
        environment.entry(OsStr::from_bytes(name)).or_insert(OsStr::from_bytes(value));
    }
    Ok(environment)
}

/// Connects a command's streams and starts it. The pipes' other ends in this process go with the
/// command: only then there is an end to read.
fn spawn(mut command: Command, capture: Capture, has_input: bool) -> Result<Started, Errno> {
    command.stdin(if has_input { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let (mut output, mut error) = (None, None);
    if matches!(capture, Capture::Output | Capture::Separated) {
        let (reader, writer) = io::pipe().map_err(errno)?;
        command.stdout(writer);
        output = Some(reader.into());
    }
    if matches!(capture, Capture::Error | Capture::Separated) {
        let (reader, writer) = io::pipe().map_err(errno)?;
        command.stderr(writer);
        error = Some(reader.into());
    }
    if capture == Capture::Merged {
        let (reader, writer) = io::pipe().map_err(errno)?;
        command.stdout(writer.try_clone().map_err(errno)?).stderr(writer);
        output = Some(reader.into());
    }
    let child = command.spawn().map_err(errno)?;
    Ok(Started { child, output, error })
}

/// What the kernel said; the standard library says by itself that a NUL is in a string.
#[expect(clippy::needless_pass_by_value, reason = "what map_err hands over")]
fn errno(error: io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::INVAL)
}

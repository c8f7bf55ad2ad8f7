//! The agent as an ordinary Linux process.
//!
//! For appliance images that have a kernel and nothing else, and the fast way to test. It takes
//! qemu-ga's options and listens where qemu-ga would. One thread. Heap is needed where files are:
//! a page for each open one, and for what is read of those that do not tell their size; and for
//! what programs write.
//!
//! ```text
//! options                     the command line
//! device | socket             the channel: a serial or virtio port, or a Unix socket
//!     descriptor              one that never blocks, and what it has refused
//!   -> serve                  agent_core::Pump between channel and agent; poll(2) in between
//!     -> signals              to end, and of a child's end
//!     -> host                 the capabilities, by system calls: clock, files, filesystems, ...
//!     -> watchdog             ends a freeze that the host has forgotten
//! ```

mod channel;
mod descriptor;
mod device;
mod host;
mod log;
mod options;
mod serve;
mod signals;
mod socket;
mod watchdog;

use std::io::{self, Write as _};
use std::process::ExitCode;

use agent_core::{Agent, Buffers, COMMANDS};
use anyhow::Context as _;

use crate::{
    device::Device,
    host::{Host, Processes},
    log::Log,
    options::{Invocation, Method, Options},
    serve::serve,
    signals::Signals,
    socket::Socket,
    watchdog::Watchdog,
};

/// Bytes of the longest request. Any request of a client of today fits; each further KiB costs
/// one KiB of memory and nothing else.
const REQUEST: usize = 256 * 1024;
/// Twice the bytes of the longest result, but for what is read of a file: 7000 memory blocks fit, or
/// 2000 routes. Memory that was never written to is not there.
const REPLY: usize = 1024 * 1024;

fn main() -> ExitCode {
    let options = match options::parse(lexopt::Parser::from_env()) {
        Ok(Invocation::Serve(options)) => options,
        Ok(Invocation::Help) => return print(options::HELP),
        Ok(Invocation::ListCommands) => return list_commands(),
        Ok(Invocation::Version) => {
            return print(concat!("tinyqga ", env!("CARGO_PKG_VERSION"), "\n"));
        }
        Err(error) => {
            Log::default().note(format_args!("{error}"));
            Log::default().note(format_args!("try 'tinyqga --help' for more information"));
            return ExitCode::FAILURE;
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            options.log().note(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Opens the channel and serves it until a signal ends that, or it is no longer possible.
fn run(options: &Options) -> anyhow::Result<()> {
    let log = options.log();
    let mut signals = Signals::new().context("signals")?;
    let mut buffers = Buffers::<REQUEST, REPLY>::new();
    let programs = options.exec.then(Processes::new).transpose();
    let programs = programs.context("guest-exec needs pidfd_open(2)")?;
    let host =
        Host::new(log, options.dry_run).with_users_of(options.root.clone()).with_programs(programs);
    let mut agent = Agent::new(host, &mut buffers).with_policy(options.policy());
    let agent = &mut agent;
    let watchdog = Watchdog::new(options.freeze_timeout);
    let path = &options.path;
    let signals = &mut signals;
    let outcome = match options.method {
        Method::IsaSerial => {
            serve(&mut Device::open_serial(path, log)?, agent, watchdog, signals, log)
        }
        Method::UnixListen => serve(&mut Socket::listen(path, log)?, agent, watchdog, signals, log),
        Method::VirtioSerial => {
            serve(&mut Device::open_port(path, log)?, agent, watchdog, signals, log)
        }
    };
    if agent.is_frozen() {
        // Nobody else would.
        match agent.thaw() {
            Ok(count) => log.note(format_args!("at the end, {count} file systems thawed")),
            Err(error) => log.note(format_args!("at the end, no thaw works: {error:?}")),
        }
    }
    agent.board_mut().write_back();
    outcome
}

/// Prints what was asked for; a reader that has gone away is no reason to fail loudly.
fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn list_commands() -> ExitCode {
    for command in COMMANDS {
        if print(command.name) == ExitCode::FAILURE || print("\n") == ExitCode::FAILURE {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

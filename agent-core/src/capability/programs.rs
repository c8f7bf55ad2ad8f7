//! The capability to run programs.

use super::Errno;

/// Programs that the host may run: functions of the application, or processes.
pub trait Programs {
    /// Starts a program.
    ///
    /// # Errors
    ///
    /// Why it was not started, such as [`Errno::NOT_FOUND`] where there is none of this name.
    fn start(&mut self, program: &mut Invocation<'_, '_>) -> Result<Pid, Errno>;

    /// What has become of a program; `None` where there is none of this number.
    ///
    /// One that has ended is told of once: the next call of [`start`](Self::start) or of this may
    /// forget it, and its output.
    fn status(&mut self, pid: Pid) -> Option<ProgramStatus>;

    /// Reads on in what was kept of the output of a program that has ended, from its start; returns
    /// how much, and nothing only at the end.
    fn read_output(&mut self, pid: Pid, stream: Stream, buffer: &mut [u8]) -> usize;
}

/// A program to be run.
#[expect(missing_debug_implementations, reason = "iterators and functions have nothing to show")]
pub struct Invocation<'p, 'm> {
    /// Its name or path, in modified UTF-8 (U+0000 is C0 80).
    pub path: &'m [u8],
    /// Its arguments, without its name.
    pub arguments: &'p mut dyn Iterator<Item = &'m [u8]>,
    /// Its environment, as `NAME=value`; `None` where it is to have the agent's.
    pub environment: Option<&'p mut dyn Iterator<Item = &'m [u8]>>,
    /// What it is to read from its standard input, where it has one.
    pub input: Option<Input<'p>>,
    /// What of its output is to be kept.
    pub capture: Capture,
}

/// Fills a buffer with the next of a program's input, and returns how much; nothing at the end.
pub type Input<'p> = &'p mut dyn FnMut(&mut [u8]) -> usize;

/// What of a program's output is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture {
    /// Nothing.
    None,
    /// What goes to the standard output.
    Output,
    /// What goes to the standard error.
    Error,
    /// Both, each for itself.
    Separated,
    /// Both as one, in their order, as the standard output.
    Merged,
}

/// The number that a client knows a program by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pid(pub i64);

/// Where a program writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// What has become of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramStatus {
    /// It still runs.
    Running,
    /// It has ended.
    Ended {
        /// How.
        end: End,
        /// What of its standard output was kept.
        output: Kept,
        /// What of its standard error was kept.
        error: Kept,
    },
}

/// How a program has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this code.
    Exit(i64),
    /// By this signal.
    Signal(i64),
}

/// How much of what a program has written was kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Bytes.
    pub bytes: u64,
    /// Whether that is not all.
    pub truncated: bool,
}

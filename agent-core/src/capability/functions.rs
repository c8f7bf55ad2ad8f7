//! Functions of an application as programs that the host may run.

use heapless::Vec;

use super::{Capture, End, Errno, Invocation, Kept, Pid, ProgramStatus, Programs, Stream};

/// A function that is run as a program; returns its exit code.
///
/// It runs inside the request that starts it, so it should not take long: nothing else is answered
/// meanwhile.
pub type Function<'f> = &'f mut dyn FnMut(&mut Invocation<'_, '_>, &mut Output<'_>) -> i64;

/// Functions by name, as [`Programs`].
///
/// What a function writes is kept up to `OUTPUT` bytes for each stream. The outcome of up to `RUNS`
/// runs is kept until the host asks for it; then the oldest is forgotten, so that a host that never
/// asks does not keep others from running anything. While a function runs, what it writes is on the
/// stack.
///
/// ```
/// use agent_core::{Functions, Stream};
///
/// let mut hello = |_: &mut agent_core::Invocation<'_, '_>, output: &mut agent_core::Output<'_>| {
///     output.write(Stream::Output, b"hello\n");
///     0
/// };
/// let programs: Functions<'_, 4, 1024> = Functions::new(&mut [("hello", &mut hello)]);
/// ```
#[expect(missing_debug_implementations, reason = "functions have nothing to show")]
pub struct Functions<'f, const RUNS: usize, const OUTPUT: usize> {
    table: &'f mut [(&'f str, Function<'f>)],
    runs: Vec<Run<OUTPUT>, RUNS>,
    next: i64,
}

/// A run that has ended.
struct Run<const OUTPUT: usize> {
    pid: Pid,
    code: i64,
    output: Text<OUTPUT>,
    error: Text<OUTPUT>,
    /// The host knows.
    told: bool,
}

/// What was written to a stream.
#[derive(Default)]
struct Text<const OUTPUT: usize> {
    bytes: Vec<u8, OUTPUT>,
    truncated: bool,
    read: usize,
}

/// Where a function writes to.
#[expect(missing_debug_implementations, reason = "there is nothing to see from outside")]
pub struct Output<'o> {
    write: &'o mut dyn FnMut(Stream, &[u8]),
}

impl Output<'_> {
    /// Writes to a stream. What does not fit is counted as cut off.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) {
        (self.write)(stream, bytes);
    }
}

impl<const OUTPUT: usize> Text<OUTPUT> {
    fn write(&mut self, bytes: &[u8]) {
        let room = OUTPUT.saturating_sub(self.bytes.len());
        let (kept, rest) = bytes.split_at_checked(room).unwrap_or((bytes, b""));
        // Cut to the room there is.
        let _ = self.bytes.extend_from_slice(kept);
        self.truncated |= !rest.is_empty();
    }

    fn kept(&self) -> Kept {
        let bytes = u64::try_from(self.bytes.len()).unwrap_or(u64::MAX);
        Kept { bytes, truncated: self.truncated }
    }
}

impl<'f, const RUNS: usize, const OUTPUT: usize> Functions<'f, RUNS, OUTPUT> {
    /// Programs of these names.
    pub fn new(functions: &'f mut [(&'f str, Function<'f>)]) -> Self {
        const { assert!(RUNS > 0, "the outcome of a run must be kept somewhere") }
        Self { table: functions, runs: Vec::new(), next: 1 }
    }

    fn run(&mut self, pid: Pid) -> Option<&mut Run<OUTPUT>> {
        self.runs.iter_mut().find(|run| run.pid == pid)
    }
}

impl<const RUNS: usize, const OUTPUT: usize> Programs for Functions<'_, RUNS, OUTPUT> {
    fn start(&mut self, program: &mut Invocation<'_, '_>) -> Result<Pid, Errno> {
        let named = |(name, _): &&mut (&str, _)| name.as_bytes() == program.path;
        let (_, function) = self.table.iter_mut().find(named).ok_or(Errno::NOT_FOUND)?;
        let (mut output, mut error) = (Text::default(), Text::default());
        let capture = program.capture;
        let mut write = |stream: Stream, bytes: &[u8]| match (capture, stream) {
            (Capture::Output | Capture::Separated, Stream::Output) | (Capture::Merged, _) => {
                output.write(bytes);
            }
            (Capture::Error | Capture::Separated, Stream::Error) => error.write(bytes),
            _ => {}
        };
        let code = function(program, &mut Output { write: &mut write });
        let pid = Pid(self.next);
        self.next = self.next.saturating_add(1);
        self.runs.retain(|run| !run.told);
        if self.runs.is_full() {
            let oldest = self.runs.first().map(|run| run.pid);
            self.runs.retain(|run| Some(run.pid) != oldest);
        }
        // There is a place now.
        let _ = self.runs.push(Run { pid, code, output, error, told: false });
        Ok(pid)
    }

    fn status(&mut self, pid: Pid) -> Option<ProgramStatus> {
        self.runs.retain(|run| !run.told);
        let run = self.run(pid)?;
        run.told = true;
        Some(ProgramStatus::Ended {
            end: End::Exit(run.code),
            output: run.output.kept(),
            error: run.error.kept(),
        })
    }

    fn read_output(&mut self, pid: Pid, stream: Stream, buffer: &mut [u8]) -> usize {
        let Some(run) = self.run(pid) else { return 0 };
        let text = match stream {
            Stream::Output => &mut run.output,
            Stream::Error => &mut run.error,
        };
        let rest = text.bytes.get(text.read..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        for (place, byte) in buffer.iter_mut().zip(rest) {
            *place = *byte;
        }
        text.read = text.read.saturating_add(count);
        count
    }
}

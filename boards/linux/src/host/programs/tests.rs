//! Programs of this machine, driven as the main loop does.

use core::time::Duration;
use std::os::fd::AsRawFd as _;
use std::process::Command;
use std::time::Instant;

use agent_core::{Capture, End, Kept};
use rustix::event::{PollFd, PollFlags, poll};
use tempfile::TempDir;

use super::*;

/// What no program here takes.
const DEADLINE: Duration = Duration::from_secs(30);

/// A file that may be run.
struct Tool {
    name: &'static str,
    folder: TempDir,
}

impl Tool {
    fn new(name: &'static str, text: &str) -> Self {
        let tool = Self { name, folder: TempDir::new().unwrap() };
        // Not written by this process: a child that another test starts meanwhile would have it open
        // for a moment, and a file that is open to be written cannot be run.
        let script = "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\"";
        let made = Command::new("sh").args(["-c", script, &tool.path(), text]).status();
        assert!(made.unwrap().success());
        tool
    }

    fn path(&self) -> String {
        self.folder.path().join(self.name).to_str().unwrap().to_owned()
    }
}

struct Request<'r> {
    path: &'r str,
    arguments: &'r [&'r str],
    environment: Option<&'r [&'r str]>,
    input: Option<&'r [u8]>,
    capture: Capture,
}

impl Request<'_> {
    const NONE: Self = Request {
        path: "sh",
        arguments: &[],
        environment: None,
        input: None,
        capture: Capture::Separated,
    };
}

/// A script of a shell.
fn script<'r>(arguments: &'r [&'r str; 2]) -> Request<'r> {
    Request { arguments, ..Request::NONE }
}

fn start(processes: &mut Processes, request: &Request<'_>) -> Result<Pid, Words> {
    let mut rest = request.input.unwrap_or_default();
    let mut input = |buffer: &mut [u8]| {
        let count = rest.len().min(buffer.len());
        let (now, later) = rest.split_at(count);
        buffer[..count].copy_from_slice(now);
        rest = later;
        count
    };
    let mut variables = request.environment.into_iter().flatten().map(|text| text.as_bytes());
    Programs::start(
        processes,
        &mut Invocation {
            path: request.path.as_bytes(),
            arguments: &mut request.arguments.iter().map(|text| text.as_bytes()),
            environment: match request.environment {
                Some(_) => Some(&mut variables),
                None => None,
            },
            input: match request.input {
                Some(_) => Some(&mut input),
                None => None,
            },
            capture: request.capture,
        },
    )
}

/// Drives them until this one has ended.
fn wait(processes: &mut Processes, pid: Pid) -> (End, Kept, Kept) {
    let start = Instant::now();
    loop {
        match processes.status(pid).expect("the program is forgotten") {
            ProgramStatus::Ended { end, output, error } => return (end, output, error),
            ProgramStatus::Running => assert!(start.elapsed() < DEADLINE),
        }
        let mut polled = [PollFd::from_borrowed_fd(processes.activity(), PollFlags::IN)];
        let ready = poll(&mut polled, Some(&DEADLINE.try_into().unwrap())).unwrap();
        assert_eq!(ready, 1, "nothing happens");
        processes.advance();
    }
}

fn kept(processes: &mut Processes, pid: Pid, stream: Stream) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 1000];
    loop {
        let count = processes.read_output(pid, stream, &mut buffer);
        text.extend_from_slice(&buffer[..count]);
        if count == 0 {
            return String::from_utf8(text).unwrap();
        }
    }
}

/// How a program ends and what it writes.
fn check(request: &Request<'_>, end: End, output: &str, error: &str) {
    let mut processes = Processes::new().unwrap();
    let pid = start(&mut processes, request).unwrap();
    let outcome = wait(&mut processes, pid);
    let kept_output = kept(&mut processes, pid, Stream::Output);
    let kept_error = kept(&mut processes, pid, Stream::Error);
    assert_eq!((outcome.0, kept_output.as_str(), kept_error.as_str()), (end, output, error));
    let whole = |text: &str| Kept { bytes: text.len() as u64, truncated: false };
    assert_eq!((outcome.1, outcome.2), (whole(output), whole(error)));
    assert_eq!(processes.status(pid), None, "the end is told twice");
}

#[test]
fn what_is_captured() {
    let both = script(&["-c", "echo out; echo err >&2; echo out; echo err >&2; exit 3"]);
    for (capture, output, error) in [
        (Capture::None, "", ""),
        (Capture::Output, "out\nout\n", ""),
        (Capture::Error, "", "err\nerr\n"),
        (Capture::Separated, "out\nout\n", "err\nerr\n"),
        (Capture::Merged, "out\nerr\nout\nerr\n", ""),
    ] {
        check(&Request { capture, ..both }, End::Exit(3), output, error);
    }
}

#[test]
fn ways_to_end() {
    check(&script(&["-c", "exit 0"]), End::Exit(0), "", "");
    check(&script(&["-c", "exit 255"]), End::Exit(255), "", "");
    check(&script(&["-c", "kill -KILL $$"]), End::Signal(9), "", "");
    // SIGPIPE is not ignored in a program, as it is in the agent.
    check(&script(&["-c", "kill -PIPE $$"]), End::Signal(13), "", "");
}

#[test]
fn what_it_is_given() {
    let arguments = ["-n", "\" test_str \""];
    let echo = Request { path: "/bin/echo", arguments: &arguments, ..Request::NONE };
    check(&echo, End::Exit(0), "\" test_str \"", "");
    let name = Request { path: "/bin/sh", ..script(&["-c", "echo $0"]) };
    check(&name, End::Exit(0), "/bin/sh\n", "");
    let variables = Some(&["B=2=2", "A=1", "A=3", "C="][..]);
    let show =
        Request { path: "/usr/bin/env", arguments: &[], environment: variables, ..Request::NONE };
    check(&show, End::Exit(0), "A=1\nB=2=2\nC=\n", "");
    // The program is searched where its own PATH says, or else the agent's.
    let tool = Tool::new("env", "echo $0 $1\n");
    let own_path = format!("PATH={}", tool.folder.path().display());
    let own = Some(&[own_path.as_str()][..]);
    let search = Request { path: "env", environment: own, arguments: &["x"], ..Request::NONE };
    // It has no interpreter, so that it is the shell's.
    check(&search, End::Exit(0), &format!("{} x\n", tool.path()), "");
    let none = Some(&["A=1"][..]);
    let search = Request { path: "env", environment: none, ..Request::NONE };
    check(&search, End::Exit(0), "A=1\n", "");
}

#[test]
fn input_is_fed_as_it_is_taken() {
    let text = "0123456789abcdef".repeat(20_000);
    let cat = Request { path: "cat", input: Some(text.as_bytes()), ..Request::NONE };
    check(&cat, End::Exit(0), &text, "");
    check(&Request { input: Some(b""), ..cat }, End::Exit(0), "", "");
    check(&Request { input: None, ..cat }, End::Exit(0), "", "");
    let deaf = Request { input: Some(text.as_bytes()), ..script(&["-c", "exec <&-; echo done"]) };
    check(&deaf, End::Exit(0), "done\n", "");
}

#[test]
fn what_cannot_be_started() {
    // The tests' own may have folders that are not for everybody.
    const USUAL: Option<&[&str]> = Some(&["PATH=/bin:/usr/bin"]);
    let mut processes = Processes::new().unwrap();
    for (path, environment, expected) in [
        ("/bin/invalid-cmd42", None, Words::NOT_FOUND),
        ("invalid-cmd42", USUAL, Words::NOT_FOUND),
        ("", None, Words::NOT_FOUND),
        ("/bin", None, words(Errno::ACCESS)),
        ("/bin/true/x", None, Words::NOT_DIRECTORY),
        ("true", Some(&["A=1", "B"][..]), Words::INVALID_ARGUMENT),
        ("true", Some(&["PATH=/nowhere"][..]), Words::NOT_FOUND),
        ("tr\0ue", USUAL, Words::NOT_FOUND),
        ("/bin/tr\0ue", None, Words::INVALID_ARGUMENT),
    ] {
        let request = Request { path, environment, ..Request::NONE };
        assert_eq!(start(&mut processes, &request), Err(expected), "{path:?}");
    }
    assert_eq!(processes.status(Pid(0)), None);
    assert_eq!(processes.status(Pid(-1)), None);
    assert_eq!(processes.read_output(Pid(0), Stream::Output, &mut [0]), 0);
    assert!(processes.started.is_empty());
}

#[test]
fn output_has_a_limit() {
    const LIMIT: u64 = 16 << 20;
    for (length, truncated) in [(LIMIT, false), (LIMIT + 1, true)] {
        let text = format!("head -c {length} /dev/zero; echo end >&2");
        let mut processes = Processes::new().unwrap();
        let pid = start(&mut processes, &script(&["-c", &text])).unwrap();
        let (end, output, error) = wait(&mut processes, pid);
        assert_eq!(end, End::Exit(0));
        assert_eq!(output, Kept { bytes: LIMIT, truncated });
        assert_eq!(error, Kept { bytes: 4, truncated: false });
        assert_eq!(kept(&mut processes, pid, Stream::Output).len() as u64, LIMIT);
    }
}

#[test]
fn a_program_runs_until_its_streams_are_closed() {
    let mut processes = Processes::new().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    // A child that it leaves behind, and that ends when the pipe is closed here.
    let path = format!("/proc/{}/fd/{}", std::process::id(), reader.as_raw_fd());
    let text = format!("cat < {path} & exit 1");
    let pid = start(&mut processes, &script(&["-c", &text])).unwrap();
    let start = Instant::now();
    while processes.started[0].end.is_none() {
        assert!(start.elapsed() < DEADLINE);
        processes.advance();
    }
    assert_eq!(processes.status(pid), Some(ProgramStatus::Running));
    drop(writer);
    assert_eq!(wait(&mut processes, pid).0, End::Exit(1));
}

#[test]
fn there_is_an_end_to_how_many() {
    let mut processes = Processes::new().unwrap();
    let sleeping = Request { path: "sleep", arguments: &["60"], ..Request::NONE };
    let cat = Request { path: "cat", input: None, capture: Capture::None, ..Request::NONE };
    let first = start(&mut processes, &cat).unwrap();
    let rest: Vec<_> = (1..PROGRAMS).map(|_| start(&mut processes, &sleeping).unwrap()).collect();
    let begin = Instant::now();
    while !processes.started[0].has_ended() {
        assert!(begin.elapsed() < DEADLINE);
        processes.advance();
    }
    // Nobody has asked for the first one, which has ended: another takes its place.
    let last = start(&mut processes, &sleeping).unwrap();
    assert_eq!(processes.status(first), None);
    assert_eq!(start(&mut processes, &sleeping), Err(words(Errno::AGAIN)));
    for pid in rest.into_iter().chain([last]) {
        let process = rustix::process::Pid::from_raw(i32::try_from(pid.0).unwrap()).unwrap();
        rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
        assert_eq!(wait(&mut processes, pid).0, End::Signal(9));
    }
    assert!(start(&mut processes, &cat).is_ok());
}

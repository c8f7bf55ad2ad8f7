//! `--method isa-serial`, with a pseudo-terminal for the line.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::{ffi::OsStr, path::Path};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::process::{DEADLINE, Process, command};

/// The host's end of a line.
struct Line(File);

impl Line {
    /// Whether the agent has sent something, within the deadline.
    fn is_ready(&self) -> bool {
        let limit = Timespec::try_from(DEADLINE).unwrap();
        poll(&mut [PollFd::new(&self.0.as_fd(), PollFlags::IN)], Some(&limit)).unwrap() > 0
    }

    /// Reads as many bytes as `expected` has.
    fn expect(&mut self, expected: &[u8]) {
        let mut found = vec![];
        while found.len() < expected.len() {
            assert!(self.is_ready(), "only {:?} came", String::from_utf8_lossy(&found));
            let mut chunk = [0; 4096];
            let count = self.0.read(&mut chunk).unwrap();
            found.extend_from_slice(&chunk[..count]);
        }
        assert_eq!(String::from_utf8_lossy(&found), String::from_utf8_lossy(expected));
    }
}

#[test]
fn a_line_carries_every_byte() {
    let host = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&host).unwrap();
    unlockpt(&host).unwrap();
    let name = ptsname(&host, vec![]).unwrap();
    let path = Path::new(OsStr::from_bytes(name.as_bytes()));
    let mut line = Line(host.into());
    let mut command = command();
    command.args(["-m", "isa-serial", "-p"]).arg(path);
    let mut agent = Process::start(&mut command, "serving the line");

    // Nothing is echoed, edited, translated or taken for flow control.
    line.0.write_all(b"\r\n\x11\x13\x03\x04\x7f\xff").unwrap();
    let mut errors = vec![];
    for stray in [r"\u0011", r"\u0013", r"\u0003", r"\u0004"] {
        errors.extend(stray_error(stray));
    }
    // 0x7F is skipped: the lexer is in recovery.
    errors.extend(stray_error(r"\uFFFD"));
    line.expect(&errors);

    line.0.write_all(br#"{"execute": "guest-sync-delimited", "arguments": {"id": 42}}"#).unwrap();
    line.expect(b"\xff{\"return\": 42}\n");

    line.0.write_all(br#"{"execute": "guest-shutdown"}"#).unwrap();
    agent.log_until("no shutdown (Powerdown)");
    line.0.write_all(br#"{"execute": "guest-ping"}"#).unwrap();
    line.expect(b"{\"return\": {}}\n");
    assert!(agent.is_running());
}

fn stray_error(text: &str) -> Vec<u8> {
    format!(
        "{{\"error\": {{\"class\": \"GenericError\", \"desc\": \"JSON parse error, stray '{text}'\"}}}}\n"
    )
    .into_bytes()
}

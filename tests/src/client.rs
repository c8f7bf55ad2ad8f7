//! A client of the agent, which does what libvirt and Proxmox do on the channel.
//!
//! It reads bytes, not JSON: what the agent writes is compared exactly.

use core::time::Duration;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};

use crate::deadline::Deadline;
use crate::transcript::{Direction, Transcript, readable};

/// How long an answer may take. The machines are emulated and may share their cores.
pub const ANSWER: Duration = Duration::from_secs(5);

/// How long the guest may take from its start to the first answer.
pub const BOOT: Duration = Duration::from_secs(10);

/// The byte that a client sends to reset the agent's parser, and the agent to mark a sync reply.
pub const SENTINEL: u8 = 0xff;

/// qemu-ga's complaint about a sentinel between two messages.
pub const STRAY_SENTINEL: &str = "{\"error\": {\"class\": \"GenericError\", \
    \"desc\": \"JSON parse error, stray '\\uFFFD'\"}}\n";

/// A connection to the agent's channel.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    inbox: Vec<u8>,
    next_id: u64,
    transcript: Transcript,
    deadline: Deadline,
}

impl Client {
    /// Connects to the socket at `path`; `deadline` bounds everything this client waits for.
    ///
    /// # Errors
    ///
    /// Nobody listens there in time.
    pub fn connect(path: &Path, transcript: Transcript, deadline: Deadline) -> Result<Self> {
        let stream = deadline.await_some(&format!("connecting to {}", path.display()), || {
            Ok(UnixStream::connect(path).ok())
        })?;
        Ok(Self { stream, inbox: Vec::new(), next_id: milliseconds_now()?, transcript, deadline })
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    ///
    /// The channel is closed, or does not take them within [`ANSWER`].
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        let bytes = bytes.as_ref();
        self.transcript.add(Direction::ToGuest, bytes);
        let left = self.deadline.or_within(ANSWER).left().context("out of time")?;
        self.stream.set_write_timeout(Some(left))?;
        self.stream.write_all(bytes).context("writing to the agent")
    }

    /// Closes the sending direction, as a client does that has no more requests.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn finish(&self) -> Result<()> {
        Ok(self.stream.shutdown(std::net::Shutdown::Write)?)
    }

    /// The next line, with its line feed.
    ///
    /// # Errors
    ///
    /// There is none in time, or the channel is closed.
    pub fn line(&mut self, within: Duration) -> Result<Vec<u8>> {
        self.through(b"\n", within)
    }

    /// Everything up to the end of the first `mark`.
    ///
    /// # Errors
    ///
    /// It does not come in time, or the channel is closed.
    pub fn through(&mut self, mark: &[u8], within: Duration) -> Result<Vec<u8>> {
        let deadline = self.deadline.or_within(within);
        let mut searched = 0;
        loop {
            let from = searched.max(mark.len()) - mark.len();
            let found = self.inbox.get(from..).and_then(|new| position(new, mark));
            if let Some(at) = found {
                return Ok(self.inbox.drain(..from + at + mark.len()).collect());
            }
            searched = self.inbox.len();
            if !self.receive(deadline).with_context(|| self.waiting_for(mark))? {
                bail!("the channel was closed: {}", self.waiting_for(mark));
            }
        }
    }

    /// Everything up to the end of the stream.
    ///
    /// # Errors
    ///
    /// It does not end in time.
    pub fn rest(&mut self, within: Duration) -> Result<Vec<u8>> {
        let deadline = self.deadline.or_within(within);
        while self.receive(deadline).context("waiting for the end of the stream")? {}
        Ok(core::mem::take(&mut self.inbox))
    }

    /// Makes sure that nothing arrives for as long as `during`.
    ///
    /// # Errors
    ///
    /// Something arrives.
    pub fn silence(&mut self, during: Duration) -> Result<()> {
        let deadline = Deadline::within(during);
        while self.inbox.is_empty() && deadline.left().is_some() {
            if matches!(self.receive(deadline), Ok(false)) {
                break;
            }
        }
        ensure!(self.inbox.is_empty(), "expected silence, got `{}`", readable(&self.inbox));
        Ok(())
    }

    /// Sends `request` with a line feed and takes one line.
    ///
    /// # Errors
    ///
    /// No line comes in time, or it is not ASCII.
    pub fn ask(&mut self, request: &str) -> Result<String> {
        self.send(format!("{request}\n"))?;
        text(self.line(ANSWER)?)
    }

    /// [`Client::ask`], and the time it took.
    ///
    /// # Errors
    ///
    /// As [`Client::ask`].
    pub fn ask_timed(&mut self, request: &str) -> Result<(String, Duration)> {
        let before = Instant::now();
        let reply = self.ask(request)?;
        Ok((reply, before.elapsed()))
    }

    /// Demands that `request` is answered by exactly `expected` and a line feed.
    ///
    /// # Errors
    ///
    /// It is not.
    pub fn expect(&mut self, request: &str, expected: &str) -> Result<()> {
        let reply = self.ask(request)?;
        ensure!(
            reply.strip_suffix('\n') == Some(expected),
            "`{}` was answered\n  `{}`, not\n  `{expected}`",
            readable(request.as_bytes()),
            readable(reply.as_bytes())
        );
        Ok(())
    }

    /// The handshake of libvirt (`qemu_agent.c`): guest-sync with the time in milliseconds, two tries.
    ///
    /// # Errors
    ///
    /// Neither try is answered.
    pub fn sync_as_libvirt(&mut self, within: Duration) -> Result<Duration> {
        let started = Instant::now();
        let mut outcome = Ok(());
        for _ in 0..2 {
            let id = self.new_id();
            self.send(format!("{{\"execute\":\"guest-sync\", \"arguments\":{{\"id\":{id}}}}}\n"))?;
            outcome =
                self.through(format!("{{\"return\": {id}}}\n").as_bytes(), within).map(|_| ());
            if outcome.is_ok() {
                return Ok(started.elapsed());
            }
        }
        outcome.map(|()| started.elapsed())
    }

    /// The handshake of the documentation: 0xFF, then guest-sync-delimited; skips to its reply.
    ///
    /// What was skipped is returned, as far as the reply's own 0xFF.
    ///
    /// # Errors
    ///
    /// The reply does not come in time.
    pub fn sync_delimited(&mut self, within: Duration) -> Result<Vec<u8>> {
        let id = self.new_id();
        let mut request = vec![SENTINEL];
        request.extend(
            format!("{{\"execute\":\"guest-sync-delimited\",\"arguments\":{{\"id\":{id}}}}}\n")
                .as_bytes(),
        );
        self.send(request)?;
        let mut reply = vec![SENTINEL];
        reply.extend(format!("{{\"return\": {id}}}\n").as_bytes());
        let mut skipped = self.through(&reply, within)?;
        skipped.truncate(skipped.len() - reply.len());
        Ok(skipped)
    }

    /// Tries [`Client::sync_delimited`] until the guest answers.
    ///
    /// On a UART the bytes that arrive before the guest is up are lost, a few at least: the FIFO is
    /// reset. So each try begins with blanks, which mean nothing to the agent.
    ///
    /// # Errors
    ///
    /// The guest does not answer within [`BOOT`].
    pub fn wait_until_up(&mut self) -> Result<()> {
        let deadline = Deadline::within(BOOT);
        loop {
            self.send([b'\n'; 64])?;
            match self.sync_delimited(Duration::from_secs(2)) {
                Ok(_) => return Ok(()),
                Err(error) if deadline.left().is_none() => {
                    return Err(error.context(format!("the guest is not up after {BOOT:?}")));
                }
                Err(_) => {}
            }
        }
    }

    /// One command as Proxmox sends it (`PVE/QMPClient.pm`): sync and command in one write.
    ///
    /// The answer must match its `/^.*\xff([^\n]+}\r?\n[^\n]+})\r?\n(.*)$/s`: after an 0xFF two
    /// lines, each ending in `}`. The second line is returned.
    ///
    /// # Errors
    ///
    /// It does not match, or the id is another one.
    pub fn ask_as_proxmox(&mut self, command: &str) -> Result<String> {
        let id = self.new_id();
        self.send(format!(
            "{{\"execute\":\"guest-sync-delimited\",\"arguments\":{{\"id\":{id}}}}}\n\
             {{\"execute\":\"{command}\",\"arguments\":{{}}}}\n"
        ))?;
        self.through(&[SENTINEL], ANSWER)?;
        let sync = text(self.line(ANSWER)?)?;
        let reply = text(self.line(ANSWER)?)?;
        for line in [&sync, &reply] {
            let object = line.trim_end_matches('\n').trim_end_matches('\r');
            ensure!(
                object.len() > 1 && object.ends_with('}'),
                "Proxmox cannot read the line `{}`",
                readable(line.as_bytes())
            );
        }
        ensure!(
            sync == format!("{{\"return\": {id}}}\n"),
            "the sync reply is `{}`",
            readable(sync.as_bytes())
        );
        Ok(reply)
    }

    /// A sync id that no earlier one of this client can be confused with.
    pub fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// One read; false at the end of the stream.
    fn receive(&mut self, deadline: Deadline) -> Result<bool> {
        let mut chunk = [0; 16 * 1024];
        loop {
            let Some(left) = deadline.left() else {
                bail!("nothing within {:?}", deadline.limit());
            };
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.read(&mut chunk) {
                Ok(count) => {
                    let got = chunk.get(..count).unwrap_or_default();
                    if count > 0 {
                        self.transcript.add(Direction::FromGuest, got);
                    }
                    self.inbox.extend_from_slice(got);
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(false),
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(error).context("reading from the agent"),
            }
        }
    }

    fn waiting_for(&self, mark: &[u8]) -> String {
        format!("waiting for `{}`, got `{}`", readable(mark), readable(&self.inbox))
    }
}

/// The reply as text.
fn text(bytes: Vec<u8>) -> Result<String> {
    ensure!(bytes.is_ascii(), "the agent wrote other bytes than ASCII: `{}`", readable(&bytes));
    Ok(String::from_utf8(bytes)?)
}

fn position(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn milliseconds_now() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

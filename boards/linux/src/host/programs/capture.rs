//! What a program writes, read as it comes and kept.

use std::os::fd::OwnedFd;

use agent_core::Kept;
use rustix::io::{Errno, read, retry_on_intr};

/// Bytes that are kept of a stream: qemu-ga's limit. What comes after them is read and dropped, so
/// that the program does not stop.
const KEPT: usize = 16 << 20;

/// Bytes that are read at once.
const CHUNK: usize = 16 << 10;

/// A stream of a program.
#[derive(Debug)]
pub(super) struct Captured {
    /// `None` at the end.
    pipe: Option<OwnedFd>,
    bytes: Vec<u8>,
    truncated: bool,
    /// What was read again of what was kept.
    taken: usize,
}

impl Captured {
    /// A stream that is captured from a pipe that does not block, or not at all.
    pub(super) const fn from(pipe: Option<OwnedFd>) -> Self {
        Self { pipe, bytes: Vec::new(), truncated: false, taken: 0 }
    }

    pub(super) const fn pipe(&self) -> Option<&OwnedFd> {
        self.pipe.as_ref()
    }

    pub(super) const fn has_ended(&self) -> bool {
        self.pipe.is_none()
    }

    pub(super) fn kept(&self) -> Kept {
        Kept { bytes: self.bytes.len() as u64, truncated: self.truncated }
    }

    /// Reads once.
    pub(super) fn advance(&mut self) {
        let Some(pipe) = &self.pipe else { return };
        let mut chunk = [0; CHUNK];
        match retry_on_intr(|| read(pipe, &mut chunk)) {
            Ok(0) => self.pipe = None,
            Ok(count) => self.keep(&chunk[..count]),
            Err(Errno::AGAIN) => {}
            Err(_) => {
                self.pipe = None;
                self.truncated = true;
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = KEPT - self.bytes.len();
        let kept = &bytes[..bytes.len().min(room)];
        // What there is no memory for is lost as well.
        if self.bytes.try_reserve(kept.len()).is_ok() && !self.truncated {
            self.bytes.extend_from_slice(kept);
            self.truncated = kept.len() < bytes.len();
        } else {
            self.truncated = true;
        }
    }

    /// Reads on in what was kept, from its start; nothing at the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> usize {
        let rest = &self.bytes[self.taken..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        count
    }
}

//! What a program is to read, written as it takes it.

use std::os::fd::OwnedFd;

use agent_core::Input;
use rustix::io::{Errno, retry_on_intr, write};

/// Bytes that are collected at once.
const CHUNK: usize = 4096;

/// The input of a program.
#[derive(Debug, Default)]
pub(super) struct Feed {
    /// `None` where the program has no input, or has all of it.
    pipe: Option<OwnedFd>,
    bytes: Vec<u8>,
    sent: usize,
}

impl Feed {
    /// Takes all of the input; it has come in one request, and is no longer than that.
    pub(super) fn collect(input: &mut Input<'_>) -> Self {
        let mut bytes = Vec::new();
        let mut chunk = [0; CHUNK];
        loop {
            let count = input(&mut chunk).min(CHUNK);
            if count == 0 {
                return Self { pipe: None, bytes, sent: 0 };
            }
            bytes.extend_from_slice(&chunk[..count]);
        }
    }

    /// The same, to be written to a pipe that does not block. Where there is nothing to write the
    /// program is at the end of its input at once.
    pub(super) fn into_pipe(self, pipe: Option<OwnedFd>) -> Self {
        Self { pipe: pipe.filter(|_| !self.bytes.is_empty()), ..self }
    }

    pub(super) const fn pipe(&self) -> Option<&OwnedFd> {
        self.pipe.as_ref()
    }

    /// Writes once.
    pub(super) fn advance(&mut self) {
        let Some(pipe) = &self.pipe else { return };
        match retry_on_intr(|| write(pipe, &self.bytes[self.sent..])) {
            Ok(count) => self.sent += count,
            Err(Errno::AGAIN) => {}
            // The program does not want it.
            Err(_) => self.stop(),
        }
        if self.sent == self.bytes.len() {
            self.stop();
        }
    }

    /// Writes nothing more.
    fn stop(&mut self) {
        *self = Self::default();
    }
}

//! The channel: anything with embedded-io's traits, pumped without ever blocking on it.

use embedded_io::{Read, ReadReady, Write, WriteReady};

use crate::{agent::Agent, board::Board};

/// Bytes that are read at once.
const CHUNK: usize = 512;

/// Moves bytes between a channel and an agent, and keeps those that the agent cannot take yet.
#[derive(Debug)]
pub struct Pump {
    chunk: [u8; CHUNK],
    start: usize,
    end: usize,
}

impl Pump {
    /// A pump that holds nothing.
    pub const fn new() -> Self {
        Self { chunk: [0; CHUNK], start: 0, end: 0 }
    }

    /// Reads once, lets the agent work, and writes once, as far as the channel is ready for it.
    ///
    /// Returns whether anything moved. When nothing did, there is nothing to do before the
    /// channel's next interrupt. The channel is asked to read or write only when it says that it
    /// is ready, so the host cannot make this wait.
    ///
    /// # Errors
    ///
    /// What the channel answers. Nothing is lost or done twice by it: what was not sent is still
    /// pending, and what was not read has not been taken.
    pub fn run<C, B>(&mut self, channel: &mut C, agent: &mut Agent<'_, B>) -> Result<bool, C::Error>
    where
        C: Read + ReadReady + Write + WriteReady,
        B: Board,
    {
        let mut moved = false;
        if self.start == self.end && channel.read_ready()? {
            let count = channel.read(&mut self.chunk)?.min(CHUNK);
            (self.start, self.end) = (0, count);
            moved |= count > 0;
        }
        let taken = agent.receive(self.chunk.get(self.start..self.end).unwrap_or_default());
        self.start = self.start.saturating_add(taken).min(self.end);
        moved |= taken > 0;

        if !agent.pending().is_empty() && channel.write_ready()? {
            let count = channel.write(agent.pending())?;
            agent.sent(count);
            moved |= count > 0;
        }
        Ok(moved)
    }
}

impl Default for Pump {
    fn default() -> Self {
        Self::new()
    }
}

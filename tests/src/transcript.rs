//! What went over the agent's channel, with times, for people to read.

use core::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the guest.
    ToGuest,
    /// From the guest to the client.
    FromGuest,
}

/// A growing record that a guest and its clients share.
#[derive(Clone, Debug)]
pub struct Transcript {
    started: Instant,
    entries: Arc<Mutex<Vec<Entry>>>,
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    direction: Direction,
    bytes: Vec<u8>,
}

impl Transcript {
    /// An empty record whose times count from `started`.
    pub fn new(started: Instant) -> Self {
        Self { started, entries: Arc::default() }
    }

    /// Adds bytes that went over the channel just now. A line is one entry, however it came.
    pub fn add(&self, direction: Direction, bytes: &[u8]) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = entries.last_mut()
            && last.direction == direction
            && !last.bytes.ends_with(b"\n")
        {
            last.bytes.extend_from_slice(bytes);
            return;
        }
        entries.push(Entry { at: Instant::now(), direction, bytes: bytes.to_vec() });
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        for Entry { at, direction, bytes } in entries.iter() {
            let arrow = match direction {
                Direction::ToGuest => '>',
                Direction::FromGuest => '<',
            };
            let seconds = at.duration_since(self.started).as_secs_f64();
            writeln!(f, "{seconds:9.6} {arrow} {}", readable(bytes))?;
        }
        Ok(())
    }
}

/// Bytes of the protocol as text: quotes stay, everything unprintable is escaped, long ones are cut.
pub fn readable(bytes: &[u8]) -> String {
    const SHOWN: usize = 2000;
    let shown = bytes.get(..SHOWN).unwrap_or(bytes);
    let mut text = String::with_capacity(shown.len());
    for &byte in shown {
        match byte {
            b'"' | b'\'' | b'\\' => text.push(char::from(byte)),
            _ => text.extend(byte.escape_ascii().map(char::from)),
        }
    }
    if bytes.len() > SHOWN {
        text.extend(["... (", &bytes.len().to_string(), " bytes)"]);
    }
    text
}

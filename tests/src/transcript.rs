//! What went over the agent's channel, with times, for people to read.

use core::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// How many bytes of a line are shown.
const SHOWN: usize = 2000;

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
    /// As much of it as is shown: it may be a file of many megabytes.
    shown: Vec<u8>,
    length: usize,
    is_ended: bool,
}

impl Transcript {
    /// An empty record whose times count from `started`.
    pub fn new(started: Instant) -> Self {
        Self { started, entries: Arc::default() }
    }

    /// Adds bytes that went over the channel just now. A line is one entry, however it came.
    pub fn add(&self, direction: Direction, bytes: &[u8]) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on = |last: &Entry| last.direction == direction && !last.is_ended;
        if !entries.last().is_some_and(goes_on) {
            let at = Instant::now();
            entries.push(Entry { at, direction, shown: Vec::new(), length: 0, is_ended: false });
        }
        let Some(entry) = entries.last_mut() else { return };
        let room = SHOWN.saturating_sub(entry.shown.len());
        entry.shown.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        entry.length += bytes.len();
        entry.is_ended = bytes.ends_with(b"\n");
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        for Entry { at, direction, shown, length, .. } in entries.iter() {
            let arrow = match direction {
                Direction::ToGuest => '>',
                Direction::FromGuest => '<',
            };
            let seconds = at.duration_since(self.started).as_secs_f64();
            writeln!(f, "{seconds:9.6} {arrow} {}", cut(shown, *length))?;
        }
        Ok(())
    }
}

/// Bytes of the protocol as text: quotes stay, everything unprintable is escaped, long ones are cut.
pub fn readable(bytes: &[u8]) -> String {
    cut(bytes.get(..SHOWN).unwrap_or(bytes), bytes.len())
}

fn cut(shown: &[u8], length: usize) -> String {
    let mut text = String::with_capacity(shown.len());
    for &byte in shown {
        match byte {
            b'"' | b'\'' | b'\\' => text.push(char::from(byte)),
            _ => text.extend(byte.escape_ascii().map(char::from)),
        }
    }
    if length > shown.len() {
        text.extend(["... (", &length.to_string(), " bytes)"]);
    }
    text
}

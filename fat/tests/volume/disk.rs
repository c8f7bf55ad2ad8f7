//! A disk in memory that remembers the order of what is done to it.

use fat::{Disk, DiskError, SECTOR_SIZE};

/// What was done to a disk.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// Sectors were written by one request.
    Write(u64, Vec<u8>),
    Flush,
}

/// A disk in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) bytes: Vec<u8>,
    /// What was written and flushed, in its order.
    pub(crate) events: Vec<Event>,
    pub(crate) read_only: bool,
    /// Reads, writes and flushes so far.
    pub(crate) requests: u64,
    /// How many requests succeed from now on.
    pub(crate) until_failure: Option<u64>,
    /// The least that can be discarded, in sectors.
    pub(crate) discard_unit: Option<u32>,
    pub(crate) discarded: Vec<(u64, u64)>,
}

impl Event {
    /// The same, a sector at a time: a request may happen in part.
    pub(crate) fn torn(&self) -> Vec<Self> {
        match self {
            Self::Flush => vec![Self::Flush],
            Self::Write(first, bytes) => (*first..)
                .zip(bytes.chunks_exact(SECTOR_SIZE))
                .map(|(sector, bytes)| Self::Write(sector, bytes.to_vec()))
                .collect(),
        }
    }
}

impl Memory {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, ..Self::default() }
    }

    fn request(&mut self) -> Result<(), DiskError> {
        self.requests += 1;
        match &mut self.until_failure {
            Some(0) => Err(DiskError::Failed),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn offset(sector: u64) -> usize {
    usize::try_from(sector).unwrap() * SECTOR_SIZE
}

impl Disk for Memory {
    fn sectors(&self) -> u64 {
        (self.bytes.len() / SECTOR_SIZE) as u64
    }

    fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn read(&mut self, first: u64, into: &mut [u8]) -> Result<(), DiskError> {
        assert!(!into.is_empty() && into.len().is_multiple_of(SECTOR_SIZE));
        self.request()?;
        into.copy_from_slice(&self.bytes[offset(first)..][..into.len()]);
        Ok(())
    }

    fn write(&mut self, first: u64, bytes: &[u8]) -> Result<(), DiskError> {
        assert!(!bytes.is_empty() && bytes.len().is_multiple_of(SECTOR_SIZE));
        assert!(!self.read_only, "a write to a disk that said it cannot be written");
        self.request()?;
        self.bytes[offset(first)..][..bytes.len()].copy_from_slice(bytes);
        self.events.push(Event::Write(first, bytes.to_vec()));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        self.request()?;
        self.events.push(Event::Flush);
        Ok(())
    }

    fn discard_unit(&self) -> Option<u32> {
        self.discard_unit
    }

    fn discard(&mut self, first: u64, count: u64) -> Result<(), DiskError> {
        assert!(first + count <= self.sectors());
        self.discarded.push((first, count));
        // What a disk gives for sectors that are discarded is its own affair.
        self.bytes[offset(first)..offset(first + count)].fill(0xDD);
        Ok(())
    }
}

//! What has been done to a disk: the numbers of Linux's `/proc/diskstats`
//!
//! Requests wait for each other here, so at most one is under way at a time, and none is when
//! somebody asks.

use core::cell::Cell;

use agent_core::{DiskStatistics, Transfers};

/// Counts what is done to a disk.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) read: Counter,
    pub(crate) write: Counter,
    pub(crate) discard: Counter,
    pub(crate) flush: Counter,
}

/// Counts requests of one kind, those that succeed.
#[derive(Debug)]
pub(crate) struct Counter {
    requests: Cell<u64>,
    sectors: Cell<u64>,
    /// Of the time-stamp counter.
    ticks: Cell<u64>,
}

impl Counter {
    const fn new() -> Self {
        Self { requests: Cell::new(0), sectors: Cell::new(0), ticks: Cell::new(0) }
    }

    /// Counts requests that are done.
    pub(crate) fn add(&self, requests: u64, sectors: u64, ticks: u64) {
        for (cell, more) in
            [(&self.requests, requests), (&self.sectors, sectors), (&self.ticks, ticks)]
        {
            cell.set(cell.get().wrapping_add(more));
        }
    }

    fn transfers(&self, ticks_per_ms: u64) -> Transfers {
        Transfers {
            ios: Some(self.requests.get()),
            merges: Some(0),
            sectors: Some(self.sectors.get()),
            ticks: Some(self.ticks.get() / ticks_per_ms),
        }
    }
}

impl Counters {
    /// Nothing has been done.
    pub(crate) const fn new() -> Self {
        Self {
            read: Counter::new(),
            write: Counter::new(),
            discard: Counter::new(),
            flush: Counter::new(),
        }
    }

    /// What has been done to the disk `name`, which has the device number `major`:`minor`.
    pub(crate) fn statistics<'n>(
        &self,
        name: &'n str,
        (major, minor): (u64, u64),
        ticks_per_ms: u64,
    ) -> DiskStatistics<'n> {
        let all = [&self.read, &self.write, &self.discard, &self.flush];
        let busy_ticks = all.iter().fold(0_u64, |sum, one| sum.wrapping_add(one.ticks.get()));
        let busy_ms = Some(busy_ticks / ticks_per_ms);
        DiskStatistics {
            name,
            major,
            minor,
            read: self.read.transfers(ticks_per_ms),
            write: self.write.transfers(ticks_per_ms),
            discard: self.discard.transfers(ticks_per_ms),
            flush_ios: Some(self.flush.requests.get()),
            flush_ticks: Some(self.flush.ticks.get() / ticks_per_ms),
            ios_in_progress: Some(0),
            total_ticks: busy_ms,
            weight_ticks: busy_ms,
        }
    }
}

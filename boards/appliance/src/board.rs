//! What an appliance can do for the agent: what a PC can, and files

use agent_core::{Board, Clock, Files, Filesystems, Power, ShutdownMode};
use machine::{Freezer, Guest, Served, Watchdog};

use crate::storage::Storage;

/// The guest's capabilities.
#[derive(Debug)]
pub(crate) struct Appliance<'m> {
    guest: Guest,
    storage: Freezer<Storage<'m>>,
}

impl<'m> Appliance<'m> {
    /// A guest with the files of `storage`, which may be frozen for so long.
    pub(crate) fn new(guest: Guest, storage: Storage<'m>, freeze_timeout_ms: u64) -> Self {
        // An application's `FreezeHooks` stand here instead of `()`.
        let storage = Freezer::new(storage, (), Watchdog::new(freeze_timeout_ms));
        Self { guest, storage }
    }
}

impl Board for Appliance<'_> {
    fn clock(&mut self) -> Option<&mut dyn Clock> {
        self.guest.clock()
    }

    fn files(&mut self) -> Option<&mut dyn Files> {
        Some(self.storage.filesystems_mut().files(self.guest.clock()))
    }

    fn filesystems(&mut self) -> Option<&mut dyn Filesystems> {
        Some(&mut self.storage)
    }

    fn power(&mut self) -> Option<&mut dyn Power> {
        self.guest.power()
    }
}

impl Served for Appliance<'_> {
    fn requested_shutdown(&self) -> Option<ShutdownMode> {
        self.guest.requested_shutdown()
    }

    fn attend(&mut self) {
        self.storage.filesystems_mut().attend();
    }

    fn has_waited(&mut self) -> bool {
        self.storage.filesystems_mut().has_waited()
    }

    fn settle(&mut self) {
        // Not through the freezer: its hooks are for backups.
        let settled = self.storage.filesystems_mut().freeze(&mut |_| true);
        if settled.is_err() {
            machine::error!("what was written last may be lost: the disk has failed");
        }
    }

    fn watchdog(&mut self) -> Option<&mut Watchdog> {
        Some(self.storage.watchdog_mut())
    }
}

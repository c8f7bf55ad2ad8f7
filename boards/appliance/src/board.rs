//! What an appliance can do for the agent: what a PC can, files, and its network

use agent_core::{
    AuthorizedKeys, Board, Clock, Devices, Files, Filesystems, Identity, Memory, Passwords, Power,
    Processors, Programs, ShutdownMode, Suspend, Usage, Vendor,
};
use machine::{Freezer, Served, Watchdog};
use pc::Pc;

use crate::application::Application;
use crate::disk::VirtioDisk;
use crate::disks::Disks;
use crate::network::Network;
use crate::storage::Storage;

/// The guest's capabilities.
#[derive(Debug)]
pub(crate) struct Appliance<'m, A> {
    pub(crate) application: A,
    pc: Pc<'m>,
    disks: Disks,
    storage: Freezer<Storage<'m>>,
    network: Network<'m>,
}

impl<'m, A> Appliance<'m, A> {
    /// A PC with an application, `disks`, the files of `storage`, which may be frozen for so long, and
    /// a network.
    pub(crate) fn new(
        application: A,
        pc: Pc<'m>,
        disks: Disks,
        storage: Storage<'m>,
        freeze_timeout_ms: u64,
        network: Network<'m>,
    ) -> Self {
        // An application's `FreezeHooks` stand here instead of `()`.
        let storage = Freezer::new(storage, (), Watchdog::new(freeze_timeout_ms));
        Self { application, pc, disks, storage, network }
    }
}

impl<A: Application> Board for Appliance<'_, A> {
    fn authorized_keys(&mut self) -> Option<&mut dyn AuthorizedKeys> {
        self.application.authorized_keys()
    }

    fn clock(&mut self) -> Option<&mut dyn Clock> {
        self.pc.clock()
    }

    fn devices(&mut self) -> Option<&mut dyn Devices> {
        self.pc.devices()
    }

    fn disks(&mut self) -> Option<&mut dyn agent_core::Disks> {
        Some(&mut self.disks)
    }

    fn files(&mut self) -> Option<&mut dyn Files> {
        Some(self.storage.filesystems_mut().files(self.pc.clock()))
    }

    fn filesystems(&mut self) -> Option<&mut dyn Filesystems> {
        Some(&mut self.storage)
    }

    fn identity(&mut self) -> Option<&mut dyn Identity> {
        self.pc.identity()
    }

    fn memory(&mut self) -> Option<&mut dyn Memory> {
        self.pc.memory()
    }

    fn network(&mut self) -> Option<&mut dyn agent_core::Network> {
        Some(self.network.capability())
    }

    fn passwords(&mut self) -> Option<&mut dyn Passwords> {
        self.application.passwords()
    }

    fn power(&mut self) -> Option<&mut dyn Power> {
        self.pc.power()
    }

    fn processors(&mut self) -> Option<&mut dyn Processors> {
        self.pc.processors()
    }

    fn programs(&mut self) -> Option<&mut dyn Programs> {
        self.application.programs()
    }

    fn suspend(&mut self) -> Option<&mut dyn Suspend> {
        self.pc.suspend()
    }

    fn usage(&mut self) -> Option<&mut dyn Usage> {
        self.pc.usage()
    }

    fn vendor_commands(&self) -> &[Vendor<Self>] {
        self.application.vendor_commands()
    }
}

impl<A: Application> Served for Appliance<'_, A> {
    fn requested_shutdown(&self) -> Option<ShutdownMode> {
        self.pc.requested_shutdown()
    }

    fn requested_suspend(&mut self) -> bool {
        self.pc.requested_suspend()
    }

    fn attend(&mut self) {
        self.pc.attend();
        let storage = self.storage.filesystems_mut();
        if let Some(disk) = storage.disk_mut() {
            disk.attend();
        }
        self.network.attend(&mut self.pc, storage);
    }

    fn has_waited(&mut self) -> bool {
        let disk = self.storage.filesystems_mut().disk_mut();
        disk.is_some_and(VirtioDisk::has_waited) | self.network.has_moved()
    }

    fn longest_sleep_ms(&mut self) -> Option<u64> {
        self.network.longest_sleep_ms()
    }

    fn settle(&mut self) {
        // Not through the freezer: its hooks are for backups.
        let settled = self.storage.filesystems_mut().freeze(&mut |_| true);
        if settled.is_err() {
            machine::error!("what was written last may be lost: the disk has failed");
        }
    }

    fn resume(&mut self) {
        self.pc.resume();
        self.network.resume();
        let is_frozen = self.storage.watchdog_mut().is_roused();
        let storage = self.storage.filesystems_mut();
        if let Some(disk) = storage.disk_mut() {
            disk.restart();
        }
        // What the host has frozen while the suspend was under way stays so.
        if !is_frozen && storage.thaw().is_err() {
            machine::error!("the file system stays frozen");
        }
    }

    fn watchdog(&mut self) -> Option<&mut Watchdog> {
        Some(self.storage.watchdog_mut())
    }
}

//! The board: what the Linux kernel under this process can do.

mod accounts;
mod clock;
mod devices;
mod disks;
mod errno;
mod files;
mod filesystems;
mod identity;
mod kernel_files;
mod memory;
mod network;
mod processors;
mod programs;
mod rtc;
mod shutdown;
mod suspend;
mod usage;

use std::path::PathBuf;

use agent_core::{
    AuthorizedKeys, Board, Clock, Devices, Disks, Files, Filesystems, Identity, Memory, Network,
    Passwords, Power, Processors, Programs, Suspend, Usage,
};

pub(crate) use self::programs::Processes;
use self::{
    accounts::Accounts, clock::SystemClock, devices::PciDevices, disks::BlockDevices,
    disks::attachment::Sysfs, files::OpenFiles, filesystems::Mounted, identity::System,
    kernel_files::KernelFiles, memory::MemoryBlocks, network::Stack, processors::LogicalProcessors,
    programs::reap_orphans, shutdown::Shutdown, suspend::Sleep, usage::Counters,
};
use crate::log::Log;

/// The machine that this process runs on.
#[derive(Debug)]
pub(crate) struct Host {
    accounts: Accounts,
    block_devices: BlockDevices,
    clock: SystemClock,
    counters: Counters,
    files: OpenFiles,
    memory_blocks: MemoryBlocks,
    mounted: Mounted,
    pci_devices: PciDevices,
    processors: LogicalProcessors,
    /// The programs that were started; `None` where none may be.
    pub(crate) programs: Option<Processes>,
    /// The shutdown that was asked for.
    pub(crate) shutdown: Shutdown,
    /// The sleep that was asked for.
    pub(crate) sleep: Sleep,
    stack: Stack,
    system: System,
}

impl Host {
    /// The machine, or one whose changes are only logged, except those to files.
    pub(crate) fn new(log: Log, dry_run: bool) -> Self {
        let files = KernelFiles::default();
        Self {
            accounts: Accounts::new("/".into(), log, dry_run),
            block_devices: BlockDevices::new(files.clone(), Sysfs::default()),
            clock: SystemClock::new(log, dry_run),
            counters: Counters::new(files.clone()),
            files: OpenFiles::default(),
            memory_blocks: MemoryBlocks::new(log, dry_run, files.clone()),
            mounted: Mounted::new(log, dry_run),
            pci_devices: PciDevices::new(files.clone()),
            processors: LogicalProcessors::new(log, dry_run, files.clone()),
            programs: None,
            shutdown: Shutdown::new(log, dry_run),
            sleep: Sleep::new(log, dry_run, files.clone()),
            stack: Stack::new(files),
            system: System::from_environment(),
        }
    }

    /// The same machine, but the users of the system at `root`.
    pub(crate) fn with_users_of(self, root: PathBuf) -> Self {
        let accounts = self.accounts.at(root);
        Self { accounts, ..self }
    }

    /// The same machine, on which the host may run programs.
    pub(crate) fn with_programs(self, programs: Option<Processes>) -> Self {
        Self { programs, ..self }
    }

    /// Writes what is still to be written of every open file.
    pub(crate) fn write_back(&mut self) {
        self.files.write_back();
    }

    /// Takes note of children that have ended. Returns whether there may be more of them.
    pub(crate) fn reap(&mut self) -> bool {
        reap_orphans(self.programs.as_mut())
    }

    /// Does the shutdown that was asked for. Returns only where the kernel refuses, or in a dry
    /// run.
    pub(crate) fn shut_down(&mut self) {
        self.write_back();
        self.shutdown.carry_out();
    }

    /// Does the sleep that was asked for, and returns when the machine is awake again.
    pub(crate) fn fall_asleep(&mut self) {
        self.write_back();
        self.sleep.carry_out();
    }
}

impl Board for Host {
    fn authorized_keys(&mut self) -> Option<&mut dyn AuthorizedKeys> {
        self.accounts.has_users.then_some(&mut self.accounts)
    }

    fn clock(&mut self) -> Option<&mut dyn Clock> {
        Some(&mut self.clock)
    }

    fn devices(&mut self) -> Option<&mut dyn Devices> {
        Some(&mut self.pci_devices)
    }

    fn disks(&mut self) -> Option<&mut dyn Disks> {
        Some(&mut self.block_devices)
    }

    fn files(&mut self) -> Option<&mut dyn Files> {
        Some(&mut self.files)
    }

    fn filesystems(&mut self) -> Option<&mut dyn Filesystems> {
        Some(self)
    }

    fn identity(&mut self) -> Option<&mut dyn Identity> {
        Some(&mut self.system)
    }

    fn memory(&mut self) -> Option<&mut dyn Memory> {
        Some(&mut self.memory_blocks)
    }

    fn network(&mut self) -> Option<&mut dyn Network> {
        Some(&mut self.stack)
    }

    fn passwords(&mut self) -> Option<&mut dyn Passwords> {
        self.accounts.has_passwords.then_some(&mut self.accounts)
    }

    fn power(&mut self) -> Option<&mut dyn Power> {
        Some(&mut self.shutdown)
    }

    fn processors(&mut self) -> Option<&mut dyn Processors> {
        Some(&mut self.processors)
    }

    fn programs(&mut self) -> Option<&mut dyn Programs> {
        Some(self.programs.as_mut()?)
    }

    fn suspend(&mut self) -> Option<&mut dyn Suspend> {
        Some(&mut self.sleep)
    }

    fn usage(&mut self) -> Option<&mut dyn Usage> {
        Some(&mut self.counters)
    }
}

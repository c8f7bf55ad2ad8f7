//! The machine as one that can be suspended to memory, where it can

use agent_core::ShutdownMode;
use boot::{Outside, StartInfo};
use hal_virtio::pci::{Snapshot, TooMany};
use hal_x86::acpi::Tables;
use hal_x86::pci::ConfigurationPorts;
use hal_x86::suspend::Suspension;
use machine::{Machine, Platform, SuspendToRam, error, info, warning};

use crate::board::start_page;
use crate::devices::Space;

/// PCI functions whose configuration is kept; libvirt gives a guest about 30.
const FUNCTIONS: usize = 64;

/// What the main loop asks of the machine, with a suspend.
#[derive(Debug)]
pub struct Sleeper<'s, 'm> {
    machine: &'s Machine<'m>,
    suspension: Option<Suspension>,
}

impl<'s, 'm> Sleeper<'s, 'm> {
    /// The machine, which can be suspended if its firmware says how, if there is a page to wake up
    /// in, and if there are no more PCI functions than can be kept.
    pub fn new(
        machine: &'s Machine<'m>,
        memory: &Outside,
        tables: Option<&Tables<'m, Outside>>,
        start: &StartInfo<'m>,
    ) -> Self {
        let suspension = tables.zip(start_page(start)).and_then(|(tables, page)| {
            Suspension::find(machine.ports(), memory.map(), tables, page)
        });
        let suspension = suspension.filter(|_| match functions(machine) {
            Ok(_) => true,
            Err(failure) => {
                warning!("no suspend: {}", failure);
                false
            }
        });
        Self { machine, suspension }
    }

    /// The capability, where the machine has it.
    pub fn suspend_to_ram(&self) -> Option<SuspendToRam> {
        self.suspension.is_some().then(SuspendToRam::default)
    }
}

/// The PCI functions, of which there are none without a host bridge.
fn functions(machine: &Machine<'_>) -> Result<Snapshot<FUNCTIONS>, TooMany> {
    let ports = ConfigurationPorts::new(machine.ports());
    if ports.present() { Snapshot::take(&mut Space(ports)) } else { Ok(Snapshot::default()) }
}

impl Platform for Sleeper<'_, '_> {
    fn idle(&self) {
        self.machine.idle();
    }

    fn idle_for(&self, longest_ms: u64) {
        self.machine.idle_for(longest_ms);
    }

    fn uptime_ms(&self) -> u64 {
        self.machine.uptime_ms()
    }

    fn shut_down(&self, mode: ShutdownMode) -> ! {
        self.machine.shut_down(mode)
    }

    fn suspend(&self) {
        let Some(suspension) = &self.suspension else { return };
        let functions = match functions(self.machine) {
            Ok(functions) => functions,
            Err(failure) => {
                error!("no suspend: {}", failure);
                return;
            }
        };
        info!("suspend");
        match self.machine.suspend_by(suspension) {
            Ok(()) => {
                functions.restore(&mut Space(ConfigurationPorts::new(self.machine.ports())));
                info!("awake");
            }
            Err(failure) => error!("{}", failure),
        }
    }
}

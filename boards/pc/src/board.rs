//! What a PC can do for the agent

use agent_core::{Board, Clock, Identity, Memory, Power, Processors, ShutdownMode, Suspend, Usage};
use boot::{MemoryKind, StartInfo};
use hal_x86::real_mode::StartPage;
use machine::{Guest, Machine, MemoryBlocks, Nameplate, ProcessorSet, Served, SuspendToRam};

use crate::drivers::Drivers;

/// The guest's capabilities, also of an image that has more of them.
#[derive(Debug)]
pub struct Pc<'m> {
    guest: Guest,
    nameplate: Nameplate<'m>,
    drivers: Drivers,
    processors: Option<ProcessorSet<'m>>,
    memory: Option<MemoryBlocks>,
    suspend: Option<SuspendToRam>,
}

impl<'m> Pc<'m> {
    /// A guest that calls itself what `nameplate` says, with the devices of `drivers`, the
    /// processors of `machine` and the memory that `start` tells of. The machine can be suspended,
    /// or not.
    pub fn new(
        guest: Guest,
        nameplate: Nameplate<'m>,
        drivers: Drivers,
        machine: &'m Machine<'m>,
        start: &StartInfo<'_>,
        suspend: Option<SuspendToRam>,
    ) -> Self {
        let processors = ProcessorSet::start(machine, start_page(start));
        Self { guest, nameplate, drivers, processors, memory: memory(start), suspend }
    }
}

/// The page in which processors begin, and a machine that wakes up, if the machine has it. Whoever
/// uses it writes it right before.
pub(crate) fn start_page(start: &StartInfo<'_>) -> Option<StartPage> {
    let place = u64::from(StartPage::ADDRESS)..u64::from(StartPage::ADDRESS + StartPage::BYTES);
    // SAFETY: boot maps all memory below 4 GiB at its own addresses, this page writable, and the
    // image with its page tables is linked to lie there, above 1 MiB. That the page is memory, and
    // nobody's, the hypervisor says.
    start.is_free(place).then(|| unsafe { StartPage::new() })
}

fn memory(start: &StartInfo<'_>) -> Option<MemoryBlocks> {
    let ram = start.memory_map().filter(|region| region.kind == MemoryKind::Ram);
    MemoryBlocks::new(ram.map(|region| region.start..region.start.saturating_add(region.len_bytes)))
}

impl Board for Pc<'_> {
    fn clock(&mut self) -> Option<&mut dyn Clock> {
        self.guest.clock()
    }

    fn devices(&mut self) -> Option<&mut dyn agent_core::Devices> {
        Some(&mut self.drivers)
    }

    fn identity(&mut self) -> Option<&mut dyn Identity> {
        Some(&mut self.nameplate)
    }

    fn memory(&mut self) -> Option<&mut dyn Memory> {
        self.memory.as_mut().map(|memory| memory as &mut dyn Memory)
    }

    fn power(&mut self) -> Option<&mut dyn Power> {
        self.guest.power()
    }

    fn processors(&mut self) -> Option<&mut dyn Processors> {
        self.processors.as_mut().map(|processors| processors as &mut dyn Processors)
    }

    fn suspend(&mut self) -> Option<&mut dyn Suspend> {
        self.suspend.as_mut().map(|suspend| suspend as &mut dyn Suspend)
    }

    fn usage(&mut self) -> Option<&mut dyn Usage> {
        self.processors.as_mut().map(|processors| processors as &mut dyn Usage)
    }
}

impl Served for Pc<'_> {
    fn requested_shutdown(&self) -> Option<ShutdownMode> {
        self.guest.requested_shutdown()
    }

    fn requested_suspend(&mut self) -> bool {
        self.suspend.as_mut().is_some_and(SuspendToRam::take)
    }

    fn attend(&mut self) {
        if let Some(processors) = &mut self.processors {
            processors.attend();
        }
    }

    fn resume(&mut self) {
        self.guest.resume();
        if let Some(processors) = &mut self.processors {
            processors.resume();
        }
    }
}

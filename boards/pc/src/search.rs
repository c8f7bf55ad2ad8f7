//! Where the agent listens: the search for a channel
//!
//! The kernel command line may name one (`agent.channel=virtio|com1|com2|com3|com4`). Otherwise the
//! port `org.qemu.guest_agent.0` of any virtio console is taken: those on PCI, on whatever bus,
//! then those behind memory-mapped registers, which ACPI's DSDT or the command line tells. Without
//! such a port it is the first UART that answers, COM1 to COM4: a host that wants COM1 for
//! something else gives the guest the virtio port, or names another UART.

use core::ops::Range;

use boot::{Outside, StartInfo};
use hal_virtio::DeviceType;
use hal_virtio::console::Error;
use hal_virtio::mmio::{self, ProbeError};
use hal_virtio::pci::{self, Interrupt, Walk};
use hal_virtio::transport::AnyTransport;
use hal_x86::acpi::{Gsi, Polarity, Tables, VirtioMmio};
use hal_x86::pci::ConfigurationPorts;
use hal_x86::uart::ComPort;
use machine::command_line::{self, Choice};
use machine::{Line, Machine, Platform, info, warning};

use crate::port::AgentPort;

/// A place for the channel that is found.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) port: Option<AgentPort>,
    pub(crate) line: Option<Line>,
}

impl Place {
    /// Nothing has been found.
    pub(crate) const fn new() -> Self {
        Self { port: None, line: None }
    }
}

/// Everything that the search looks at.
pub(crate) struct Search<'s, 'm> {
    pub(crate) machine: &'s mut Machine<'m>,
    pub(crate) memory: &'s Outside,
    pub(crate) tables: Option<&'s Tables<'m, Outside>>,
    pub(crate) start: &'s StartInfo<'m>,
    pub(crate) place: &'s mut Place,
}

impl Search<'_, '_> {
    /// Finds the channel and lets its interrupts wake the CPU.
    pub(crate) fn run(mut self) {
        let choice = command_line::channel(self.start.command_line()).unwrap_or_else(|wrong| {
            warning!("agent.channel={=[u8]:a} on the command line: no such channel", wrong.0);
            None
        });
        if choice.is_none_or(|choice| choice == Choice::Virtio) {
            self.pci_port();
            if self.place.port.is_none() {
                self.mmio_port();
            }
        }
        let coms = match choice {
            Some(Choice::Com(com)) => &[com][..],
            Some(Choice::Virtio) => &[],
            None if self.place.port.is_some() => &[],
            None => &[ComPort::Com1, ComPort::Com2, ComPort::Com3, ComPort::Com4],
        };
        self.place.line = coms.iter().find_map(|com| self.line(*com));
    }

    /// Looks for the agent's port on the consoles of PCI.
    fn pci_port(&mut self) {
        let ports = ConfigurationPorts::new(self.machine.ports());
        if !ports.present() {
            return;
        }
        let mut space = Space(ports);
        let mut walk = Walk::new();
        while let Some(address) = walk.next_virtio(&mut space, DeviceType::Console) {
            let message = self.machine.wake_message();
            let message = pci::Message { address: message.address, data: message.data };
            // SAFETY: boot has mapped this range, and none of it is memory of the program's.
            // Nothing else drives the device.
            let opened = unsafe {
                pci::Transport::open(&mut space, address, &self.devices(), Some(message))
            };
            match opened {
                Ok(transport) => self.agent_port(transport.into()),
                Err(failure) => warning!("the console at PCI {}: {}", address, failure),
            }
            if let Some(port) = &self.place.port {
                info!("a virtio console at PCI {}", address);
                if let AnyTransport::Pci(transport) = port.transport() {
                    let interrupt = transport.interrupt();
                    self.wake_on_pci(interrupt);
                }
                return;
            }
        }
    }

    /// Looks for the agent's port on the consoles behind memory-mapped registers.
    fn mmio_port(&mut self) {
        let described = self.tables.into_iter().flat_map(Tables::virtio_mmio);
        let named = command_line::virtio_mmio(self.start.command_line());
        for VirtioMmio { base, length, gsi } in described.chain(named) {
            // SAFETY: as for PCI.
            let transport = match unsafe { mmio::probe(base, length.into(), &self.devices()) } {
                Ok(transport) => transport,
                Err(ProbeError::Empty) => continue,
                Err(_) => {
                    warning!("no virtio device that can be used at {=u64:#x}", base);
                    continue;
                }
            };
            self.agent_port(transport.into());
            if self.place.port.is_some() {
                info!("a virtio console at {=u64:#x}, interrupt {=u32}", base, gsi);
                let gsi = Gsi { number: gsi, polarity: Polarity::ActiveHigh };
                if let Err(failure) = self.machine.wake_on(gsi) {
                    warning!("its interrupt: {}", failure);
                }
                return;
            }
        }
    }

    /// Looks for the agent's port on the console behind `transport`.
    fn agent_port(&mut self, transport: AnyTransport) {
        match AgentPort::find(&mut self.place.port, transport, || self.machine.uptime_ms()) {
            // Behind memory-mapped registers there may be any device.
            Ok(()) | Err(Error::NotConsole) => {}
            Err(failure) => {
                self.place.port = None;
                warning!("a virtio console: {}", failure);
            }
        }
    }

    fn wake_on_pci(&mut self, interrupt: Interrupt) {
        let enabled = match interrupt {
            Interrupt::Message => Ok(()),
            Interrupt::Line(irq) => self.machine.wake_on_isa(irq),
            Interrupt::None => {
                warning!("the console has no interrupt");
                Ok(())
            }
        };
        if let Err(failure) = enabled {
            warning!("its interrupt: {}", failure);
        }
    }

    /// The UART at `com`, if one answers there.
    fn line(&mut self, com: ComPort) -> Option<Line> {
        let line = Line::open(com, self.machine)?;
        info!("the UART at port {=u16:#x}", com.base());
        Some(line)
    }

    fn devices(&self) -> [Range<u64>; 1] {
        [self.memory.devices()]
    }
}

/// PCI configuration space, by the PC's two ports.
struct Space(ConfigurationPorts);

impl pci::Configuration for Space {
    fn read_u32(&mut self, address: pci::Address, offset: u8) -> u32 {
        self.0.read_u32(address.bus, address.device, address.function, offset)
    }

    fn write_u32(&mut self, address: pci::Address, offset: u8, value: u32) {
        self.0.write_u32(address.bus, address.device, address.function, offset, value);
    }
}

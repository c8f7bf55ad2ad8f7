//! Where the agent listens: the search for a channel
//!
//! The kernel command line may name one (`agent.channel=virtio|com1|com2|com3|com4`). Otherwise the
//! port `org.qemu.guest_agent.0` of any virtio console is taken, and without such a port it is the
//! first UART that answers, COM1 to COM4: a host that wants COM1 for something else gives the guest
//! the virtio port, or names another UART.

use agent_core::Agent;
use hal_virtio::DeviceType;
use hal_virtio::dma::Memory;
use hal_virtio::transport::AnyTransport;
use hal_x86::uart::ComPort;
use machine::command_line::{self, Choice};
use machine::{Line, Machine, Platform, Served, error, info, serve, warning};

use crate::devices::{Devices, Location};
use crate::drivers::Drivers;
use crate::port::AgentPort;
use crate::sleeper::Sleeper;

/// A place for the channel that is found.
#[derive(Debug)]
pub struct Place<M: Memory> {
    /// The port, where the agent listens at one.
    port: Option<AgentPort<M>>,
    /// The line, where it listens at one.
    line: Option<Line>,
}

impl<M: Memory> Place<M> {
    /// Nothing has been found.
    pub const fn new() -> Self {
        Self { port: None, line: None }
    }

    /// Serves the channel that was found until the guest is shut down; without one it idles for
    /// good.
    pub fn serve<B: Served>(&mut self, agent: &mut Agent<'_, B>, sleeper: &Sleeper<'_, '_>) -> ! {
        if let Some(port) = &mut self.port {
            serve(port, agent, sleeper);
        }
        if let Some(line) = &mut self.line {
            serve(line, agent, sleeper);
        }
        error!("no channel: neither a virtio port org.qemu.guest_agent.0 nor a UART");
        sleeper.rest()
    }
}

impl<M: Memory> Default for Place<M> {
    fn default() -> Self {
        Self::new()
    }
}

/// Finds the channel and lets its interrupts wake the CPU; `drivers` is told of a console.
pub fn search<M: Memory>(devices: &Devices<'_, '_>, drivers: &mut Drivers, place: &mut Place<M>) {
    let choice = command_line::channel(devices.command_line());
    if choice.is_none_or(|choice| choice == Choice::Virtio) {
        find_port(devices, drivers, &mut place.port);
    }
    let coms = match choice {
        Some(Choice::Com(com)) => &[com][..],
        Some(Choice::Virtio) => &[],
        None if place.port.is_some() => &[],
        None => &[ComPort::Com1, ComPort::Com2, ComPort::Com3, ComPort::Com4],
    };
    place.line = coms.iter().find_map(|com| line(devices.machine(), *com));
}

/// Looks for the agent's port on all consoles.
fn find_port<M: Memory>(
    devices: &Devices<'_, '_>,
    drivers: &mut Drivers,
    place: &mut Option<AgentPort<M>>,
) {
    let machine = devices.machine();
    let mut take = |location: Location, transport: AnyTransport| {
        if let Err(failure) = AgentPort::find(place, transport, || machine.uptime_ms()) {
            *place = None;
            warning!("a virtio console: {}", failure);
        }
        if let Some(port) = place {
            match location {
                Location::Pci(address) => info!("a virtio console at PCI {}", address),
                Location::Mmio { base, gsi } => {
                    info!("a virtio console at {=u64:#x}, interrupt {=u32}", base, gsi);
                }
            }
            devices.wake(location, port.transport());
            drivers.add("virtio_console", devices, location);
        }
        place.is_some()
    };
    devices.find(DeviceType::Console, &mut take);
}

/// The UART at `com`, if one answers there.
fn line(machine: &Machine<'_>, com: ComPort) -> Option<Line> {
    let line = Line::open(com, machine)?;
    info!("the UART at port {=u16:#x}", com.base());
    Some(line)
}

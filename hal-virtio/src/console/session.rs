//! One run of the device: its start, what it says about ports, what it is told, its end
//!
//! The part of [`Console`] behind its public face.

use virtio_drivers::Hal;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};

use super::control::{Control, Kind, Message};
use super::link::Link;
use super::{ANSWERED_PORTS, Console, Error, Event, Health, PortId, Slot, bit};
use crate::device::{self, Failure};

/// `VIRTIO_CONSOLE_F_MULTIPORT`: the device has several ports and control queues (§5.3.3).
const F_MULTIPORT: u64 = 1 << 1;
/// `max_nr_ports` in `struct virtio_console_config` (§5.3.4).
const CONFIG_MAX_PORTS: usize = 4;

impl<H: Hal, T: Transport, const PORTS: usize, const RX: usize, const TX: usize>
    Console<H, T, PORTS, RX, TX>
{
    /// Brings the device to work.
    pub(super) fn start(&mut self) -> Result<(), Error> {
        if self.transport.device_type() != DeviceType::Console {
            return Err(Error::NotConsole);
        }
        let features = device::negotiate(&mut self.transport, F_MULTIPORT)?;
        let is_multiport = features & F_MULTIPORT != 0;
        let max_ports = if is_multiport {
            // The width of the field is the width of the access (§4.1.3.1, §4.2.2.2).
            let max_ports = self.transport.read_config_space::<u32>(CONFIG_MAX_PORTS);
            usize::try_from(u32::from_le(max_ports.map_err(Failure::from)?)).unwrap_or(PORTS)
        } else {
            1
        };
        // `id` stays below 64, by `SIZES`.
        for (id, slot) in (0..).zip(&mut self.slots).take(max_ports) {
            slot.link = match Link::new(&mut self.transport, id) {
                Ok(link) => Some(link),
                // The device has fewer or shorter queues than it says: so this port cannot be reached.
                Err(Error::Device(Failure::Queues)) => None,
                Err(error) => return Err(error),
            };
        }
        if is_multiport {
            self.control = Some(Control::new(&mut self.transport)?);
        }
        device::start(&mut self.transport);

        if let Some(control) = &mut self.control {
            control.start(&mut self.transport)?;
            self.device_ready_due = true;
            self.send_due()?;
        } else {
            self.announced = bit(PortId(0));
            self.added_due = true;
        }
        Ok(())
    }

    /// Resets the device and lets go of queues and buffers.
    pub(super) fn stop(&mut self) {
        let is_reset = device::reset(&mut self.transport).is_ok();
        for slot in &mut self.slots {
            let stopped = core::mem::replace(slot, Slot::EMPTY);
            release(stopped.link, is_reset);
        }
        release(self.control.take(), is_reset);
        self.health = Health::default();
        self.device_ready_due = false;
        self.added_due = false;
        self.announced = 0;
        self.port_ready_due = 0;
        self.port_open_due = 0;
    }

    /// One step of [`poll`](Console::poll).
    pub(super) fn advance(&mut self, interrupt: InterruptStatus) -> Result<Option<Event>, Error> {
        for slot in self.slots.iter_mut().filter(|slot| slot.is_open) {
            if let Some(link) = &mut slot.link {
                link.submit(&mut self.transport)?;
            }
        }
        // A device that fails tells by a configuration change (§2.1.2), of which MSI-X says nothing more than any
        // interrupt. Looking costs an exit, so it is done once for every time that there was nothing else to do.
        let is_idle = !core::mem::take(&mut self.health.moved);
        if (is_idle || interrupt.contains(InterruptStatus::DEVICE_CONFIGURATION_INTERRUPT))
            && self.transport.get_status().contains(DeviceStatus::DEVICE_NEEDS_RESET)
        {
            return Err(Failure::NeedsReset.into());
        }
        if core::mem::take(&mut self.added_due) {
            return Ok(Some(Event::Added(PortId(0))));
        }
        let message = match &mut self.control {
            Some(control) => control.receive(&mut self.transport)?,
            None => None,
        };
        let event = message.map(|message| self.handle(&message));
        self.health.moved |= event.is_some();
        self.send_due()?;
        let moved = event.is_some() || !is_idle;
        let may_hide_others = self.line.may_hide_others(interrupt, moved);
        Ok(event.or_else(|| may_hide_others.then_some(Event::Interrupted)))
    }

    /// Takes note of what the device says about a port.
    fn handle(&mut self, message: &Message) -> Event {
        let port = PortId(message.port);
        let Some(kind) = message.kind().filter(|_| message.port < ANSWERED_PORTS) else {
            return Event::Ignored;
        };
        let is_announced = self.announced & bit(port) != 0;
        if is_announced == (kind == Kind::DeviceAdd) {
            // Announced twice, or spoken of without having been announced.
            return Event::Ignored;
        }
        match kind {
            Kind::DeviceAdd => {
                self.announced |= bit(port);
                self.port_ready_due |= bit(port);
            }
            Kind::DeviceRemove => {
                self.announced &= !bit(port);
                self.port_ready_due &= !bit(port);
                self.port_open_due &= !bit(port);
            }
            _ => {}
        }
        let Some(slot) = self.slot_mut(port).filter(|slot| slot.link.is_some()) else {
            return match message.name().filter(|_| kind == Kind::PortName) {
                Some(name) => Event::Unreachable { port, name },
                None => Event::Ignored,
            };
        };
        match kind {
            Kind::DeviceAdd => Event::Added(port),
            Kind::DeviceRemove => {
                slot.name = None;
                slot.is_open = false;
                slot.is_hushed = false;
                Event::Removed(port)
            }
            Kind::PortOpen if message.value != 0 => Event::Opened(port),
            Kind::PortOpen => Event::Closed(port),
            Kind::PortName => {
                slot.name = message.name();
                if slot.name.is_some() { Event::Named(port) } else { Event::Ignored }
            }
            Kind::DeviceReady | Kind::PortReady => Event::Ignored,
        }
    }

    /// Sends the messages that are due; whether the device has handled all of them.
    pub(super) fn is_told(&mut self) -> Result<bool, Error> {
        self.send_due()?;
        let Some(control) = &mut self.control else {
            return Ok(true);
        };
        Ok(self.port_open_due == 0 && control.is_idle()?)
    }

    /// Sends the messages that are due, as far as the device can take them.
    pub(super) fn send_due(&mut self) -> Result<(), Error> {
        let Some(control) = &mut self.control else {
            return Ok(());
        };
        let transport = &mut self.transport;
        // An answer to an announcement makes the device write up to three messages. QEMU drops those that find no
        // buffer, so none is sent before all that it wrote so far was handled.
        let may_answer = !control.has_message();
        if may_answer && self.device_ready_due {
            self.device_ready_due = !control.send(transport, 0, Kind::DeviceReady, 1)?;
        }
        while may_answer && self.port_ready_due != 0 {
            let port = self.port_ready_due.trailing_zeros();
            if !control.send(transport, port, Kind::PortReady, 1)? {
                return Ok(());
            }
            self.port_ready_due &= self.port_ready_due - 1;
        }
        // This waits for no message: what was closed may be polled no more. But the answer to the announcement is first.
        while self.port_open_due & !self.port_ready_due != 0 {
            let port = (self.port_open_due & !self.port_ready_due).trailing_zeros();
            let slot = usize::try_from(port).ok().and_then(|port| self.slots.get(port));
            let is_open = slot.is_some_and(|slot| slot.is_open && !slot.is_hushed);
            if !control.send(transport, port, Kind::PortOpen, u16::from(is_open))? {
                return Ok(());
            }
            self.port_open_due &= !bit(PortId(port));
        }
        Ok(())
    }
}

/// Drops queues and buffers, unless the device may still use them: then their memory is given up for good.
fn release<V>(queues: Option<V>, is_reset: bool) {
    if !is_reset {
        core::mem::forget(queues);
    }
}

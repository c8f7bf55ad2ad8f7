//! Multiport virtio console (virtio 1.2 §5.3): several named channels of bytes over one device
//!
//! ```text
//! Console::poll      acknowledges, gives out what was written, handles one message of the device -> Event
//!   control          the control queues: messages, names
//! Console::open      takes buffers for a port and tells the host that somebody listens
//! Console::port      -> Port, the channel: embedded_io, never waiting
//!   link             a port's two queues and its buffers
//! session            one run of the device: its start, what it says, what it is told, its end
//! ```
//!
//! # Which ports can be used
//!
//! Queues have to be set up before the device is started (§3.1.1), the ports become known only after that, and each
//! pair of queues takes 16 KiB. So a console has queues for the ports numbered below `PORTS`, whatever is behind
//! them. A port with a higher number is announced as [`Event::Unreachable`] with its name, so that a program can say
//! what is wrong. QEMU numbers ports from 1 unless told otherwise and keeps 0 for a console. Buffers are taken only
//! when a port is opened.
//!
//! # A device without ports
//!
//! Without `VIRTIO_CONSOLE_F_MULTIPORT` (Cloud Hypervisor, Firecracker's kin) there is one channel and nothing is said
//! about it: the first [`poll`](Console::poll) reports port 0 as [`Event::Added`], which has no name, and no
//! event tells of it again. [`Console::is_multiport`] tells.
//!
//! # When nobody listens on the host
//!
//! QEMU takes and discards what is written to a port whose host side is closed, and keeps what the host wrote until
//! the port is opened here. So writing never stops for a closed host: a reply in progress goes where its reader went,
//! and the next reader does not find the end of an old reply before its own. [`Event::Closed`] and [`Event::Opened`]
//! tell of it.

mod control;
mod error;
mod link;
mod port;
mod session;
#[cfg(test)]
mod tests;

use core::fmt;

use virtio_drivers::Hal;
use virtio_drivers::transport::Transport;

pub use self::control::{NAME_BYTES, Name};
pub use self::error::Error;
pub use self::port::Port;

use self::control::Control;
use self::link::Link;
use crate::device::{Failure, Line};
use crate::ring;

/// Ports whose announcement is answered; names of those from `PORTS` up are only reported.
const ANSWERED_PORTS: u32 = u64::BITS;

/// A port's number on its device, what QEMU calls `nr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PortId(pub u32);

/// Something the device told about its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event {
    /// The port is there. Its name, if it has one, follows.
    Added(PortId),
    /// The port was unplugged and is closed now. It may come back as [`Event::Added`].
    Removed(PortId),
    /// The port has a name: [`Console::name`].
    Named(PortId),
    /// Somebody listens on the host's side.
    Opened(PortId),
    /// Nobody listens on the host's side any longer.
    Closed(PortId),
    /// A port with a name cannot be used: see [`Error::Unreachable`].
    Unreachable {
        /// The port.
        port: PortId,
        /// Its name.
        name: Name,
    },
    /// A message that means nothing, or changes nothing.
    Ignored,
    /// An interrupt without a message, as when the device has taken what was written. If the device shares its line, it
    /// may have hidden another one's interrupt: all on the line are to be looked at again before the CPU halts.
    Interrupted,
}

/// A virtio console on a transport.
///
/// `PORTS` ports (numbers 0 to `PORTS - 1`) can be used; an open port has `RX` receive and `TX` transmit buffers of
/// 4 KiB. `RX` and `TX` are powers of two. With the defaults a console takes 22 pages of DMA memory and 8 more for
/// each open port: [`dma_pages`].
pub struct Console<
    H: Hal,
    T: Transport,
    const PORTS: usize = 4,
    const RX: usize = 4,
    const TX: usize = 4,
> {
    transport: T,
    control: Option<Control<H>>,
    slots: [Slot<H, RX, TX>; PORTS],
    health: Health,
    line: Line,
    /// `DEVICE_READY` has to be sent.
    device_ready_due: bool,
    /// Port 0 of a device without ports has to be reported.
    added_due: bool,
    /// Ports that were announced, by number.
    announced: u64,
    /// Ports whose announcement has to be answered.
    port_ready_due: u64,
    /// Ports of which the device has to be told whether they are open here.
    port_open_due: u64,
}

/// What is known of the port of one number.
struct Slot<H: Hal, const RX: usize, const TX: usize> {
    /// The queues, if the device has them.
    link: Option<Link<H, RX, TX>>,
    name: Option<Name>,
    is_open: bool,
    /// Open, and the host is not to know it.
    is_hushed: bool,
}

/// Whether the console works, and whether it had anything to do.
#[derive(Debug, Default)]
pub(crate) struct Health {
    failure: Option<Error>,
    /// Bytes or messages have moved since the device's status was last looked at.
    moved: bool,
}

impl<H: Hal, T: Transport, const PORTS: usize, const RX: usize, const TX: usize>
    Console<H, T, PORTS, RX, TX>
{
    const SIZES: () = assert!(
        PORTS >= 1 && PORTS <= ANSWERED_PORTS as usize,
        "a console has between 1 and 64 ports"
    );

    /// Resets the device behind `transport`, agrees on features, sets up queues and starts it.
    ///
    /// The device answers later, in [`poll`](Self::poll).
    ///
    /// # Errors
    ///
    /// The device is no console or does not work, or the DMA memory is too small for the queues.
    pub fn new(transport: T) -> Result<Self, Error> {
        const { Self::SIZES };
        let mut console = Self {
            transport,
            control: None,
            slots: [const { Slot::EMPTY }; PORTS],
            health: Health::default(),
            line: Line::default(),
            device_ready_due: false,
            added_due: false,
            announced: 0,
            port_ready_due: 0,
            port_open_due: 0,
        };
        console.start()?;
        Ok(console)
    }

    /// Resets the device and begins anew: every port is gone until it is announced again, and has to be opened again.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new). The console can be restarted again later.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.stop();
        let started = self.start();
        self.health.failure = started.err();
        started
    }

    /// Acknowledges the device's interrupt, gives it what was written to ports, and handles one message of its.
    ///
    /// `None` says that no message was waiting, and that there was no interrupt. A program may halt the CPU until the next
    /// interrupt after `None`, if the open ports had nothing to read since, and interrupts stayed disabled in between:
    /// whatever the device does after the acknowledgement raises a new interrupt.
    ///
    /// # Errors
    ///
    /// The device failed or broke the rules, and stays so until [`restart`](Self::restart).
    pub fn poll(&mut self) -> Result<Option<Event>, Error> {
        // Before any look at the queues, so that a line which rises later rises anew; and of a device that has failed,
        // too, as others may share its line.
        let interrupt = self.transport.ack_interrupt();
        let polled = self.health.check().and_then(|()| self.advance(interrupt));
        self.health.note(polled)
    }

    /// Whether the device has several ports, and tells of them.
    pub fn is_multiport(&self) -> bool {
        self.control.is_some()
    }

    /// The port with this name, if one is there that can be used.
    ///
    /// Of several with the same name, the one with the lowest number.
    pub fn port_named(&self, name: &str) -> Option<PortId> {
        let named = |slot: &Slot<H, RX, TX>| {
            slot.name.is_some_and(|found| found.as_bytes() == name.as_bytes())
        };
        (0..).map(PortId).zip(&self.slots).find(|(_, slot)| named(slot)).map(|(id, _)| id)
    }

    /// The port's name, if it has one.
    pub fn name(&self, port: PortId) -> Option<Name> {
        self.slot(port)?.name
    }

    /// Takes buffers for the port and tells the host that somebody listens here.
    ///
    /// What the host wrote before arrives now. A port that is open already stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::NoPort`], [`Error::Unreachable`]; [`Failure::Memory`] without buffers to take; or what has ended the
    /// console.
    pub fn open(&mut self, port: PortId) -> Result<(), Error> {
        self.health.check()?;
        let slot = reachable(&mut self.slots, self.announced, port)?;
        if slot.is_open {
            return Ok(());
        }
        let opened = slot.link.as_mut().ok_or(Error::Unreachable)?.open(&mut self.transport);
        self.health.note(opened)?;
        slot.is_open = true;
        slot.is_hushed = false;
        self.port_open_due |= bit(port);
        let sent = self.send_due();
        self.health.note(sent)
    }

    /// Tells the host that nobody listens here any longer. Bytes that were received and not read are lost.
    ///
    /// # Errors
    ///
    /// [`Error::NoPort`], [`Error::Unreachable`], or what has ended the console.
    pub fn close(&mut self, port: PortId) -> Result<(), Error> {
        self.health.check()?;
        let slot = reachable(&mut self.slots, self.announced, port)?;
        if let Some(link) = slot.link.as_mut().filter(|_| slot.is_open) {
            let submitted = link.submit(&mut self.transport);
            self.health.note(submitted)?;
            slot.is_open = false;
            self.port_open_due |= bit(port);
        }
        let sent = self.send_due();
        self.health.note(sent)
    }

    /// Tells the host that nobody listens on the open port, so that it keeps what it would send. Returns whether it has
    /// heard of that: ask again until it has. What it sent before can still be read then, and what is written leaves.
    ///
    /// A device without ports cannot be told anything, and counts as told.
    ///
    /// # Errors
    ///
    /// As for [`port`](Self::port).
    pub fn hush(&mut self, port: PortId) -> Result<bool, Error> {
        self.health.check()?;
        let slot = reachable(&mut self.slots, self.announced, port)?;
        if !slot.is_open {
            return Err(Error::NotOpen);
        }
        if !core::mem::replace(&mut slot.is_hushed, true) {
            self.port_open_due |= bit(port);
        }
        let told = self.is_told();
        self.health.note(told)
    }

    /// The open port as a channel.
    ///
    /// # Errors
    ///
    /// [`Error::NoPort`], [`Error::Unreachable`], [`Error::NotOpen`], or what has ended the console.
    pub fn port(&mut self, port: PortId) -> Result<Port<'_, H, T, RX, TX>, Error> {
        self.health.check()?;
        let slot = reachable(&mut self.slots, self.announced, port)?;
        let link = slot.link.as_mut().filter(|_| slot.is_open).ok_or(Error::NotOpen)?;
        Ok(Port { link, transport: &mut self.transport, health: &mut self.health })
    }

    /// The transport, for instance to ask how its interrupts arrive.
    pub fn transport(&self) -> &T {
        &self.transport
    }

    fn slot(&self, port: PortId) -> Option<&Slot<H, RX, TX>> {
        self.slots.get(usize::try_from(port.0).ok()?)
    }

    fn slot_mut(&mut self, port: PortId) -> Option<&mut Slot<H, RX, TX>> {
        self.slots.get_mut(usize::try_from(port.0).ok()?)
    }
}

impl<H: Hal, T: Transport, const PORTS: usize, const RX: usize, const TX: usize> Drop
    for Console<H, T, PORTS, RX, TX>
{
    fn drop(&mut self) {
        self.stop();
    }
}

impl<H: Hal, T: Transport, const PORTS: usize, const RX: usize, const TX: usize> fmt::Debug
    for Console<H, T, PORTS, RX, TX>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console")
            .field("is_multiport", &self.is_multiport())
            .field("announced", &self.announced)
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

/// The pages of DMA memory that a `Console<_, _, PORTS, RX, TX>` takes with `open_ports` of its ports open.
pub const fn dma_pages(ports: usize, rx: usize, tx: usize, open_ports: usize) -> usize {
    let queues = ports * (ring::pages(rx) + ring::pages(tx));
    control::PAGES + queues + open_ports * (rx + tx)
}

impl<H: Hal, const RX: usize, const TX: usize> Slot<H, RX, TX> {
    const EMPTY: Self = Self { link: None, name: None, is_open: false, is_hushed: false };
}

impl Health {
    /// The error that has ended the console, if one has.
    fn check(&self) -> Result<(), Error> {
        self.failure.map_or(Ok(()), Err)
    }

    /// Remembers an error that ends the console.
    fn note<V>(&mut self, result: Result<V, Error>) -> Result<V, Error> {
        if let Err(error @ Error::Device(failure)) = result
            // While the console works, memory is what one port lacks.
            && failure != Failure::Memory
        {
            self.failure = Some(error);
        }
        result
    }
}

/// The port's slot, if the port is there and within reach.
fn reachable<H: Hal, const RX: usize, const TX: usize>(
    slots: &mut [Slot<H, RX, TX>],
    announced: u64,
    port: PortId,
) -> Result<&mut Slot<H, RX, TX>, Error> {
    if announced & bit(port) == 0 {
        return Err(Error::NoPort);
    }
    usize::try_from(port.0).ok().and_then(|port| slots.get_mut(port)).ok_or(Error::Unreachable)
}

/// The port's bit in a set of ports; no bit if its number is beyond all sets.
const fn bit(port: PortId) -> u64 {
    if port.0 < ANSWERED_PORTS { 1 << port.0 } else { 0 }
}

//! The control queues: messages between device and driver about ports
//!
//! virtio 1.2 §5.3.6.2. A message is eight bytes, of which two kinds carry more: a port's name and a console's size.
//! Everything the device writes is copied out of its reach once and checked then.

#![expect(clippy::missing_errors_doc, reason = "not public; `Error` says what its values mean")]

use core::ptr::NonNull;

use virtio_drivers::transport::Transport;
use virtio_drivers::{BufferDirection, Hal};

use super::Error;
use crate::region::Region;
use crate::ring::{Misbehaved, Ring};

/// Longest name of a port in bytes. A port with a longer name counts as one without.
pub const NAME_BYTES: usize = 64;

/// Messages that the device can write before one of them is handled. QEMU drops what does not fit, and announces up
/// to 31 ports at once.
const RECEIVE_BUFFERS: usize = 32;

/// Messages that the driver can send before the device has handled one. The answers to that many `PORT_READY`, three
/// to each, fit into the receive buffers.
const TRANSMIT_BUFFERS: usize = 8;

const HEADER_BYTES: usize = 8;

/// A header, a name with a NUL behind it, and one byte to tell a longer name by, in a multiple of 8.
const RECEIVE_BYTES: usize = 80;

/// Where the transmit buffers begin in the page that the control queues share.
const TRANSMIT_OFFSET: usize = RECEIVE_BUFFERS * RECEIVE_BYTES;

const RECEIVE_QUEUE: u16 = 2;
const TRANSMIT_QUEUE: u16 = 3;

/// What a message is about, §5.3.6.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    DeviceReady = 0,
    DeviceAdd = 1,
    DeviceRemove = 2,
    PortReady = 3,
    ConsolePort = 4,
    Resize = 5,
    PortOpen = 6,
    PortName = 7,
}

/// A message of the device's, with its kind not looked at yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub(super) port: u32,
    event: u16,
    pub(super) value: u16,
    rest: [u8; RECEIVE_BYTES - HEADER_BYTES],
    rest_len: usize,
}

/// The name of a port: bytes of the host's choice, UTF-8 by the specification.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    bytes: [u8; NAME_BYTES],
    len: usize,
}

/// Both control queues and their buffers.
pub(super) struct Control<H: Hal> {
    receive: Ring<H, RECEIVE_BUFFERS>,
    transmit: Ring<H, TRANSMIT_BUFFERS>,
    memory: Region<H>,
    free: [bool; TRANSMIT_BUFFERS],
}

impl<H: Hal> Control<H> {
    /// Sets the queues up. The device must not be started yet.
    pub(super) fn new(transport: &mut impl Transport) -> Result<Self, Error> {
        Ok(Self {
            receive: Ring::new(transport, RECEIVE_QUEUE, BufferDirection::DeviceToDriver)?,
            transmit: Ring::new(transport, TRANSMIT_QUEUE, BufferDirection::DriverToDevice)?,
            memory: Region::new(1, BufferDirection::Both).ok_or(Error::Memory)?,
            free: [true; TRANSMIT_BUFFERS],
        })
    }

    /// Gives the device every receive buffer. It must have been started.
    pub(super) fn start(&mut self, transport: &mut impl Transport) -> Result<(), Error> {
        for slot in 0..RECEIVE_BUFFERS {
            self.give(slot)?;
        }
        self.receive.notify(transport);
        Ok(())
    }

    /// The next message of the device's, if there is one.
    pub(super) fn receive(
        &mut self,
        transport: &mut impl Transport,
    ) -> Result<Option<Message>, Error> {
        let Some(returned) = self.receive.take()? else {
            return Ok(None);
        };
        let mut bytes = [0; RECEIVE_BYTES];
        let len = self.memory.copy_out(returned.slot * RECEIVE_BYTES, &mut bytes[..returned.len]);
        self.give(returned.slot)?;
        self.receive.notify(transport);
        Ok(Some(Message::parse(&bytes, len)))
    }

    /// Whether a message waits to be received.
    pub(super) fn has_message(&self) -> bool {
        self.receive.has_returned()
    }

    /// Sends a message, or returns false: the device has not handled enough of the earlier ones.
    pub(super) fn send(
        &mut self,
        transport: &mut impl Transport,
        port: u32,
        kind: Kind,
        value: u16,
    ) -> Result<bool, Error> {
        while let Some(returned) = self.transmit.take()? {
            *self.free.get_mut(returned.slot).ok_or(Misbehaved)? = true;
        }
        let Some(slot) = self.free.iter().position(|&free| free) else {
            return Ok(false);
        };
        let offset = TRANSMIT_OFFSET + slot * HEADER_BYTES;
        let [p0, p1, p2, p3] = port.to_le_bytes();
        let [k0, k1] = (kind as u16).to_le_bytes();
        let [v0, v1] = value.to_le_bytes();
        self.memory.copy_in(offset, &[p0, p1, p2, p3, k0, k1, v0, v1]);
        let buffer = self.memory.buffer(offset, HEADER_BYTES);
        // SAFETY: the slot is free, so nobody else uses these bytes, and it is not written before `take` returns it.
        unsafe { self.transmit.give(slot, buffer) }?;
        self.free[slot] = false;
        self.transmit.notify(transport);
        Ok(true)
    }

    fn give(&mut self, slot: usize) -> Result<(), Misbehaved> {
        let buffer: NonNull<[u8]> = self.memory.buffer(slot * RECEIVE_BYTES, RECEIVE_BYTES);
        // SAFETY: the device does not have this slot, and it is read only after `take` has returned it.
        unsafe { self.receive.give(slot, buffer) }
    }
}

impl Message {
    fn parse(bytes: &[u8; RECEIVE_BYTES], len: usize) -> Self {
        let [p0, p1, p2, p3, k0, k1, v0, v1, rest @ ..] = *bytes;
        Self {
            port: u32::from_le_bytes([p0, p1, p2, p3]),
            // A message without a whole header is none that we know.
            event: if len < HEADER_BYTES { u16::MAX } else { u16::from_le_bytes([k0, k1]) },
            value: u16::from_le_bytes([v0, v1]),
            rest,
            rest_len: len.saturating_sub(HEADER_BYTES),
        }
    }

    /// What the message is about, if it is something that a device may say.
    pub(super) fn kind(&self) -> Option<Kind> {
        [
            Kind::DeviceAdd,
            Kind::DeviceRemove,
            Kind::ConsolePort,
            Kind::Resize,
            Kind::PortOpen,
            Kind::PortName,
        ]
        .into_iter()
        .find(|&kind| kind as u16 == self.event)
    }

    /// The name in a [`Kind::PortName`], unless it is empty or too long.
    pub(super) fn name(&self) -> Option<Name> {
        Name::from_device(self.rest.get(..self.rest_len)?)
    }

    /// Columns and rows in a [`Kind::Resize`], unless the message is too short.
    pub(super) fn size(&self) -> Option<(u16, u16)> {
        let [c0, c1, r0, r1] = *self.rest.get(..self.rest_len)?.first_chunk()?;
        Some((u16::from_le_bytes([c0, c1]), u16::from_le_bytes([r0, r1])))
    }
}

impl Name {
    /// The bytes up to a NUL. The specification has none, QEMU sends one.
    fn from_device(bytes: &[u8]) -> Option<Self> {
        let len = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        let name = bytes.get(..len).filter(|name| !name.is_empty())?;
        let mut bytes = [0; NAME_BYTES];
        bytes.get_mut(..len)?.copy_from_slice(name);
        Some(Self { bytes, len })
    }

    /// The name's bytes, not empty, without a NUL.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The name as text, if it is.
    pub fn as_str(&self) -> Option<&str> {
        core::str::from_utf8(self.as_bytes()).ok()
    }
}

impl core::fmt::Debug for Name {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Name {
    fn format(&self, f: defmt::Formatter<'_>) {
        match self.as_str() {
            Some(name) => defmt::write!(f, "{=str:?}", name),
            None => defmt::write!(f, "{=[u8]:x}", self.as_bytes()),
        }
    }
}

const _: () = assert!(TRANSMIT_OFFSET + TRANSMIT_BUFFERS * HEADER_BYTES <= crate::dma::PAGE_BYTES);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_at_a_nul_and_are_bounded() {
        let longest = [b'n'; NAME_BYTES];
        let too_long = [b'n'; NAME_BYTES + 1];
        let cases: [(&[u8], Option<&[u8]>); 7] = [
            (b"org.qemu.guest_agent.0\0", Some(b"org.qemu.guest_agent.0")),
            (b"no.nul", Some(b"no.nul")),
            (b"a\0b\0", Some(b"a")),
            (b"\xFF\xFE", Some(b"\xFF\xFE")),
            (b"\0", None),
            (b"", None),
            (&too_long, None),
        ];
        for (sent, expected) in cases {
            let name = Name::from_device(sent);
            assert_eq!(name.as_ref().map(Name::as_bytes), expected, "{}", sent.escape_ascii());
        }
        assert_eq!(Name::from_device(&longest).unwrap().as_bytes(), longest);
        assert_eq!(Name::from_device(b"\xFF").unwrap().as_str(), None);
    }

    #[test]
    fn reads_only_what_the_device_wrote() {
        let mut bytes = [0xEE; RECEIVE_BYTES];
        bytes[..12].copy_from_slice(&[1, 0, 0, 0, 5, 0, 0, 0, 80, 0, 25, 0]);
        let cases = [
            (0, None, None),
            (7, None, None),
            (8, Some(Kind::Resize), None),
            (11, Some(Kind::Resize), None),
            (12, Some(Kind::Resize), Some((80, 25))),
            (RECEIVE_BYTES, Some(Kind::Resize), Some((80, 25))),
        ];
        for (len, kind, size) in cases {
            let message = Message::parse(&bytes, len);
            assert_eq!(message.kind(), kind, "{len}");
            assert_eq!(message.size(), size, "{len}");
        }
    }

    #[test]
    fn knows_only_what_a_device_may_say() {
        for event in 0..=u16::from(u8::MAX) {
            let mut bytes = [0; RECEIVE_BYTES];
            bytes[4..6].copy_from_slice(&event.to_le_bytes());
            let known = Message::parse(&bytes, HEADER_BYTES).kind().map(|kind| kind as u16);
            let expected = matches!(event, 1 | 2 | 4 | 5 | 6 | 7).then_some(event);
            assert_eq!(known, expected);
        }
    }
}

//! The control queues: messages between device and driver about ports
//!
//! virtio 1.2 §5.3.6.2. A message is eight bytes, and only a port's name has more. `CONSOLE_PORT` and `RESIZE`, for
//! consoles that a person looks at, are not known here.
//! Everything the device writes is copied out of its reach once and checked then.

use virtio_drivers::transport::Transport;
use virtio_drivers::{BufferDirection, Hal};

use super::Error;
use crate::ring::{self, Ring};

/// Longest name of a port in bytes. A port with a longer name counts as one without.
pub const NAME_BYTES: usize = 64;

/// Messages that the device can write before one of them is handled. QEMU drops what does not fit, and announces up
/// to 31 ports at once.
const RECEIVE_BUFFERS: usize = 32;

/// Messages that the driver can send before the device has handled one. The answers to that many `PORT_READY`, three
/// to each, fit into the receive buffers.
const TRANSMIT_BUFFERS: usize = 8;

const HEADER_BYTES: usize = 8;

/// A header, and a name with bytes enough behind it to tell a longer one by. All the buffers fit into a page.
const RECEIVE_BYTES: usize = 80;

/// Pages of DMA memory for both queues and their buffers.
pub(super) const PAGES: usize = ring::pages(RECEIVE_BUFFERS) + ring::pages(TRANSMIT_BUFFERS) + 2;

const RECEIVE_QUEUE: u16 = 2;
const TRANSMIT_QUEUE: u16 = 3;

/// What a message is about, §5.3.6.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    DeviceReady = 0,
    DeviceAdd = 1,
    DeviceRemove = 2,
    PortReady = 3,
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

/// Both control queues.
pub(super) struct Control<H: Hal> {
    receive: Ring<H, RECEIVE_BUFFERS>,
    transmit: Ring<H, TRANSMIT_BUFFERS>,
}

impl<H: Hal> Control<H> {
    /// Sets the queues up. The device must not be started yet.
    pub(super) fn new(transport: &mut impl Transport) -> Result<Self, Error> {
        let mut receive = Ring::new(transport, RECEIVE_QUEUE, BufferDirection::DeviceToDriver)?;
        let mut transmit = Ring::new(transport, TRANSMIT_QUEUE, BufferDirection::DriverToDevice)?;
        receive.allocate(RECEIVE_BYTES)?;
        transmit.allocate(HEADER_BYTES)?;
        Ok(Self { receive, transmit })
    }

    /// Gives the device every receive buffer. It must have been started.
    pub(super) fn start(&mut self, transport: &mut impl Transport) -> Result<(), Error> {
        for slot in 0..RECEIVE_BUFFERS {
            self.receive.give(slot, RECEIVE_BYTES)?;
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
        self.receive.read(returned.slot, 0, &mut bytes);
        self.receive.give(returned.slot, RECEIVE_BYTES)?;
        self.receive.notify(transport);
        Ok(Some(Message::parse(&bytes, returned.len)))
    }

    /// Whether a message waits to be received.
    pub(super) fn has_message(&self) -> bool {
        self.receive.has_returned()
    }

    /// Whether the device has handled every message that was sent.
    pub(super) fn is_idle(&mut self) -> Result<bool, Error> {
        while self.transmit.take()?.is_some() {}
        Ok(self.transmit.is_idle())
    }

    /// Sends a message, or returns false: the device has not handled enough of the earlier ones.
    pub(super) fn send(
        &mut self,
        transport: &mut impl Transport,
        port: u32,
        kind: Kind,
        value: u16,
    ) -> Result<bool, Error> {
        while self.transmit.take()?.is_some() {}
        let Some(slot) = self.transmit.free_slot() else {
            return Ok(false);
        };
        let [p0, p1, p2, p3] = port.to_le_bytes();
        let [k0, k1] = (kind as u16).to_le_bytes();
        let [v0, v1] = value.to_le_bytes();
        self.transmit.write(slot, 0, &[p0, p1, p2, p3, k0, k1, v0, v1]);
        self.transmit.give(slot, HEADER_BYTES)?;
        self.transmit.notify(transport);
        Ok(true)
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
        [Kind::DeviceAdd, Kind::DeviceRemove, Kind::PortOpen, Kind::PortName]
            .into_iter()
            .find(|&kind| kind as u16 == self.event)
    }

    /// The name in a [`Kind::PortName`], unless it is empty or too long.
    pub(super) fn name(&self) -> Option<Name> {
        Name::from_device(self.rest.get(..self.rest_len)?)
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
        if let Some(name) = self.as_str() {
            defmt::write!(f, "{=str:?}", name);
        } else {
            defmt::write!(f, "{=[u8]:x}", self.as_bytes());
        }
    }
}

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
        bytes[..13].copy_from_slice(b"\x01\0\0\0\x07\0\0\0name\0");
        let cases: [(usize, _, Option<&[u8]>); 7] = [
            (0, None, None),
            (7, None, None),
            (8, Some(Kind::PortName), None),
            (9, Some(Kind::PortName), Some(b"n")),
            (12, Some(Kind::PortName), Some(b"name")),
            (13, Some(Kind::PortName), Some(b"name")),
            (RECEIVE_BYTES, Some(Kind::PortName), Some(b"name")),
        ];
        for (len, kind, name) in cases {
            let message = Message::parse(&bytes, len);
            assert_eq!(message.kind(), kind, "{len}");
            assert_eq!(message.name().as_ref().map(Name::as_bytes), name, "{len}");
        }
    }

    #[test]
    fn knows_only_what_a_device_may_say() {
        for event in 0..=u16::from(u8::MAX) {
            let mut bytes = [0; RECEIVE_BYTES];
            bytes[4..6].copy_from_slice(&event.to_le_bytes());
            let known = Message::parse(&bytes, HEADER_BYTES).kind().map(|kind| kind as u16);
            let expected = matches!(event, 1 | 2 | 6 | 7).then_some(event);
            assert_eq!(known, expected);
        }
    }
}

//! Frames between smoltcp and a network device.

use agent_core::InterfaceStatistics;
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetFrame, EthernetProtocol, Ipv4Packet};

/// The longest frame: an Ethernet header and 1500 bytes.
pub const FRAME_BYTES: usize = ETHERNET_HEADER + 1500;

const ETHERNET_HEADER: usize = 14;

/// The least that IPv6 wants of a link (RFC 8200, section 5).
const MTU_MIN: usize = 1280;

/// A network device. None of its functions waits.
pub trait Nic {
    /// Its address, of one device and not of a group. It stays the same.
    fn hardware_address(&self) -> [u8; 6];

    /// The longest packet that the network takes, where that is known to be less than Ethernet's
    /// 1500 bytes. What is not from 1280 to 1500 counts as the nearest that is.
    fn mtu(&self) -> Option<usize>;

    /// Whether the cable is in.
    fn is_link_up(&self) -> bool;

    /// What has passed through it.
    fn statistics(&self) -> InterfaceStatistics;

    /// Copies the next frame to `frame` and returns its length, if one has arrived.
    fn receive(&mut self, frame: &mut [u8; FRAME_BYTES]) -> Option<usize>;

    /// Sends a frame, or loses it.
    fn transmit(&mut self, frame: &[u8]);
}

/// A device as smoltcp sees it, with the frame that was received last.
#[derive(Debug)]
pub(crate) struct Wire<N> {
    pub(crate) nic: N,
    frame: [u8; FRAME_BYTES],
    /// Bytes of `frame` that smoltcp has not looked at yet, 0 if it has.
    len: usize,
}

impl<N: Nic> Wire<N> {
    pub(crate) const fn new(nic: N) -> Self {
        Self { nic, frame: [0; FRAME_BYTES], len: 0 }
    }

    /// Takes the next frame from the device, for somebody to look at before smoltcp does. It is empty
    /// where nobody should.
    pub(crate) fn next(&mut self) -> Option<&[u8]> {
        self.len = self.nic.receive(&mut self.frame)?;
        if self.frame.get(..self.len).is_none_or(is_from_nobody) {
            self.len = 0;
        }
        self.frame.get(..self.len)
    }
}

/// Whether a frame holds an IPv4 packet without a sender. Only those that look for a DHCP server send
/// such, and it is not here; from one that says to be such a server, smoltcp would take an address
/// to which it cannot write, and panic when it has to.
fn is_from_nobody(frame: &[u8]) -> bool {
    let packet = EthernetFrame::new_checked(frame)
        .ok()
        .filter(|frame| frame.ethertype() == EthernetProtocol::Ipv4);
    let packet = packet.and_then(|frame| Ipv4Packet::new_checked(frame.payload()).ok());
    packet.is_some_and(|packet| packet.src_addr().is_unspecified())
}

/// A frame that was received.
pub(crate) struct Received<'w>(&'w [u8]);

/// The place of a frame that is sent.
pub(crate) struct Sent<'w, N>(&'w mut N);

impl<N: Nic> Device for Wire<N> {
    type RxToken<'w>
        = Received<'w>
    where
        N: 'w;
    type TxToken<'w>
        = Sent<'w, N>
    where
        N: 'w;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Sent<'_, N>)> {
        let len = core::mem::take(&mut self.len);
        let frame = self.frame.get(..len).filter(|frame| !frame.is_empty())?;
        Some((Received(frame), Sent(&mut self.nic)))
    }

    /// There always is room: a device that has none loses the frame, as a network may.
    fn transmit(&mut self, _: Instant) -> Option<Sent<'_, N>> {
        Some(Sent(&mut self.nic))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let most = FRAME_BYTES - ETHERNET_HEADER;
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit =
            ETHERNET_HEADER + self.nic.mtu().unwrap_or(most).clamp(MTU_MIN, most);
        capabilities
    }
}

impl phy::RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, look: F) -> R {
        look(self.0)
    }
}

impl<N: Nic> phy::TxToken for Sent<'_, N> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut frame = [0; FRAME_BYTES];
        // smoltcp keeps to the capabilities.
        let frame = &mut frame[..len];
        let result = write(frame);
        self.0.transmit(frame);
        result
    }
}

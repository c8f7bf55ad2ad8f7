//! A DHCP server (RFC 2131), as far as a client can tell, which answers ARP as well.

use core::net::Ipv4Addr;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress,
    EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
};

use crate::HOST;

pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// What it gives.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) address: Ipv4Addr,
    pub(crate) mask: Option<Ipv4Addr>,
    pub(crate) router: Option<Ipv4Addr>,
    pub(crate) lease_s: u32,
    /// Where its messages come from.
    pub(crate) source: Ipv4Addr,
    /// Says no to every request.
    pub(crate) refuses: bool,
    /// The kinds of messages it was sent.
    pub(crate) heard: Vec<DhcpMessageType>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::new(10, 0, 2, 15),
            mask: Some(Ipv4Addr::new(255, 255, 255, 0)),
            router: Some(SERVER),
            lease_s: 86_400,
            source: SERVER,
            refuses: false,
            heard: Vec::new(),
        }
    }
}

impl Server {
    /// The answer to a frame that is for the server.
    pub(crate) fn answer(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let frame = EthernetFrame::new_checked(frame).ok()?;
        if frame.ethertype() == EthernetProtocol::Arp {
            return arp_reply(frame.payload());
        }
        let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
        if frame.ethertype() != EthernetProtocol::Ipv4 || packet.next_header() != IpProtocol::Udp {
            return None;
        }
        let datagram = UdpPacket::new_checked(packet.payload()).ok()?;
        let request = DhcpPacket::new_checked(datagram.payload()).ok()?;
        let request = DhcpRepr::parse(&request).ok()?;
        assert_eq!((datagram.src_port(), datagram.dst_port()), (68, 67));
        self.heard.push(request.message_type);
        let message_type = match request.message_type {
            DhcpMessageType::Discover => DhcpMessageType::Offer,
            DhcpMessageType::Request if self.refuses => DhcpMessageType::Nak,
            DhcpMessageType::Request => DhcpMessageType::Ack,
            other => panic!("a client sends {other:?}"),
        };
        let answer = DhcpRepr {
            message_type,
            your_ip: self.address,
            client_ip: Ipv4Addr::UNSPECIFIED,
            server_ip: SERVER,
            router: self.router,
            subnet_mask: self.mask,
            requested_ip: None,
            client_identifier: None,
            server_identifier: Some(SERVER),
            parameter_request_list: None,
            max_size: None,
            lease_duration: Some(self.lease_s),
            ..request
        };
        Some(datagram_to(request.client_hardware_address, self.source, &answer))
    }
}

/// A frame from the server to everybody, with a client's hardware address on it.
fn datagram_to(client: EthernetAddress, source: Ipv4Addr, answer: &DhcpRepr<'_>) -> Vec<u8> {
    let checksums = ChecksumCapabilities::default();
    let udp = UdpRepr { src_port: 67, dst_port: 68 };
    let ip = Ipv4Repr {
        src_addr: source,
        dst_addr: Ipv4Addr::BROADCAST,
        next_header: IpProtocol::Udp,
        payload_len: udp.header_len() + answer.buffer_len(),
        hop_limit: 64,
    };
    let mut bytes = vec![0; 14 + ip.buffer_len() + ip.payload_len];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    frame.set_src_addr(EthernetAddress(HOST));
    frame.set_dst_addr(client);
    frame.set_ethertype(EthernetProtocol::Ipv4);
    let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet, &checksums);
    udp.emit(
        &mut UdpPacket::new_unchecked(packet.payload_mut()),
        &ip.src_addr.into(),
        &ip.dst_addr.into(),
        answer.buffer_len(),
        |payload| answer.emit(&mut DhcpPacket::new_unchecked(payload)).unwrap(),
        &checksums,
    );
    bytes
}

/// Where the server is, for whoever asks.
fn arp_reply(request: &[u8]) -> Option<Vec<u8>> {
    let request = ArpRepr::parse(&ArpPacket::new_checked(request).ok()?).ok()?;
    let ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr,
        source_protocol_addr,
        target_protocol_addr: SERVER,
        ..
    } = request
    else {
        return None;
    };
    let reply = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: EthernetAddress(HOST),
        source_protocol_addr: SERVER,
        target_hardware_addr: source_hardware_addr,
        target_protocol_addr: source_protocol_addr,
    };
    let mut bytes = vec![0; 14 + reply.buffer_len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    frame.set_src_addr(EthernetAddress(HOST));
    frame.set_dst_addr(source_hardware_addr);
    frame.set_ethertype(EthernetProtocol::Arp);
    reply.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
    Some(bytes)
}

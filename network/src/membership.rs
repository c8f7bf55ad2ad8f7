//! Membership in multicast groups (MLD version 2, RFC 3810).
//!
//! Neighbours look for an address by a multicast to its solicited-node group, which a switch that
//! snoops passes on only to those who have said that they are in it. All addresses of an interface
//! end in the same 24 bits, so there is one group.

use core::net::Ipv6Addr;

use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv6Packet, IpProtocol, Ipv6Packet,
};

const MLD_QUERY: u8 = 130;
const MLD_REPORT: u8 = 143;

/// Types of a record: what one is in, and what one has come into, which is told unasked.
const MODE_IS_EXCLUDE: u8 = 2;
const CHANGE_TO_EXCLUDE_MODE: u8 = 4;

/// > All MLDv2 messages are sent with an IPv6 Hop Limit of 1 and an IPv6 Router Alert option in a
/// > Hop-by-Hop Options header. (section 5)
const HOP_LIMIT: u8 = 1;
/// ICMP follows; the option, whose value is MLD (RFC 2711); and two bytes of padding.
const ROUTER_ALERT: [u8; 8] = [58, 0, 5, 2, 0, 0, 1, 0];

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_MLD_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
const ALL_MLD_ROUTERS_HARDWARE: EthernetAddress = EthernetAddress([0x33, 0x33, 0, 0, 0, 0x16]);

/// Where the ICMP message begins, and bytes of a report of one group.
const MESSAGE: usize = 14 + 40 + ROUTER_ALERT.len();
const REPORT_BYTES: usize = MESSAGE + 8 + 20;

/// How often, and how many ms apart, it is told that somebody has come into a group (sections 9.1
/// and 9.11).
const JOINS: u8 = 2;
const JOIN_INTERVAL_MS: u64 = 1000;

/// What is to be reported of an interface's one group.
#[derive(Debug)]
pub(crate) struct Membership {
    joins_left: u8,
    /// When the next one is due, if one is left.
    join_ms: u64,
    is_asked: bool,
}

/// Why membership is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// It is new.
    Joined,
    /// A router has asked.
    Asked,
}

impl Membership {
    /// The interface has come into the group.
    pub(crate) const fn begin(now_ms: u64) -> Self {
        Self { joins_left: JOINS, join_ms: now_ms, is_asked: false }
    }

    /// Takes note of a frame, which may be a router's question for the group of `address`.
    pub(crate) fn heed(&mut self, frame: &[u8], address: Ipv6Addr) {
        self.is_asked |= is_query(frame, address);
    }

    /// Why it is to be reported now, if it is.
    pub(crate) const fn due(&mut self, now_ms: u64) -> Option<Occasion> {
        if self.joins_left > 0 && self.join_ms <= now_ms {
            self.joins_left -= 1;
            self.join_ms = now_ms.saturating_add(JOIN_INTERVAL_MS);
            return Some(Occasion::Joined);
        }
        if core::mem::replace(&mut self.is_asked, false) { Some(Occasion::Asked) } else { None }
    }

    /// When it is to be reported next, unless somebody asks.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        (self.joins_left > 0).then_some(self.join_ms)
    }
}

/// Whether the frame is a router's question that is for the group of `address`.
fn is_query(frame: &[u8], address: Ipv6Addr) -> bool {
    let group = solicited_node(address);
    let asked = || {
        let frame = EthernetFrame::new_checked(frame).ok()?;
        if frame.ethertype() != EthernetProtocol::Ipv6 {
            return None;
        }
        let packet = Ipv6Packet::new_checked(frame.payload()).ok()?;
        let (source, destination) = (packet.src_addr(), packet.dst_addr());
        let (header, message) = packet.payload().split_at_checked(ROUTER_ALERT.len())?;
        let is_mld = packet.version() == 6
            && packet.next_header() == IpProtocol::HopByHop
            && packet.hop_limit() == HOP_LIMIT
            && source.is_unicast_link_local()
            && header.starts_with(&[58, 0])
            && header.windows(4).any(|option| option == [5, 2, 0, 0])
            && message.first() == Some(&MLD_QUERY);
        let icmp = Icmpv6Packet::new_checked(message).ok().filter(|_| is_mld)?;
        let of: [u8; 16] = *message.get(8..)?.first_chunk()?;
        let of = Ipv6Addr::from(of);
        let is_ours = of == group || (of.is_unspecified() && destination == ALL_NODES);
        Some(is_ours && icmp.verify_checksum(&source, &destination))
    };
    asked().unwrap_or(false)
}

/// The report of a host with this address on the link.
pub(crate) fn report(
    hardware_address: [u8; 6],
    address: Ipv6Addr,
    occasion: Occasion,
) -> [u8; REPORT_BYTES] {
    let mut bytes = [0; REPORT_BYTES];
    let (_, message) = bytes.split_at_mut(MESSAGE);
    let record = match occasion {
        Occasion::Joined => CHANGE_TO_EXCLUDE_MODE,
        Occasion::Asked => MODE_IS_EXCLUDE,
    };
    // One record, with no sources: none is excluded.
    message[..12].copy_from_slice(&[MLD_REPORT, 0, 0, 0, 0, 0, 0, 1, record, 0, 0, 0]);
    message[12..].copy_from_slice(&solicited_node(address).octets());
    Icmpv6Packet::new_unchecked(message).fill_checksum(&address, &ALL_MLD_ROUTERS);

    let mut frame = EthernetFrame::new_unchecked(&mut bytes);
    frame.set_dst_addr(ALL_MLD_ROUTERS_HARDWARE);
    frame.set_src_addr(EthernetAddress(hardware_address));
    frame.set_ethertype(EthernetProtocol::Ipv6);
    let mut packet = Ipv6Packet::new_unchecked(frame.payload_mut());
    packet.set_version(6);
    packet.set_traffic_class(0);
    packet.set_flow_label(0);
    // A few dozen.
    packet.set_payload_len(u16::try_from(REPORT_BYTES - 14 - 40).unwrap_or(0));
    packet.set_next_header(IpProtocol::HopByHop);
    packet.set_hop_limit(HOP_LIMIT);
    packet.set_src_addr(address);
    packet.set_dst_addr(ALL_MLD_ROUTERS);
    packet.payload_mut()[..ROUTER_ALERT.len()].copy_from_slice(&ROUTER_ALERT);
    bytes
}

/// The group of an address (RFC 4291, section 2.7.1).
fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}

//! Router discovery on the wire: solicitations and advertisements (RFC 4861, sections 4.1 and 4.2).

use core::net::Ipv6Addr;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, HardwareAddress, Icmpv6Message, Icmpv6Packet,
    Icmpv6Repr, IpProtocol, Ipv6Packet, Ipv6Repr, NdiscOption, NdiscOptionType,
    NdiscPrefixInfoFlags, NdiscRepr,
};

/// Neighbour discovery does not leave the link: what was forwarded has less.
const HOP_LIMIT: u8 = 255;
const HEADER_BYTES: usize = 16;
const PREFIX_OPTION_BYTES: usize = 32;

const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const ALL_ROUTERS_HARDWARE: EthernetAddress = EthernetAddress([0x33, 0x33, 0, 0, 0, 2]);

/// Bytes of a solicitation: Ethernet, IPv6 and ICMP with the sender's hardware address.
pub(crate) const SOLICITATION_BYTES: usize = 14 + 40 + 8 + 8;

/// What a router says.
#[derive(Debug)]
pub(crate) struct Advertisement<'f> {
    pub(crate) router: Ipv6Addr,
    /// For how long it is one, in seconds; 0 if it is none.
    pub(crate) router_lifetime_s: u16,
    options: &'f [u8],
}

/// A prefix that a router tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PrefixInformation {
    pub(crate) prefix: Ipv6Addr,
    pub(crate) prefix_len: u8,
    /// Whoever has such an address is on the link.
    pub(crate) is_on_link: bool,
    /// Whoever is on the link may make such an address.
    pub(crate) is_autonomous: bool,
    /// For how long, in seconds; `u32::MAX` is for ever.
    pub(crate) valid_s: u32,
    pub(crate) preferred_s: u32,
}

impl<'f> Advertisement<'f> {
    /// The router advertisement in an Ethernet frame, if it is a valid one (RFC 4861, section
    /// 6.1.2).
    pub(crate) fn parse(frame: &'f [u8]) -> Option<Self> {
        let frame = EthernetFrame::new_checked(frame).ok()?;
        if frame.ethertype() != EthernetProtocol::Ipv6 {
            return None;
        }
        let packet = Ipv6Packet::new_checked(frame.payload()).ok()?;
        let (source, destination) = (packet.src_addr(), packet.dst_addr());
        if packet.version() != 6
            || packet.next_header() != IpProtocol::Icmpv6
            || packet.hop_limit() != HOP_LIMIT
            || !source.is_unicast_link_local()
        {
            return None;
        }
        let message = packet.payload();
        let icmp = Icmpv6Packet::new_checked(message).ok()?;
        let is_valid = icmp.msg_type() == Icmpv6Message::RouterAdvert
            && icmp.msg_code() == 0
            && icmp.verify_checksum(&source, &destination);
        let (header, options) = message.split_at_checked(HEADER_BYTES).filter(|_| is_valid)?;
        let router_lifetime_s = u16::from_be_bytes([*header.get(6)?, *header.get(7)?]);
        let advertisement = Self { router: source, router_lifetime_s, options };
        // > All included options have a length that is greater than zero.
        advertisement.options().all(|option| option.is_some()).then_some(advertisement)
    }

    /// Its prefixes.
    pub(crate) fn prefixes(&self) -> impl Iterator<Item = PrefixInformation> {
        self.options().flatten().filter_map(|bytes| {
            let option = NdiscOption::new_checked(bytes).ok()?;
            if option.option_type() != NdiscOptionType::PrefixInformation
                || bytes.len() != PREFIX_OPTION_BYTES
            {
                return None;
            }
            let word = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
            Some(PrefixInformation {
                prefix: option.prefix(),
                prefix_len: option.prefix_len(),
                is_on_link: option.prefix_flags().contains(NdiscPrefixInfoFlags::ON_LINK),
                is_autonomous: option.prefix_flags().contains(NdiscPrefixInfoFlags::ADDRCONF),
                valid_s: word(4)?,
                preferred_s: word(8)?,
            })
        })
    }

    /// Its options; the first that is none is the last.
    fn options(&self) -> impl Iterator<Item = Option<&'f [u8]>> + use<'f> {
        let mut rest = self.options;
        core::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let len = rest.get(1).map_or(0, |units| 8 * usize::from(*units));
            let option = rest.split_at_checked(len).filter(|_| len > 0);
            rest = option.map_or(&[], |(_, rest)| rest);
            Some(option.map(|(option, _)| option))
        })
    }
}

/// A router solicitation from a host with this address.
pub(crate) fn solicitation(
    hardware_address: [u8; 6],
    source: Ipv6Addr,
) -> [u8; SOLICITATION_BYTES] {
    let hardware_address = EthernetAddress(hardware_address);
    let message = Icmpv6Repr::Ndisc(NdiscRepr::RouterSolicit {
        lladdr: Some(HardwareAddress::Ethernet(hardware_address).into()),
    });
    let header = Ipv6Repr {
        src_addr: source,
        dst_addr: ALL_ROUTERS,
        next_header: IpProtocol::Icmpv6,
        payload_len: message.buffer_len(),
        hop_limit: HOP_LIMIT,
    };
    let mut bytes = [0; SOLICITATION_BYTES];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes);
    frame.set_dst_addr(ALL_ROUTERS_HARDWARE);
    frame.set_src_addr(hardware_address);
    frame.set_ethertype(EthernetProtocol::Ipv6);
    let mut packet = Ipv6Packet::new_unchecked(frame.payload_mut());
    header.emit(&mut packet);
    let mut icmp = Icmpv6Packet::new_unchecked(packet.payload_mut());
    message.emit(&source, &ALL_ROUTERS, &mut icmp, &ChecksumCapabilities::default());
    bytes
}

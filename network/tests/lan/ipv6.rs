//! Routers and prefixes.

use core::net::Ipv6Addr;

use smoltcp::wire::{EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv6Packet, Ipv6Packet};

use crate::{HOST, Lan};

const LINK_LOCAL: &str = "fe80::5054:ff:fe12:3456/64";
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// A router and what it says.
#[derive(Clone, Debug)]
struct Router {
    address: &'static str,
    lifetime_s: u16,
    /// Prefix, its length, flags, valid and preferred lifetime.
    prefixes: Vec<(&'static str, u8, u8, u32, u32)>,
    more_options: Vec<u8>,
}

/// Of a prefix: it is on the link, addresses may be made.
const ON_LINK: u8 = 0x80;
const AUTONOMOUS: u8 = 0x40;
const BOTH: u8 = ON_LINK | AUTONOMOUS;

fn router() -> Router {
    Router {
        address: "fe80::2",
        lifetime_s: 1800,
        prefixes: vec![("2001:db8::", 64, BOTH, 86_400, 14_400)],
        more_options: Vec::new(),
    }
}

impl Router {
    /// The parts of its advertisement that tests spoil.
    fn message(&self) -> Vec<u8> {
        let mut message = vec![134, 0, 0, 0, 64, 0];
        message.extend(self.lifetime_s.to_be_bytes());
        message.extend([0; 8]);
        for &(prefix, len, flags, valid_s, preferred_s) in &self.prefixes {
            message.extend([3, 4, len, flags]);
            message.extend(valid_s.to_be_bytes());
            message.extend(preferred_s.to_be_bytes());
            message.extend([0; 4]);
            message.extend(prefix.parse::<Ipv6Addr>().unwrap().octets());
        }
        message.extend(&self.more_options);
        message
    }

    fn advertisement(&self) -> Vec<u8> {
        frame(self.address.parse().unwrap(), ALL_NODES, 255, &self.message())
    }
}

/// A frame with an ICMP message, whose checksum is right.
fn frame(source: Ipv6Addr, destination: Ipv6Addr, hop_limit: u8, message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 14 + 40];
    bytes.extend(message);
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    frame.set_dst_addr(EthernetAddress([0x33, 0x33, 0, 0, 0, 1]));
    frame.set_src_addr(EthernetAddress(HOST));
    frame.set_ethertype(EthernetProtocol::Ipv6);
    let mut packet = Ipv6Packet::new_unchecked(frame.payload_mut());
    packet.set_version(6);
    packet.set_payload_len(u16::try_from(message.len()).unwrap());
    packet.set_next_header(smoltcp::wire::IpProtocol::Icmpv6);
    packet.set_hop_limit(hop_limit);
    packet.set_src_addr(source);
    packet.set_dst_addr(destination);
    Icmpv6Packet::new_unchecked(packet.payload_mut()).fill_checksum(&source, &destination);
    bytes
}

fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits
        .chars()
        .filter_map(|one| one.to_digit(16))
        .map(|one| u8::try_from(one).unwrap())
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The addresses beside the link-local one.
fn addresses(lan: &mut Lan) -> Vec<String> {
    let mut addresses = lan.addresses();
    assert_eq!(addresses.remove(0), LINK_LOCAL);
    addresses
}

/// The solicitations among frames.
fn solicitations(frames: &[Vec<u8>]) -> usize {
    frames.iter().filter(|frame| frame.get(..6) == Some(&[0x33, 0x33, 0, 0, 0, 2])).count()
}

/// The types of records in the reports of groups among frames.
fn reports(frames: &[Vec<u8>]) -> Vec<u8> {
    let is_report = |frame: &&Vec<u8>| frame.get(..6) == Some(&[0x33, 0x33, 0, 0, 0, 0x16]);
    frames.iter().filter(is_report).map(|frame| frame[14 + 40 + 8 + 8]).collect()
}

#[test]
fn an_advertisement_gives_an_address_and_a_route() {
    let mut lan = Lan::silent();
    let sent = lan.settle();
    let solicitation = sent.iter().find(|frame| frame[..6] == [0x33, 0x33, 0, 0, 0, 2]).unwrap();
    let mut expected = hex("333300000002 525400123456 86dd \
         60000000 0010 3a ff fe80000000000000505400fffe123456 ff020000000000000000000000000002 \
         85 00 0000 00000000 01 01 525400123456");
    Icmpv6Packet::new_unchecked(&mut expected[54..])
        .fill_checksum(&"fe80::5054:ff:fe12:3456".parse().unwrap(), &"ff02::2".parse().unwrap());
    assert_eq!(*solicitation, expected);
    assert_eq!(lan.addresses(), [LINK_LOCAL]);

    lan.receive(router().advertisement());
    assert_eq!(addresses(&mut lan), ["2001:db8::5054:ff:fe12:3456/64"]);
    assert_eq!(lan.routes(), ["::/0 by fe80::2", "fe80::/64", "2001:db8::/64"]);
    assert_eq!(solicitations(&lan.run_for(60_000)), 0, "there is a router");
}

#[test]
fn routers_are_asked_for_three_times() {
    let mut lan = Lan::silent();
    let times: Vec<usize> = (0..4).map(|_| solicitations(&lan.run_for(4000 - 1))).collect();
    assert_eq!(times, [1, 1, 1, 0]);
    lan.run_for(600_000);
    lan.receive(router().advertisement());
    assert_eq!(addresses(&mut lan).len(), 1, "nobody has asked for it");
}

#[test]
fn lifetimes_end() {
    let mut lan = Lan::silent();
    lan.receive(router().advertisement());
    lan.run_for(1_790_000);
    assert_eq!(lan.routes().len(), 3);
    lan.run_for(20_000);
    assert_eq!(lan.routes(), ["fe80::/64", "2001:db8::/64"], "the router's is over");
    lan.run_for(86_400_000);
    assert_eq!(addresses(&mut lan), [""; 0]);

    let for_ever = Router { prefixes: vec![("fd00::", 64, BOTH, u32::MAX, u32::MAX)], ..router() };
    lan.receive(for_ever.advertisement());
    lan.run_for(10 * 86_400_000);
    assert_eq!(addresses(&mut lan), ["fd00::5054:ff:fe12:3456/64"]);
}

#[test]
fn a_router_takes_itself_back_and_another_takes_its_place() {
    let mut lan = Lan::silent();
    let other = Router { address: "fe80::3", prefixes: Vec::new(), ..router() };
    let third = Router { address: "fe80::4", ..other.clone() };
    for one in [&router(), &other, &third] {
        lan.receive(one.advertisement());
        assert_eq!(lan.routes()[0], "::/0 by fe80::2");
    }
    lan.receive(Router { lifetime_s: 0, ..router() }.advertisement());
    assert_eq!(lan.routes()[0], "::/0 by fe80::3");
    lan.receive(Router { lifetime_s: 0, ..other }.advertisement());
    assert_eq!(lan.routes()[0], "fe80::/64", "the third was one too many");
    assert_eq!(addresses(&mut lan).len(), 1, "a prefix is not its router's");
}

/// RFC 4862, section 5.5.3 e.
#[test]
fn a_forged_lifetime_leaves_two_hours() {
    let mut lan = Lan::silent();
    let lasting = |valid_s| Router { prefixes: vec![("fd00::", 64, BOTH, valid_s, 0)], ..router() };
    lan.receive(lasting(86_400).advertisement());
    lan.receive(lasting(0).advertisement());
    lan.receive(lasting(1).advertisement());
    lan.run_for(7_190_000);
    assert_eq!(addresses(&mut lan).len(), 1);
    lan.receive(lasting(1).advertisement());
    lan.run_for(20_000);
    assert_eq!(addresses(&mut lan).len(), 0);
    lan.receive(lasting(0).advertisement());
    assert_eq!(addresses(&mut lan).len(), 0);
    lan.receive(lasting(60).advertisement());
    lan.receive(lasting(600).advertisement());
    lan.run_for(590_000);
    assert_eq!(addresses(&mut lan).len(), 1, "longer is always possible");
}

/// RFC 4861, section 4.6.2.
#[test]
fn another_router_cannot_take_a_prefix_off_the_link() {
    let mut lan = Lan::silent();
    let saying = |flags| Router {
        prefixes: vec![("2001:db8::", 64, flags, 86_400, 14_400)],
        lifetime_s: 0,
        ..router()
    };
    lan.receive(saying(AUTONOMOUS).advertisement());
    assert_eq!(lan.routes(), ["fe80::/64"]);
    for flags in [BOTH, AUTONOMOUS] {
        lan.receive(saying(flags).advertisement());
        assert_eq!(lan.routes(), ["fe80::/64", "2001:db8::/64"]);
    }
}

#[test]
fn prefixes_that_make_no_address_are_ignored() {
    let cases: [(&str, u8, u8, u32, u32); 13] = [
        ("2001:db8::", 63, BOTH, 60, 60),
        ("2001:db8::", 128, BOTH, 60, 60),
        ("2001:db8::", 255, BOTH, 60, 60),
        ("2001:db8::", 0, BOTH, 60, 60),
        ("2001:db8::", 64, ON_LINK, 60, 60),
        ("2001:db8::", 64, BOTH, 60, 61),
        ("2001:db8::", 64, BOTH, 0, 0),
        ("fe80::", 64, BOTH, 60, 60),
        ("ff00::", 64, BOTH, 60, 60),
        ("ff02::", 64, BOTH, 60, 60),
        ("::", 64, BOTH, 60, 60),
        ("::1", 64, BOTH, 60, 60),
        ("::ffff:0:0", 64, BOTH, 60, 60),
    ];
    for case in cases {
        let mut lan = Lan::silent();
        lan.receive(Router { prefixes: vec![case], ..router() }.advertisement());
        assert_eq!(addresses(&mut lan), [""; 0], "{case:?}");
    }
    let mut lan = Lan::silent();
    let off_link = Router { prefixes: vec![("fd00::", 64, AUTONOMOUS, 60, 60)], ..router() };
    lan.receive(off_link.advertisement());
    assert_eq!(addresses(&mut lan).len(), 1);
    assert_eq!(lan.routes(), ["::/0 by fe80::2", "fe80::/64"]);
}

#[test]
fn there_is_room_for_three_prefixes() {
    let mut lan = Lan::silent();
    let prefixes = ["fd00::", "fd01::", "fd02::", "fd03::"];
    let prefixes = prefixes.map(|prefix| (prefix, 64, BOTH, 60, 60)).to_vec();
    lan.receive(Router { prefixes, ..router() }.advertisement());
    let found = addresses(&mut lan);
    assert_eq!(found.len(), 3);
    assert!(found[2].starts_with("fd02::"), "{found:?}");
}

/// RFC 4861, section 6.1.2.
#[test]
fn what_is_no_advertisement_is_ignored() {
    let link_local = "fe80::2".parse().unwrap();
    let sent = |source, hop_limit, message: &[u8]| frame(source, ALL_NODES, hop_limit, message);
    let message = router().message();
    let spoiled = |at: usize, value: u8| {
        let mut message = message.clone();
        message[at] = value;
        sent(link_local, 255, &message)
    };
    let with = |options: &[u8]| {
        let router = Router { more_options: options.to_vec(), ..router() };
        router.advertisement()
    };
    let mut wrong_checksum = router().advertisement();
    wrong_checksum[14 + 40 + 2] ^= 1;
    let frames = [
        sent(link_local, 254, &message),
        sent("2001:db8::2".parse().unwrap(), 255, &message),
        sent(Ipv6Addr::UNSPECIFIED, 255, &message),
        sent(link_local, 255, &message[..15]),
        sent(link_local, 255, &message[..20]),
        sent(link_local, 255, &message[..4]),
        spoiled(0, 133),
        spoiled(1, 1),
        spoiled(17, 0),
        spoiled(17, 5),
        with(&[5, 0, 0, 0, 0, 0, 0, 0]),
        with(&[5, 2, 0, 0, 0, 0, 0, 0]),
        with(&[5]),
        wrong_checksum,
    ];
    for (index, frame) in frames.into_iter().enumerate() {
        let mut lan = Lan::silent();
        lan.receive(frame);
        assert_eq!((addresses(&mut lan).len(), lan.routes().len()), (0, 1), "{index}");
    }
    // Options that nobody knows are skipped.
    let mut lan = Lan::silent();
    lan.receive(with(&[200, 1, 0, 0, 0, 0, 0, 0]));
    assert_eq!(addresses(&mut lan).len(), 1);
    // A prefix option of another length is none.
    let mut lan = Lan::silent();
    let short =
        Router { prefixes: Vec::new(), more_options: vec![3, 1, 64, BOTH, 0, 0, 1, 0], ..router() };
    lan.receive(short.advertisement());
    assert_eq!((addresses(&mut lan).len(), &lan.routes()[0][..]), (0, "::/0 by fe80::2"));
}

/// A router's question who is in a group, the unspecified one for any.
fn query(destination: &str, group: &str) -> Vec<u8> {
    let mut message = vec![130, 0, 0, 0, 0x27, 0x10, 0, 0];
    message.extend(group.parse::<Ipv6Addr>().unwrap().octets());
    message.extend([2, 125, 0, 0]);
    let (router, destination) = ("fe80::2".parse().unwrap(), destination.parse().unwrap());
    let mut bytes = frame(router, destination, 1, &message);
    // The option goes in front of the message, whose checksum is that without it.
    bytes.splice(14 + 40..14 + 40, [58, 0, 5, 2, 0, 0, 1, 0]);
    bytes[14 + 5] += 8;
    bytes[14 + 6] = 0;
    bytes
}

#[test]
fn neighbours_find_it_behind_a_switch_that_snoops() {
    let mut lan = Lan::silent();
    let first = lan.settle();
    let report = first.iter().find(|frame| frame[..6] == [0x33, 0x33, 0, 0, 0, 0x16]).unwrap();
    let mut expected = hex("333300000016 525400123456 86dd \
         60000000 0024 00 01 fe80000000000000505400fffe123456 ff020000000000000000000000000016 \
         3a 00 0502 0000 0100 8f 00 0000 0000 0001 04 00 0000 ff0200000000000000000001ff123456");
    Icmpv6Packet::new_unchecked(&mut expected[62..])
        .fill_checksum(&"fe80::5054:ff:fe12:3456".parse().unwrap(), &"ff02::16".parse().unwrap());
    assert_eq!(*report, expected);
    assert_eq!(reports(&lan.run_for(60_000)), [4], "once more, as one may get lost");

    let solicited = "ff02::1:ff12:3456";
    assert_eq!(reports(&lan.receive(query("ff02::1", "::"))), [2]);
    assert_eq!(reports(&lan.receive(query(solicited, solicited))), [2]);
    assert_eq!(reports(&lan.run_for(60_000)), []);
    // For others, and what is none.
    let mut spoiled = query("ff02::1", "::");
    spoiled[14 + 40 + 8 + 2] ^= 1;
    let mut far = query("ff02::1", "::");
    far[14 + 7] = 2;
    let mut without_alert = query("ff02::1", "::");
    without_alert[14 + 40 + 2..14 + 40 + 8].copy_from_slice(&[1, 4, 0, 0, 0, 0]);
    let foreign = query("ff02::1:ff00:1", "ff02::1:ff00:1");
    for other in [spoiled, far, without_alert, foreign, query(solicited, "::")] {
        assert_eq!(reports(&lan.receive(other)), []);
    }
}

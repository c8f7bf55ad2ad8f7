//! Frames of every kind, spoiled in every way: the guest must neither panic nor hang, and serve on.

use core::net::{Ipv4Addr, Ipv6Addr};

use fastrand::Rng;
use smoltcp::wire::{
    Icmpv4Packet, Icmpv6Packet, IpAddress, IpProtocol, Ipv4Packet, TcpPacket, UdpPacket,
};

use crate::page::{self, Host};
use crate::{GUEST, HOST, Lan};

/// How often chance is tried.
const SEEDS: u64 = 60;

const MINE: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);

/// Addresses that mean something, or should not be there.
const IPV4: [Ipv4Addr; 9] = [
    MINE,
    Ipv4Addr::new(10, 0, 2, 2),
    Ipv4Addr::new(10, 0, 2, 255),
    Ipv4Addr::new(192, 0, 2, 1),
    Ipv4Addr::new(224, 0, 0, 1),
    Ipv4Addr::new(240, 0, 0, 1),
    Ipv4Addr::UNSPECIFIED,
    Ipv4Addr::BROADCAST,
    Ipv4Addr::LOCALHOST,
];

const IPV6: [Ipv6Addr; 8] = [
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0x5054, 0xff, 0xfe12, 0x3456),
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2),
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff12, 0x3456),
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::UNSPECIFIED,
    Ipv6Addr::LOCALHOST,
    Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0x0a00, 0x0202),
];

/// A frame that a parser goes into: right in its headers and checksums, and random in what they
/// say.
fn plausible(random: &mut Rng) -> Vec<u8> {
    let to = [GUEST, [0xff; 6], [0x33, 0x33, 0, 0, 0, 1], HOST][random.usize(..4)];
    let mut frame = [to, HOST].concat();
    match random.u8(..4) {
        0 => frame.extend(arp(random)),
        1 => frame.extend(ipv4(random)),
        _ => frame.extend(ipv6(random)),
    }
    // Some are spoiled further, which the checksums should tell.
    match random.u8(..8) {
        0 => frame.truncate(random.usize(..=frame.len())),
        1 => {
            let at = random.usize(..frame.len());
            frame[at] ^= 1 << random.u8(..8);
        }
        2 => frame.extend(bytes(random, 40)),
        _ => {}
    }
    frame.truncate(network::FRAME_BYTES);
    frame
}

fn bytes(random: &mut Rng, most: usize) -> Vec<u8> {
    let len = random.usize(..=most);
    let telling = [0, 1, 2, 3, 4, 8, 64, 0x7f, 0xff];
    let byte = || telling.get(random.usize(..12)).copied().unwrap_or_else(|| random.u8(..));
    core::iter::repeat_with(byte).take(len).collect()
}

fn arp(random: &mut Rng) -> Vec<u8> {
    let mut packet = vec![8, 6, 0, 1, 8, 0, 6, 4, 0, random.u8(..4)];
    packet.extend(if random.bool() { HOST } else { [random.u8(..); 6] });
    packet.extend(IPV4[random.usize(..IPV4.len())].octets());
    packet.extend(GUEST);
    packet.extend(IPV4[random.usize(..IPV4.len())].octets());
    packet
}

fn ipv4(random: &mut Rng) -> Vec<u8> {
    let source = IPV4[random.usize(..IPV4.len())];
    let destination = if random.bool() { MINE } else { IPV4[random.usize(..IPV4.len())] };
    let protocol = [1, 2, 6, 17, 41, 58, random.u8(..)][random.usize(..7)];
    let payload = payload(random, protocol, &|kind, payload| match kind {
        1 => Icmpv4Packet::new_unchecked(payload).fill_checksum(),
        6 => TcpPacket::new_unchecked(payload).fill_checksum(&source.into(), &destination.into()),
        17 => UdpPacket::new_unchecked(payload).fill_checksum(&source.into(), &destination.into()),
        _ => {}
    });
    let options = 4 * random.usize(..3);
    let mut packet = vec![0; 20 + options];
    packet.extend(&payload);
    let len = u16::try_from(packet.len()).unwrap();
    let mut header = Ipv4Packet::new_unchecked(&mut packet[..]);
    header.set_version(4);
    header.set_header_len(u8::try_from(20 + options).unwrap());
    header.set_total_len(if random.u8(..8) == 0 { random.u16(..) } else { len });
    header.set_more_frags(random.u8(..8) == 0);
    header.set_frag_offset(if random.u8(..8) == 0 { 8 * random.u16(..100) } else { 0 });
    header.set_hop_limit(random.u8(..));
    header.set_next_header(IpProtocol::from(protocol));
    header.set_src_addr(source);
    header.set_dst_addr(destination);
    header.fill_checksum();
    [&[8, 0][..], &packet].concat()
}

fn ipv6(random: &mut Rng) -> Vec<u8> {
    let source = IPV6[random.usize(..IPV6.len())];
    let destination = IPV6[random.usize(..IPV6.len())];
    let protocol = [0, 6, 17, 43, 44, 58, 58, 58, random.u8(..)][random.usize(..9)];
    let payload = payload(random, protocol, &|kind, payload| match kind {
        6 => TcpPacket::new_unchecked(payload).fill_checksum(&source.into(), &destination.into()),
        58 => Icmpv6Packet::new_unchecked(payload).fill_checksum(&source, &destination),
        17 => UdpPacket::new_unchecked(payload).fill_checksum(&source.into(), &destination.into()),
        _ => {}
    });
    let len = u16::try_from(payload.len()).unwrap();
    let len = if random.u8(..8) == 0 { random.u16(..) } else { len };
    let mut packet = vec![0x86, 0xdd, 0x60, 0, 0, 0];
    packet.extend(len.to_be_bytes());
    packet.extend([protocol, if random.bool() { 255 } else { random.u8(..) }]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(payload);
    packet
}

/// What a protocol carries, with the right checksum where it has one.
fn payload(random: &mut Rng, protocol: u8, fill: &dyn Fn(u8, &mut [u8])) -> Vec<u8> {
    let mut payload = bytes(random, 120);
    match protocol {
        6 => {
            payload.resize(payload.len().max(20), 0);
            payload[2..4].copy_from_slice(&[0, if random.bool() { 80 } else { random.u8(..) }]);
            payload[12] = [0x50, 0x60, 0xf0, random.u8(..)][random.usize(..4)];
            payload[13] = [2, 0x10, 0x11, 4, random.u8(..)][random.usize(..5)];
            fill(6, &mut payload);
        }
        17 => {
            payload.resize(payload.len().max(8), 0);
            let len = u16::try_from(payload.len()).unwrap();
            payload[..4].copy_from_slice(&[0, 67, 0, 68]);
            payload[4..6].copy_from_slice(&len.to_be_bytes());
            fill(17, &mut payload);
        }
        1 | 58 => {
            payload.resize(payload.len().max(24), 0);
            let kinds = [128, 129, 130, 131, 132, 133, 134, 134, 135, 136, 137, 143];
            if protocol == 58 && random.u8(..8) > 0 {
                payload[0] = kinds[random.usize(..kinds.len())];
                payload[1] = 0;
            }
            fill(protocol, &mut payload);
        }
        _ => {}
    }
    payload
}

#[test]
fn any_frame_is_survived() {
    for seed in 0..SEEDS {
        let mut random = Rng::with_seed(seed);
        let mut lan = Lan::leased();
        for _ in 0..2000 {
            let frame = plausible(&mut random);
            lan.cable.deliver(frame);
            if random.u8(..4) == 0 {
                lan.now_ms += [0, 1, 100, 5000][random.usize(..4)];
                lan.settle();
            }
        }
        lan.settle();
        // Everything it learned is over in the end, and it serves on.
        lan.run_for(300 * 1000);
        lan.network.interfaces_mut().for_each(network::Interface::renew);
        lan.run_for(100);
        assert_eq!(lan.addresses()[0], "10.0.2.15/24", "seed {seed}");
    }
}

#[test]
fn noise_is_survived() {
    let mut random = Rng::with_seed(1);
    let mut lan = Lan::leased();
    for len in (0..=network::FRAME_BYTES).cycle().take(6000) {
        let frame: Vec<u8> = core::iter::repeat_with(|| random.u8(..)).take(len).collect();
        lan.cable.deliver(frame);
        lan.settle();
    }
    assert_eq!(lan.addresses()[0], "10.0.2.15/24");
}

/// A counter may jump when a machine is stopped and goes on elsewhere.
#[test]
fn any_time_is_survived() {
    let latest = i64::MAX.unsigned_abs();
    for now_ms in [latest / 1000 - 1, latest / 1000 + 1, latest, u64::MAX - 1, u64::MAX] {
        let mut lan = Lan::leased();
        lan.now_ms = now_ms;
        lan.settle();
        assert_ne!(lan.network.longest_sleep_ms(now_ms), Some(0), "{now_ms}");
        lan.now_ms = 5000;
        lan.network.interfaces_mut().for_each(network::Interface::renew);
        lan.run_for(100);
        assert_eq!(lan.addresses()[0], "10.0.2.15/24", "{now_ms}");
    }
}

/// DHCP messages in every state of the client, with its transaction, and odd in all they say.
#[test]
fn any_dhcp_message_is_survived() {
    for seed in 0..SEEDS {
        let mut random = Rng::with_seed(seed);
        let mut lan = Lan::silent();
        let source = IPV4[random.usize(..IPV4.len())];
        let mut server = crate::Server { source, ..crate::Server::default() };
        for _ in 0..200 {
            lan.now_ms += [1, 100, 3000, 100_000][random.usize(..4)];
            for frame in lan.settle() {
                let Some(mut answer) = server.answer(&frame) else { continue };
                // Behind the transaction and the client's address: options.
                let options = 14 + 20 + 8 + 236 + 4;
                if answer.len() < options {
                    // Where the server is.
                    lan.cable.deliver(answer);
                    continue;
                }
                for _ in 0..random.usize(..4) {
                    let at = random.usize(options..answer.len());
                    answer[at] = bytes(&mut random, 1).first().copied().unwrap_or(random.u8(..));
                }
                // The offered address.
                for byte in &mut answer[14 + 20 + 8 + 16..][..4] {
                    if random.u8(..8) == 0 {
                        *byte = [0, 0xe0, 0xff, random.u8(..)][random.usize(..4)];
                    }
                }
                // Without a checksum it is right.
                answer[14 + 20 + 6..14 + 20 + 8].fill(0);
                lan.cable.deliver(answer);
                let _ = lan.network.turn(&mut crate::Described, lan.now_ms);
                let _ = (lan.addresses(), lan.routes());
            }
        }
        lan.server = Some(crate::Server::default());
        lan.network.interfaces_mut().for_each(network::Interface::renew);
        lan.run_for(200_000);
        assert_eq!(lan.addresses()[0], "10.0.2.15/24", "seed {seed}");
    }
}

/// Clients whose packets get lost, come twice, and say what they should not, with the right checksum.
#[test]
fn any_client_is_survived() {
    for seed in 0..SEEDS {
        let mut random = Rng::with_seed(seed);
        let mut host = Host::new();
        let mut fate = random.fork();
        host.tamper = Box::new(move |frame| tampered(&mut fate, frame));
        for _ in 0..6 {
            let to = [page::GUEST, page::GUEST_IPV6][random.usize(..2)];
            let client = host.connect(to, 80, 4096);
            for part in [&b"GET / HT"[..], b"TP/1.0\r\n\r\n", &[b'x'; 3000]] {
                host.try_send(client, part);
                host.run_for([0, 100, 1000][random.usize(..3)]);
            }
            host.forget(client);
        }
        host.tamper = Box::new(|frame| vec![frame]);
        host.run_for(2 * network::CONNECTION_MS);
        let answer = host.ask(page::GUEST, b"GET / HTTP/1.0\r\n\r\n");
        assert!(answer.ends_with(page::PAGE), "seed {seed}: {answer}");
        // And nothing of it keeps the guest awake.
        host.run_for(5000);
        let sleep_ms = host.lan.network.longest_sleep_ms(host.lan.now_ms);
        assert!(sleep_ms > Some(60_000), "seed {seed}: {sleep_ms:?}");
    }
}

/// What becomes of a TCP segment on its way.
fn tampered(random: &mut Rng, mut frame: Vec<u8>) -> Vec<Vec<u8>> {
    let (start, addresses) = match frame.get(12..14) {
        Some([8, 0]) if frame[23] == 6 => (34, 26..34),
        Some([0x86, 0xdd]) if frame[20] == 6 => (54, 22..54),
        _ => return vec![frame],
    };
    match random.u8(..8) {
        0 => return Vec::new(),
        1 => return vec![frame.clone(), frame],
        2..=5 => {}
        _ => return vec![frame],
    }
    for _ in 0..random.u8(1..4) {
        // Of the header more often than of the rest; the ports stay.
        let most = if random.bool() { frame.len().min(start + 32) } else { frame.len() };
        let at = random.usize(start + 4..most);
        frame[at] = if random.bool() { random.u8(..) } else { frame[at] ^ 1 << random.u8(..8) };
    }
    let (source, destination) = {
        let addresses = &frame[addresses];
        let (source, destination) = addresses.split_at(addresses.len() / 2);
        let address = |bytes: &[u8]| match bytes {
            [a, b, c, d] => Ipv4Addr::new(*a, *b, *c, *d).into(),
            bytes => IpAddress::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).unwrap())),
        };
        (address(source), address(destination))
    };
    let segment = &mut frame[start..];
    TcpPacket::new_unchecked(segment).fill_checksum(&source, &destination);
    vec![frame]
}

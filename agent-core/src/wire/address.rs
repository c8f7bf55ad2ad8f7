//! Network addresses, as C's `inet_ntop` writes them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::Vec;

use super::number::Written;

/// The text of an address: the longest is `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255`.
pub(crate) type AddressText = Vec<u8, 45>;

/// An IP address. Of IPv6 the longest run of zero groups, the first of several, is `::`, and what
/// maps or contains an IPv4 address ends in its four numbers, as in glibc.
pub(crate) fn ip(address: IpAddr) -> AddressText {
    let mut text = AddressText::new();
    match address {
        IpAddr::V4(address) => write_v4(&mut text, address),
        IpAddr::V6(address) => write_v6(&mut text, address),
    }
    text
}

/// A link-layer address, such as `52:54:00:12:34:56`.
pub(crate) fn hardware(address: [u8; 6]) -> AddressText {
    let mut text = AddressText::new();
    for byte in address {
        if !text.is_empty() {
            push(&mut text, b":");
        }
        push(&mut text, &[hexadecimal(byte >> 4), hexadecimal(byte)]);
    }
    text
}

fn write_v4(text: &mut AddressText, address: Ipv4Addr) {
    for (byte, number) in address.octets().into_iter().zip(0..) {
        if number > 0 {
            push(text, b".");
        }
        push(text, Written::unsigned(byte.into()).as_bytes());
    }
}

fn write_v6(text: &mut AddressText, address: Ipv6Addr) {
    let groups = address.segments();
    let (start, length) = longest_zeros(groups);
    let [a, b, c, d] = {
        let [.., a, b, c, d] = address.octets();
        [a, b, c, d]
    };
    let ends_in_v4 = start == 0 && (length == 6 || (length == 5 && groups[5] == 0xFFFF));
    for (group, at) in groups.into_iter().zip(0_usize..) {
        if at >= start && at < start.saturating_add(length) {
            if at == start {
                push(text, b":");
            }
            continue;
        }
        if at > 0 {
            push(text, b":");
        }
        if ends_in_v4 && at == 6 {
            write_v4(text, Ipv4Addr::new(a, b, c, d));
            return;
        }
        write_group(text, group);
    }
    if length > 0 && start.saturating_add(length) == groups.len() {
        push(text, b":");
    }
}

/// Where the longest run of at least two zero groups begins, and its length; 0 where there is none.
fn longest_zeros(groups: [u16; 8]) -> (usize, usize) {
    let (mut best, mut run) = ((0_usize, 1_usize), (0_usize, 0_usize));
    for (group, at) in groups.into_iter().zip(1_usize..) {
        run = if group == 0 { (run.0, run.1.saturating_add(1)) } else { (at, 0) };
        if run.1 > best.1 {
            best = run;
        }
    }
    if best.1 > 1 { best } else { (0, 0) }
}

/// Without leading zeros.
fn write_group(text: &mut AddressText, group: u16) {
    let [high, low] = group.to_be_bytes();
    let digits = [high >> 4, high & 0xF, low >> 4, low & 0xF];
    let mut written = false;
    for (digit, place) in digits.into_iter().zip(0..) {
        written = written || digit != 0 || place == 3;
        if written {
            push(text, &[hexadecimal(digit)]);
        }
    }
}

/// The digit for the lower four bits.
fn hexadecimal(byte: u8) -> u8 {
    match byte & 0xF {
        digit @ 0..=9 => b'0'.wrapping_add(digit),
        digit => b'a'.wrapping_add(digit.wrapping_sub(10)),
    }
}

/// There is room for the longest.
fn push(text: &mut AddressText, bytes: &[u8]) {
    let _ = text.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// glibc's `inet_ntop`.
    #[test]
    fn addresses() {
        for text in [
            "0.0.0.0",
            "10.0.2.15",
            "255.255.255.255",
            "::",
            "::1",
            "1::",
            "fe80::5054:ff:fe12:3456",
            "fec0::1:0:0:1",
            "1:2:3:4:5:6:7:8",
            "1:0:3:4:5:6:7:8",
            "1::4:5:0:0:8",
            "2001:db8::",
            "::ffff:10.0.2.15",
            "::10.0.2.15",
            "::fffe:0:10",
            "64:ff9b::a00:20f",
            "::2:3:4:5:6:7:8",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "abc:def:12:3:0:fff0:f0f:f",
        ] {
            let address: IpAddr = text.parse().unwrap();
            // glibc does not shorten a single zero group.
            let expected = text.replace("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8");
            assert_eq!(str::from_utf8(&ip(address)), Ok(expected.as_str()));
        }
    }

    #[test]
    fn hardware_addresses() {
        assert_eq!(hardware([0x52, 0x54, 0, 0x12, 0x34, 0xFF]), b"52:54:00:12:34:ff");
    }
}

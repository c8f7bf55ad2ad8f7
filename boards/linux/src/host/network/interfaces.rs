//! Interfaces: getifaddrs(3), which asks the kernel by netlink, and `/proc/net/dev` (proc(5)).

use agent_core::{InterfaceAddress, InterfaceStatistics};
use nix::sys::socket::SockaddrStorage;
use rustix::io::Errno;

/// An interface, or the label of some of its addresses.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) hardware_address: Option<[u8; 6]>,
    pub(super) addresses: Vec<InterfaceAddress>,
}

/// What the kernel tells of an interface at a time.
#[derive(Clone, Copy, Debug)]
enum Fact {
    Link([u8; 6]),
    Address(InterfaceAddress),
    Other,
}

/// The interfaces, in the order of their numbers, then the labels.
pub(super) fn read() -> Result<Vec<Found>, Errno> {
    let entries =
        nix::ifaddrs::getifaddrs().map_err(|error| Errno::from_raw_os_error(error as i32))?;
    Ok(gather(entries.map(|entry| {
        let fact = fact(entry.address.as_ref(), entry.netmask.as_ref());
        (entry.interface_name, fact)
    })))
}

fn fact(address: Option<&SockaddrStorage>, netmask: Option<&SockaddrStorage>) -> Fact {
    // A link without an address of its own, such as a tunnel, has zeros for SIOCGIFHWADDR
    // (netdevice(7)), and so for qemu-ga.
    let Some(address) = address else { return Fact::Link([0; 6]) };
    if let Some(link) = address.as_link_addr() {
        // The first six bytes, of however many.
        return Fact::Link(link.addr().unwrap_or_default());
    }
    let (address, mask) = if let Some(address) = address.as_sockaddr_in() {
        let mask = netmask.and_then(SockaddrStorage::as_sockaddr_in);
        (address.ip().into(), mask.map_or(0, |mask| u32::from(mask.ip()).count_ones()))
    } else if let Some(address) = address.as_sockaddr_in6() {
        let mask = netmask.and_then(SockaddrStorage::as_sockaddr_in6);
        (address.ip().into(), mask.map_or(0, |mask| u128::from(mask.ip()).count_ones()))
    } else {
        return Fact::Other;
    };
    let prefix = u8::try_from(mask).unwrap_or(u8::MAX);
    Fact::Address(InterfaceAddress { address, prefix })
}

/// Puts together what is known under a name. IPv4 addresses may have a label instead of their
/// interface's name: that, a colon and more.
fn gather(facts: impl Iterator<Item = (String, Fact)>) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for (name, fact) in facts {
        let known = found.iter().position(|known| known.name == name).unwrap_or_else(|| {
            let link = name.split(':').next().unwrap_or_default();
            let link = found.iter().find(|known| known.name == link);
            let hardware_address = link.and_then(|link| link.hardware_address);
            found.push(Found { name, hardware_address, addresses: Vec::new() });
            found.len() - 1
        });
        match fact {
            Fact::Link(address) => found[known].hardware_address = Some(address),
            Fact::Address(address) => found[known].addresses.push(address),
            Fact::Other => {}
        }
    }
    found
}

/// What has passed through an interface, if `/proc/net/dev` has it.
pub(super) fn statistics(counters: &str, name: &str) -> Option<InterfaceStatistics> {
    let line = counters.lines().find_map(|line| {
        let (interface, line) = line.split_once(':')?;
        (interface.trim_start() == name).then_some(line)
    })?;
    let counters = line.split_ascii_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>();
    let [rx_bytes, rx_packets, rx_errors, rx_dropped, _, _, _, _, sent @ ..] = &*counters.ok()?
    else {
        return None;
    };
    let [tx_bytes, tx_packets, tx_errors, tx_dropped, _, _, _, _] = sent else { return None };
    Some(InterfaceStatistics {
        rx_bytes: *rx_bytes,
        rx_packets: *rx_packets,
        rx_errors: *rx_errors,
        rx_dropped: *rx_dropped,
        tx_bytes: *tx_bytes,
        tx_packets: *tx_packets,
        tx_errors: *tx_errors,
        tx_dropped: *tx_dropped,
    })
}

#[cfg(test)]
mod tests {
    use core::net::{SocketAddrV4, SocketAddrV6};

    use super::*;

    const COUNTERS: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:   14567     200    0    0    0     0          0         0    14567     200    0    0    0     0       0          0
  eth0:18446744073709551615 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16
 short: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
 wrong: 1 2 3 4 5 6 7 8 9 10 11 -12 13 14 15 16
";

    fn ipv4(address: [u8; 4], mask: [u8; 4]) -> Fact {
        let storage = |address: [u8; 4]| SocketAddrV4::new(address.into(), 0).into();
        fact(Some(&storage(address)), Some(&storage(mask)))
    }

    fn ipv6(address: &str, mask: Option<&str>) -> Fact {
        let storage = |address: &str| -> SockaddrStorage {
            SocketAddrV6::new(address.parse().unwrap(), 0, 0, 2).into()
        };
        fact(Some(&storage(address)), mask.map(storage).as_ref())
    }

    fn address(address: &str, prefix: u8) -> InterfaceAddress {
        InterfaceAddress { address: address.parse().unwrap(), prefix }
    }

    #[test]
    fn facts_are_put_together() {
        let mac = [2, 0xFC, 0, 0, 0, 1];
        let facts = [
            ("lo", Fact::Link([0; 6])),
            ("tun0", fact(None, None)),
            ("eth0", Fact::Link(mac)),
            ("lo", ipv4([127, 0, 0, 1], [255, 0, 0, 0])),
            ("eth0", ipv4([192, 0, 2, 2], [255, 255, 255, 0])),
            ("eth0", ipv4([192, 0, 2, 3], [255, 255, 255, 0])),
            ("eth0:1", ipv4([198, 51, 100, 7], [255, 255, 255, 255])),
            ("tun0", ipv4([10, 0, 0, 1], [0, 0, 0, 0])),
            ("eth0", ipv6("fe80::1", Some("ffff:ffff:ffff:ffff::"))),
            ("eth0", ipv6("2001:db8::1", None)),
            ("eth0", Fact::Other),
        ];
        let found = gather(facts.into_iter().map(|(name, fact)| (name.to_owned(), fact)));
        let expected = |name: &str, hardware_address, addresses: &[_]| Found {
            name: name.to_owned(),
            hardware_address,
            addresses: addresses.to_vec(),
        };
        assert_eq!(
            found,
            [
                expected("lo", Some([0; 6]), &[address("127.0.0.1", 8)]),
                expected("tun0", Some([0; 6]), &[address("10.0.0.1", 0)]),
                expected(
                    "eth0",
                    Some(mac),
                    &[
                        address("192.0.2.2", 24),
                        address("192.0.2.3", 24),
                        address("fe80::1", 64),
                        address("2001:db8::1", 0),
                    ]
                ),
                expected("eth0:1", Some(mac), &[address("198.51.100.7", 32)]),
            ]
        );
    }

    #[test]
    fn counters() {
        let loopback = InterfaceStatistics {
            rx_bytes: 14567,
            rx_packets: 200,
            tx_bytes: 14567,
            tx_packets: 200,
            ..Default::default()
        };
        assert_eq!(statistics(COUNTERS, "lo"), Some(loopback));
        let ethernet = InterfaceStatistics {
            rx_bytes: u64::MAX,
            rx_packets: 2,
            rx_errors: 3,
            rx_dropped: 4,
            tx_bytes: 9,
            tx_packets: 10,
            tx_errors: 11,
            tx_dropped: 12,
        };
        assert_eq!(statistics(COUNTERS, "eth0"), Some(ethernet));
        for name in ["eth", "eth0:1", "short", "wrong", "", "face"] {
            assert_eq!(statistics(COUNTERS, name), None, "{name}");
        }
    }

    #[test]
    fn this_machine_talks_to_itself() {
        let found = read().unwrap();
        assert!(found.iter().any(|found| found.name == "lo"), "{found:?}");
    }
}

//! Routes: the lines of `/proc/net/route` and `/proc/net/ipv6_route` (Linux, `fib_route_seq_show`
//! and `rt6_info_route`).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use agent_core::{InterfaceAddress, Route, RouteDetails};
use rustix::io::Errno;

use crate::host::kernel_files::number;

/// Reads a line of IPv4: decimal numbers, but addresses and flags are hexadecimal.
pub(super) fn ipv4(line: &str) -> Result<Route<'_>, Errno> {
    let mut fields = fields(line);
    let mut next = || fields.next().ok_or(Errno::BADMSG);
    let interface = next()?;
    let destination = ipv4_address(next()?)?;
    let gateway = ipv4_address(next()?)?;
    let flags = hexadecimal(next()?)?.into();
    let references = number(next()?)?;
    let uses = number(next()?)?;
    let metric = number(next()?)?;
    let mask = ipv4_address(next()?)?;
    let (mtu, window, round_trip) = (number(next()?)?, number(next()?)?, number(next()?)?);
    // A mask has no more than 32 bits.
    let prefix = u8::try_from(u32::from(mask).count_ones()).unwrap_or_default();
    Ok(Route {
        interface,
        destination: InterfaceAddress { address: destination.into(), prefix },
        source: None,
        gateway: (!gateway.is_unspecified()).then_some(gateway.into()),
        metric,
        flags,
        details: RouteDetails {
            references: Some(references),
            uses: Some(uses),
            mtu: Some(mtu),
            window: Some(window),
            initial_round_trip_ms: Some(round_trip),
        },
    })
}

/// Reads a line of IPv6: hexadecimal numbers.
pub(super) fn ipv6(line: &str) -> Result<Route<'_>, Errno> {
    let mut fields = fields(line);
    let mut next = || fields.next().ok_or(Errno::BADMSG);
    let mut network = || {
        let address = ipv6_address(next()?)?;
        let prefix = u8::from_str_radix(next()?, 16).map_err(|_| Errno::BADMSG)?;
        Ok(InterfaceAddress { address: address.into(), prefix })
    };
    let destination = network()?;
    let source: InterfaceAddress = network()?;
    let gateway = ipv6_address(next()?)?;
    // Other programs read these into an `int`: the metric of a route to nowhere is -1.
    let metric = signed(hexadecimal(next()?)?);
    let references = signed(hexadecimal(next()?)?);
    let uses = signed(hexadecimal(next()?)?);
    let flags = hexadecimal(next()?)?.into();
    let for_everybody = source.prefix == 0 && source.address == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    Ok(Route {
        interface: next()?,
        destination,
        source: (!for_everybody).then_some(source),
        gateway: (!gateway.is_unspecified()).then_some(gateway.into()),
        metric,
        flags,
        details: RouteDetails {
            references: Some(references),
            uses: Some(uses),
            ..RouteDetails::default()
        },
    })
}

fn fields(line: &str) -> impl Iterator<Item = &str> {
    line.split_ascii_whitespace()
}

fn hexadecimal(text: &str) -> Result<u32, Errno> {
    u32::from_str_radix(text, 16).map_err(|_| Errno::BADMSG)
}

fn signed(number: u32) -> i64 {
    number.cast_signed().into()
}

/// The bytes of an address, as they lie in memory, read as a number.
fn ipv4_address(text: &str) -> Result<Ipv4Addr, Errno> {
    Ok(hexadecimal(text)?.to_ne_bytes().into())
}

/// The bytes of an address, one after the other.
fn ipv6_address(text: &str) -> Result<Ipv6Addr, Errno> {
    let address = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32);
    address.map(Ipv6Addr::from_bits).ok_or(Errno::BADMSG)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(address: &str, prefix: u8) -> InterfaceAddress {
        InterfaceAddress { address: address.parse().unwrap(), prefix }
    }

    #[test]
    fn lines_of_ipv4() {
        let check = |line, destination, gateway: Option<&str>, metric, flags, numbers: [i64; 5]| {
            let route = ipv4(line).unwrap();
            let gateway = gateway.map(|gateway| gateway.parse().unwrap());
            let [references, uses, mtu, window, round_trip] = numbers.map(Some);
            let details =
                RouteDetails { references, uses, mtu, window, initial_round_trip_ms: round_trip };
            assert_eq!(route.interface, "eth0");
            assert_eq!((route.destination, route.source), (destination, None), "{line}");
            assert_eq!((route.gateway, route.metric), (gateway, metric), "{line}");
            assert_eq!((route.flags, route.details), (flags, details), "{line}");
        };
        check(
            "eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0   ",
            address("0.0.0.0", 0),
            Some("192.0.2.1"),
            100,
            3,
            [0; 5],
        );
        check(
            "eth0\t000200C0\t00000000\t0001\t1\t2\t0\t00FFFFFF\t1500\t4\t5",
            address("192.0.2.0", 24),
            None,
            0,
            1,
            [1, 2, 1500, 4, 5],
        );
    }

    #[test]
    fn lines_of_ipv6() {
        let line = "20010db8000000000000000000000000 40 20010db8000100000000000000000000 30 \
                    fe800000000000000000000000000001 00000400 00000002 0000000a 00000003     eth0";
        let route = ipv6(line).unwrap();
        assert_eq!(route.interface, "eth0");
        assert_eq!(route.destination, address("2001:db8::", 64));
        assert_eq!(route.source, Some(address("2001:db8:1::", 48)));
        assert_eq!(route.gateway, Some("fe80::1".parse().unwrap()));
        assert_eq!((route.metric, route.flags), (1024, 3));
        let details =
            RouteDetails { references: Some(2), uses: Some(10), ..RouteDetails::default() };
        assert_eq!(route.details, details);

        let nowhere = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                       00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo";
        let route = ipv6(nowhere).unwrap();
        assert_eq!(route.interface, "lo");
        assert_eq!(route.destination, address("::", 0));
        assert_eq!((route.source, route.gateway), (None, None));
        assert_eq!((route.metric, route.flags), (-1, 0x0020_0200));
    }

    #[test]
    fn lines_that_are_none() {
        for line in [
            "",
            "eth0",
            "eth0 00000000 010200C0 0003 0 0 100 00000000 0 0",
            "eth0 100000000 010200C0 0003 0 0 100 00000000 0 0 0",
            "eth0 00000000 010200C0 0003 0 0 much 00000000 0 0 0",
        ] {
            assert_eq!(ipv4(line).map(|_| ()), Err(Errno::BADMSG), "{line}");
        }
        let zero = "00000000000000000000000000000000";
        for line in [
            format!("{zero} 00 {zero} 00 {zero} 0 0 0 0"),
            format!("{zero} 100 {zero} 00 {zero} 0 0 0 0 lo"),
            format!("{zero}0 00 {zero} 00 {zero} 0 0 0 0 lo"),
            format!("{zero} 00 {zero} 00 0 0 0 0 0 lo"),
            format!("{zero} 00 {zero} 00 {zero} x 0 0 0 lo"),
        ] {
            assert_eq!(ipv6(&line).map(|_| ()), Err(Errno::BADMSG), "{line}");
        }
    }
}

//! `guest-network-get-interfaces` and `guest-network-get-route`.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Call, Command, Needs, call::present};
use crate::{
    board::Board,
    capability::{Interface, InterfaceAddress, InterfaceStatistics, Route, RouteDetails},
    error::Error,
    wire::{ReplyWriter, Written, hardware, ip},
};

pub(super) const GET_INTERFACES: Command = Command {
    about: "Lists the network interfaces and their addresses.",
    returns: "['GuestNetworkInterface']",
    needs: Needs::Network,
    ..Command::new("guest-network-get-interfaces", "1.1")
};

pub(super) const GET_ROUTE: Command = Command {
    about: "Lists the routes.",
    returns: "['GuestNetworkRoute']",
    needs: Needs::Network,
    ..Command::new("guest-network-get-route", "9.1")
};

/// Lists the network interfaces and their addresses.
pub(super) fn get_interfaces<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let reply = &mut *call.reply;
    reply.begin_array();
    present(call.board.network())?
        .interfaces(&mut |interface| write_interface(reply, interface))
        .map_err(Error::failed("getifaddrs failed"))?;
    reply.end_array();
    Ok(())
}

fn write_interface(reply: &mut ReplyWriter<'_>, interface: &Interface<'_>) {
    reply.begin_object();
    reply.key("name").string(interface.name.as_bytes());
    if !interface.addresses.is_empty() {
        reply.key("ip-addresses").begin_array();
        for InterfaceAddress { address, prefix } in interface.addresses {
            let kind: &[u8] = if address.is_ipv4() { b"ipv4" } else { b"ipv6" };
            reply.begin_object();
            reply.key("ip-address-type").string(kind);
            reply.key("ip-address").string(&ip(*address));
            reply.key("prefix").unsigned((*prefix).into()).end_object();
        }
        reply.end_array();
    }
    if let Some(statistics) = &interface.statistics {
        reply.key("statistics");
        write_statistics(reply, statistics);
    }
    if let Some(address) = interface.hardware_address {
        reply.key("hardware-address").string(&hardware(address));
    }
    reply.end_object();
}

fn write_statistics(reply: &mut ReplyWriter<'_>, statistics: &InterfaceStatistics) {
    reply.begin_object();
    for (key, count) in [
        ("tx-packets", statistics.tx_packets),
        ("tx-errs", statistics.tx_errors),
        ("rx-bytes", statistics.rx_bytes),
        ("rx-dropped", statistics.rx_dropped),
        ("rx-packets", statistics.rx_packets),
        ("rx-errs", statistics.rx_errors),
        ("tx-bytes", statistics.tx_bytes),
        ("tx-dropped", statistics.tx_dropped),
    ] {
        reply.key(key).unsigned(count);
    }
    reply.end_object();
}

/// Lists the routes.
pub(super) fn get_route<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let reply = &mut *call.reply;
    reply.begin_array();
    present(call.board.network())?
        .routes(&mut |route| write_route(reply, route))
        .map_err(Error::failed("open(\\\"/proc/net/route\\\")"))?;
    reply.end_array();
    Ok(())
}

/// IPv4 and IPv6 have members of their own: a mask and a gateway, or lengths of prefixes (as
/// strings), a source and a next hop. Where there is none, that is the unspecified address.
fn write_route(reply: &mut ReplyWriter<'_>, route: &Route<'_>) {
    let InterfaceAddress { address: destination, prefix } = route.destination;
    let is_v4 = destination.is_ipv4();
    let RouteDetails { references, uses, mtu, window, initial_round_trip_ms } = route.details;
    let source = route
        .source
        .unwrap_or(InterfaceAddress { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), prefix: 0 });
    reply.begin_object().key("flags").unsigned(route.flags);
    if !is_v4 {
        reply.key("source").string(&ip(source.address));
    }
    reply.key("metric").integer(route.metric);
    write_some(reply, "refcnt", references);
    write_some(reply, "window", window);
    reply.key("version").unsigned(if is_v4 { 4 } else { 6 });
    if !is_v4 {
        let next_hop = route.gateway.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        reply.key("nexthop").string(&ip(next_hop));
    }
    reply.key("iface").string(route.interface.as_bytes());
    reply.key("destination").string(&ip(destination));
    if !is_v4 {
        write_length(reply, "desprefixlen", prefix);
    }
    write_some(reply, "irtt", initial_round_trip_ms);
    if is_v4 {
        let gateway = route.gateway.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        reply.key("gateway").string(&ip(gateway));
    } else {
        write_length(reply, "srcprefixlen", source.prefix);
    }
    write_some(reply, "use", uses);
    write_some(reply, "mtu", mtu);
    if is_v4 {
        reply.key("mask").string(&ip(IpAddr::V4(mask(prefix))));
    }
    reply.end_object();
}

fn write_some(reply: &mut ReplyWriter<'_>, key: &str, value: Option<i64>) {
    if let Some(value) = value {
        reply.key(key).integer(value);
    }
}

/// The length of a prefix, which the schema has as a string.
fn write_length(reply: &mut ReplyWriter<'_>, key: &str, prefix: u8) {
    reply.key(key).string(Written::unsigned(prefix.into()).as_bytes());
}

/// The mask of a prefix of IPv4.
fn mask(prefix: u8) -> Ipv4Addr {
    let zeros = 32_u32.saturating_sub(prefix.into());
    Ipv4Addr::from_bits(u32::MAX.checked_shl(zeros).unwrap_or(0))
}

//! The capability to tell what the guest's network is.

use core::net::IpAddr;

use super::Errno;

/// The network of a guest.
pub trait Network {
    /// Shows every interface to `visit`; none where there is no network.
    ///
    /// # Errors
    ///
    /// Why the interfaces cannot be listed.
    fn interfaces(&mut self, visit: &mut dyn FnMut(&Interface<'_>)) -> Result<(), Errno>;

    /// Shows every route to `visit`.
    ///
    /// # Errors
    ///
    /// Why the routes cannot be listed.
    fn routes(&mut self, visit: &mut dyn FnMut(&Route<'_>)) -> Result<(), Errno>;
}

/// A network interface.
#[derive(Clone, Copy, Debug)]
pub struct Interface<'n> {
    /// Its name, such as `eth0`.
    pub name: &'n str,
    /// Its link-layer address, where it has one.
    pub hardware_address: Option<[u8; 6]>,
    /// Its addresses.
    pub addresses: &'n [InterfaceAddress],
    /// What has passed through it, where that is counted.
    pub statistics: Option<InterfaceStatistics>,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The address.
    pub address: IpAddr,
    /// How many of its bits are those of the network.
    pub prefix: u8,
}

/// What has passed through an interface since the guest has started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceStatistics {
    /// Bytes received.
    pub rx_bytes: u64,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets that came damaged.
    pub rx_errors: u64,
    /// Packets that came and found no room.
    pub rx_dropped: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Packets that could not be sent.
    pub tx_errors: u64,
    /// Packets that were to be sent and found no room.
    pub tx_dropped: u64,
}

/// A route of IPv4 or of IPv6.
#[derive(Clone, Copy, Debug)]
pub struct Route<'n> {
    /// The interface that it leads through.
    pub interface: &'n str,
    /// Where it leads to; its kind is the route's version of IP.
    pub destination: InterfaceAddress,
    /// Whom it is for, where it is not for everybody; IPv6 only.
    pub source: Option<InterfaceAddress>,
    /// The next hop, where the destination is not on the link; of the destination's kind.
    pub gateway: Option<IpAddr>,
    /// The lower, the better.
    pub metric: i64,
    /// Linux's `RTF_` flags: 1 for up, 2 for a gateway, 4 for a host.
    pub flags: u64,
    /// What Linux tells beside; IPv4 has all of them, IPv6 the first two.
    pub details: RouteDetails,
}

/// What is rarely known of a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteDetails {
    /// How often it is referred to.
    pub references: Option<i64>,
    /// How often it was looked up.
    pub uses: Option<i64>,
    /// The largest packet, in bytes.
    pub mtu: Option<i64>,
    /// TCP's window, in bytes.
    pub window: Option<i64>,
    /// TCP's initial round-trip time, in ms.
    pub initial_round_trip_ms: Option<i64>,
}

//! A network interface: its addresses, and the clients of its page.

use core::fmt;
use core::net::IpAddr;

use agent_core::{InterfaceAddress, InterfaceStatistics};
use heapless::Vec;
use smoltcp::config::{IFACE_MAX_ADDR_COUNT, IFACE_MAX_ROUTE_COUNT};
use smoltcp::iface::{Config, Interface as Stack, PollResult, SocketSet, SocketStorage};
use smoltcp::socket::{dhcpv4, tcp};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr, Ipv6Cidr};

use crate::advertisement::{self, Advertisement};
use crate::autoconfiguration::{Autoconfiguration, PREFIXES};
use crate::connection::{Buffer, Connection};
use crate::lease::Lease;
use crate::membership::{self, Membership};
use crate::request::Request;
use crate::wire::{Nic, Wire};

/// Clients that an interface serves at once.
pub const CONNECTIONS: usize = 3;

/// Frames that an interface takes from its device in a turn.
pub const TURN_FRAMES: usize = 8;

/// Rounds of frames that it sends in a turn: enough for an answer of two segments to each client.
const TURN_SENDS: usize = 4;

/// Addresses: DHCP's, the link-local one, and one for each prefix.
pub(crate) const ADDRESSES: usize = 2 + PREFIXES;

const _: () = assert!(
    ADDRESSES <= IFACE_MAX_ADDR_COUNT && IFACE_MAX_ROUTE_COUNT >= 2,
    "smoltcp has room for all addresses, and a default route of each kind of IP"
);

/// The shortest sleep between two turns in which nothing moved, ms, whatever smoltcp says.
const SLEEP_MIN_MS: u64 = 10;

/// Bits of an IPv6 network, and of an IPv6 address that is alone.
const IPV6_PREFIX: u8 = 64;
const IPV6_ALONE: u8 = 128;

/// The memory of what an interface's clients send and get. It begins as zeros.
#[derive(Debug)]
pub struct Buffers([Buffer; CONNECTIONS]);

impl Buffers {
    /// Nothing is in it.
    pub const fn new() -> Self {
        Self([Buffer::EMPTY; CONNECTIONS])
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Self::new()
    }
}

/// The memory of an interface's sockets: one for DHCP, and one for each client.
#[derive(Debug)]
pub struct Sockets<'m>([SocketStorage<'m>; 1 + CONNECTIONS]);

impl Sockets<'_> {
    /// Nothing is in it.
    pub const fn new() -> Self {
        Self([SocketStorage::EMPTY; 1 + CONNECTIONS])
    }
}

impl Default for Sockets<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// An interface over a device.
pub struct Interface<'m, N> {
    wire: Wire<N>,
    stack: Stack,
    sockets: SocketSet<'m>,
    lease: Lease,
    connections: [Connection; CONNECTIONS],
    autoconfiguration: Autoconfiguration,
    /// What the next seed comes from.
    random: u64,
    is_up: bool,
    membership: Membership,
}

impl<'m, N: Nic> Interface<'m, N> {
    /// The interface of a device. Its transaction numbers, ports and sequence numbers come from
    /// `random_seed`, which should be another one each time.
    pub fn new(
        nic: N,
        sockets: &'m mut Sockets<'m>,
        buffers: &'m mut Buffers,
        random_seed: u64,
        now_ms: u64,
    ) -> Self {
        let mut wire = Wire::new(nic);
        let hardware_address = wire.nic.hardware_address();
        let stack = new_stack(&mut wire, random_seed, now_ms);
        let mut sockets = SocketSet::new(&mut sockets.0[..]);
        let lease = Lease::new(sockets.add(dhcpv4::Socket::new()), now_ms);
        let connections = buffers.0.each_mut().map(|buffer| {
            let mut socket = tcp::Socket::new(
                tcp::SocketBuffer::new(&mut buffer.received[..]),
                tcp::SocketBuffer::new(&mut buffer.sent[..]),
            );
            // An answer is given whole, so there is nothing to wait for.
            socket.set_nagle_enabled(false);
            socket.set_ack_delay(None);
            Connection::new(sockets.add(socket))
        });
        Self {
            wire,
            stack,
            sockets,
            lease,
            connections,
            autoconfiguration: Autoconfiguration::begin(hardware_address, now_ms),
            random: random_seed,
            is_up: false,
            membership: Membership::begin(now_ms),
        }
    }

    /// The device, to be looked after.
    pub const fn nic_mut(&mut self) -> &mut N {
        &mut self.wire.nic
    }

    /// The device's address.
    pub(crate) fn hardware_address(&self) -> [u8; 6] {
        self.wire.nic.hardware_address()
    }

    /// What has passed through the device.
    pub(crate) fn statistics(&self) -> InterfaceStatistics {
        self.wire.nic.statistics()
    }

    /// The addresses, that of DHCP first.
    pub(crate) fn addresses(&self) -> Vec<InterfaceAddress, ADDRESSES> {
        let mut addresses = Vec::new();
        if self.is_up {
            let lease = self.lease.address().map(|cidr| InterfaceAddress {
                address: cidr.address().into(),
                prefix: cidr.prefix_len(),
            });
            let link_local = self.autoconfiguration.link_local();
            let others = self.autoconfiguration.addresses().map(|(address, _)| address);
            let ipv6 = [link_local]
                .into_iter()
                .chain(others)
                .map(|address| InterfaceAddress { address: address.into(), prefix: IPV6_PREFIX });
            addresses.extend(lease.into_iter().chain(ipv6));
        }
        addresses
    }

    /// Whether the addresses of this prefix are those of the link.
    pub(crate) fn is_on_link(&self, address: IpAddr) -> bool {
        let mut advertised = self.autoconfiguration.addresses();
        !advertised.any(|(other, is_on_link)| address == other && !is_on_link)
    }

    /// The routers to everywhere.
    pub(crate) fn routers(&self) -> impl Iterator<Item = IpAddr> {
        let ipv4 = self.lease.router().map(IpAddr::from);
        let ipv6 = self.autoconfiguration.router().map(IpAddr::from);
        ipv4.into_iter().chain(ipv6).filter(|_| self.is_up)
    }

    /// Moves the frames that have arrived, up to [`TURN_FRAMES`]. Returns whether any did.
    pub(crate) fn receive(&mut self, now_ms: u64) -> bool {
        let is_up = self.wire.nic.is_link_up();
        if is_up != self.is_up {
            if is_up { self.begin(now_ms) } else { self.end() }
        }
        if !is_up {
            // What arrived before the cable was out is of no use any more.
            return self.wire.next().is_some();
        }
        let now = instant(now_ms);
        self.stack.poll_maintenance(now);
        let mut moved = false;
        let mut is_advertised = self.autoconfiguration.expire(now_ms);
        for _ in 0..TURN_FRAMES {
            let Some(frame) = self.wire.next() else { break };
            moved = true;
            self.membership.heed(frame, self.autoconfiguration.link_local());
            if let Some(advertisement) = Advertisement::parse(frame) {
                self.autoconfiguration.heed(&advertisement, now_ms);
                is_advertised = true;
            }
            _ = self.stack.poll_ingress_single(now, &mut self.wire, &mut self.sockets);
        }
        let is_leased = self.lease.follow(&mut self.sockets, now_ms);
        if is_advertised || is_leased {
            self.configure();
        }
        moved
    }

    /// A client's request that is to be answered now.
    pub(crate) fn next_request(&mut self, now_ms: u64) -> Option<(usize, Request)> {
        if !self.is_up {
            return None;
        }
        let sockets = &mut self.sockets;
        let mut connections = self.connections.iter_mut().enumerate();
        connections.find_map(|(index, one)| Some((index, one.attend(sockets, now_ms)?)))
    }

    /// Answers the request of this number.
    pub(crate) fn answer(&mut self, index: usize, answer: &[u8]) {
        if let Some(connection) = self.connections.get_mut(index) {
            connection.answer(&mut self.sockets, answer);
        }
    }

    /// Sends what there is to send. Returns whether there was anything.
    pub(crate) fn send(&mut self, now_ms: u64) -> bool {
        if !self.is_up {
            return false;
        }
        let (hardware_address, source) =
            (self.hardware_address(), self.autoconfiguration.link_local());
        if let Some(occasion) = self.membership.due(now_ms) {
            let frame = membership::report(hardware_address, source, occasion);
            self.wire.nic.transmit(&frame);
        }
        if self.autoconfiguration.solicits(now_ms) {
            let frame = advertisement::solicitation(hardware_address, source);
            self.wire.nic.transmit(&frame);
        }
        self.lease.pace(&mut self.sockets, now_ms);

        let (now, mut moved) = (instant(now_ms), false);
        for _ in 0..TURN_SENDS {
            let sent = self.stack.poll_egress(now, &mut self.wire, &mut self.sockets);
            if sent == PollResult::None {
                break;
            }
            moved = true;
        }
        for connection in &mut self.connections {
            connection.release(&mut self.sockets);
        }
        // That a lease is over is found out by sending.
        if self.lease.follow(&mut self.sockets, now_ms) {
            self.configure();
        }
        moved
    }

    /// How long nothing is to be done unless a frame arrives, after a turn in which nothing moved.
    pub(crate) fn longest_sleep_ms(&mut self, now_ms: u64) -> Option<u64> {
        if !self.is_up {
            return None;
        }
        let stack = self.stack.poll_delay(instant(now_ms), &self.sockets);
        let others = self.connections.iter().filter_map(Connection::end_ms);
        let next = [self.autoconfiguration.next_ms(), self.membership.next_ms()];
        let others = others.chain(next.into_iter().flatten());
        let others = others.map(|next_ms| next_ms.saturating_sub(now_ms));
        let least = others.chain(stack.map(|delay| delay.total_millis())).min()?;
        Some(least.max(SLEEP_MIN_MS))
    }

    /// Forgets all addresses. With the next turn the search for others begins, as after a sleep of the
    /// machine, during which time may have begun anew.
    pub fn renew(&mut self) {
        self.end();
    }

    /// The link is up.
    fn begin(&mut self, now_ms: u64) {
        self.is_up = true;
        self.lease.begin(now_ms);
        self.membership = Membership::begin(now_ms);
        // Another one each time, by the constant of Knuth's generator.
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.stack = new_stack(&mut self.wire, self.random, now_ms);
        self.autoconfiguration = Autoconfiguration::begin(self.hardware_address(), now_ms);
        self.configure();
    }

    /// The link is down: nobody is there any more.
    fn end(&mut self) {
        self.is_up = false;
        self.lease.end(&mut self.sockets);
        for connection in &mut self.connections {
            connection.drop(&mut self.sockets);
        }
    }

    /// Tells the stack what has been found out.
    fn configure(&mut self) {
        let link_local = self.autoconfiguration.link_local();
        let prefixes = self.autoconfiguration.addresses().map(|(address, is_on_link)| {
            Ipv6Cidr::new(address, if is_on_link { IPV6_PREFIX } else { IPV6_ALONE })
        });
        let ipv6 = [Ipv6Cidr::new(link_local, IPV6_PREFIX)].into_iter().chain(prefixes);
        let ipv4 = self.lease.address().map(IpCidr::Ipv4);
        let addresses: Vec<IpCidr, ADDRESSES> = ipv6.map(IpCidr::Ipv6).chain(ipv4).collect();
        if self.stack.ip_addrs() != &addresses[..] {
            self.stack.update_ip_addrs(|known| {
                known.clear();
                known.extend(addresses);
            });
        }
        let routes = self.stack.routes_mut();
        // There is a place for each.
        _ = match self.lease.router() {
            Some(next_hop) => routes.add_default_ipv4_route(next_hop).ok().flatten(),
            None => routes.remove_default_ipv4_route(),
        };
        _ = match self.autoconfiguration.router() {
            Some(next_hop) => routes.add_default_ipv6_route(next_hop).ok().flatten(),
            None => routes.remove_default_ipv6_route(),
        };
    }
}

impl<N: fmt::Debug> fmt::Debug for Interface<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interface")
            .field("nic", &self.wire.nic)
            .field("is_up", &self.is_up)
            .field("lease", &self.lease)
            .field("autoconfiguration", &self.autoconfiguration)
            .finish_non_exhaustive()
    }
}

/// A stack that knows no address yet.
fn new_stack<N: Nic>(wire: &mut Wire<N>, random_seed: u64, now_ms: u64) -> Stack {
    let address = EthernetAddress(wire.nic.hardware_address());
    let mut config = Config::new(HardwareAddress::Ethernet(address));
    config.random_seed = random_seed;
    Stack::new(config, wire, instant(now_ms))
}

fn instant(now_ms: u64) -> Instant {
    // smoltcp counts µs, signed, and adds to them.
    const LATEST_MS: i64 = i64::MAX / 2000;
    Instant::from_millis(i64::try_from(now_ms).unwrap_or(LATEST_MS).min(LATEST_MS))
}

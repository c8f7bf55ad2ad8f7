//! The address that a DHCP server leases (RFC 2131), over smoltcp's client.

use core::net::Ipv4Addr;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::dhcpv4::{Event, Socket};
use smoltcp::time::Duration;
use smoltcp::wire::Ipv4Cidr;

/// How long a server is given to answer before it is asked again, ms: as long as it has been asked
/// for already, within these bounds, so that the time doubles (section 4.1).
const PATIENCE_MIN_MS: u64 = 2000;
const PATIENCE_MAX_MS: u64 = 64_000;
/// How often what it has offered is asked for before the search begins again.
const REQUESTS: u16 = 3;

/// An interface's lease, or the search for one.
#[derive(Debug)]
pub(crate) struct Lease {
    socket: SocketHandle,
    /// When the search for a server began, where there is no lease.
    begun_ms: u64,
    /// The address and the router, where there is a lease.
    granted: Option<(Ipv4Cidr, Option<Ipv4Addr>)>,
}

impl Lease {
    /// None yet, of the client that is this socket.
    pub(crate) const fn new(socket: SocketHandle, now_ms: u64) -> Self {
        Self { socket, begun_ms: now_ms, granted: None }
    }

    /// The search begins.
    pub(crate) const fn begin(&mut self, now_ms: u64) {
        self.begun_ms = now_ms;
    }

    /// There is none any more, and nobody to ask.
    pub(crate) fn end(&mut self, sockets: &mut SocketSet<'_>) {
        self.granted = None;
        sockets.get_mut::<Socket<'_>>(self.socket).reset();
    }

    /// The address.
    pub(crate) fn address(&self) -> Option<Ipv4Cidr> {
        self.granted.map(|(address, _)| address)
    }

    /// The router to everywhere.
    pub(crate) fn router(&self) -> Option<Ipv4Addr> {
        self.granted.and_then(|(_, router)| router)
    }

    /// Tells the client, before it sends, how often to do so.
    pub(crate) fn pace(&self, sockets: &mut SocketSet<'_>, now_ms: u64) {
        // One that is over is found to be so by sending, and the search begins with that.
        let begun_ms = if self.granted.is_some() { now_ms } else { self.begun_ms };
        let patience_ms = now_ms.saturating_sub(begun_ms).clamp(PATIENCE_MIN_MS, PATIENCE_MAX_MS);
        let socket = sockets.get_mut::<Socket<'_>>(self.socket);
        let mut retries = socket.get_retry_config();
        retries.discover_timeout = Duration::from_millis(patience_ms);
        retries.initial_request_timeout = Duration::from_millis(PATIENCE_MIN_MS);
        retries.request_retries = REQUESTS;
        socket.set_retry_config(retries);
        // A server that has taken its offer back is asked again, but not at the speed of the network.
        socket.set_ignore_naks(self.granted.is_none());
    }

    /// Takes note of what the client has found or lost; returns whether it has.
    pub(crate) fn follow(&mut self, sockets: &mut SocketSet<'_>, now_ms: u64) -> bool {
        let Some(event) = sockets.get_mut::<Socket<'_>>(self.socket).poll() else { return false };
        self.granted = match event {
            Event::Configured(config) => {
                // What the server says is an address, but any address.
                let is_host = |address: &Ipv4Addr| {
                    !(address.is_unspecified() || address.is_multicast() || address.is_broadcast())
                };
                let address = Some(config.address).filter(|cidr| is_host(&cidr.address()));
                address.map(|address| (address, config.router.filter(is_host)))
            }
            Event::Deconfigured => {
                self.begin(now_ms);
                None
            }
        };
        true
    }
}

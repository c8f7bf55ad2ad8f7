//! A guest on a network in memory: its server of addresses, its router, its clients, its enemies.
//!
//! The other end of the cable is smoltcp's as well, but for DHCP's server and the router, which are
//! written here.

mod cable;
mod dhcp;
mod hostile;
mod ipv6;
mod link;
mod page;
mod server;

use core::fmt;
use std::collections::VecDeque;

use agent_core::Network as _;
use cable::Cable;
use network::{Buffers, Guest, Interface, Network, Sockets};
use server::Server;

const GUEST: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
const HOST: [u8; 6] = [0x52, 0x55, 10, 0, 2, 2];

/// A guest with one interface, and who else is on its network.
struct Lan {
    network: Network<'static, Cable, 2>,
    cable: Cable,
    server: Option<Server>,
    now_ms: u64,
    /// Turns of the guest's loop so far.
    turns: u32,
}

impl Lan {
    /// Nobody answers.
    fn silent() -> Self {
        let cable = Cable::default();
        cable.plug(true);
        let mut network = Network::new();
        assert_eq!(network.add(interface(cable.clone(), 1000)), Some("eth0"));
        Self { network, cable, server: None, now_ms: 1000, turns: 0 }
    }

    /// There is a DHCP server, and the guest has its lease.
    fn leased() -> Self {
        let mut lan = Self::silent();
        lan.server = Some(Server::default());
        lan.run_for(100);
        lan
    }

    /// Turns of the guest's loop until nothing moves, each with the answers to what it sent. Returns
    /// what it sent that nobody has answered.
    fn settle(&mut self) -> Vec<Vec<u8>> {
        let mut unanswered = Vec::new();
        for _ in 0..200 {
            self.turns += 1;
            let moved = self.network.turn(&mut Described, self.now_ms);
            let sent = self.cable.take_sent();
            let mut answered = false;
            for frame in sent {
                match self.server.as_mut().and_then(|server| server.answer(&frame)) {
                    Some(answer) => {
                        answered = true;
                        self.cable.deliver(answer);
                    }
                    None => unanswered.push(frame),
                }
            }
            if !moved && !answered {
                return unanswered;
            }
        }
        panic!("the guest does not come to rest");
    }

    /// Lets time pass, in which the guest sleeps for as long as it may. Returns what it sent.
    fn run_for(&mut self, duration_ms: u64) -> Vec<Vec<u8>> {
        let end_ms = self.now_ms + duration_ms;
        let mut sent = self.settle();
        loop {
            let longest_ms = self.network.longest_sleep_ms(self.now_ms).unwrap_or(u64::MAX);
            assert!(longest_ms > 0, "it does not sleep");
            let next_ms = self.now_ms.saturating_add(longest_ms);
            if next_ms > end_ms {
                self.now_ms = end_ms;
                return sent;
            }
            self.now_ms = next_ms;
            sent.extend(self.settle());
        }
    }

    /// A frame arrives, and what comes of it.
    fn receive(&mut self, frame: Vec<u8>) -> Vec<Vec<u8>> {
        self.cable.deliver(frame);
        self.settle()
    }

    fn addresses(&mut self) -> Vec<String> {
        let mut addresses = Vec::new();
        let shown = self.network.interfaces(&mut |interface| {
            let all = interface.addresses.iter();
            addresses.extend(all.map(|one| format!("{}/{}", one.address, one.prefix)));
        });
        shown.unwrap();
        addresses
    }

    /// Destination and next hop.
    fn routes(&mut self) -> Vec<String> {
        let mut routes = Vec::new();
        let shown = self.network.routes(&mut |route| {
            assert_eq!((route.interface, route.flags & 1, route.source), ("eth0", 1, None));
            assert_eq!(route.flags & 2 != 0, route.gateway.is_some());
            let to = format!("{}/{}", route.destination.address, route.destination.prefix);
            routes.push(route.gateway.map_or(to.clone(), |gateway| format!("{to} by {gateway}")));
        });
        shown.unwrap();
        routes
    }
}

/// An interface with memory for as long as the test runs.
fn interface(cable: Cable, now_ms: u64) -> Interface<'static, Cable> {
    let sockets = Box::leak(Box::new(Sockets::new()));
    let buffers = Box::leak(Box::new(Buffers::new()));
    Interface::new(cable, sockets, buffers, 42, now_ms)
}

/// What the page tells.
struct Described;

impl Guest for Described {
    fn title(&self) -> &'static str {
        "a guest"
    }

    fn unix_s(&mut self) -> Option<u64> {
        Some(784_111_777)
    }

    fn lines(&mut self, line: &mut dyn FnMut(&str, fmt::Arguments<'_>)) {
        line("uptime", format_args!("{} s", 17));
    }
}

/// Frames in flight.
type Frames = VecDeque<Vec<u8>>;

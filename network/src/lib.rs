//! Addresses for a guest, and a page that shows them, in fixed memory.
//!
//! Each interface asks for an address by DHCP, makes itself a link-local IPv6 address and one for
//! every prefix that a router advertises, answers ARP, neighbour discovery and pings, and serves
//! one small page on TCP port 80, so that the addresses can be tried. The agent's capability
//! [`Network`](agent_core::Network) tells the host of them.
//!
//! ```text
//! Network                  all interfaces: the agent's capability, and a turn of the program's loop
//!   -> Interface           one of them: its addresses, its connections
//!     -> lease             the address of a DHCP server
//!     -> autoconfiguration routers and prefixes, as advertised; over advertisement, their wire format
//!     -> membership        the group in which neighbours look for it
//!     -> connection        one client of the page, from its first byte to its last
//!       -> request         its HTTP
//!     -> wire              frames between smoltcp and a Nic
//!   -> page                what the client is answered
//! ```
//!
//! ARP, IP, TCP and DHCP are smoltcp's. Its router discovery is not used: it keeps one prefix of
//! an advertisement, takes prefixes that make no valid address, and where no router answers it
//! asks to be polled all the time. Nor is its MLD, which says that one leaves when one joins.
//!
//! # Bounds
//!
//! | what | bound | beyond it |
//! |---|---|---|
//! | interfaces | the number in [`Network`]'s type, at most [`INTERFACES_MAX`] | not used |
//! | clients at once, on each | [`CONNECTIONS`] | refused (reset) |
//! | bytes of a request | [`REQUEST_BYTES`] | 431 |
//! | time for a request and its answer | [`CONNECTION_MS`] | reset |
//! | prefixes of an interface | [`PREFIXES`] | ignored |
//! | routers of an interface | [`ROUTERS`]; the first is used | ignored |
//! | frames handled in a turn | [`TURN_FRAMES`] on each | the next turn |
//!
//! The memory for an interface is [`Buffers`], 9 KiB for its connections, and 4 KiB in
//! [`Interface`] itself.
//!
//! # When the link goes down
//!
//! As with a DHCP client on Linux: the interface stays listed, with its hardware address and what
//! it has counted, and its IP addresses and routes go at once. When the link is up again, all of it
//! begins anew, the search for a DHCP server first.
//!
//! # What is not done
//!
//! Addresses are not checked for duplicates (RFC 4862, section 5.4), IP packets that come in
//! fragments are dropped, and there is no DNS and no DHCP for IPv6.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod advertisement;
mod autoconfiguration;
mod connection;
mod date;
mod interface;
mod lease;
mod membership;
mod network;
mod page;
mod request;
mod wire;

pub use autoconfiguration::{PREFIXES, ROUTERS};
pub use connection::{CONNECTION_MS, REQUEST_BYTES};
pub use interface::{Buffers, CONNECTIONS, Interface, Sockets, TURN_FRAMES};
pub use network::{INTERFACES_MAX, Network};
pub use page::Guest;
pub use wire::{FRAME_BYTES, Nic};

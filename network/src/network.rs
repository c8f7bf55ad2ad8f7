//! All interfaces of a guest: the agent's capability, and a turn of the program's loop.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use agent_core::{Errno, InterfaceAddress, Route, RouteDetails};
use heapless::Vec;

use crate::interface::Interface;
use crate::page::{self, Guest};
use crate::wire::Nic;

/// The most interfaces that a [`Network`] may have.
pub const INTERFACES_MAX: usize = NAMES.len();

/// Names as Linux gives them, in the order in which interfaces are added.
const NAMES: [&str; 4] = ["eth0", "eth1", "eth2", "eth3"];

/// Linux's flags of a route.
const RTF_UP: u64 = 1;
const RTF_GATEWAY: u64 = 2;

/// The interfaces of a guest, up to `INTERFACES` of them.
pub struct Network<'m, N, const INTERFACES: usize> {
    interfaces: Vec<Interface<'m, N>, INTERFACES>,
}

impl<'m, N: Nic, const INTERFACES: usize> Network<'m, N, INTERFACES> {
    const SIZES: () = assert!(INTERFACES <= INTERFACES_MAX, "there are no names for as many");

    /// A network without an interface.
    pub const fn new() -> Self {
        const { Self::SIZES };
        Self { interfaces: Vec::new() }
    }

    /// Adds an interface, as long as [there is room](Self::is_full); returns its name.
    pub fn add(&mut self, interface: Interface<'m, N>) -> Option<&'static str> {
        let name = NAMES.get(self.interfaces.len())?;
        self.interfaces.push(interface).ok()?;
        Some(name)
    }

    /// Whether there is no room for another interface.
    pub fn is_full(&self) -> bool {
        self.interfaces.is_full()
    }

    /// The interfaces, in the order in which they were added.
    pub fn interfaces_mut(&mut self) -> impl Iterator<Item = &mut Interface<'m, N>> {
        self.interfaces.iter_mut()
    }

    /// Moves frames, follows leases and advertisements, answers clients: a bounded amount of each.
    ///
    /// Returns whether anything moved: then there may be more, and a turn is to follow at once.
    pub fn turn(&mut self, guest: &mut dyn Guest, now_ms: u64) -> bool {
        let mut moved = false;
        for index in 0..self.interfaces.len() {
            let Some(interface) = self.interfaces.get_mut(index) else { break };
            moved |= interface.receive(now_ms);
            while let Some((client, request)) =
                self.interfaces.get_mut(index).and_then(|one| one.next_request(now_ms))
            {
                let list = |visit: &mut dyn FnMut(&agent_core::Interface<'_>)| self.list(visit);
                let answer = page::answer(request, guest, &list);
                if let Some(interface) = self.interfaces.get_mut(index) {
                    interface.answer(client, answer.as_bytes());
                }
            }
            moved |= self.interfaces.get_mut(index).is_some_and(|one| one.send(now_ms));
        }
        moved
    }

    /// After a [turn](Self::turn) in which nothing moved: how long there is nothing to do unless a
    /// frame arrives or a link changes; `None` is for ever.
    pub fn longest_sleep_ms(&mut self, now_ms: u64) -> Option<u64> {
        self.interfaces.iter_mut().filter_map(|one| one.longest_sleep_ms(now_ms)).min()
    }

    fn named(&self) -> impl Iterator<Item = (&'static str, &Interface<'m, N>)> {
        NAMES.into_iter().zip(&self.interfaces)
    }

    fn list(&self, visit: &mut dyn FnMut(&agent_core::Interface<'_>)) {
        for (name, interface) in self.named() {
            visit(&agent_core::Interface {
                name,
                hardware_address: Some(interface.hardware_address()),
                addresses: &interface.addresses(),
                statistics: Some(interface.statistics()),
            });
        }
    }
}

impl<N: Nic, const INTERFACES: usize> agent_core::Network for Network<'_, N, INTERFACES> {
    fn interfaces(
        &mut self,
        visit: &mut dyn FnMut(&agent_core::Interface<'_>),
    ) -> Result<(), Errno> {
        self.list(visit);
        Ok(())
    }

    fn routes(&mut self, visit: &mut dyn FnMut(&Route<'_>)) -> Result<(), Errno> {
        for (interface, one) in self.named() {
            let mut tell = |address: IpAddr, prefix, gateway: Option<IpAddr>| {
                visit(&Route {
                    interface,
                    destination: InterfaceAddress { address, prefix },
                    source: None,
                    gateway,
                    // Linux's own for routes that nobody has given another.
                    metric: if address.is_ipv4() { 0 } else { 1024 },
                    flags: if gateway.is_some() { RTF_UP | RTF_GATEWAY } else { RTF_UP },
                    details: RouteDetails::default(),
                });
            };
            for router in one.routers() {
                let everywhere = if router.is_ipv4() {
                    IpAddr::V4(Ipv4Addr::UNSPECIFIED)
                } else {
                    IpAddr::V6(Ipv6Addr::UNSPECIFIED)
                };
                tell(everywhere, 0, Some(router));
            }
            for InterfaceAddress { address, prefix } in one.addresses() {
                if one.is_on_link(address) {
                    tell(network_of(address, prefix), prefix, None);
                }
            }
        }
        Ok(())
    }
}

impl<N: Nic, const INTERFACES: usize> Default for Network<'_, N, INTERFACES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<N: fmt::Debug, const INTERFACES: usize> fmt::Debug for Network<'_, N, INTERFACES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.interfaces).finish()
    }
}

/// The address with the bits of the host cleared.
fn network_of(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

//! Stateless address autoconfiguration (RFC 4862) over router discovery (RFC 4861, section 6.3).

use core::net::Ipv6Addr;

use heapless::Vec;

use crate::advertisement::{Advertisement, PrefixInformation};

/// Prefixes that an interface keeps, and so its addresses beside the link-local one.
pub const PREFIXES: usize = 3;

/// Routers that an interface keeps, of which it uses the first.
pub const ROUTERS: usize = 2;

/// How often, and how many ms apart, routers are asked for (RFC 4861, section 10).
const SOLICITATIONS: u8 = 3;
const SOLICITATION_INTERVAL_MS: u64 = 4000;

/// Bits of a prefix that leaves room for an interface's own 64.
const PREFIX_LEN: u8 = 64;

/// A remaining lifetime that an advertisement, which anybody can forge, cannot shorten.
const TWO_HOURS_S: u32 = 2 * 60 * 60;

/// What was advertised to an interface.
#[derive(Debug)]
pub(crate) struct Autoconfiguration {
    interface_identifier: [u8; 8],
    solicitations_left: u8,
    /// When the next solicitation is due, if one is left.
    solicit_ms: u64,
    prefixes: Vec<Prefix, PREFIXES>,
    routers: Vec<Router, ROUTERS>,
}

#[derive(Clone, Copy, Debug)]
struct Prefix {
    address: Ipv6Addr,
    is_on_link: bool,
    end: End,
}

#[derive(Clone, Copy, Debug)]
struct Router {
    address: Ipv6Addr,
    end: End,
}

/// When something is over, in ms; `u64::MAX` is never.
type End = u64;

impl Autoconfiguration {
    /// Nothing has been advertised yet, and routers are asked for from `now_ms` on.
    pub(crate) fn begin(hardware_address: [u8; 6], now_ms: u64) -> Self {
        let [first, second, third, rest @ ..] = hardware_address;
        // A modified EUI-64: FFFE in the middle, and the universal bit inverted (RFC 4291, appendix
        // A).
        let mut interface_identifier = [first ^ 2, second, third, 0xff, 0xfe, 0, 0, 0];
        interface_identifier[5..].copy_from_slice(&rest);
        Self {
            interface_identifier,
            solicitations_left: SOLICITATIONS,
            solicit_ms: now_ms,
            prefixes: Vec::new(),
            routers: Vec::new(),
        }
    }

    /// The address that reaches as far as the link does.
    pub(crate) fn link_local(&self) -> Ipv6Addr {
        self.address(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0))
    }

    /// The other addresses, and whether their prefix is that of the link.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (Ipv6Addr, bool)> {
        self.prefixes.iter().map(|prefix| (prefix.address, prefix.is_on_link))
    }

    /// The router to use.
    pub(crate) fn router(&self) -> Option<Ipv6Addr> {
        self.routers.first().map(|router| router.address)
    }

    /// Whether routers are to be asked for now.
    pub(crate) fn solicits(&mut self, now_ms: u64) -> bool {
        if self.solicitations_left == 0 || now_ms < self.solicit_ms {
            return false;
        }
        self.solicitations_left -= 1;
        self.solicit_ms = now_ms.saturating_add(SOLICITATION_INTERVAL_MS);
        true
    }

    /// When there is something to do unless an advertisement comes.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        let solicit = (self.solicitations_left > 0).then_some(self.solicit_ms);
        let prefixes = self.prefixes.iter().map(|prefix| prefix.end);
        let ends = prefixes.chain(self.routers.iter().map(|router| router.end));
        solicit.into_iter().chain(ends).min().filter(|next| *next < u64::MAX)
    }

    /// Forgets what is over; returns whether anything was.
    pub(crate) fn expire(&mut self, now_ms: u64) -> bool {
        let before = (self.prefixes.len(), self.routers.len());
        self.prefixes.retain(|prefix| prefix.end > now_ms);
        self.routers.retain(|router| router.end > now_ms);
        before != (self.prefixes.len(), self.routers.len())
    }

    /// Takes note of an advertisement.
    pub(crate) fn heed(&mut self, advertisement: &Advertisement<'_>, now_ms: u64) {
        let address = advertisement.router;
        let known = self.routers.iter().position(|router| router.address == address);
        let end = end(now_ms, advertisement.router_lifetime_s.into());
        match (known.and_then(|index| self.routers.get_mut(index)), end > now_ms) {
            (Some(router), true) => router.end = end,
            (Some(_), false) => self.routers.retain(|router| router.address != address),
            // One too many is not needed.
            (None, true) => _ = self.routers.push(Router { address, end }),
            (None, false) => {}
        }
        for information in advertisement.prefixes() {
            self.heed_prefix(&information, now_ms);
        }
        // > the host MUST desist from sending additional solicitations (RFC 4861, section 6.3.7)
        if end > now_ms {
            self.solicitations_left = 0;
        }
    }

    /// RFC 4862, section 5.5.3.
    fn heed_prefix(&mut self, information: &PrefixInformation, now_ms: u64) {
        let address = self.address(information.prefix);
        let is_usable = information.is_autonomous
            && information.prefix_len == PREFIX_LEN
            && information.preferred_s <= information.valid_s
            && !(address.is_unicast_link_local() || address.is_multicast() || address.is_loopback())
            // The unspecified prefix, of IPv4 within IPv6 and of the like.
            && address.octets().first() != Some(&0);
        if !is_usable {
            return;
        }
        let advertised = end(now_ms, information.valid_s);
        let known = self.prefixes.iter_mut().find(|prefix| prefix.address == address);
        if let Some(prefix) = known {
            // That it is not said to be on the link says nothing (RFC 4861, section 4.6.2).
            prefix.is_on_link |= information.is_on_link;
            let two_hours = end(now_ms, TWO_HOURS_S);
            prefix.end = advertised.max(prefix.end.min(two_hours));
        } else if advertised > now_ms {
            let is_on_link = information.is_on_link;
            _ = self.prefixes.push(Prefix { address, is_on_link, end: advertised });
        }
    }

    /// The interface's address under a prefix of 64 bits.
    fn address(&self, prefix: Ipv6Addr) -> Ipv6Addr {
        let mut octets = prefix.octets();
        octets[8..].copy_from_slice(&self.interface_identifier);
        octets.into()
    }
}

/// The moment when a lifetime that begins now is over.
fn end(now_ms: u64, lifetime_s: u32) -> End {
    if lifetime_s == u32::MAX {
        return u64::MAX;
    }
    now_ms.saturating_add(u64::from(lifetime_s).saturating_mul(1000))
}

//! Leases: got, renewed, lost, refused.

use core::net::Ipv4Addr;

use smoltcp::wire::DhcpMessageType::{Discover, Request};

use crate::{Lan, Server};

const LINK_LOCAL: &str = "fe80::5054:ff:fe12:3456/64";

#[test]
fn a_lease_gives_an_address_and_a_route() {
    let mut lan = Lan::leased();
    assert_eq!(lan.addresses(), ["10.0.2.15/24", LINK_LOCAL]);
    assert_eq!(lan.routes(), ["0.0.0.0/0 by 10.0.2.2", "10.0.2.0/24", "fe80::/64"]);
    assert_eq!(lan.server.unwrap().heard, [Discover, Request]);
}

#[test]
fn a_lease_is_renewed_when_half_of_it_is_over() {
    let mut lan = Lan::leased();
    lan.server.as_mut().unwrap().heard.clear();
    lan.run_for(43_100_000);
    assert_eq!(lan.server.as_ref().unwrap().heard, []);
    lan.run_for(200_000);
    assert_eq!(lan.server.as_ref().unwrap().heard, [Request]);
    assert_eq!(lan.addresses()[0], "10.0.2.15/24");
}

#[test]
fn a_lease_that_nobody_renews_is_over() {
    let mut lan = Lan::leased();
    lan.server = None;
    lan.run_for(86_300_000);
    assert_eq!(lan.addresses()[0], "10.0.2.15/24");
    lan.run_for(200_000);
    assert_eq!(lan.addresses(), [LINK_LOCAL]);
    assert_eq!(lan.routes(), ["fe80::/64"]);
    // And another one is looked for.
    lan.server = Some(Server { address: Ipv4Addr::new(10, 0, 2, 99), ..Server::default() });
    lan.run_for(100_000);
    assert_eq!(lan.addresses()[0], "10.0.2.99/24");
}

#[test]
fn a_server_that_refuses_ends_the_lease() {
    let mut lan = Lan::leased();
    lan.server.as_mut().unwrap().refuses = true;
    lan.run_for(43_300_000);
    assert_eq!(lan.addresses(), [LINK_LOCAL]);
    lan.server.as_mut().unwrap().refuses = false;
    lan.run_for(100_000);
    assert_eq!(lan.addresses()[0], "10.0.2.15/24");
}

/// However long a lease has lasted, whether it is refused or runs out: the search for the next one
/// begins with short waits, as nobody offers one.
#[test]
fn after_a_lease_the_search_is_quick_again() {
    for (before_ms, refuses) in [(43_195_000, true), (86_395_000, false)] {
        let mut lan = Lan::leased();
        let mut server = lan.server.take().unwrap();
        server.refuses = refuses;
        lan.run_for(before_ms);
        assert_eq!(lan.addresses()[0], "10.0.2.15/24");
        for _ in 0..70 {
            let _ = lan.network.turn(&mut crate::Described, lan.now_ms);
            for frame in lan.cable.take_sent() {
                let answer = server.answer(&frame);
                if refuses && server.heard.last() == Some(&Request) {
                    lan.cable.deliver(answer.unwrap());
                }
            }
            lan.now_ms += 1000;
        }
        assert_eq!(lan.addresses(), [LINK_LOCAL]);
        let searches = server.heard.iter().filter(|kind| **kind == Discover).count();
        assert!((5..=7).contains(&searches), "{searches} of {:?}", server.heard);
    }
}

/// What servers say that makes no sense: the address that comes of it, if any, and the routes.
#[test]
fn what_a_server_gives_is_checked() {
    type Case = (fn(&mut Server), Option<&'static str>, &'static [&'static str]);
    let no_route: &[&str] = &["10.0.2.0/24", "fe80::/64"];
    let cases: [Case; 11] = [
        (|server| server.router = None, Some("10.0.2.15/24"), no_route),
        (|server| server.router = Some(Ipv4Addr::UNSPECIFIED), Some("10.0.2.15/24"), no_route),
        (|server| server.router = Some(Ipv4Addr::BROADCAST), Some("10.0.2.15/24"), no_route),
        (
            |server| server.router = Some(Ipv4Addr::new(224, 0, 0, 1)),
            Some("10.0.2.15/24"),
            no_route,
        ),
        // As clouds do: the router is not on the link.
        (
            |server| {
                server.mask = Some(Ipv4Addr::BROADCAST);
                server.router = Some(Ipv4Addr::new(192, 168, 1, 1));
            },
            Some("10.0.2.15/32"),
            &["0.0.0.0/0 by 192.168.1.1", "10.0.2.15/32", "fe80::/64"],
        ),
        (
            |server| {
                server.mask = Some(Ipv4Addr::UNSPECIFIED);
                server.router = None;
            },
            Some("10.0.2.15/0"),
            &["0.0.0.0/0", "fe80::/64"],
        ),
        (|server| server.mask = Some(Ipv4Addr::new(255, 0, 255, 0)), None, &["fe80::/64"]),
        (|server| server.mask = None, None, &["fe80::/64"]),
        (|server| server.address = Ipv4Addr::UNSPECIFIED, None, &["fe80::/64"]),
        (|server| server.address = Ipv4Addr::BROADCAST, None, &["fe80::/64"]),
        (|server| server.address = Ipv4Addr::new(239, 1, 1, 1), None, &["fe80::/64"]),
    ];
    for (prepare, address, routes) in cases {
        let mut lan = Lan::silent();
        let mut server = Server::default();
        prepare(&mut server);
        lan.server = Some(server.clone());
        lan.run_for(100);
        let expected: Vec<&str> = address.into_iter().chain([LINK_LOCAL]).collect();
        assert_eq!(lan.addresses(), expected, "{server:?}");
        assert_eq!(lan.routes(), routes, "{server:?}");
    }
}

/// A lease of no time at all, over and over, costs no more than the server wants to talk.
#[test]
fn a_lease_of_no_time_is_survived() {
    for lease_s in [0, 1, u32::MAX] {
        let mut lan = Lan::silent();
        lan.server = Some(Server { lease_s, ..Server::default() });
        for _ in 0..50 {
            lan.turns = 0;
            let _ = lan.network.turn(&mut crate::Described, lan.now_ms);
            for frame in lan.cable.take_sent() {
                if let Some(answer) = lan.server.as_mut().unwrap().answer(&frame) {
                    lan.cable.deliver(answer);
                }
            }
            lan.now_ms += 100;
        }
    }
}

/// The search for a server that is not there costs little, and less as time goes on.
#[test]
fn the_search_for_a_server_slows_down() {
    let mut lan = Lan::silent();
    let searches = |lan: &mut Lan, minutes: u64| {
        let sent = lan.run_for(minutes * 60_000);
        let is_dhcp = |frame: &&Vec<u8>| frame.get(12..14) == Some(&[8, 0]);
        sent.iter().filter(is_dhcp).count()
    };
    let first = searches(&mut lan, 1);
    assert!((5..=7).contains(&first), "{first}");
    lan.run_for(300_000);
    lan.turns = 0;
    let later = searches(&mut lan, 60);
    assert!((50..=60).contains(&later), "{later}");
    assert!(lan.turns <= 3 * 60, "{} turns in an hour", lan.turns);
}

/// An idle guest that has all it needs does nothing until its lease is to be renewed.
#[test]
fn an_idle_guest_sleeps() {
    let mut lan = Lan::leased();
    lan.run_for(15_000);
    lan.turns = 0;
    assert!(lan.run_for(12 * 3600 * 1000 - 60_000).is_empty());
    assert_eq!(lan.turns, 1);
}

/// A server that cannot be written to, when the lease is to be renewed.
#[test]
fn a_server_without_an_address_is_survived() {
    for source in [
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::BROADCAST,
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::new(10, 0, 2, 15),
        Ipv4Addr::new(10, 0, 2, 255),
        Ipv4Addr::new(192, 0, 2, 1),
        Ipv4Addr::new(224, 0, 0, 1),
        Ipv4Addr::new(240, 0, 0, 1),
    ] {
        for router in [None, Some(crate::server::SERVER)] {
            let mut lan = Lan::silent();
            lan.server = Some(Server { source, router, lease_s: 600, ..Server::default() });
            lan.run_for(1_800_000);
        }
    }
}

//! A cable that is pulled out and put in again, and a machine that sleeps.

use agent_core::Network as _;
use network::Network;

use crate::{Cable, Described, Lan, interface};

#[test]
fn addresses_go_with_the_link_and_are_looked_for_again() {
    let mut lan = Lan::leased();
    assert_eq!(lan.addresses().len(), 2);
    lan.cable.plug(false);
    assert!(lan.run_for(3_600_000).is_empty(), "nothing is sent");
    assert_eq!((lan.addresses().len(), lan.routes().len()), (0, 0));
    assert_eq!(lan.network.longest_sleep_ms(lan.now_ms), None);
    let mut shown = Vec::new();
    let listed = lan.network.interfaces(&mut |one| {
        shown.push((one.name.to_owned(), one.hardware_address, one.statistics.unwrap().rx_packets));
    });
    listed.unwrap();
    assert_eq!(shown, [("eth0".to_owned(), Some(crate::GUEST), 3)]);

    lan.cable.plug(true);
    let before = lan.server.as_ref().unwrap().heard.len();
    lan.run_for(100);
    assert_eq!(lan.addresses()[0], "10.0.2.15/24");
    assert_eq!(lan.server.as_ref().unwrap().heard.len(), before + 2);
}

#[test]
fn a_link_that_comes_late_is_used() {
    let mut lan = Lan::silent();
    lan.cable.plug(false);
    lan.server = Some(crate::Server::default());
    lan.run_for(100_000);
    lan.cable.plug(true);
    lan.run_for(100);
    assert_eq!(lan.addresses()[0], "10.0.2.15/24");
}

#[test]
fn what_arrives_without_a_link_is_thrown_away() {
    let mut lan = Lan::leased();
    lan.cable.plug(false);
    for _ in 0..100 {
        lan.cable.deliver(vec![0xff; 60]);
    }
    assert!(lan.settle().is_empty());
}

#[test]
fn after_a_sleep_everything_begins_anew() {
    let mut lan = Lan::leased();
    lan.server.as_mut().unwrap().address = [10, 0, 2, 77].into();
    // Time may have begun anew as well.
    lan.now_ms = 5;
    lan.network.interfaces_mut().for_each(network::Interface::renew);
    lan.run_for(100);
    assert_eq!(lan.addresses()[0], "10.0.2.77/24");
}

#[test]
fn interfaces_are_named_in_order_and_do_not_mind_each_other() {
    let cables = [Cable::default(), Cable::default()];
    let mut network: Network<'_, Cable, 2> = Network::new();
    let names = cables.clone().map(|cable| {
        cable.plug(true);
        network.add(interface(cable, 0))
    });
    assert_eq!(names, [Some("eth0"), Some("eth1")]);
    assert!(network.is_full());
    assert_eq!(network.add(interface(Cable::default(), 0)), None);
    let mut server = crate::Server::default();
    for _ in 0..10 {
        network.turn(&mut Described, 0);
        for frame in cables[1].take_sent() {
            if let Some(answer) = server.answer(&frame) {
                cables[1].deliver(answer);
            }
        }
    }
    let mut shown = Vec::new();
    let listed =
        network.interfaces(&mut |one| shown.push((one.name.to_owned(), one.addresses.len())));
    listed.unwrap();
    assert_eq!(shown, [("eth0".to_owned(), 1), ("eth1".to_owned(), 2)]);
}

#[test]
fn no_interface_is_an_empty_list() {
    let mut network: Network<'_, Cable, 2> = Network::new();
    assert!(!network.turn(&mut Described, 0));
    assert_eq!(network.longest_sleep_ms(0), None);
    network.interfaces(&mut |_| panic!("one is there")).unwrap();
    network.routes(&mut |_| panic!("one is there")).unwrap();
}

//! The console against a fake device that behaves, and one that does not

use core::cell::RefMut;
use std::collections::BTreeMap;
use std::vec::Vec;

use embedded_io::{Read, ReadReady, Write, WriteReady};

use super::*;
use crate::device::VERSION_1;
use crate::fake::{Device, FakeTransport, Random, dma};
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus};

const AGENT: &str = "org.qemu.guest_agent.0";

/// A host with ports, which answers control messages as QEMU does.
struct Host {
    transport: FakeTransport,
    /// Name and whether somebody listens, by number.
    ports: BTreeMap<u32, (Vec<u8>, bool)>,
    /// Ports that the guest has opened or closed, in order.
    opened: Vec<(u32, bool)>,
    /// Messages that found no buffer.
    dropped: usize,
}

impl Host {
    fn new(max_ports: u32) -> Self {
        let queues = u16::try_from(2 * max_ports + 2).unwrap();
        let mut device = Device::new(DeviceType::Console, queues);
        device.features |= 1 << 1;
        device.configuration = Vec::from([80, 0, 25, 0]);
        device.configuration.extend(max_ports.to_le_bytes());
        device.configuration.extend([0; 4]);
        let transport = device.share();
        Self { transport, ports: BTreeMap::new(), opened: Vec::new(), dropped: 0 }
    }

    fn with_port(mut self, id: u32, name: &str) -> Self {
        self.ports.insert(id, (name.into(), true));
        self
    }

    fn device(&self) -> RefMut<'_, Device> {
        self.transport.0.borrow_mut()
    }

    fn message(&mut self, id: u32, event: u16, value: u16, rest: &[u8]) {
        let mut message = Vec::from(id.to_le_bytes());
        message.extend(event.to_le_bytes());
        message.extend(value.to_le_bytes());
        message.extend(rest);
        let sent = self.device().send(2, &message);
        self.dropped += usize::from(!sent);
    }

    /// The console, once guest and host have said what they had to say.
    fn open<H: Hal>(&mut self) -> Console<H, FakeTransport> {
        let mut console = Console::new(self.transport.clone()).unwrap();
        self.talk(&mut console);
        console
    }

    /// Handles the guest's control messages.
    fn step(&mut self) {
        loop {
            let Some(message) = self.device().receive(3) else {
                return;
            };
            let id = u32::from_le_bytes(message[..4].try_into().unwrap());
            let event = u16::from_le_bytes(message[4..6].try_into().unwrap());
            let value = u16::from_le_bytes(message[6..8].try_into().unwrap());
            match event {
                0 => {
                    for id in self.ports.keys().copied().collect::<Vec<_>>() {
                        self.message(id, 1, 1, &[]);
                    }
                }
                3 => {
                    let (mut name, is_open) = self.ports[&id].clone();
                    name.push(0);
                    self.message(id, 7, 1, &name);
                    if is_open {
                        self.message(id, 6, 1, &[]);
                    }
                }
                6 => self.opened.push((id, value != 0)),
                other => panic!("the driver sent event {other}"),
            }
        }
    }

    /// Lets guest and host talk until both are silent, and returns the events.
    fn talk<H: Hal, const PORTS: usize, const RX: usize, const TX: usize>(
        &mut self,
        console: &mut Console<H, FakeTransport, PORTS, RX, TX>,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            self.step();
            let before = events.len();
            while let Some(event) = console.poll().unwrap() {
                events.push(event);
                self.step();
            }
            if events.len() == before {
                return events;
            }
        }
    }
}

fn read_all<H: Hal, T: Transport, const RX: usize, const TX: usize>(
    port: &mut Port<'_, H, T, RX, TX>,
) -> Vec<u8> {
    let mut all = Vec::new();
    let mut bytes = [0; 1000];
    while port.read_ready().unwrap() {
        let count = port.read(&mut bytes).unwrap();
        all.extend(&bytes[..count]);
    }
    all
}

#[test]
fn finds_a_port_by_name_and_carries_bytes_both_ways() {
    dma!(64);
    let mut host = Host::new(31).with_port(1, AGENT).with_port(2, "other");
    let mut console = Console::<Dma, _>::new(host.transport.clone()).unwrap();
    assert!(console.is_multiport());
    let one = PortId(1);
    let two = PortId(2);
    let events = host.talk(&mut console);
    let expected = [
        Event::Added(one),
        Event::Added(two),
        Event::Named(one),
        Event::Opened(one),
        Event::Named(two),
        Event::Opened(two),
    ];
    assert_eq!(events, expected);
    assert_eq!(console.port_named(AGENT), Some(one));
    assert_eq!(console.port_named("org.qemu.guest_agent"), None);
    assert_eq!(console.name(two).unwrap().as_str(), Some("other"));
    assert_eq!(console.port(one).unwrap_err(), Error::NotOpen);
    assert_eq!(host.device().available(4), 0, "no buffers for a port that is not open");

    console.open(one).unwrap();
    host.step();
    assert_eq!(host.opened, [(1, true)]);
    assert_eq!(host.device().available(4), 4);
    assert_eq!(host.device().available(6), 0);

    assert!(host.device().send(4, b"request\n"));
    let mut port = console.port(one).unwrap();
    assert!(port.read_ready().unwrap());
    let mut three = [0; 3];
    assert_eq!(port.read(&mut three).unwrap(), 3);
    assert_eq!(&three, b"req");
    assert_eq!(host.device().available(4), 3, "a buffer in use is not the device's");
    assert_eq!(read_all(&mut port), b"uest\n");
    assert_eq!(host.device().available(4), 4);
    assert_eq!(port.read(&mut three).unwrap(), 0, "nothing more, and no wait");

    port.write_all(b"re").unwrap();
    port.write_all(b"ply\n").unwrap();
    assert_eq!(host.device().available(5), 0, "gathered until flushed");
    port.flush().unwrap();
    assert!(!port.is_drained().unwrap());
    assert_eq!(host.device().notified.last(), Some(&5));
    assert_eq!(host.device().receive(5).unwrap(), b"reply\n");
    assert!(port.is_drained().unwrap());
}

#[test]
fn poll_gives_out_what_was_written() {
    dma!(64);
    let mut host = Host::new(4).with_port(1, AGENT);
    let mut console = host.open::<Dma>();
    console.open(PortId(1)).unwrap();
    console.port(PortId(1)).unwrap().write_all(b"reply").unwrap();
    assert_eq!(console.poll(), Ok(None));
    assert_eq!(host.device().receive_all(5), b"reply");
}

#[test]
fn never_waits_for_a_host_that_does_not_read() {
    dma!(64);
    let mut host = Host::new(4).with_port(1, AGENT);
    let mut console = Console::<Dma, _, 2, 2, 2>::new(host.transport.clone()).unwrap();
    host.talk(&mut console);
    console.open(PortId(1)).unwrap();
    let mut port = console.port(PortId(1)).unwrap();
    let data: Vec<u8> = (0..10_000u32).map(|i| i.to_le_bytes()[0] ^ i.to_le_bytes()[1]).collect();
    assert_eq!(port.write(&data).unwrap(), 8192, "two buffers");
    assert!(!port.write_ready().unwrap());
    assert_eq!(port.write(&data[8192..]).unwrap_err(), Error::Full);
    let mut received = host.device().receive(5).unwrap();
    assert_eq!(received.len(), 4096);
    assert!(port.write_ready().unwrap());
    assert_eq!(port.write(&data[8192..]).unwrap(), 10_000 - 8192);
    port.flush().unwrap();
    received.extend(host.device().receive_all(5));
    assert!(received == data);
}

#[test]
fn large_input_flows_through_few_buffers() {
    dma!(64);
    let mut host = Host::new(4).with_port(1, AGENT);
    let mut console = Console::<Dma, _, 2, 2, 2>::new(host.transport.clone()).unwrap();
    host.talk(&mut console);
    console.open(PortId(1)).unwrap();
    let data: Vec<u8> = (0..50_000u32).map(|i| (i % 251) as u8).collect();
    let mut received = Vec::new();
    let mut rest = data.as_slice();
    // Lengths that are no divisors of a buffer's, over many turns of a ring of two.
    for len in [1, 4096, 4095, 7, 2048, 1, 3000].into_iter().cycle() {
        let (chunk, after) = rest.split_at(rest.len().min(len));
        if host.device().send(4, chunk) {
            rest = after;
        } else {
            received.extend(read_all(&mut console.port(PortId(1)).unwrap()));
        }
        if rest.is_empty() {
            break;
        }
    }
    received.extend(read_all(&mut console.port(PortId(1)).unwrap()));
    assert!(received == data);
}

#[test]
fn a_device_without_ports_has_one_channel() {
    dma!(16);
    let mut device = Device::new(DeviceType::Console, 2);
    device.configuration = Vec::from([0; 8]);
    let transport = device.share();
    let mut console = Console::<Dma, _>::new(transport.clone()).unwrap();
    assert!(!console.is_multiport());
    assert_eq!(console.poll(), Ok(Some(Event::Added(PortId(0)))));
    assert_eq!(console.poll(), Ok(None));
    assert_eq!(console.name(PortId(0)), None);
    console.open(PortId(0)).unwrap();
    assert!(transport.0.borrow_mut().send(0, b"in"));
    let mut port = console.port(PortId(0)).unwrap();
    assert_eq!(read_all(&mut port), b"in");
    port.write_all(b"out").unwrap();
    port.flush().unwrap();
    assert_eq!(transport.0.borrow_mut().receive_all(1), b"out");
    assert_eq!(transport.0.borrow().queues(), [0, 1], "neither control nor other ports");
}

#[test]
fn a_legacy_device_works_as_well() {
    dma!(64);
    let mut host = Host::new(4).with_port(1, AGENT);
    host.device().is_legacy = true;
    let mut console = host.open::<Dma>();
    assert_eq!(host.device().driver_features, 1 << 1, "32 bits of features only");
    assert!(!host.device().statuses.iter().any(|s| s.contains(DeviceStatus::FEATURES_OK)));
    console.open(console.port_named(AGENT).unwrap()).unwrap();
    host.device().send(4, b"bytes");
    assert_eq!(read_all(&mut console.port(PortId(1)).unwrap()), b"bytes");
}

#[test]
fn announces_ports_beyond_its_queues_as_unreachable() {
    dma!(64);
    let mut host = Host::new(31).with_port(1, "one").with_port(3, AGENT).with_port(30, "far");
    let mut console = Console::<Dma, _, 3>::new(host.transport.clone()).unwrap();
    let events = host.talk(&mut console);
    let unreachable: Vec<(u32, &str)> = events
        .iter()
        .filter_map(|event| match event {
            Event::Unreachable { port, name } => Some((port.0, name.as_str().unwrap())),
            _ => None,
        })
        .collect();
    assert_eq!(unreachable, [(3, AGENT), (30, "far")]);
    assert_eq!(console.port_named(AGENT), None);
    assert_eq!(console.open(PortId(3)), Err(Error::Unreachable));
    assert_eq!(console.port(PortId(30)).unwrap_err(), Error::Unreachable);
    assert_eq!(console.open(PortId(2)), Err(Error::NoPort));
    assert_eq!(console.open(PortId(u32::MAX)), Err(Error::NoPort));
    assert_eq!(host.device().queues(), [0, 1, 2, 3, 4, 5, 6, 7], "ports 0 to 2 and control");
}

#[test]
fn loses_no_message_of_many_ports() {
    dma!(64);
    let mut host = Host::new(31);
    for id in 1..31 {
        host = host.with_port(id, &std::format!("port.{id}"));
    }
    let mut console = Console::<Dma, _, 2>::new(host.transport.clone()).unwrap();
    let events = host.talk(&mut console);
    let named = |event: &&Event| matches!(event, Event::Named(_) | Event::Unreachable { .. });
    assert_eq!(events.iter().filter(named).count(), 30);
    assert_eq!(host.dropped, 0, "QEMU drops what finds no buffer");
}

#[test]
fn a_maximum_of_ports_that_is_a_lie_does_no_harm() {
    dma!(64);
    for (claimed, queues) in [(0, &[2, 3][..]), (u32::MAX, &[0, 1, 2, 3, 4, 5])] {
        let mut host = Host::new(2).with_port(1, AGENT);
        host.device().configuration[4..8].copy_from_slice(&claimed.to_le_bytes());
        let mut console = Console::<Dma, _, 4>::new(host.transport.clone()).unwrap();
        assert_eq!(host.device().queues(), queues);
        let events = host.talk(&mut console);
        let is_reachable = queues.contains(&4);
        assert_eq!(events.contains(&Event::Named(PortId(1))), is_reachable);
        assert_eq!(console.open(PortId(1)).is_ok(), is_reachable);
    }
    assert_eq!(POOL.free_pages(), 64, "dropping a console gives its memory back");
}

#[test]
fn unplugged_ports_close_and_come_back() {
    dma!(64);
    let mut host = Host::new(4).with_port(1, AGENT);
    let mut console = host.open::<Dma>();
    let port = PortId(1);
    console.open(port).unwrap();
    host.step();
    host.device().send(4, b"old");
    console.port(port).unwrap().write_all(b"never sent").unwrap();
    host.message(1, 2, 1, &[]);
    assert_eq!(console.poll(), Ok(Some(Event::Removed(port))));
    assert_eq!(console.port(port).unwrap_err(), Error::NoPort);
    assert_eq!(console.open(port), Err(Error::NoPort));
    assert_eq!(console.port_named(AGENT), None);
    host.device().receive_all(5);
    let free = POOL.free_pages();

    host.message(1, 1, 1, &[]);
    let events = host.talk(&mut console);
    assert_eq!(events, [Event::Added(port), Event::Named(port), Event::Opened(port)]);
    console.open(port).unwrap();
    assert_eq!(POOL.free_pages(), free, "the same buffers serve again");
    assert_eq!(host.device().available(4), 4);
    let mut channel = console.port(port).unwrap();
    assert_eq!(read_all(&mut channel), b"", "nothing of before");
    host.device().send(4, b"new");
    assert_eq!(read_all(&mut channel), b"new");
    channel.write_all(b"out").unwrap();
    channel.flush().unwrap();
    assert_eq!(host.device().receive_all(5), b"out");
}

#[test]
fn tells_when_the_host_opens_and_closes() {
    dma!(64);
    let mut host = Host::new(4).with_port(1, AGENT);
    let mut console = host.open::<Dma>();
    let port = PortId(1);
    console.open(port).unwrap();
    for is_open in [false, true, false] {
        host.message(1, 6, u16::from(is_open), &[]);
        let expected = if is_open { Event::Opened(port) } else { Event::Closed(port) };
        assert_eq!(console.poll(), Ok(Some(expected)));
        // Whoever is there, writing goes on.
        console.port(port).unwrap().write_all(b"x").unwrap();
    }
    console.close(port).unwrap();
    console.close(port).unwrap();
    host.talk(&mut console);
    assert_eq!(host.opened, [(1, true), (1, false)]);
    assert_eq!(console.port(port).unwrap_err(), Error::NotOpen);
    console.open(port).unwrap();
    host.step();
    assert_eq!(host.opened, [(1, true), (1, false), (1, true)]);
}

#[test]
fn a_port_is_closed_whatever_the_device_says_meanwhile() {
    dma!(64);
    let mut host = Host::new(4).with_port(1, AGENT);
    let mut console = host.open::<Dma>();
    console.open(PortId(1)).unwrap();
    host.talk(&mut console);
    for is_open in [0, 1] {
        host.message(1, 6, is_open, &[]);
    }
    console.close(PortId(1)).unwrap();
    host.step();
    assert_eq!(host.opened, [(1, true), (1, false)], "with no other poll");
}

#[test]
fn an_announcement_is_answered_before_the_port_is_opened() {
    dma!(64);
    let mut host = Host::new(4).with_port(1, AGENT).with_port(2, "other");
    let mut console = Console::<Dma, _>::new(host.transport.clone()).unwrap();
    host.step();
    assert_eq!(console.poll(), Ok(Some(Event::Added(PortId(1)))));
    console.open(PortId(1)).unwrap();
    assert_eq!(host.device().available(3), 0, "the other announcement was not read yet");
    assert_eq!(console.poll(), Ok(Some(Event::Added(PortId(2)))));
    let sent: Vec<_> = core::iter::from_fn(|| host.device().receive(3)).collect();
    let sent = sent.iter().map(|message| (message[4], message[0]));
    assert_eq!(sent.collect::<Vec<_>>(), [(3, 1), (3, 2), (6, 1)]);
}

#[test]
fn a_hushed_port_still_carries_what_is_under_way() {
    dma!(64);
    let mut host = Host::new(31).with_port(1, AGENT);
    let mut console = Console::<Dma, _>::new(host.transport.clone()).unwrap();
    let one = PortId(1);
    assert_eq!(console.hush(one), Err(Error::NoPort));
    host.talk(&mut console);
    assert_eq!(console.hush(one), Err(Error::NotOpen));
    console.open(one).unwrap();
    host.talk(&mut console);
    assert_eq!(console.hush(one), Ok(false), "the device has not looked yet");
    // The host has not heard of it, either.
    assert!(host.device().send(4, b"late"));
    host.step();
    assert_eq!(host.opened, [(1, true), (1, false)]);
    assert_eq!(console.hush(one), Ok(true));
    assert_eq!(console.hush(one), Ok(true));
    let mut port = console.port(one).unwrap();
    assert_eq!(read_all(&mut port), b"late");
    assert_eq!(port.write(b"reply"), Ok(5));
    port.flush().unwrap();
    assert_eq!(host.device().receive_all(5), b"reply");
    host.talk(&mut console);
    assert_eq!(host.opened, [(1, true), (1, false)], "it is told once");

    // A new opening is told, and so is one after a restart.
    console.close(one).unwrap();
    console.open(one).unwrap();
    host.talk(&mut console);
    assert_eq!(host.opened.last(), Some(&(1, true)));
    console.hush(one).unwrap();
    console.restart().unwrap();
    host.talk(&mut console);
    console.open(one).unwrap();
    host.talk(&mut console);
    assert_eq!(host.opened.last(), Some(&(1, true)));
}

#[test]
fn ignores_messages_that_mean_nothing() {
    dma!(64);
    let mut host = Host::new(4).with_port(1, AGENT);
    let mut console = host.open::<Dma>();
    let long = [b'n'; 200];
    let cases: [(u32, u16, &[u8]); 14] = [
        (1, 1, b""),              // announced twice
        (2, 2, b""),              // removed without having been there
        (2, 6, b""),              // opened without being there
        (2, 7, b"name"),          // named without being there
        (64, 1, b""),             // beyond all numbers
        (u32::MAX, 1, b""),       //
        (1, 0, b""),              // what only a driver says
        (1, 3, b""),              //
        (1, 8, b""),              // unknown
        (1, 0xFFFF, b""),         //
        (1, 4, b""),              // a console for a person
        (1, 5, &[132, 0, 43, 0]), // its size
        (1, 5, b"\x50\0"),        // a size cut off
        (1, 7, &long),            // a name too long: the port has none now
    ];
    for (id, event, rest) in cases {
        host.message(id, event, 1, rest);
        assert_eq!(console.poll(), Ok(Some(Event::Ignored)), "{event} for {id}");
    }
    assert_eq!(console.port_named(AGENT), None);
    for len in 0..8 {
        assert!(host.device().send(2, &[1, 0, 0, 0, 6, 0, 1, 0][..len]));
        assert_eq!(console.poll(), Ok(Some(Event::Ignored)), "a message of {len} bytes");
    }
    assert_eq!(console.poll(), Ok(None));
    host.step();
    assert!(host.opened.is_empty());
}

/// As QEMU's `virtconsole` is, whatever its name.
#[test]
fn a_console_for_a_person_is_a_port_like_any_other() {
    dma!(64);
    let mut host = Host::new(4);
    host.device().features |= 1 << 0;
    let mut console = Console::<Dma, _>::new(host.transport.clone()).unwrap();
    assert_eq!(host.device().driver_features, VERSION_1 | 1 << 1, "its size is not asked for");
    host.talk(&mut console);
    let port = PortId(1);
    let size = [80, 0, 25, 0];
    let messages: [(u16, &[u8], Event); 5] = [
        (1, b"", Event::Added(port)),
        (4, b"", Event::Ignored),
        (5, &size, Event::Ignored),
        (7, AGENT.as_bytes(), Event::Named(port)),
        (6, b"", Event::Opened(port)),
    ];
    for (event, rest, expected) in messages {
        host.message(1, event, 1, rest);
        assert_eq!(console.poll(), Ok(Some(expected)));
    }
    console.open(port).unwrap();
    assert!(host.device().send(4, b"request"));
    assert_eq!(read_all(&mut console.port(port).unwrap()), b"request");
}

#[test]
fn clamps_lengths_that_the_device_claims() {
    dma!(64);
    let mut host = Host::new(4).with_port(1, AGENT);
    let mut console = host.open::<Dma>();
    console.open(PortId(1)).unwrap();
    for claimed in [4097, u32::MAX] {
        host.device().send_claiming(4, b"x", claimed);
        let bytes = read_all(&mut console.port(PortId(1)).unwrap());
        assert_eq!(bytes.len(), 4096);
        host.device().send_claiming(2, &[0xFF; 80], claimed);
        assert_eq!(console.poll(), Ok(Some(Event::Ignored)));
    }
    // Empty buffers, more than there are: neither bytes nor a loop without an end.
    for _ in 0..20 {
        host.device().send(4, b"");
        assert!(!console.port(PortId(1)).unwrap().read_ready().unwrap());
    }
    assert_eq!(host.device().available(4), 4);
}

#[test]
fn gives_up_on_a_device_that_breaks_the_rules() {
    dma!(64);
    // Returned: a descriptor that the device does not have, one that does not exist, one twice.
    let returned: [&[u32]; 4] = [&[3], &[0xFFFF], &[4], &[0, 0]];
    for tokens in returned {
        let mut host = Host::new(4).with_port(1, AGENT);
        let mut console = host.open::<Dma>();
        console.open(PortId(1)).unwrap();
        console.port(PortId(1)).unwrap().write_all(&[b'x'; 4096]).unwrap();
        for &token in tokens {
            host.device().give_back(5, token, 0);
        }
        let mut port = console.port(PortId(1)).unwrap();
        assert_eq!(port.write_ready(), Err(Error::Device(Failure::Misbehaved)), "{tokens:?}");
        assert_eq!(console.poll(), Err(Error::Device(Failure::Misbehaved)), "it stays so");
        assert_eq!(console.port(PortId(1)).unwrap_err(), Error::Device(Failure::Misbehaved));

        console.restart().unwrap();
        host.talk(&mut console);
        console.open(PortId(1)).unwrap();
        host.device().send(4, b"again");
        assert_eq!(read_all(&mut console.port(PortId(1)).unwrap()), b"again");
    }
    assert_eq!(POOL.free_pages(), 64);
}

#[test]
fn reports_a_device_that_needs_a_reset() {
    dma!(64);
    let mut host = Host::new(4).with_port(1, AGENT);
    let mut console = host.open::<Dma>();
    for tells in [InterruptStatus::DEVICE_CONFIGURATION_INTERRUPT, InterruptStatus::empty()] {
        host.device().status |= DeviceStatus::DEVICE_NEEDS_RESET;
        host.device().interrupt |= tells;
        assert_eq!(console.poll(), Err(Error::Device(Failure::NeedsReset)));
        assert_eq!(console.open(PortId(1)), Err(Error::Device(Failure::NeedsReset)));
        console.restart().unwrap();
        let events = host.talk(&mut console);
        assert!(events.contains(&Event::Named(PortId(1))));
    }
}

#[test]
fn acknowledges_before_it_looks() {
    dma!(64);
    let mut host = Host::new(4).with_port(1, AGENT);
    let mut console = host.open::<Dma>();
    host.message(1, 6, 0, &[]);
    assert!(!host.device().interrupt.is_empty());
    assert!(matches!(console.poll(), Ok(Some(_))));
    assert!(host.device().interrupt.is_empty());
    // What comes after the acknowledgement interrupts again.
    host.message(1, 6, 1, &[]);
    assert!(!host.device().interrupt.is_empty());
    assert!(matches!(console.poll(), Ok(Some(_))));

    // One that has failed may share its line with others.
    host.device().give_back(2, 0xFFFF, 0);
    assert_eq!(console.poll(), Err(Error::Device(Failure::Misbehaved)));
    host.device().interrupt |= InterruptStatus::QUEUE_INTERRUPT;
    assert_eq!(console.poll(), Err(Error::Device(Failure::Misbehaved)));
    assert!(host.device().interrupt.is_empty());
}

#[test]
fn an_interrupt_without_a_message_is_told() {
    dma!(64);
    let mut host = Host::new(4).with_port(1, AGENT);
    let mut console = host.open::<Dma>();
    console.open(PortId(1)).unwrap();
    console.port(PortId(1)).unwrap().write_all(b"reply").unwrap();
    assert_eq!(console.poll(), Ok(None));
    assert_eq!(host.device().receive_all(5), b"reply");
    assert_eq!(console.poll(), Ok(Some(Event::Interrupted)), "the host has taken the reply");
    assert_eq!(console.poll(), Ok(None));
    let tell = || host.device().interrupt |= InterruptStatus::QUEUE_INTERRUPT;
    for _ in 0..1000 {
        tell();
        _ = console.poll();
    }
    tell();
    assert_eq!(console.poll(), Ok(None), "one that cannot be acknowledged keeps nobody awake");
    host.message(1, 6, 1, &[]);
    assert_eq!(console.poll(), Ok(Some(Event::Opened(PortId(1)))));
}

#[test]
fn refuses_devices_that_cannot_be_set_up() {
    dma!(64);
    let refused = |prepare: fn(&mut Device)| {
        let host = Host::new(4);
        prepare(&mut host.device());
        Console::<Dma, _>::new(host.transport).unwrap_err()
    };
    assert_eq!(refused(|device| device.kind = DeviceType::Block), Error::NotConsole);
    let features = Error::Device(Failure::FeaturesRefused);
    assert_eq!(refused(|device| device.refuses_features = true), features);
    assert_eq!(refused(|device| device.features = 1 << 1), features, "not virtio 1.0");
    assert_eq!(refused(|device| device.queue_count = 3), Error::Device(Failure::Queues));
    assert_eq!(refused(|device| device.configuration.clear()), Error::Device(Failure::Queues));
    assert_eq!(POOL.free_pages(), 64);
}

#[test]
fn says_when_the_memory_is_too_small() {
    {
        dma!(8);
        let host = Host::new(4);
        assert_eq!(
            Console::<Dma, _>::new(host.transport).unwrap_err(),
            Error::Device(Failure::Memory)
        );
        assert_eq!(POOL.free_pages(), 8);
    }
    {
        dma!(dma_pages(2, 4, 4, 1));
        let mut host = Host::new(4).with_port(0, "zero").with_port(1, "one");
        let mut console = Console::<Dma, _, 2>::new(host.transport.clone()).unwrap();
        host.talk(&mut console);
        assert_eq!(console.open(PortId(0)), Ok(()));
        assert_eq!(POOL.free_pages(), 0);
        assert_eq!(console.open(PortId(1)), Err(Error::Device(Failure::Memory)));
        assert_eq!(console.port(PortId(1)).unwrap_err(), Error::NotOpen);
        assert_eq!(console.poll(), Ok(None), "the rest goes on");
    }
}

#[test]
fn keeps_memory_from_a_device_that_does_not_reset() {
    dma!(64);
    let host = Host::new(4);
    let mut console = Console::<Dma, _>::new(host.transport.clone()).unwrap();
    let free = POOL.free_pages();
    host.device().reset_reads = None;
    assert_eq!(console.restart(), Err(Error::Device(Failure::ResetTimeout)));
    assert_eq!(console.poll(), Err(Error::Device(Failure::ResetTimeout)));
    assert_eq!(POOL.free_pages(), free, "the device may still write there");
    host.device().reset_reads = Some(3);
    console.restart().unwrap();
}

/// Whatever a device does to its queues and says about its ports, the driver neither panics nor hangs, and works again
/// after a restart.
#[test]
fn survives_a_device_that_does_anything() {
    dma!(64);
    let mut failures = 0;
    for seed in 1..=400_u64 {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut host = Host::new(4).with_port(1, AGENT);
        let mut console = Console::<Dma, _, 3, 2, 4>::new(host.transport.clone()).unwrap();
        host.talk(&mut console);
        for _ in 0..60 {
            match random.below(8) {
                0 => {
                    let (id, event) = (random.below(5), random.below(10));
                    let (value, len) = (random.below(2), random.below(40) as usize);
                    let rest = [b'a'; 40];
                    host.message(id, halfword(event), halfword(value), &rest[..len]);
                }
                1 => {
                    let queue = halfword(random.below(8));
                    let (part, offset) = (random.below(3) as usize, random.below(64).into());
                    let value = halfword(random.below(1 << 16));
                    host.device().scribble(queue, part, offset, value);
                }
                2 => {
                    let (queue, token) = (halfword(random.below(8)), random.below(6));
                    host.device().give_back(queue, token, random.below(1 << 32));
                }
                3 => _ = console.open(PortId(random.below(5))),
                4 => _ = console.close(PortId(random.below(5))),
                _ => {
                    if let Ok(mut port) = console.port(PortId(random.below(4))) {
                        let mut bytes = [0; 5000];
                        _ = port.read(&mut bytes);
                        _ = port.write(&bytes[..random.below(5000) as usize]);
                        _ = port.flush();
                    }
                }
            }
            for _ in 0..100 {
                if !matches!(console.poll(), Ok(Some(_))) {
                    break;
                }
            }
        }
        failures += usize::from(console.poll().is_err());
        host.ports.insert(1, (AGENT.into(), true));
        console.restart().unwrap();
        host.talk(&mut console);
        console.open(PortId(1)).unwrap();
        assert!(host.device().send(4, b"still here"));
        assert_eq!(read_all(&mut console.port(PortId(1)).unwrap()), b"still here", "seed {seed}");
    }
    assert!(failures > 100, "the device has broken too few rules: {failures}");
    assert_eq!(POOL.free_pages(), 64);
}

fn halfword(value: u32) -> u16 {
    u16::try_from(value).unwrap()
}

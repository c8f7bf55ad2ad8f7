//! The console against a fake device that behaves

mod misbehaving;

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

    /// A host with the agent's port, and a console that has opened it.
    fn with_open_port<H: Hal>() -> (Self, Console<H, FakeTransport>) {
        let mut host = Self::new(4).with_port(1, AGENT);
        let mut console = host.open();
        console.open(PortId(1)).unwrap();
        (host, console)
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
    let (host, mut console) = Host::with_open_port::<Dma>();
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
fn unplugged_ports_close_and_come_back() {
    dma!(64);
    let (mut host, mut console) = Host::with_open_port::<Dma>();
    let port = PortId(1);
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
    let (mut host, mut console) = Host::with_open_port::<Dma>();
    let port = PortId(1);
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
    let (mut host, mut console) = Host::with_open_port::<Dma>();
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
    let (mut host, mut console) = Host::with_open_port::<Dma>();
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

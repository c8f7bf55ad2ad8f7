//! The console against a fake device that breaks the rules, fails, or cannot be set up

use super::*;

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

#[test]
fn clamps_lengths_that_the_device_claims() {
    dma!(64);
    let (host, mut console) = Host::with_open_port::<Dma>();
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
        let (mut host, mut console) = Host::with_open_port::<Dma>();
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

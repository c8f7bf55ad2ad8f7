//! The network driver against a fake device that behaves, and one that does not

use core::cell::RefMut;
use std::vec::Vec;

use super::*;
use crate::fake::{Device, FakeTransport, Random, dma};

const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
const FEATURES: u64 = F_MAC | F_STATUS;

/// The device's end of a cable.
struct Wire {
    transport: FakeTransport,
}

impl Wire {
    fn new(features: u64) -> Self {
        let mut device = Device::new(DeviceType::Network, 3);
        device.features |= features;
        device.configuration = std::vec![0; 12];
        device.configuration[..6].copy_from_slice(&MAC);
        let wire = Self { transport: device.share() };
        wire.plug(true);
        wire
    }

    fn device(&self) -> RefMut<'_, Device> {
        self.transport.0.borrow_mut()
    }

    fn plug(&self, is_up: bool) {
        self.device().configuration[6] = is_up.into();
    }

    fn open<H: Hal>(&self) -> Net<H, FakeTransport, 4, 4> {
        Net::new(self.transport.clone()).unwrap()
    }

    /// Has a frame arrive, behind a header; false if there is no buffer for it.
    fn deliver(&self, frame: &[u8]) -> bool {
        let header_bytes = if self.device().is_legacy { 10 } else { 12 };
        // The header says things that were not agreed on.
        let packet = [&[0xEE; 12][..header_bytes], frame].concat();
        self.device().send(0, &packet)
    }

    /// What the driver has sent.
    fn sent(&self) -> Vec<Vec<u8>> {
        let mut device = self.device();
        core::iter::from_fn(|| device.receive(1)).collect()
    }
}

fn frame(len: usize, seed: u8) -> Vec<u8> {
    (0..=255).cycle().skip(seed.into()).take(len).collect()
}

/// The frames that wait, and what ends the look at them.
fn frames<H: Hal>(net: &mut Net<H, FakeTransport, 4, 4>) -> Result<Vec<Vec<u8>>, Error> {
    let mut bytes = [0; FRAME_BYTES];
    let mut frames = Vec::new();
    while let Some(len) = net.receive(&mut bytes)? {
        frames.push(bytes[..len].to_vec());
    }
    Ok(frames)
}

#[test]
fn frames_pass_in_both_directions() {
    for is_legacy in [false, true] {
        dma!(dma_pages(4, 4));
        let wire = Wire::new(FEATURES | F_ANY_LAYOUT);
        wire.device().is_legacy = is_legacy;
        let mut net = wire.open::<Dma>();
        assert_eq!(POOL.free_pages(), 0);
        let agreed = FEATURES | if is_legacy { F_ANY_LAYOUT } else { device::VERSION_1 };
        assert_eq!(wire.device().driver_features, agreed);
        assert_eq!((net.mac(), net.mtu(), net.is_link_up()), (Some(MAC), None, true));
        assert_eq!(wire.device().queues(), [0, 1]);
        assert_eq!(wire.device().notified, [0]);
        assert_eq!(wire.device().available(0), 4);
        assert_eq!(net.poll(), Ok(false));

        for round in 0..10 {
            let arriving = [frame(14, round), frame(60, round), frame(FRAME_BYTES, round)];
            for one in &arriving {
                assert!(wire.deliver(one));
            }
            assert_eq!(net.poll(), Ok(true));
            assert_eq!(frames(&mut net).unwrap(), arriving);
            wire.device().notified.clear();
            assert_eq!(net.poll(), Ok(true), "frames have moved");
            assert_eq!(wire.device().notified, [0], "of the buffers it has again");
            assert_eq!(net.poll(), Ok(false));
            assert!(wire.device().interrupt.is_empty(), "acknowledged");

            let leaving = [frame(FRAME_BYTES, round), frame(14, round)];
            for one in &leaving {
                net.transmit(one).unwrap();
            }
            assert_eq!(wire.device().notified, [0, 1, 1]);
            let header_bytes = if is_legacy { 10 } else { 12 };
            let packets = leaving.map(|one| [&[0; 12][..header_bytes], &one].concat());
            assert_eq!(wire.sent(), packets);
        }
        let expected = Statistics {
            rx_bytes: 10 * (14 + 60 + 1514),
            rx_frames: 30,
            tx_bytes: 10 * (14 + 1514),
            tx_frames: 20,
            ..Statistics::default()
        };
        assert_eq!(net.statistics(), expected);
        drop(net);
        assert_eq!(POOL.free_pages(), dma_pages(4, 4));
    }
}

#[test]
fn a_host_that_takes_nothing_loses_frames_and_nothing_else() {
    dma!(16);
    let wire = Wire::new(FEATURES);
    let mut net = wire.open::<Dma>();
    for index in 0..10 {
        net.transmit(&frame(100, index)).unwrap();
    }
    assert_eq!((net.statistics().tx_frames, net.statistics().tx_dropped), (4, 6));
    assert_eq!(net.poll(), Ok(true));
    assert_eq!(net.poll(), Ok(false), "nothing to do but to wait");
    assert_eq!(wire.sent().len(), 4);
    net.transmit(&frame(100, 10)).unwrap();
    assert_eq!(wire.sent().concat()[HEADER_BYTES..], frame(100, 10));
    for len in [0, 13, FRAME_BYTES + 1, 70_000] {
        net.transmit(&frame(len, 0)).unwrap();
    }
    assert_eq!(net.statistics().tx_errors, 4);
    assert!(wire.sent().is_empty());
}

#[test]
fn what_is_no_frame_is_counted_and_its_buffer_given_back() {
    dma!(16);
    let wire = Wire::new(FEATURES);
    let mut net = wire.open::<Dma>();
    // Length claimed for a packet of 100 bytes; that of the frame.
    let cases = [
        (0, None),
        (1, None),
        (11, None),
        (12, None),
        (25, None),
        (26, Some(14)),
        (112, Some(100)),
        (1526, Some(1514)),
        (1527, None),
        (1536, None),
        (1537, None),
        (u32::MAX, None),
    ];
    for (claimed, expected) in cases {
        let before = net.statistics();
        let packet = [&[0; 12][..], &frame(100, 0)].concat();
        assert!(wire.device().send_claiming(0, &packet, claimed));
        assert_eq!(net.poll(), Ok(true));
        let found = frames(&mut net).unwrap();
        assert_eq!(found.first().map(Vec::len), expected, "{claimed}");
        let errors = net.statistics().rx_errors - before.rx_errors;
        assert_eq!(errors, u64::from(expected.is_none()), "{claimed}");
        assert_eq!(wire.device().available(0), 4);
    }
    // A host that sends them faster than they are looked at.
    let mut bytes = [0; FRAME_BYTES];
    while wire.device().send(0, &[]) {}
    assert_eq!(net.receive(&mut bytes), Ok(None));
    assert_eq!(wire.device().available(0), 4);
}

#[test]
fn nothing_of_an_earlier_frame_follows_a_shorter_one() {
    dma!(16);
    let wire = Wire::new(FEATURES);
    let mut net = wire.open::<Dma>();
    let mut bytes = [0xAA; FRAME_BYTES];
    wire.deliver(&[7; 20]);
    assert_eq!(net.receive(&mut bytes), Ok(Some(20)));
    assert_eq!((bytes[..20].to_vec(), bytes[20]), (std::vec![7; 20], 0xAA));
}

#[test]
fn the_link_is_followed() {
    for tells in [InterruptStatus::empty(), InterruptStatus::DEVICE_CONFIGURATION_INTERRUPT] {
        dma!(16);
        let wire = Wire::new(FEATURES);
        let mut net = wire.open::<Dma>();
        for is_up in [false, true, false] {
            wire.plug(is_up);
            wire.device().interrupt |= tells;
            assert_eq!(net.poll(), Ok(true));
            assert_eq!((net.is_link_up(), net.poll()), (is_up, Ok(false)));
        }
        net.transmit(&frame(60, 0)).unwrap();
        assert_eq!(net.statistics().tx_dropped, 1);
        assert!(wire.sent().is_empty());

        // While frames move it is looked at only when the device tells; afterwards always.
        wire.plug(true);
        wire.deliver(&frame(60, 0));
        wire.device().interrupt |= tells;
        assert_eq!(net.poll(), Ok(true));
        assert_eq!(net.is_link_up(), !tells.is_empty());
        assert_eq!(frames(&mut net).unwrap().len(), 1);
        assert_eq!((net.poll(), net.poll(), net.is_link_up()), {
            let is_news = tells.is_empty();
            (Ok(true), Ok(is_news), true)
        });
    }
    dma!(16);
    let wire = Wire::new(F_MAC);
    wire.plug(false);
    assert!(wire.open::<Dma>().is_link_up(), "one that does not tell");
}

#[test]
fn an_interrupt_about_nothing_is_told() {
    dma!(16);
    let wire = Wire::new(FEATURES);
    let mut net = wire.open::<Dma>();
    net.transmit(&frame(60, 0)).unwrap();
    assert_eq!((net.poll(), net.poll()), (Ok(true), Ok(false)));
    assert_eq!(wire.sent().len(), 1);
    assert_eq!(net.poll(), Ok(true), "the host has taken the frame");
    assert_eq!(net.poll(), Ok(false));
    let tell = || wire.device().interrupt |= InterruptStatus::QUEUE_INTERRUPT;
    for _ in 0..1000 {
        tell();
        _ = net.poll();
    }
    tell();
    assert_eq!(net.poll(), Ok(false), "one that cannot be acknowledged keeps nobody awake");
    tell();
    wire.deliver(&frame(60, 0));
    assert_eq!(net.poll(), Ok(true));
}

#[test]
fn an_address_is_the_device_s_or_there_is_none() {
    let cases = [
        (F_MAC, MAC, Some(MAC)),
        (0, MAC, None),
        (F_MAC, [0; 6], None),
        (F_MAC, [0xFF; 6], None),
        (F_MAC, [0x33, 0x33, 0, 0, 0, 1], None),
        (F_MAC, [2, 0, 0, 0, 0, 0], Some([2, 0, 0, 0, 0, 0])),
    ];
    for (features, address, expected) in cases {
        dma!(16);
        let wire = Wire::new(features);
        wire.device().configuration[..6].copy_from_slice(&address);
        assert_eq!(wire.open::<Dma>().mac(), expected, "{address:?}");
    }
    dma!(16);
    let wire = Wire::new(F_MAC | F_MTU);
    wire.device().configuration[10..12].copy_from_slice(&1450_u16.to_le_bytes());
    wire.device().unsettled_looks.set(3);
    assert_eq!(wire.open::<Dma>().mtu(), Some(1450));
}

#[test]
fn refuses_devices_that_cannot_be_set_up() {
    dma!(16);
    let refused = |prepare: fn(&mut Device)| {
        let wire = Wire::new(FEATURES);
        prepare(&mut wire.device());
        Net::<Dma, _, 4, 4>::new(wire.transport).unwrap_err()
    };
    let features = Error::Device(Failure::FeaturesRefused);
    assert_eq!(refused(|device| device.kind = DeviceType::Console), Error::NotNet);
    assert_eq!(refused(|device| device.refuses_features = true), features);
    assert_eq!(refused(|device| device.is_legacy = true), Error::Layout);
    assert_eq!(refused(|device| device.queue_count = 1), Error::Device(Failure::Queues));
    assert_eq!(refused(|device| device.configuration.clear()), Error::Configuration);
    assert_eq!(refused(|device| device.configuration.truncate(7)), Error::Configuration);
    assert_eq!(refused(|device| device.unsettled_looks.set(u32::MAX)), Error::Configuration);
    assert_eq!(POOL.free_pages(), 16);
    assert!(Net::<Dma, _, 16, 4>::new(Wire::new(FEATURES).transport).is_ok());
    assert_eq!(
        Net::<Dma, _, 32, 4>::new(Wire::new(FEATURES).transport).unwrap_err(),
        Error::Device(Failure::Memory)
    );
    assert_eq!(POOL.free_pages(), 16);
}

#[test]
fn begins_anew_and_keeps_what_it_has_counted() {
    dma!(16);
    let wire = Wire::new(FEATURES);
    let mut net = wire.open::<Dma>();
    let free = POOL.free_pages();
    wire.deliver(&frame(60, 0));
    assert_eq!(frames(&mut net).unwrap().len(), 1);
    wire.deliver(&frame(60, 1));

    wire.device().status |= DeviceStatus::DEVICE_NEEDS_RESET;
    assert_eq!(net.poll(), Ok(true), "frames first");
    assert_eq!(frames(&mut net).unwrap().len(), 1);
    assert_eq!((net.poll(), net.poll()), (Ok(true), Err(Error::Device(Failure::NeedsReset))));
    assert_eq!(
        net.receive(&mut [0; FRAME_BYTES]),
        Err(Error::Device(Failure::NeedsReset)),
        "it stays so"
    );
    assert_eq!(net.transmit(&frame(60, 0)), Err(Error::Device(Failure::NeedsReset)));

    wire.device().reset_reads = None;
    for _ in 0..3 {
        assert_eq!(net.restart(), Err(Error::Device(Failure::ResetTimeout)));
        assert_eq!(POOL.free_pages(), free, "the device may still write there");
    }
    wire.device().reset_reads = Some(3);
    wire.deliver(&frame(60, 2));
    net.restart().unwrap();
    assert_eq!((POOL.free_pages(), net.poll()), (free, Ok(false)), "nothing of before");
    wire.deliver(&frame(60, 3));
    assert_eq!(frames(&mut net).unwrap(), [frame(60, 3)]);
    assert_eq!(net.statistics().rx_frames, 3);

    wire.device().reset_reads = None;
    drop(net);
    assert_eq!(POOL.free_pages(), free, "given up for good");
}

#[test]
fn gives_up_on_a_device_that_breaks_the_rules() {
    // Queue, and the descriptor that is returned of it without having been given.
    for (queue, token) in [(1, 0), (1, 3), (0, 4), (0, 0xFFFF)] {
        dma!(16);
        let wire = Wire::new(FEATURES);
        let mut net = wire.open::<Dma>();
        wire.device().give_back(queue, token, 60);
        let outcome = net.poll().and_then(|_| frames(&mut net));
        assert_eq!(outcome.unwrap_err(), Error::Device(Failure::Misbehaved), "{queue} {token}");
        assert_eq!(net.poll(), Err(Error::Device(Failure::Misbehaved)), "it stays so");
        net.restart().unwrap();
        wire.deliver(&frame(60, 0));
        assert_eq!(frames(&mut net).unwrap(), [frame(60, 0)]);
    }
}

/// Whatever a device does to its queues and its configuration, the driver neither panics nor hangs, and works again
/// after a restart.
#[test]
fn survives_a_device_that_does_anything() {
    dma!(16);
    let mut failures = 0;
    for seed in 1..=400_u64 {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let wire = Wire::new(FEATURES | F_MTU);
        let mut net = wire.open::<Dma>();
        for _ in 0..60 {
            let queue = u16::try_from(random.below(2)).unwrap();
            match random.below(8) {
                0 => {
                    let (part, offset) = (random.below(3) as usize, random.below(64).into());
                    let value = u16::try_from(random.below(1 << 16)).unwrap();
                    wire.device().scribble(queue, part, offset, value);
                }
                1 => wire.device().give_back(queue, random.below(6), random.below(1 << 32)),
                2 => wire.plug(random.below(2) == 0),
                3 => _ = wire.device().send_claiming(0, &frame(80, 1), random.below(2000)),
                4 => _ = wire.device().receive(1),
                5 => _ = net.transmit(&frame(random.below(1600) as usize, 2)),
                6 => _ = frames(&mut net),
                _ => _ = net.poll(),
            }
        }
        failures += usize::from(net.poll().is_err());
        wire.plug(true);
        net.restart().unwrap();
        wire.deliver(&frame(60, 0));
        assert_eq!(frames(&mut net).unwrap(), [frame(60, 0)], "seed {seed}");
        net.transmit(&frame(60, 1)).unwrap();
        assert_eq!(wire.sent().concat()[HEADER_BYTES..], frame(60, 1), "seed {seed}");
    }
    assert!(failures > 100, "the device has broken too few rules: {failures}");
}

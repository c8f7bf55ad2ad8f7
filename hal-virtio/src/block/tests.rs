//! The block driver against a fake disk that behaves, and one that does not

use core::cell::RefMut;
use std::vec::Vec;

use virtio_drivers::transport::InterruptStatus;

use super::*;
use crate::fake::{Buffer, Device, FakeTransport, Random, dma};

/// A disk in memory.
struct Disk {
    transport: FakeTransport,
    bytes: Vec<u8>,
    /// Answers this to whatever is asked.
    status: Option<u8>,
    /// Claims this length, instead of what was written.
    claims: Option<u32>,
    /// Requests done: type, sector, bytes of data.
    done: Vec<(u32, u64, usize)>,
    /// Parts of the last discard.
    discarded: Vec<(u64, u32, u32)>,
}

impl Disk {
    fn new(sectors: usize, features: u64) -> Self {
        let mut device = Device::new(DeviceType::Block, 1);
        device.features |= features;
        device.configuration = std::vec![0; 60];
        let disk = Self {
            transport: device.share(),
            bytes: (0..sectors * SECTOR_BYTES).map(pattern).collect(),
            status: None,
            claims: None,
            done: Vec::new(),
            discarded: Vec::new(),
        };
        disk.set(0, u32::try_from(sectors).unwrap());
        disk.set(20, 512);
        disk.set(36, 20);
        disk.set(40, 1);
        disk.set(44, 8);
        disk
    }

    fn device(&self) -> RefMut<'_, Device> {
        self.transport.0.borrow_mut()
    }

    /// Changes a field of the configuration.
    fn set(&self, offset: usize, value: u32) {
        self.device().configuration[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    }

    fn open<H: Hal>(&self) -> Block<H, FakeTransport> {
        Block::new(self.transport.clone()).unwrap()
    }

    /// Does the driver's request, if there is one, and says to have done `false` if not.
    fn step(&mut self) -> bool {
        let chain = self.device().take_chain(0);
        let Some(chain) = chain else { return false };
        let (status, written) = self.serve(&chain);
        chain.last().unwrap().write(&[status]);
        let claimed = self.claims.unwrap_or(written + 1);
        self.device().give_back(0, chain[0].token.into(), claimed);
        true
    }

    fn serve(&mut self, chain: &[Buffer]) -> (u8, u32) {
        let [head, data @ .., status] = chain else { panic!("too short: {chain:?}") };
        assert_eq!((head.len, status.len, status.is_writable), (16, 1, true));
        assert!(data.len() <= 1);
        let head = head.read();
        let kind = u32::from_le_bytes(head[..4].try_into().unwrap());
        let sector = u64::from_le_bytes(head[8..].try_into().unwrap());
        let len = data.first().map_or(0, |data| data.len as usize);
        self.done.push((kind, sector, len));
        if let Some(status) = self.status {
            return (status, 0);
        }
        let start = usize::try_from(sector).unwrap() * SECTOR_BYTES;
        if start + len > self.bytes.len() {
            return (1, 0);
        }
        match kind {
            kind::IN => data[0].write(&self.bytes[start..][..len]),
            kind::OUT => self.bytes[start..][..len].copy_from_slice(&data[0].read()),
            kind::FLUSH => assert_eq!((sector, len), (0, 0)),
            kind::GET_ID => data[0].write(b"serial-17\0\xFF\xFF"),
            kind::DISCARD => {
                let bytes = data[0].read();
                let [sector, rest] = [0, 8].map(|at| bytes[at..at + 8].try_into().unwrap());
                let rest = u64::from_le_bytes(rest);
                let count = u32::try_from(rest & 0xFFFF_FFFF).unwrap();
                let flags = u32::try_from(rest >> 32).unwrap();
                self.discarded.push((u64::from_le_bytes(sector), count, flags));
            }
            other => panic!("the driver asked for {other}"),
        }
        (0, u32::try_from(len).unwrap())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a remainder of 251 fits")]
fn pattern(index: usize) -> u8 {
    (index * 7 % 251) as u8
}

#[test]
fn reads_and_writes_sectors_in_requests_that_fit() {
    dma!(dma_pages(8));
    let mut disk = Disk::new(100, F_FLUSH);
    let mut block = disk.open::<Dma>();
    assert_eq!(POOL.free_pages(), 0);
    assert_eq!((block.sectors(), block.block_sectors(), block.request_sectors()), (100, 1, 8));
    let mut bytes = std::vec![0; 20 * SECTOR_BYTES];
    block.read(3, &mut bytes, &mut || disk.step()).unwrap();
    assert_eq!(bytes, disk.bytes[3 * SECTOR_BYTES..23 * SECTOR_BYTES]);
    assert_eq!(disk.done, [(0, 3, 4096), (0, 11, 4096), (0, 19, 2048)]);

    disk.done.clear();
    bytes.reverse();
    block.write(80, &bytes, &mut || disk.step()).unwrap();
    assert_eq!(bytes, disk.bytes[80 * SECTOR_BYTES..]);
    assert_eq!(disk.done, [(1, 80, 4096), (1, 88, 4096), (1, 96, 2048)]);

    disk.done.clear();
    block.flush(&mut || disk.step()).unwrap();
    assert_eq!(disk.done, [(4, 0, 0)]);
    assert_eq!(block.serial(&mut || disk.step()).unwrap(), *b"serial-17\0\0\0\0\0\0\0\0\0\0\0");
    drop(block);
    assert_eq!(POOL.free_pages(), dma_pages(8));
}

#[test]
fn works_with_legacy_devices() {
    dma!(16);
    let mut disk = Disk::new(10, F_FLUSH);
    disk.device().is_legacy = true;
    let mut block = disk.open::<Dma>();
    assert_eq!(disk.device().driver_features & !F_FLUSH, 0);
    let mut sector = [0; SECTOR_BYTES];
    block.read(9, &mut sector, &mut || disk.step()).unwrap();
    assert_eq!(sector[..], disk.bytes[9 * SECTOR_BYTES..]);
}

#[test]
fn starts_and_polls_without_waiting() {
    dma!(16);
    let mut disk = Disk::new(10, 0);
    let mut block = disk.open::<Dma>();
    let mut bytes = [0; 2 * SECTOR_BYTES];
    assert_eq!(block.poll(), Poll::Ready(Ok(())), "nothing to wait for");
    block.start(Request::Read { sector: 4, count: 1 }).unwrap();
    assert_eq!(disk.device().notified, [0]);
    for _ in 0..3 {
        assert_eq!(block.poll(), Poll::Pending);
    }
    assert_eq!(block.start(Request::Flush), Err(Error::Busy));
    assert_eq!(block.data(&mut bytes), 0, "the device has the buffer");
    disk.step();
    assert_eq!(block.data(&mut bytes), 0, "the driver has not looked");
    assert!(!disk.device().interrupt.is_empty());
    assert_eq!(block.poll(), Poll::Ready(Ok(())));
    assert!(disk.device().interrupt.is_empty(), "acknowledged");
    assert_eq!(block.data(&mut bytes), SECTOR_BYTES);
    assert_eq!(bytes[..SECTOR_BYTES], disk.bytes[4 * SECTOR_BYTES..][..SECTOR_BYTES]);
    block.start(Request::Flush).unwrap();
    assert_eq!(block.poll(), Poll::Ready(Ok(())), "a device without the feature writes through");
    assert_eq!(disk.done.len(), 1);
    assert_eq!(block.data(&mut bytes), 0);
}

#[test]
fn tells_of_its_interrupts() {
    dma!(16);
    let mut disk = Disk::new(10, F_FLUSH);
    let mut block = disk.open::<Dma>();
    assert!(!block.has_interrupted());
    block.flush(&mut || disk.step()).unwrap();
    assert!(block.has_interrupted());
    assert!(!block.has_interrupted(), "told once");

    let tell = || disk.device().interrupt |= InterruptStatus::QUEUE_INTERRUPT;
    tell();
    assert_eq!(block.poll(), Poll::Ready(Ok(())));
    assert!(block.has_interrupted());
    let told = (0..1000).filter(|_| {
        tell();
        _ = block.poll();
        block.has_interrupted()
    });
    assert!(told.count() < 100, "one that cannot be acknowledged keeps nobody awake");
    assert_eq!(block.poll(), Poll::Ready(Ok(())));

    disk.device().give_back(0, 0, 1);
    assert_eq!(block.poll(), Poll::Ready(Err(Error::Device(Failure::Misbehaved))));
    assert!(block.has_interrupted(), "one that has failed may have held the line, too");
}

#[test]
fn checks_ranges_before_anything_is_sent() {
    dma!(16);
    let mut disk = Disk::new(24, F_BLK_SIZE | F_DISCARD);
    disk.set(20, 1024);
    let mut block = disk.open::<Dma>();
    let cases = [
        (0, 24, Ok(())),
        (24, 0, Ok(())),
        (22, 2, Ok(())),
        (0, 26, Err(Error::OutOfRange)),
        (24, 2, Err(Error::OutOfRange)),
        (26, 0, Err(Error::OutOfRange)),
        (u64::MAX, 2, Err(Error::OutOfRange)),
        (u64::MAX - 1, 2, Err(Error::OutOfRange)),
        (1, 2, Err(Error::Misaligned)),
        (2, 1, Err(Error::Misaligned)),
    ];
    for (sector, count, expected) in cases {
        let mut bytes = std::vec![0; count * SECTOR_BYTES];
        disk.done.clear();
        assert_eq!(block.read(sector, &mut bytes, &mut || disk.step()), expected);
        assert_eq!(block.write(sector, &bytes, &mut || disk.step()), expected);
        assert_eq!(block.discard(sector, count as u64, &mut || disk.step()), expected);
        assert_eq!(disk.done.is_empty(), expected.is_err() || count == 0, "{sector} {count}");
        let request = Request::Read { sector, count };
        let fits = expected.is_ok() && (1..=8).contains(&count);
        assert_eq!(block.start(request).is_ok(), fits, "{sector} {count}");
        while block.poll().is_pending() {
            disk.step();
        }
    }
    for len in [1, SECTOR_BYTES - 1, 2 * SECTOR_BYTES + 1] {
        let mut bytes = std::vec![0; len];
        assert_eq!(block.read(0, &mut bytes, &mut || disk.step()), Err(Error::Misaligned));
        assert_eq!(block.write(0, &bytes, &mut || disk.step()), Err(Error::Misaligned));
    }
    assert_eq!(block.discard(0, u64::MAX, &mut || false), Err(Error::OutOfRange));
    for count in [0, 22, u32::MAX] {
        let refused = block.start(Request::Discard { sector: 0, count });
        assert_eq!(refused, Err(Error::OutOfRange));
    }
}

#[test]
fn splits_discards_where_the_device_wants_it() {
    dma!(16);
    // Sector, count; most sectors in a request, alignment; what is to be sent.
    type Case = (u64, u64, u32, u32, &'static [(u64, u32)]);
    let cases: [Case; 6] = [
        (0, 16, 20, 8, &[(0, 16)]),
        (3, 50, 20, 8, &[(3, 13), (16, 16), (32, 16), (48, 5)]),
        (1, 5, 2, 8, &[(1, 2), (3, 2), (5, 1)]),
        (0, 3, 1, u32::MAX, &[(0, 1), (1, 1), (2, 1)]),
        (0, 100, u32::MAX, 0, &[(0, 100)]),
        (5, 0, 20, 8, &[]),
    ];
    for (sector, count, most, alignment, expected) in cases {
        let mut disk = Disk::new(100, F_DISCARD);
        disk.set(36, most);
        disk.set(44, alignment);
        let mut block = disk.open::<Dma>();
        block.discard(sector, count, &mut || disk.step()).unwrap();
        let expected: Vec<_> = expected.iter().map(|&(sector, count)| (sector, count, 0)).collect();
        assert_eq!(disk.discarded, expected);
    }
    for (features, most, segments) in [(0, 20, 1), (F_DISCARD, 0, 1), (F_DISCARD, 20, 0)] {
        let disk = Disk::new(100, features);
        disk.set(36, most);
        disk.set(40, segments);
        let mut block = disk.open::<Dma>();
        assert_eq!(block.discard_limits(), None);
        assert_eq!(block.discard(0, 8, &mut || false), Err(Error::Unsupported));
    }
}

#[test]
fn does_not_write_to_a_disk_that_is_read_only() {
    dma!(16);
    let mut disk = Disk::new(10, F_RO | F_DISCARD | F_FLUSH);
    let mut block = disk.open::<Dma>();
    assert!(block.is_read_only());
    assert_eq!(block.write(0, &[0; SECTOR_BYTES], &mut || false), Err(Error::ReadOnly));
    assert_eq!(block.discard(0, 8, &mut || false), Err(Error::ReadOnly));
    block.read(0, &mut [0; SECTOR_BYTES], &mut || disk.step()).unwrap();
    block.flush(&mut || disk.step()).unwrap();
}

#[test]
fn reports_what_the_device_answers_and_goes_on() {
    dma!(16);
    let mut disk = Disk::new(10, F_FLUSH | F_DISCARD);
    let mut block = disk.open::<Dma>();
    let mut sector = [0; SECTOR_BYTES];
    for (status, expected) in [
        (1, Error::Io),
        (2, Error::Unsupported),
        (3, Error::Io),
        (0x80, Error::Io),
        (0xFF, Error::Io),
    ] {
        disk.status = Some(status);
        assert_eq!(block.read(0, &mut sector, &mut || disk.step()), Err(expected));
        assert_eq!(block.data(&mut sector), 0);
        assert_eq!(block.write(0, &sector, &mut || disk.step()), Err(expected));
        assert_eq!(block.flush(&mut || disk.step()), Err(expected));
        assert_eq!(block.discard(0, 8, &mut || disk.step()), Err(expected));
        assert_eq!(block.serial(&mut || disk.step()), Err(expected));
        assert_eq!(block.poll(), Poll::Ready(Ok(())), "told once");
    }
    disk.status = None;
    for claimed in [0, 1, 512, 514, u32::MAX] {
        disk.claims = Some(claimed);
        sector.fill(0);
        block.read(2, &mut sector, &mut || disk.step()).unwrap();
        assert_eq!(sector[..], disk.bytes[2 * SECTOR_BYTES..][..SECTOR_BYTES]);
    }
}

#[test]
fn gives_a_request_up_and_its_buffer_with_it() {
    dma!(16);
    let mut disk = Disk::new(10, F_FLUSH);
    let mut block = disk.open::<Dma>();
    let free = POOL.free_pages();
    let mut sector = [0; SECTOR_BYTES];
    let mut waits = 0;
    let mut wait = || {
        waits += 1;
        waits < 5
    };
    assert_eq!(block.read(0, &mut sector, &mut wait), Err(Error::Timeout));
    assert_eq!(waits, 5);
    disk.step();
    assert_eq!(block.poll(), Poll::Ready(Err(Error::Timeout)), "it stays so");
    assert_eq!(block.write(1, &sector, &mut || true), Err(Error::Timeout));
    assert_eq!(POOL.free_pages(), free);

    disk.device().reset_reads = None;
    for _ in 0..3 {
        assert_eq!(block.restart(), Err(Error::Device(Failure::ResetTimeout)));
        assert_eq!(POOL.free_pages(), free, "the device may still write there");
    }
    disk.device().reset_reads = Some(3);
    block.restart().unwrap();
    assert_eq!(POOL.free_pages(), free);
    block.read(1, &mut sector, &mut || disk.step()).unwrap();
    assert_eq!(sector[..], disk.bytes[SECTOR_BYTES..][..SECTOR_BYTES]);

    // Done at the very last moment.
    block.read(2, &mut sector, &mut || !disk.step()).unwrap();

    disk.device().reset_reads = None;
    drop(block);
    assert_eq!(POOL.free_pages(), free, "given up for good");
}

#[test]
fn gives_up_on_a_device_that_breaks_the_rules() {
    dma!(16);
    // Returned without a request, another token, twice.
    let tokens: [(bool, &[u32]); 4] =
        [(false, &[0]), (true, &[1]), (true, &[0xFFFF]), (true, &[0, 0])];
    for (is_asked, returned) in tokens {
        let mut disk = Disk::new(10, F_FLUSH);
        let mut block = disk.open::<Dma>();
        if is_asked {
            block.start(Request::Flush).unwrap();
        }
        for &token in returned {
            disk.device().give_back(0, token, 1);
        }
        let polled = [block.poll(), block.poll()];
        assert!(
            polled.contains(&Poll::Ready(Err(Error::Device(Failure::Misbehaved)))),
            "{returned:?} {polled:?}"
        );
        assert_eq!(
            block.start(Request::Flush),
            Err(Error::Device(Failure::Misbehaved)),
            "it stays so"
        );
        block.restart().unwrap();
        block.flush(&mut || disk.step()).unwrap();
    }
    let disk = Disk::new(10, F_FLUSH);
    let mut block = disk.open::<Dma>();
    disk.device().give_back(0, 0, 1);
    assert_eq!(
        block.start(Request::Flush),
        Err(Error::Device(Failure::Misbehaved)),
        "before anything was sent"
    );
}

#[test]
fn reports_a_device_that_needs_a_reset() {
    dma!(16);
    let mut disk = Disk::new(10, F_FLUSH);
    let mut block = disk.open::<Dma>();
    let transport = disk.transport.clone();
    let fail = || {
        transport.0.borrow_mut().status |= DeviceStatus::DEVICE_NEEDS_RESET;
        true
    };
    assert_eq!(block.flush(&mut { fail }), Err(Error::Device(Failure::NeedsReset)));
    assert_eq!(block.flush(&mut || true), Err(Error::Device(Failure::NeedsReset)));
    block.restart().unwrap();
    block.flush(&mut || disk.step()).unwrap();
}

#[test]
fn reads_the_configuration_when_it_begins() {
    dma!(16);
    let disk = Disk::new(10, 0);
    disk.device().unsettled_looks.set(3);
    let mut block = disk.open::<Dma>();
    assert_eq!(block.sectors(), 10);
    disk.set(0, 30);
    disk.set(4, 1);
    disk.device().interrupt |= InterruptStatus::DEVICE_CONFIGURATION_INTERRUPT;
    assert_eq!(block.poll(), Poll::Ready(Ok(())));
    assert_eq!(block.sectors(), 10);
    block.restart().unwrap();
    assert_eq!(block.sectors(), (1 << 32) + 30);
    disk.set(4, u32::MAX);
    block.restart().unwrap();
    assert_eq!(block.sectors(), u64::MAX / 512, "as many as have bytes with numbers");
    let last = block.sectors() - 1;
    let mut bytes = [0; 2 * SECTOR_BYTES];
    assert_eq!(block.read(last, &mut bytes, &mut || false), Err(Error::OutOfRange));
    disk.device().unsettled_looks.set(u32::MAX);
    assert_eq!(block.restart(), Err(Error::Configuration));
    assert_eq!(block.poll(), Poll::Ready(Err(Error::Configuration)));
    assert!(disk.device().unsettled_looks.get() > u32::MAX - 20, "looked without an end");
}

#[test]
fn refuses_devices_that_cannot_be_set_up() {
    dma!(16);
    let refused = |prepare: fn(&mut Device)| {
        let disk = Disk::new(10, F_BLK_SIZE);
        prepare(&mut disk.device());
        Block::<Dma, _>::new(disk.transport).unwrap_err()
    };
    let features = Error::Device(Failure::FeaturesRefused);
    assert_eq!(refused(|device| device.kind = DeviceType::Console), Error::NotBlock);
    assert_eq!(refused(|device| device.refuses_features = true), features);
    assert_eq!(refused(|device| device.queue_count = 0), Error::Device(Failure::Queues));
    assert_eq!(refused(|device| device.configuration.clear()), Error::Configuration);
    assert_eq!(refused(|device| device.configuration.truncate(23)), Error::Configuration);
    assert_eq!(refused(|device| device.configuration[21] = 32), Error::BlockSize);
    assert_eq!(POOL.free_pages(), 16);
    let odd = |value| {
        let disk = Disk::new(10, F_BLK_SIZE);
        disk.set(20, value);
        disk.open::<Dma>().block_sectors()
    };
    let cases = [(0, 1), (1, 1), (512, 1), (513, 1), (1024, 2), (4096, 8), (u32::MAX, 1)];
    for (value, expected) in cases {
        assert_eq!(odd(value), expected, "{value}");
    }
}

#[test]
fn says_when_the_memory_is_too_small() {
    dma!(dma_pages(8) - 1);
    let disk = Disk::new(10, 0);
    let refused = Block::<Dma, _>::new(disk.transport.clone()).unwrap_err();
    assert_eq!(refused, Error::Device(Failure::Memory));
    assert!(Block::<Dma, _, 7>::new(disk.transport).is_ok(), "header and status share a page");
}

/// Whatever a device does to its queue and its configuration, the driver neither panics nor hangs, and works again after
/// a restart.
#[test]
fn survives_a_device_that_does_anything() {
    dma!(16);
    let mut failures = 0;
    for seed in 1..=400_u64 {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut disk = Disk::new(64, F_FLUSH | F_DISCARD | F_BLK_SIZE);
        let mut block = disk.open::<Dma>();
        for _ in 0..60 {
            let mut bytes = [0; 5 * SECTOR_BYTES];
            let len = random.below(6) as usize * SECTOR_BYTES;
            let sector = random.below(66).into();
            let mut waits = 3;
            let mut wait = || {
                waits -= 1;
                disk.step();
                waits > 0
            };
            match random.below(9) {
                0 => {
                    let (part, offset) = (random.below(3) as usize, random.below(64).into());
                    let value = u16::try_from(random.below(1 << 16)).unwrap();
                    disk.device().scribble(0, part, offset, value);
                }
                1 => disk.device().give_back(0, random.below(6), random.below(1 << 32)),
                2 => {
                    let value = random.below(1 << 12);
                    disk.set([0, 4, 20, 36, 40, 44][random.below(6) as usize], value);
                    _ = block.restart();
                    disk.set(0, 64);
                    disk.set(4, 0);
                }
                3 => disk.status = [None, Some(1), Some(0xEE)][random.below(3) as usize],
                4 => _ = block.write(sector, &bytes[..len], &mut wait),
                5 => _ = block.discard(sector, (len / SECTOR_BYTES) as u64, &mut wait),
                6 => _ = block.flush(&mut wait),
                _ => _ = block.read(sector, &mut bytes[..len], &mut wait),
            }
        }
        failures += usize::from(block.flush(&mut || disk.step()).is_err());
        disk.set(20, 512);
        disk.status = None;
        block.restart().unwrap();
        let mut sector = [0; SECTOR_BYTES];
        block.read(63, &mut sector, &mut || disk.step()).unwrap();
        assert_eq!(sector[..], disk.bytes[63 * SECTOR_BYTES..], "seed {seed}");
    }
    assert!(failures > 100, "the device has broken too few rules: {failures}");
}

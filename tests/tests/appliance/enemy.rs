//! A network on which somebody sends the appliance what no network has: noise, frames that are too
//! short and too long, forged leases and advertisements.

use core::time::Duration;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use tempfile::TempDir;
use tests::machine::Machine;
use tests::network::{Card, page};

use crate::{Case, launch, with_guest};

pub(crate) const CASES: &[Case] = &[Case::new("network/enemy", enemy)];

/// How long it goes on.
const DURING: Duration = Duration::from_secs(8);

fn enemy() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let at = |name: &str| dir.path().join(name).display().to_string();
    let enemy = Enemy::at(&dir)?;
    let backend = format!(
        "dgram,local.type=unix,local.path={},remote.type=unix,remote.path={}",
        at("guest"),
        at("enemy")
    );
    let (bad, good) = (Card::on(1, &backend), Card::user(2));
    let arguments = [bad.arguments(Machine::Microvm), good.arguments(Machine::Microvm)].concat();
    with_guest(launch()?.extra(arguments), |guest, client| {
        let port = good.page_port(guest)?;
        let fight = thread::spawn(move || enemy.fight(DURING));
        let end = Instant::now() + DURING;
        let mut pings = 0;
        while Instant::now() < end {
            client.expect(r#"{"execute":"guest-ping"}"#, r#"{"return": {}}"#)?;
            pings += 1;
            if pings % 50 == 0 {
                // Whatever addresses it has got, they can be told.
                let interfaces = client.interfaces()?;
                ensure!(interfaces.len() == 2, "{interfaces:?}");
                page(port)?;
            }
            thread::sleep(Duration::from_millis(2));
        }
        let sent = fight.join().map_err(|_| anyhow::anyhow!("the enemy failed"))?;
        println!("{} frames, {} forged leases; {pings} pings", sent.frames, sent.leases);
        ensure!(sent.frames > 1000 && sent.leases > 3, "too weak an enemy");
        let interfaces = client.interfaces()?;
        let received = interfaces[0]["statistics"]["rx-packets"].as_u64().context("not counted")?;
        ensure!(received > 500, "{interfaces:?}");
        page(port).map(|_| ())
    })
}

struct Enemy {
    socket: UnixDatagram,
    guest: Box<Path>,
    random: Rng,
}

#[derive(Default)]
struct Sent {
    frames: u32,
    leases: u32,
}

impl Enemy {
    fn at(dir: &TempDir) -> Result<Self> {
        let socket = UnixDatagram::bind(dir.path().join("enemy"))?;
        socket.set_nonblocking(true)?;
        let guest = dir.path().join("guest").into();
        Ok(Self { socket, guest, random: Rng::with_seed(1) })
    }

    fn fight(mut self, during: Duration) -> Sent {
        let end = Instant::now() + during;
        let mut sent = Sent::default();
        let mut frame = [0; 2048];
        while Instant::now() < end {
            while let Ok(len) = self.socket.recv(&mut frame) {
                if let Some(request) = Request::of(&frame[..len]) {
                    for _ in 0..self.random.u8(1..4) {
                        let forged = self.lease(&request);
                        sent.leases += u32::from(self.send(&forged));
                    }
                }
            }
            let frame = match self.random.u8(..4) {
                0 => self.noise(),
                1 => self.advertisement(),
                _ => self.nearly_a_packet(),
            };
            sent.frames += u32::from(self.send(&frame));
            thread::sleep(Duration::from_micros(500));
        }
        sent
    }

    /// QEMU may be busy, or not there yet.
    fn send(&self, frame: &[u8]) -> bool {
        self.socket.send_to(frame, &self.guest).is_ok()
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        core::iter::repeat_with(|| self.random.u8(..)).take(len).collect()
    }

    fn noise(&mut self) -> Vec<u8> {
        // One of no bytes at all ends QEMU's interest.
        let lengths = [1, 13, 14, 15, 60, 1514, 1515, 1524, 1525, 2000, 9000, 65_000];
        let len = lengths[self.random.usize(..lengths.len())];
        self.bytes(len)
    }

    /// To everybody, of a kind that is looked into.
    fn nearly_a_packet(&mut self) -> Vec<u8> {
        let kind = [[8, 0], [8, 6], [0x86, 0xdd]][self.random.usize(..3)];
        let first = [0x45, 0x4f, 0x60, 0x00][self.random.usize(..4)];
        let len = self.random.usize(..200);
        [&[0xff; 6][..], &[0x52; 6], &kind, &[first], &self.bytes(len)].concat()
    }

    /// From a router that has gone mad: prefixes that are none, for everybody.
    fn advertisement(&mut self) -> Vec<u8> {
        let mut message = vec![134, 0, 0, 0, 64, 0, 0x07, 8, 0, 0, 0, 0, 0, 0, 0, 0];
        for _ in 0..self.random.u8(..6) {
            message.extend([3, 4, [64, 64, 0, 200][self.random.usize(..4)], 0xc0]);
            message.extend([0xff; 4]);
            message.extend(self.bytes(4));
            message.extend([0; 4]);
            let start = [0xff, 0, 0xfe, 0x20, 0xfd][self.random.usize(..5)];
            message.push(start);
            message.extend(self.bytes(15));
        }
        let router = [&[0xfe, 0x80, 0, 0, 0, 0, 0, 0][..], &self.bytes(8)].concat();
        let all_nodes = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let len = u16::try_from(message.len()).unwrap_or(0).to_be_bytes();
        let pseudo = [&router[..], &all_nodes, &[0, 0], &len, &[0, 0, 0, 58], &message].concat();
        message[2..4].copy_from_slice(&checksum(&pseudo));
        let header = [&[0x60, 0, 0, 0][..], &len, &[58, 255], &router, &all_nodes].concat();
        [&[0x33, 0x33, 0, 0, 0, 1][..], &[0x52; 6], &[0x86, 0xdd], &header, &message].concat()
    }

    /// An answer with the client's own transaction, and anything in it.
    fn lease(&mut self, request: &Request) -> Vec<u8> {
        let kind = if self.random.bool() { request.kind + 1 } else { self.random.u8(..8) };
        let kind = if kind == 4 { 5 } else { kind };
        let address = [[10, 9, 8, 7], [0; 4], [0xff; 4], [224, 0, 0, 1]][self.random.usize(..4)];
        let mut bootp = vec![2, 1, 6, 0];
        bootp.extend(request.transaction);
        bootp.extend([0; 8]);
        bootp.extend(address);
        bootp.extend([0; 8]);
        bootp.extend(request.hardware);
        bootp.resize(236, 0);
        bootp.extend([0x63, 0x82, 0x53, 0x63, 53, 1, kind, 54, 4, 10, 9, 8, 1]);
        for _ in 0..self.random.u8(..8) {
            let option = [1, 3, 6, 51, 58, 59, 82, self.random.u8(..)][self.random.usize(..8)];
            let len = [4, 4, 4, 0, 1, self.random.u8(..)][self.random.usize(..6)];
            bootp.extend([option, len]);
            let value = self.bytes(len.into());
            bootp.extend(if self.random.bool() { vec![0xff; value.len()] } else { value });
        }
        bootp.push(0xff);
        let len = |more: usize| u16::try_from(bootp.len() + more).unwrap_or(0).to_be_bytes();
        let mut header = [&[0x45, 0][..], &len(28), &[0, 0, 0, 0, 64, 17, 0, 0]].concat();
        header.extend([10, 9, 8, 1, 0xff, 0xff, 0xff, 0xff]);
        let sum = checksum(&header);
        header[10..12].copy_from_slice(&sum);
        // Without a checksum.
        let datagram = [&[0, 67, 0, 68][..], &len(8), &[0, 0], &bootp].concat();
        [&[0xff; 6][..], &[0x52; 6], &[8, 0], &header, &datagram].concat()
    }
}

/// What a DHCP client has said.
struct Request {
    kind: u8,
    transaction: [u8; 4],
    hardware: [u8; 6],
}

impl Request {
    fn of(frame: &[u8]) -> Option<Self> {
        const BOOTP: usize = 14 + 20 + 8;
        let is_dhcp = frame.get(12..14)? == [8, 0] && frame.get(36..38)? == [0, 67];
        Some(Self {
            // The first option is the kind of message.
            kind: *frame.get(BOOTP + 240 + 2).filter(|_| is_dhcp)?,
            transaction: *frame.get(BOOTP + 4..)?.first_chunk()?,
            hardware: *frame.get(BOOTP + 28..)?.first_chunk()?,
        })
    }
}

/// The Internet's checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let [.., high, low] = (!sum).to_be_bytes();
    [high, low]
}

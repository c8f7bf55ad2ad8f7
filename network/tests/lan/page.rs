//! Clients of the page, patient and not.

use core::net::IpAddr;

use network::{CONNECTION_MS, CONNECTIONS, FRAME_BYTES, REQUEST_BYTES};
use smoltcp::iface::{Config, Interface as Stack, SocketHandle, SocketSet, SocketStorage};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpCidr};

use crate::{Frames, HOST, Lan};

pub(crate) const GUEST: &str = "10.0.2.15";
pub(crate) const GUEST_IPV6: &str = "fe80::5054:ff:fe12:3456";

/// The other end of the guest's cable, with a TCP of its own.
pub(crate) struct Host {
    pub(crate) lan: Lan,
    far: Far,
    stack: Stack,
    sockets: SocketSet<'static>,
    next_port: u16,
    /// What is done to the frames that the guest is sent.
    pub(crate) tamper: Tamper,
}

/// Makes other frames out of one.
type Tamper = Box<dyn FnMut(Vec<u8>) -> Vec<Vec<u8>>>;

#[derive(Default)]
struct Far {
    arriving: Frames,
    sent: Frames,
}

struct Arrived(Vec<u8>);
struct Leaving<'f>(&'f mut Frames);

impl Device for Far {
    type RxToken<'f> = Arrived;
    type TxToken<'f> = Leaving<'f>;

    fn receive(&mut self, _: Instant) -> Option<(Arrived, Leaving<'_>)> {
        let frame = self.arriving.pop_front()?;
        Some((Arrived(frame), Leaving(&mut self.sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Leaving<'_>> {
        Some(Leaving(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

impl RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, look: F) -> R {
        look(&self.0)
    }
}

impl TxToken for Leaving<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut frame = vec![0; len];
        let result = write(&mut frame);
        self.0.push_back(frame);
        result
    }
}

impl Host {
    pub(crate) fn new() -> Self {
        let lan = Lan::leased();
        let mut far = Far::default();
        let config = Config::new(EthernetAddress(HOST).into());
        let mut stack = Stack::new(config, &mut far, Instant::from_millis(0));
        stack.update_ip_addrs(|addresses| {
            let mine = [
                IpCidr::new("10.0.2.2".parse().unwrap(), 24),
                IpCidr::new("fe80::2".parse().unwrap(), 64),
            ];
            addresses.extend(mine);
        });
        let sockets = Box::leak(Box::new([SocketStorage::EMPTY; 32]));
        Self {
            lan,
            far,
            stack,
            sockets: SocketSet::new(&mut sockets[..]),
            next_port: 40_000,
            tamper: Box::new(|frame| vec![frame]),
        }
    }

    /// Carries frames to and fro until there are none.
    fn settle(&mut self) {
        for _ in 0..500 {
            let now = Instant::from_millis(i64::try_from(self.lan.now_ms).unwrap());
            self.far.arriving.extend(self.lan.settle());
            self.stack.poll(now, &mut self.far, &mut self.sockets);
            if self.far.sent.is_empty() {
                return;
            }
            for frame in self.far.sent.drain(..).flat_map(&mut self.tamper) {
                self.lan.cable.deliver(frame);
            }
        }
        panic!("they do not come to rest");
    }

    /// Lets time pass, in steps of at most 100 ms.
    pub(crate) fn run_for(&mut self, duration_ms: u64) {
        let end_ms = self.lan.now_ms + duration_ms;
        while self.lan.now_ms < end_ms {
            self.settle();
            self.lan.now_ms = (self.lan.now_ms + 100).min(end_ms);
        }
        self.settle();
    }

    /// A client that has connected, or was refused.
    pub(crate) fn connect(&mut self, to: &str, port: u16, window: usize) -> SocketHandle {
        let buffer = |bytes| SocketBuffer::new(vec![0; bytes].leak());
        let client = self.sockets.add(Socket::new(buffer(window), buffer(65_536)));
        let to: IpAddr = to.parse().unwrap();
        let context = self.stack.context();
        self.next_port += 1;
        let socket = self.sockets.get_mut::<Socket<'_>>(client);
        socket.set_nagle_enabled(false);
        socket.connect(context, (to, port), self.next_port).unwrap();
        // smoltcp asks for a neighbour once a second.
        for _ in 0..15 {
            self.run_for(100);
            if self.state(client) != State::SynSent {
                break;
            }
        }
        client
    }

    pub(crate) fn send(&mut self, client: SocketHandle, bytes: &[u8]) {
        assert_eq!(self.sockets.get_mut::<Socket<'_>>(client).send_slice(bytes), Ok(bytes.len()));
        self.settle();
    }

    /// As [`send`](Self::send), for a client that may not be able to.
    pub(crate) fn try_send(&mut self, client: SocketHandle, bytes: &[u8]) {
        let _ = self.sockets.get_mut::<Socket<'_>>(client).send_slice(bytes);
        self.settle();
    }

    fn received(&mut self, client: SocketHandle) -> String {
        let mut bytes = Vec::new();
        let socket = self.sockets.get_mut::<Socket<'_>>(client);
        while let Ok(1..) = socket.recv(|part| {
            bytes.extend_from_slice(part);
            (part.len(), part.len())
        }) {}
        self.settle();
        String::from_utf8(bytes).unwrap()
    }

    fn state(&self, client: SocketHandle) -> State {
        self.sockets.get::<Socket<'_>>(client).state()
    }

    /// The client is no more.
    pub(crate) fn forget(&mut self, client: SocketHandle) {
        self.sockets.remove(client);
    }

    /// What a client that asks for `request` gets until the guest closes the connection.
    pub(crate) fn ask(&mut self, to: &str, request: &[u8]) -> String {
        let client = self.connect(to, 80, 65_536);
        assert_eq!(self.state(client), State::Established);
        self.send(client, request);
        let answer = self.received(client);
        assert_eq!(self.state(client), State::CloseWait, "the guest has closed");
        self.sockets.get_mut::<Socket<'_>>(client).close();
        self.settle();
        assert_eq!(self.state(client), State::Closed, "the guest knows that the client has");
        self.forget(client);
        answer
    }
}

pub(crate) const PAGE: &str = "a guest\n\n\
    time        Sun, 06 Nov 1994 08:49:37 GMT\n\
    uptime      17 s\n\
    eth0        52:54:00:12:34:56\n            \
    10.0.2.15/24\n            \
    fe80::5054:ff:fe12:3456/64\n";

fn head(status: &str, contents: &str, more: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n{more}\
         Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n",
        contents.len()
    )
}

#[test]
fn the_page_is_served_over_both_kinds_of_ip() {
    let mut host = Host::new();
    for to in [GUEST, GUEST_IPV6] {
        let answer = host.ask(to, b"GET / HTTP/1.1\r\nHost: guest\r\n\r\n");
        assert_eq!(answer, head("200 OK", PAGE, "") + PAGE);
    }
}

#[test]
fn every_request_has_its_answer() {
    let mut host = Host::new();
    let not_found = head("404 Not Found", "404 Not Found\n", "") + "404 Not Found\n";
    let bad = head("400 Bad Request", "400 Bad Request\n", "") + "400 Bad Request\n";
    let method = "405 Method Not Allowed";
    let method_contents = "405 Method Not Allowed\n";
    let method = head(method, method_contents, "Allow: GET, HEAD\r\n") + method_contents;
    let cases: [(&[u8], String); 7] = [
        (b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", head("200 OK", PAGE, "")),
        (b"GET /favicon.ico HTTP/1.1\r\nHost: a\r\n\r\n", not_found),
        (b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n", head("404 Not Found", "404 Not Found\n", "")),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", method),
        (b"GET / HTTP/1.1\r\n\r\n", bad.clone()),
        (b"\x16\x03\x01\x00\xa5\n\n", bad),
        (b"GET / HTTP/1.0\n\n", head("200 OK", PAGE, "") + PAGE),
    ];
    for (request, expected) in cases {
        let shown = String::from_utf8_lossy(request);
        assert_eq!(host.ask(GUEST, request), expected, "{shown}");
    }
}

#[test]
fn a_request_may_come_in_pieces() {
    let mut host = Host::new();
    let client = host.connect(GUEST, 80, 65_536);
    for byte in b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" {
        assert_eq!(host.received(client), "");
        host.send(client, &[*byte]);
    }
    assert!(host.received(client).ends_with(PAGE));
}

#[test]
fn a_request_that_is_too_long_is_refused() {
    let mut host = Host::new();
    let fits = [b"GET / HTTP/1.1\r\nHost: a\r\nX: ".as_slice(), &[b'x'; 900], b"\r\n\r\n"].concat();
    assert!(fits.len() < REQUEST_BYTES);
    assert!(host.ask(GUEST, &fits).ends_with(PAGE));
    for len in [REQUEST_BYTES, 5000, 60_000] {
        let client = host.connect(GUEST, 80, 65_536);
        host.send(client, &vec![b'x'; len]);
        let answer = host.received(client);
        assert!(answer.starts_with("HTTP/1.1 431 "), "{len}: {answer}");
        host.run_for(CONNECTION_MS + 1000);
        assert!(host.ask(GUEST, &fits).ends_with(PAGE), "and then the next");
    }
}

#[test]
fn a_client_that_says_nothing_is_cut_off() {
    let mut host = Host::new();
    let clients = [(); CONNECTIONS].map(|()| host.connect(GUEST, 80, 65_536));
    host.send(clients[1], b"GET / HT");
    for client in clients {
        assert_eq!(host.state(client), State::Established);
    }
    // One too many is refused.
    let refused = host.connect(GUEST, 80, 65_536);
    assert_eq!(host.state(refused), State::Closed);
    host.run_for(CONNECTION_MS - 2000);
    assert_eq!(host.state(clients[0]), State::Established);
    host.run_for(2000);
    for client in clients {
        assert_eq!(host.state(client), State::Closed);
    }
    assert!(host.ask(GUEST, b"GET / HTTP/1.0\r\n\r\n").ends_with(PAGE));
}

#[test]
fn a_slow_reader_holds_nobody_up() {
    let mut host = Host::new();
    let slow = host.connect(GUEST, 80, 20);
    host.send(slow, b"GET / HTTP/1.0\r\n\r\n");
    for _ in 0..5 {
        assert!(host.ask(GUEST, b"GET / HTTP/1.0\r\n\r\n").ends_with(PAGE));
    }
    let mut got = String::new();
    for _ in 0..60 {
        got += &host.received(slow);
        host.run_for(100);
    }
    assert!(got.ends_with(PAGE), "{got}");
    // And one that never reads is cut off.
    let never = host.connect(GUEST, 80, 20);
    host.send(never, b"GET / HTTP/1.0\r\n\r\n");
    host.run_for(CONNECTION_MS);
    assert_eq!(host.state(never), State::Closed);
}

#[test]
fn hundreds_of_clients_in_a_row_are_served_at_once() {
    let mut host = Host::new();
    let begun_ms = host.lan.now_ms;
    for _ in 0..300 {
        assert!(host.ask(GUEST, b"GET / HTTP/1.0\r\n\r\n").ends_with(PAGE));
    }
    assert!(host.lan.now_ms - begun_ms <= 300 * 200, "only connecting takes time");
}

#[test]
fn a_client_that_closes_first_or_vanishes_leaves_its_place() {
    let mut host = Host::new();
    for _ in 0..2 * CONNECTIONS {
        let half = host.connect(GUEST, 80, 65_536);
        host.send(half, b"GET /");
        host.sockets.get_mut::<Socket<'_>>(half).close();
        host.run_for(200);
        assert_eq!(host.state(half), State::TimeWait);
    }
    for _ in 0..2 * CONNECTIONS {
        let reset = host.connect(GUEST, 80, 65_536);
        host.sockets.get_mut::<Socket<'_>>(reset).abort();
        host.settle();
    }
    for _ in 0..CONNECTIONS {
        let vanished = host.connect(GUEST, 80, 65_536);
        host.send(vanished, b"GET / HTTP/1.0\r\n\r\n");
        host.sockets.remove(vanished);
    }
    host.run_for(CONNECTION_MS + 200);
    assert!(host.ask(GUEST, b"GET / HTTP/1.0\r\n\r\n").ends_with(PAGE));
}

#[test]
fn an_answer_may_get_lost() {
    let mut host = Host::new();
    let client = host.connect(GUEST, 80, 65_536);
    assert_eq!(
        host.sockets.get_mut::<Socket<'_>>(client).send_slice(b"GET / HTTP/1.0\r\n\r\n"),
        Ok(18)
    );
    let now = Instant::from_millis(i64::try_from(host.lan.now_ms).unwrap());
    host.stack.poll(now, &mut host.far, &mut host.sockets);
    for frame in host.far.sent.drain(..) {
        host.lan.cable.deliver(frame);
    }
    assert!(!host.lan.settle().is_empty(), "and nobody gets it");
    host.run_for(3000);
    assert!(host.received(client).ends_with(PAGE));
}

#[test]
fn other_ports_are_closed() {
    let mut host = Host::new();
    for port in [1, 79, 81, 443, 65_535] {
        let client = host.connect(GUEST, port, 65_536);
        assert_eq!(host.state(client), State::Closed, "{port}");
    }
}

#[test]
fn a_network_of_small_packets_gets_small_packets() {
    for (mtu, most) in [(0, 1294), (1279, 1294), (1400, 1414), (1500, 1514), (65_535, 1514)] {
        let mut host = Host::new();
        host.lan.cable.set_mtu(mtu);
        // The interface looks at it when its link comes up.
        host.lan.cable.plug(false);
        host.run_for(100);
        host.lan.cable.plug(true);
        host.run_for(100);
        // So that the guest knows who asks.
        assert!(host.ask(GUEST_IPV6, b"GET / HTTP/1.0\r\n\r\n").ends_with(PAGE));
        // One that is longer than a frame does not arrive.
        for len in [most - 62, most - 61].into_iter().filter(|len| 62 + len <= FRAME_BYTES) {
            let echo = echo_request(len);
            let answered = host.lan.receive(echo).iter().any(|frame| frame.len() == 62 + len);
            assert_eq!(answered, 62 + len <= most, "MTU {mtu}: {len}");
        }
    }
}

/// A ping of so many bytes over IPv6, which is answered by a frame of the same length.
fn echo_request(len: usize) -> Vec<u8> {
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{
        EthernetFrame, EthernetProtocol, Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv6Packet, Ipv6Repr,
    };
    let (source, destination) = ("fe80::2".parse().unwrap(), GUEST_IPV6.parse().unwrap());
    let data = vec![7; len];
    let message = Icmpv6Repr::EchoRequest { ident: 1, seq_no: 1, data: &data };
    let header = Ipv6Repr {
        src_addr: source,
        dst_addr: destination,
        next_header: IpProtocol::Icmpv6,
        payload_len: message.buffer_len(),
        hop_limit: 64,
    };
    let mut bytes = vec![0; 14 + 40 + message.buffer_len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    frame.set_dst_addr(EthernetAddress(crate::GUEST));
    frame.set_src_addr(EthernetAddress(HOST));
    frame.set_ethertype(EthernetProtocol::Ipv6);
    let mut packet = Ipv6Packet::new_unchecked(frame.payload_mut());
    header.emit(&mut packet);
    let mut icmp = Icmpv6Packet::new_unchecked(packet.payload_mut());
    message.emit(&source, &destination, &mut icmp, &ChecksumCapabilities::default());
    bytes
}

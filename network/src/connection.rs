//! A client of the page, from its first byte to its last.

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, State};

use crate::page::ANSWER_BYTES;
use crate::request::Request;

/// The page's port.
const PORT: u16 = 80;

/// Bytes of the longest request.
pub const REQUEST_BYTES: usize = 1024;

/// How long a client may take from its first packet on until it has the answer, ms.
pub const CONNECTION_MS: u64 = 10_000;

/// The memory of a connection.
#[derive(Debug)]
pub(crate) struct Buffer {
    pub(crate) received: [u8; REQUEST_BYTES],
    pub(crate) sent: [u8; ANSWER_BYTES],
}

impl Buffer {
    pub(crate) const EMPTY: Self = Self { received: [0; REQUEST_BYTES], sent: [0; ANSWER_BYTES] };
}

/// A TCP socket that serves one client after another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connection {
    socket: SocketHandle,
    /// When its time is over, while there is a client.
    end_ms: Option<u64>,
    is_answered: bool,
}

impl Connection {
    pub(crate) const fn new(socket: SocketHandle) -> Self {
        Self { socket, end_ms: None, is_answered: false }
    }

    /// When its client's time is over.
    pub(crate) const fn end_ms(&self) -> Option<u64> {
        self.end_ms
    }

    /// Looks after the client; returns its request where that is to be answered now.
    pub(crate) fn attend(&mut self, sockets: &mut SocketSet<'_>, now_ms: u64) -> Option<Request> {
        let socket = sockets.get_mut::<Socket<'_>>(self.socket);
        match socket.state() {
            // Also one that listens has had a client, if that has taken its first packet back.
            State::Listen | State::Closed => {
                self.listen(socket);
                return None;
            }
            _ => {}
        }
        let end_ms = *self.end_ms.get_or_insert(now_ms.saturating_add(CONNECTION_MS));
        if now_ms >= end_ms {
            socket.abort();
            return None;
        }
        if self.is_answered {
            // What else the client sends is nobody's, but must not fill its window: it would not
            // get to its end.
            _ = socket.recv(|bytes| (bytes.len(), ()));
            return None;
        }
        let capacity = socket.recv_capacity();
        // Nothing is taken out before all is there, so that it lies in one piece.
        let bytes = socket.peek(capacity).unwrap_or_default();
        let is_full = bytes.len() == capacity;
        let request = Request::parse(bytes).or(is_full.then_some(Request::TooLong));
        if request.is_none() && socket.state() == State::CloseWait {
            // The rest will not come.
            socket.close();
        }
        request
    }

    /// Gives the client its answer, which has room, and is the last that it gets.
    pub(crate) fn answer(&mut self, sockets: &mut SocketSet<'_>, answer: &[u8]) {
        let socket = sockets.get_mut::<Socket<'_>>(self.socket);
        if socket.send_slice(answer) != Ok(answer.len()) {
            socket.abort();
        }
        socket.close();
        self.is_answered = true;
    }

    /// Takes the next client in place of one that has its answer and has been told, by what was just
    /// sent, that its end is known. There is no time to wait for packets of its that come late: they
    /// are answered with a reset, as for a port that nobody has.
    pub(crate) fn release(&mut self, sockets: &mut SocketSet<'_>) {
        let socket = sockets.get_mut::<Socket<'_>>(self.socket);
        if socket.state() == State::TimeWait {
            socket.abort();
            self.listen(socket);
        }
    }

    /// Lets go of the client at once, and tells it nothing: there is no way to it.
    pub(crate) fn drop(&mut self, sockets: &mut SocketSet<'_>) {
        let socket = sockets.get_mut::<Socket<'_>>(self.socket);
        socket.abort();
        self.listen(socket);
    }

    /// Waits for the next client.
    fn listen(&mut self, socket: &mut Socket<'_>) {
        self.end_ms = None;
        self.is_answered = false;
        // It is closed, so it can, or it does already.
        _ = socket.listen(PORT);
    }
}

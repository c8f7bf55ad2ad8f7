//! The agent's memory: every buffer by name, with its size.

use heapless::Vec;

use crate::wire::NESTING_LIMIT;

/// The smallest request buffer: room for any request of the commands that only ask.
const SMALLEST_REQUEST: usize = 256;

/// The smallest reply buffer: room for any result of the commands that every board has. Lists of
/// commands are not limited by it.
const SMALLEST_REPLY: usize = 512;

/// The memory of an [`Agent`](crate::Agent), usually a `static`.
///
/// * `REQUEST`: bytes of the longest message that is taken, white space not counted. A longer one
///   is answered with an error and skipped. At least 256; default 4096. The time that one message
///   takes grows with the square of the members of one object, so it should not be larger than
///   what clients send.
/// * `REPLY`: twice the bytes of the longest result that a command can return, so that one reply
///   can wait there while the next is written. Echoed text, file contents and
///   the list of `guest-info` are not limited by it. At least 512; default 8192.
///
/// Sizes that are too small do not compile.
#[derive(Debug)]
pub struct Buffers<const REQUEST: usize = 4096, const REPLY: usize = 8192> {
    pub(crate) request: Vec<u8, REQUEST>,
    pub(crate) reply: Vec<u8, REPLY>,
    /// Where the latest item of each open container begins; qemu-ga's limit of nesting.
    pub(crate) items: [usize; NESTING_LIMIT],
}

impl<const REQUEST: usize, const REPLY: usize> Buffers<REQUEST, REPLY> {
    /// Empty buffers.
    pub const fn new() -> Self {
        const {
            assert!(REQUEST >= SMALLEST_REQUEST, "REQUEST is too small");
            assert!(REPLY >= SMALLEST_REPLY, "REPLY is too small");
        }
        Self { request: Vec::new(), reply: Vec::new(), items: [0; NESTING_LIMIT] }
    }
}

impl<const REQUEST: usize, const REPLY: usize> Default for Buffers<REQUEST, REPLY> {
    fn default() -> Self {
        Self::new()
    }
}

//! Ways into the wire layer for the fuzz targets, which are built with `cfg(fuzzing)`.

use crate::{
    capability::{Errno, Handle, Pid, Stream},
    limits::Buffers,
    wire::{Event, Lexer, Message, Piece, Reply, ReplyWriter, Request, Source, Step, Value},
};

/// An `id` needs nothing of the agent.
struct Nothing;

impl Source for Nothing {
    fn read_file(&mut self, _: Handle, _: &mut [u8]) -> Result<usize, Errno> {
        Ok(0)
    }

    fn read_output(&mut self, _: Pid, _: Stream, _: &mut [u8]) -> Result<usize, Errno> {
        Ok(0)
    }

    fn write_element(&mut self, _: usize, _: &mut ReplyWriter<'_>) -> bool {
        false
    }
}

/// Lexes an input and checks what the message relies on.
///
/// # Panics
///
/// Where the lexer does not keep its word.
pub fn lexer(input: &[u8]) {
    let mut lexer = Lexer::new();
    let mut taken = 0;
    let mut ended = false;
    while let Some(rest) = input.get(taken..).filter(|rest| !rest.is_empty()) {
        let plain = lexer.plain(rest);
        for &byte in &rest[..plain] {
            assert_eq!(lexer.push(byte), Step::Append);
        }
        taken += plain;
        let Some(&byte) = rest.get(plain) else { break };
        let step = lexer.push(byte);
        let ends = matches!(step, Step::Ended(_));
        assert!(!(ended && ends), "a byte that ends two tokens would be given for ever");
        ended = ends;
        taken += usize::from(!ends);
    }
}

/// Collects the messages of an input and gives the `id` of each, as it would be echoed.
///
/// # Panics
///
/// Where a message is not what the agent relies on.
pub fn request(input: &[u8], mut check: impl FnMut(&[u8])) {
    let mut buffers: Buffers<512, 8192> = Buffers::new();
    let mut message = Message::new(buffers.request.as_mut_view(), &mut buffers.items);
    let mut reply = Reply::new(buffers.reply.as_mut_view());
    let mut taken = 0;
    loop {
        let (count, event) = message.push(&input[taken..]);
        taken += count;
        match event {
            None => break,
            Some(Event::TooLong) => continue,
            Some(Event::Failed(_)) => {}
            Some(Event::Complete) => {
                let bytes = message.bytes();
                assert_eq!(Value::at(bytes, 0).span().end, bytes.len(), "one value and no more");
                let _ = Request::read(bytes);
                if let Some(id) = Request::id(bytes) {
                    reply.push(Piece::Value(id));
                    while !reply.write(bytes, &mut Nothing) {}
                    check(reply.pending());
                    reply.sent(usize::MAX);
                }
            }
        }
        message.clear();
    }
    assert_eq!(taken, input.len(), "everything is taken");
}

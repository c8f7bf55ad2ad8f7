//! `guest-exec` and `guest-exec-status`.

use super::{Call, Command, Field, Needs, Type, call::present};
use crate::{
    board::Board,
    capability::{Capture, End, Errno, Input, Invocation, Kept, Pid, ProgramStatus, Stream},
    error::Error,
    wire::{DECODED_AT_ONCE, Decoder, Piece, ReplyWriter},
};

const PID: Field = Field::new("pid", Type::INTEGER);
const PATH: Field = Field::new("path", Type::STRING);
const ARG: Field = Field::optional("arg", Type::STRINGS);
const ENV: Field = Field::optional("env", Type::STRINGS);
const INPUT_DATA: Field = Field::optional("input-data", Type::STRING);
const CAPTURE_OUTPUT: Field = Field::optional("capture-output", Type::CAPTURE);

pub(super) const STATUS: Command = Command {
    about: "Tells what has become of a program.",
    arguments: &[PID],
    returns: "GuestExecStatus",
    needs: Needs::Programs,
    ..Command::new("guest-exec-status", "2.5")
};

pub(super) const EXEC: Command = Command {
    about: "Starts a program.",
    arguments: &[PATH, ARG, ENV, INPUT_DATA, CAPTURE_OUTPUT],
    returns: "GuestExec",
    needs: Needs::Programs,
    ..Command::new("guest-exec", "2.5")
};

/// Starts a program and returns its number.
pub(super) fn exec<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let path = call.arguments.text(PATH.name).ok_or_else(|| Error::missing(PATH.name))?;
    let mut decoder = match call.arguments.string(INPUT_DATA.name) {
        Some(text) => Some(Decoder::new(text).ok_or_else(Error::bad_base64)?),
        None => None,
    };
    let mut read;
    let input = match &mut decoder {
        Some(decoder) => {
            read = reader(decoder);
            Some(&mut read as Input<'_>)
        }
        None => None,
    };
    let mut arguments = call.arguments.strings(ARG.name).into_iter().flatten();
    let mut environment = call.arguments.strings(ENV.name);
    let mut invocation = Invocation {
        path: path.bytes(),
        arguments: &mut arguments,
        environment: environment.as_mut().map(|names| names as &mut dyn Iterator<Item = &[u8]>),
        input,
        capture: capture(call),
    };
    let started = present(call.board.programs())?.start(&mut invocation);
    // The text is GLib's, around it qemu-ga's.
    let Pid(pid) = started.map_err(|Errno(why)| {
        Error::new(
            "Guest agent command failed, error was 'Failed to execute child process \\u201C%\\u201D (%)'",
            &[Piece::Quoted(path.span()), Piece::Words(why)],
        )
    })?;
    call.reply.begin_object().key("pid").integer(pid).end_object();
    Ok(())
}

fn capture<B>(call: &Call<'_, '_, B>) -> Capture {
    match call.arguments.string(CAPTURE_OUTPUT.name) {
        Some(b"stdout") => Capture::Output,
        Some(b"stderr") => Capture::Error,
        Some(b"separated") => Capture::Separated,
        Some(b"merged") => Capture::Merged,
        None if call.arguments.boolean(CAPTURE_OUTPUT.name) == Some(true) => Capture::Separated,
        _ => Capture::None,
    }
}

/// Reads what is decoded, in pieces of any size.
fn reader(decoder: &mut Decoder<'_>) -> impl FnMut(&mut [u8]) -> usize {
    let mut piece = [0; DECODED_AT_ONCE];
    let (mut start, mut end) = (0_usize, 0_usize);
    move |buffer| {
        if start == end {
            start = 0;
            end = decoder.read(&mut piece).len();
        }
        let ready = piece.get(start..end).unwrap_or_default();
        let count = ready.len().min(buffer.len());
        for (place, byte) in buffer.iter_mut().zip(ready) {
            *place = *byte;
        }
        start = start.saturating_add(count);
        count
    }
}

/// Tells what has become of a program. The one answer that says it has ended is the last about it.
pub(super) fn status<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let number = call.arguments.integer(PID.name).ok_or_else(|| Error::missing(PID.name))?;
    let pid = Pid(number);
    let status = present(call.board.programs())?
        .status(pid)
        .ok_or_else(|| Error::plain("Invalid parameter 'pid'"))?;
    call.reply.begin_object();
    match status {
        ProgramStatus::Running => {
            call.reply.key("exited").boolean(false).end_object();
        }
        ProgramStatus::Ended { end, output, error } => {
            write_end(call.reply, pid, end, output, error);
        }
    }
    Ok(())
}

/// Writes how a program has ended and what it has written, which can be longer than any buffer.
fn write_end(reply: &mut ReplyWriter<'_>, pid: Pid, end: End, output: Kept, error: Kept) {
    let mut first = true;
    let mut member = |text: &'static str, pieces: &[Piece]| {
        let text = if first { text.get(", ".len()..).unwrap_or_default() } else { text };
        reply.then(&[Piece::Text(text)]);
        reply.then(pieces);
        first = false;
    };
    let data = |stream, Kept { bytes: count, .. }| {
        [Piece::Output { pid, stream, count }, Piece::Text("\"")]
    };
    if let End::Exit(code) = end {
        member(", \"exitcode\": ", &[Piece::Integer(code)]);
    }
    if error.bytes > 0 {
        member(", \"err-data\": \"", &data(Stream::Error, error));
    }
    if output.bytes > 0 {
        member(", \"out-data\": \"", &data(Stream::Output, output));
    }
    match error {
        Kept { bytes: 0, .. } => {}
        Kept { truncated: false, .. } => member(", \"err-truncated\": false", &[]),
        Kept { truncated: true, .. } => member(", \"err-truncated\": true", &[]),
    }
    if let End::Signal(number) = end {
        member(", \"signal\": ", &[Piece::Integer(number)]);
    }
    match output {
        Kept { bytes: 0, .. } => {}
        Kept { truncated: false, .. } => member(", \"out-truncated\": false", &[]),
        Kept { truncated: true, .. } => member(", \"out-truncated\": true", &[]),
    }
    member(", \"exited\": true}", &[]);
}

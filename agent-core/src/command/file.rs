//! `guest-file-open`, `-close`, `-read`, `-write`, `-seek` and `-flush`.

use embedded_io::SeekFrom;

use super::{Call, Command, Field, Needs, Response, Type};
use crate::{
    capability::{Board, Errno, Extent, Handle, OpenMode},
    error::{Error, FileError},
    wire::{DECODED_AT_ONCE, Decoder, Piece, Text},
};

const PATH: Field = Field { name: "path", r#type: Type::String, optional: false };
const MODE: Field = Field { name: "mode", r#type: Type::String, optional: true };
const HANDLE: Field = Field { name: "handle", r#type: Type::Integer, optional: false };
const COUNT: Field = Field { name: "count", r#type: Type::Integer, optional: true };
const BUF_B64: Field = Field { name: "buf-b64", r#type: Type::String, optional: false };
const OFFSET: Field = Field { name: "offset", r#type: Type::Integer, optional: false };
const WHENCE: Field = Field { name: "whence", r#type: Type::Whence, optional: false };

const fn command(name: &'static str, arguments: &'static [Field]) -> Command {
    Command {
        name,
        since: "0.15.0",
        arguments,
        while_frozen: false,
        needs: Needs::Files,
        response: Response::Line,
    }
}

pub(super) const OPEN: Command = command("guest-file-open", &[PATH, MODE]);
pub(super) const CLOSE: Command = command("guest-file-close", &[HANDLE]);
pub(super) const READ: Command = command("guest-file-read", &[HANDLE, COUNT]);
pub(super) const WRITE: Command = command("guest-file-write", &[HANDLE, BUF_B64, COUNT]);
pub(super) const SEEK: Command = command("guest-file-seek", &[HANDLE, OFFSET, WHENCE]);
pub(super) const FLUSH: Command = command("guest-file-flush", &[HANDLE]);

/// Bytes that are read where the request does not say how many.
const DEFAULT_COUNT: i64 = 4096;
/// Bytes that one request may read, as in qemu-ga: 48 MiB.
const LARGEST_COUNT: i64 = 48 << 20;

/// Opens a file and returns its handle.
pub(super) fn open<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let path = call.arguments.text(PATH.name).ok_or(Error::MissingArgument(PATH.name))?;
    let mode = call.arguments.text(MODE.name);
    let open_mode = match mode {
        None => OpenMode::READ,
        Some(mode) => OpenMode::parse(mode.bytes()).ok_or(FileError::InvalidMode(mode.span()))?,
    };
    let Handle(handle) = call.files()?.open(path.bytes(), open_mode).map_err(|errno| {
        FileError::Open { path: path.span(), mode: mode.map(Text::span), errno }
    })?;
    call.reply.integer(handle);
    Ok(())
}

/// Closes a handle.
pub(super) fn close<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let handle = open_handle(call)?;
    call.files()?.close(handle).map_err(failed("failed to close handle"))
}

/// Reads from a file. The reply is sent while the file is read, and so can be of any length.
pub(super) fn read<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let handle = open_handle(call)?;
    let longest = call.arguments.integer(COUNT.name).unwrap_or(DEFAULT_COUNT);
    let Some(longest) = u64::try_from(longest).ok().filter(|_| longest <= LARGEST_COUNT) else {
        return Err(FileError::InvalidCount(longest).into());
    };
    // Reading nothing does not meet the end of a file, nor a file that cannot be read.
    let Extent { count, end } = match longest {
        0 => Extent { count: 0, end: false },
        _ => call.files()?.measure(handle, longest).map_err(failed("failed to read file"))?,
    };
    call.reply.begin_object().key("count").unsigned(count);
    call.reply.key("buf-b64").raw(b"\"");
    call.reply.then(&[
        Piece::File { handle, count },
        Piece::Text(if end { "\", \"eof\": true}" } else { "\", \"eof\": false}" }),
    ]);
    Ok(())
}

/// Writes to a file. Nothing is written where the data or the count is wrong.
pub(super) fn write<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let handle = open_handle(call)?;
    let text = call.arguments.text(BUF_B64.name).ok_or(Error::MissingArgument(BUF_B64.name))?;
    let mut decoder = Decoder::new(text.bytes()).ok_or(FileError::BadBase64)?;
    let length = decoder.length();
    let count = match call.arguments.integer(COUNT.name) {
        None => length,
        Some(count) => usize::try_from(count)
            .ok()
            .filter(|&count| count <= length)
            .ok_or(FileError::InvalidCount(count))?,
    };
    let files = call.files()?;
    let mut buffer = [0; DECODED_AT_ONCE];
    let mut left = count;
    while left > 0 {
        let piece = decoder.read(&mut buffer);
        let mut bytes = piece.get(..left.min(piece.len())).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        left = left.saturating_sub(bytes.len());
        while !bytes.is_empty() {
            let written = files.write(handle, bytes).map_err(failed("failed to write to file"))?;
            if written == 0 {
                return Err(failed("failed to write to file")(Errno::IO));
            }
            bytes = bytes.get(written..).unwrap_or_default();
        }
    }
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    call.reply.begin_object();
    call.reply.key("count").unsigned(count).key("eof").boolean(false).end_object();
    Ok(())
}

/// Moves the position of a handle.
pub(super) fn seek<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let handle = open_handle(call)?;
    let offset = call.arguments.integer(OFFSET.name).ok_or(Error::MissingArgument(OFFSET.name))?;
    let whence = match call.arguments.text(WHENCE.name).map(Text::bytes) {
        Some(b"set") => 0,
        Some(b"cur") => 1,
        Some(_) => 2,
        None => call.arguments.integer(WHENCE.name).unwrap_or(-1),
    };
    let failed = failed("failed to seek file");
    let to = match whence {
        0 => u64::try_from(offset).map(SeekFrom::Start),
        1 => Ok(SeekFrom::Current(offset)),
        2 => Ok(SeekFrom::End(offset)),
        code => return Err(FileError::InvalidWhence(code).into()),
    };
    let to = to.map_err(|_| failed(Errno::INVALID_ARGUMENT))?;
    let position = call.files()?.seek(handle, to).map_err(failed)?;
    call.reply.begin_object();
    call.reply.key("eof").boolean(false).key("position").unsigned(position).end_object();
    Ok(())
}

/// Writes what is still to be written to the disk.
pub(super) fn flush<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let handle = open_handle(call)?;
    call.files()?.flush(handle).map_err(failed("failed to flush file"))
}

/// The handle that a request names, which must be open.
fn open_handle<B: Board>(call: &mut Call<'_, '_, B>) -> Result<Handle, Error> {
    let number = call.arguments.integer(HANDLE.name).ok_or(Error::MissingArgument(HANDLE.name))?;
    let handle = Handle(number);
    if call.files()?.is_open(handle) { Ok(handle) } else { Err(FileError::NoHandle(number).into()) }
}

fn failed(what: &'static str) -> impl Fn(Errno) -> Error + Copy {
    move |errno| FileError::Failed(what, errno).into()
}

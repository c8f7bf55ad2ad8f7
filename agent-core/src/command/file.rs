//! `guest-file-open`, `-close`, `-read`, `-write`, `-seek` and `-flush`.

use embedded_io::SeekFrom;

use super::{Call, Command, Field, Needs, Type, call::present};
use crate::{
    board::Board,
    capability::{Errno, Extent, Handle, OpenMode},
    error::Error,
    wire::{DECODED_AT_ONCE, Decoder, Piece},
};

const PATH: Field = Field::new("path", Type::STRING);
const MODE: Field = Field::optional("mode", Type::STRING);
const HANDLE: Field = Field::new("handle", Type::INTEGER);
const COUNT: Field = Field::optional("count", Type::INTEGER);
const BUF_B64: Field = Field::new("buf-b64", Type::STRING);
const OFFSET: Field = Field::new("offset", Type::INTEGER);
const WHENCE: Field = Field::new("whence", Type::WHENCE);

const fn command(name: &'static str, arguments: &'static [Field]) -> Command {
    Command { arguments, needs: Needs::Files, ..Command::new(name, "0.15.0") }
}

pub(super) const OPEN: Command =
    Command { about: "Opens a file.", returns: "int", ..command("guest-file-open", &[PATH, MODE]) };
pub(super) const CLOSE: Command =
    Command { about: "Closes a file.", ..command("guest-file-close", &[HANDLE]) };
pub(super) const READ: Command = Command {
    about: "Reads from a file.",
    returns: "GuestFileRead",
    ..command("guest-file-read", &[HANDLE, COUNT])
};
pub(super) const WRITE: Command = Command {
    about: "Writes to a file.",
    returns: "GuestFileWrite",
    ..command("guest-file-write", &[HANDLE, BUF_B64, COUNT])
};
pub(super) const SEEK: Command = Command {
    about: "Moves the position in a file.",
    returns: "GuestFileSeek",
    ..command("guest-file-seek", &[HANDLE, OFFSET, WHENCE])
};
pub(super) const FLUSH: Command = Command {
    about: "Writes what is still to be written to the disk.",
    ..command("guest-file-flush", &[HANDLE])
};

/// Bytes that are read where the request does not say how many.
const DEFAULT_COUNT: i64 = 4096;
/// Bytes that one request may read, as in qemu-ga: 48 MiB.
const LARGEST_COUNT: i64 = 48 << 20;

/// Opens a file and returns its handle.
pub(super) fn open<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let path = call.arguments.text(PATH.name).ok_or_else(|| Error::missing(PATH.name))?;
    let mode = call.arguments.text(MODE.name);
    let open_mode = match mode {
        None => OpenMode::READ,
        Some(mode) => OpenMode::parse(mode.bytes()).ok_or_else(|| {
            Error::new("invalid file open mode '%'", &[Piece::Quoted(mode.span())])
        })?,
    };
    let Handle(handle) =
        present(call.board.files())?.open(path.bytes(), open_mode).map_err(|Errno(why)| {
            let mode = mode.map_or(Piece::Text("r"), |mode| Piece::Quoted(mode.span()));
            Error::new(
                "failed to open file '%' (mode: '%'): %",
                &[Piece::Quoted(path.span()), mode, Piece::Words(why)],
            )
        })?;
    call.reply.integer(handle);
    Ok(())
}

/// Closes a handle.
pub(super) fn close<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let handle = open_handle(call)?;
    present(call.board.files())?.close(handle).map_err(Error::failed("failed to close handle"))
}

/// Reads from a file. The reply is sent while the file is read, and so can be of any length.
pub(super) fn read<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let handle = open_handle(call)?;
    let longest = call.arguments.integer(COUNT.name).unwrap_or(DEFAULT_COUNT);
    let Some(longest) = u64::try_from(longest).ok().filter(|_| longest <= LARGEST_COUNT) else {
        return Err(invalid_count(longest));
    };
    // Reading nothing does not meet the end of a file, nor a file that cannot be read.
    let Extent { count, end } = match longest {
        0 => Extent { count: 0, end: false },
        _ => present(call.board.files())?
            .measure(handle, longest)
            .map_err(Error::failed("failed to read file"))?,
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
    let text = call.arguments.text(BUF_B64.name).ok_or_else(|| Error::missing(BUF_B64.name))?;
    let mut decoder = Decoder::new(text.bytes()).ok_or_else(Error::bad_base64)?;
    let length = decoder.length();
    let count = match call.arguments.integer(COUNT.name) {
        None => length,
        Some(count) => usize::try_from(count)
            .ok()
            .filter(|&count| count <= length)
            .ok_or_else(|| invalid_count(count))?,
    };
    let files = present(call.board.files())?;
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
            let written =
                files.write(handle, bytes).map_err(Error::failed("failed to write to file"))?;
            if written == 0 {
                return Err(Error::failed("failed to write to file")(Errno::IO));
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
    let offset = call.arguments.integer(OFFSET.name).ok_or_else(|| Error::missing(OFFSET.name))?;
    let whence = match call.arguments.string(WHENCE.name) {
        Some(b"set") => 0,
        Some(b"cur") => 1,
        Some(_) => 2,
        None => call.arguments.integer(WHENCE.name).unwrap_or(-1),
    };
    let failed = Error::failed("failed to seek file");
    let to = match whence {
        0 => u64::try_from(offset).map(SeekFrom::Start),
        1 => Ok(SeekFrom::Current(offset)),
        2 => Ok(SeekFrom::End(offset)),
        code => return Err(Error::new("invalid whence code %", &[Piece::Integer(code)])),
    };
    let to = to.map_err(|_| failed(Errno::INVALID_ARGUMENT))?;
    let position = present(call.board.files())?.seek(handle, to).map_err(failed)?;
    call.reply.begin_object();
    call.reply.key("eof").boolean(false).key("position").unsigned(position).end_object();
    Ok(())
}

/// Writes what is still to be written to the disk.
pub(super) fn flush<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let handle = open_handle(call)?;
    present(call.board.files())?.flush(handle).map_err(Error::failed("failed to flush file"))
}

/// The handle that a request names, which must be open.
fn open_handle<B: Board>(call: &mut Call<'_, '_, B>) -> Result<Handle, Error> {
    let number = call.arguments.integer(HANDLE.name).ok_or_else(|| Error::missing(HANDLE.name))?;
    let handle = Handle(number);
    if present(call.board.files())?.is_open(handle) {
        Ok(handle)
    } else {
        Err(Error::new("handle '%' has not been found", &[Piece::Integer(number)]))
    }
}

fn invalid_count(count: i64) -> Error {
    Error::new("value '%' is invalid for argument count", &[Piece::Integer(count)])
}

//! `guest-sync-delimited`, `guest-sync` and `guest-ping`: is the agent there, and in step?
//!
//! `guest-sync` and `guest-ping` are in qga/qapi-schema.json since 0.15.0, `guest-sync-delimited`
//! since 1.1.

use super::{Call, Command, Field, Response, Type};
use crate::error::Error;

const ID: Field = Field::new("id", Type::INTEGER);

pub(super) const SYNC_DELIMITED: Command = Command {
    about: "Echoes a number, with the byte 0xFF before it.",
    response: Response::Delimited,
    ..sync_command("guest-sync-delimited", "1.1")
};

pub(super) const SYNC: Command =
    Command { about: "Echoes a number.", ..sync_command("guest-sync", "0.15.0") };

const fn sync_command(name: &'static str, since: &'static str) -> Command {
    Command { arguments: &[ID], returns: "int", while_frozen: true, ..Command::new(name, since) }
}

pub(super) const PING: Command = Command {
    about: "Does nothing, successfully.",
    while_frozen: true,
    ..Command::new("guest-ping", "0.15.0")
};

/// Echoes `id`; the byte 0xFF before the reply tells a client where to start reading.
pub(super) fn sync_delimited<B>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    sync(call)
}

/// Echoes `id`.
pub(super) fn sync<B>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let id = call.arguments.integer(ID.name).ok_or_else(|| Error::missing(ID.name))?;
    call.reply.integer(id);
    Ok(())
}

/// Does nothing, successfully.
#[expect(clippy::unnecessary_wraps, reason = "the type of every handler")]
pub(super) fn ping<B>(_call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    Ok(())
}

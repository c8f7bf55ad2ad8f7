//! `guest-sync-delimited`, `guest-sync` and `guest-ping`: is the agent there, and in step?

use super::{Call, Command, Field, Needs, Response, Type};
use crate::error::Error;

const ID: Field = Field { name: "id", r#type: Type::Integer, optional: false };

pub(super) const SYNC_DELIMITED: Command = Command {
    name: "guest-sync-delimited",
    since: "1.1",
    arguments: &[ID],
    while_frozen: true,
    needs: Needs::Nothing,
    response: Response::Delimited,
};

pub(super) const SYNC: Command = Command {
    name: "guest-sync",
    since: "0.15.0",
    arguments: &[ID],
    while_frozen: true,
    needs: Needs::Nothing,
    response: Response::Line,
};

pub(super) const PING: Command = Command {
    name: "guest-ping",
    since: "0.15.0",
    arguments: &[],
    while_frozen: true,
    needs: Needs::Nothing,
    response: Response::Line,
};

/// Echoes `id`; the byte 0xFF before the reply tells a client where to start reading.
pub(super) fn sync_delimited<B>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    sync(call)
}

/// Echoes `id`.
pub(super) fn sync<B>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let id = call.arguments.integer(ID.name).ok_or(Error::MissingArgument(ID.name))?;
    call.reply.integer(id);
    Ok(())
}

/// Does nothing, successfully.
#[expect(clippy::unnecessary_wraps, reason = "the type of every handler")]
pub(super) fn ping<B>(_call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    Ok(())
}

//! `guest-shutdown`.

use super::{Call, Command, Field, Needs, Response, Type};
use crate::{
    capability::{Board, PowerError, ShutdownMode},
    error::Error,
    wire::Text,
};

const MODE: Field = Field { name: "mode", r#type: Type::String, optional: true };

pub(super) const SHUTDOWN: Command = Command {
    name: "guest-shutdown",
    since: "0.15.0",
    arguments: &[MODE],
    while_frozen: false,
    needs: Needs::Power,
    response: Response::Silent,
};

/// Asks for a shutdown. A client learns of its success by what becomes of the guest.
pub(super) fn shutdown<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let mode = match call.arguments.text(MODE.name).map(Text::bytes) {
        None | Some(b"powerdown") => ShutdownMode::Powerdown,
        Some(b"halt") => ShutdownMode::Halt,
        Some(b"reboot") => ShutdownMode::Reboot,
        // qemu-ga's text: the parenthesis is not closed.
        Some(_) => {
            return Err(Error::Command("mode is invalid (valid values are: halt|powerdown|reboot"));
        }
    };
    call.power()?.shutdown(mode).map_err(|PowerError::Unsupported| Error::Unsupported)
}

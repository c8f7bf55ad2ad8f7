//! `guest-shutdown`.

use super::{Call, Command, Field, Needs, Response, Type, call::present};
use crate::{
    board::Board,
    capability::{PowerError, ShutdownMode},
    error::Error,
};

const MODE: Field = Field::optional("mode", Type::STRING);

pub(super) const SHUTDOWN: Command = Command {
    about: "Switches the guest off, resets or halts it.",
    arguments: &[MODE],
    needs: Needs::Power,
    response: Response::Silent,
    ..Command::new("guest-shutdown", "0.15.0")
};

/// Asks for a shutdown. A client learns of its success by what becomes of the guest.
pub(super) fn shutdown<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let mode = match call.arguments.string(MODE.name) {
        None | Some(b"powerdown") => ShutdownMode::Powerdown,
        Some(b"halt") => ShutdownMode::Halt,
        Some(b"reboot") => ShutdownMode::Reboot,
        // qemu-ga's text: the parenthesis is not closed.
        Some(_) => {
            return Err(Error::plain("mode is invalid (valid values are: halt|powerdown|reboot"));
        }
    };
    present(call.board.power())?
        .shutdown(mode)
        .map_err(|PowerError::Unsupported| Error::unsupported())
}

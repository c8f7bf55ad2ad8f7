//! `guest-suspend-disk`, `guest-suspend-ram` and `guest-suspend-hybrid`.
//!
//! All three are in qga/qapi-schema.json since 1.1, with `success-response` false.

use super::{Call, Command, Needs, Response, call::present};
use crate::{
    board::Board,
    capability::{SuspendError, SuspendMode},
    error::Error,
};

const fn command(name: &'static str, mode: SuspendMode) -> Command {
    Command { needs: Needs::Suspend(mode), response: Response::Silent, ..Command::new(name, "1.1") }
}

pub(super) const DISK: Command = Command {
    about: "Suspends the guest to its disk.",
    ..command("guest-suspend-disk", SuspendMode::Disk)
};

pub(super) const RAM: Command = Command {
    about: "Suspends the guest to its memory.",
    ..command("guest-suspend-ram", SuspendMode::Ram)
};

pub(super) const HYBRID: Command = Command {
    about: "Suspends the guest to its memory and its disk.",
    ..command("guest-suspend-hybrid", SuspendMode::Hybrid)
};

pub(super) fn disk<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    suspend(call, SuspendMode::Disk)
}

pub(super) fn ram<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    suspend(call, SuspendMode::Ram)
}

pub(super) fn hybrid<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    suspend(call, SuspendMode::Hybrid)
}

/// Asks for it. A client learns of its success by what becomes of the guest.
fn suspend<B: Board>(call: &mut Call<'_, '_, B>, mode: SuspendMode) -> Result<(), Error> {
    present(call.board.suspend())?.suspend(mode).map_err(|SuspendError::Unsupported| {
        Error::plain("the requested suspend mode is not supported by the guest")
    })
}

//! `guest-info`: the agent's version and its commands.

use super::{Call, Command, Response, State, offered};
use crate::{
    board::Board,
    error::Error,
    wire::{Piece, ReplyWriter},
};

pub(super) const INFO: Command = Command {
    about: "Tells the agent's version and its commands.",
    returns: "GuestAgentInfo",
    while_frozen: true,
    ..Command::new("guest-info", "0.15.0")
};

/// Of the agent, not of QEMU: three numbers with dots, as clients parse it.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Lists the commands that the board offers. The list is written while it is sent, and so can be
/// of any length.
#[expect(clippy::unnecessary_wraps, reason = "the type of every handler")]
pub(super) fn info<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let reply = &mut *call.reply;
    reply.begin_object();
    reply.key("version").string(VERSION.as_bytes());
    reply.key("supported_commands").begin_array();
    reply.then(&[Piece::List { next: 0 }, Piece::Text("]}")]);
    Ok(())
}

/// Writes one of the commands, the last of the schema first, as qemu-ga does; whether there is one.
/// Those that may not be used now are listed, with `enabled` false.
pub(crate) fn write_command<B: Board>(
    board: &mut B,
    state: &State<'_>,
    index: usize,
    reply: &mut ReplyWriter<'_>,
) -> bool {
    let mut count = 0_usize;
    offered(board, &mut |_, _| count = count.saturating_add(1));
    let Some(place) = count.checked_sub(index.saturating_add(1)) else { return false };
    let mut number = 0_usize;
    offered(board, &mut |rules, _| {
        if number == place {
            reply.begin_object();
            reply.key("enabled").boolean(state.enables(rules));
            reply.key("name").string(rules.name.as_bytes());
            reply.key("success-response").boolean(rules.response != Response::Silent);
            reply.end_object();
        }
        number = number.saturating_add(1);
    });
    true
}

//! `guest-info`: the agent's version and its commands.

use super::{Call, Command, Needs, Response};
use crate::{capability::Board, error::Error};

pub(super) const INFO: Command = Command {
    name: "guest-info",
    since: "0.15.0",
    arguments: &[],
    while_frozen: true,
    needs: Needs::Nothing,
    response: Response::Line,
};

/// Of the agent, not of QEMU: three numbers with dots, as clients parse it.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Lists the commands that the board offers, the last of the schema first, as qemu-ga does. Those
/// that may not be used now are listed, with `enabled` false.
#[expect(clippy::unnecessary_wraps, reason = "the type of every handler")]
pub(super) fn info<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let reply = &mut *call.reply;
    reply.begin_object();
    reply.key("version").string(VERSION.as_bytes());
    reply.key("supported_commands").begin_array();
    for command in super::offered(call.board).iter().rev() {
        reply.begin_object();
        reply.key("enabled").boolean(call.state.enables(command));
        reply.key("name").string(command.name.as_bytes());
        reply.key("success-response").boolean(command.response != Response::Silent);
        reply.end_object();
    }
    reply.end_array().end_object();
    Ok(())
}

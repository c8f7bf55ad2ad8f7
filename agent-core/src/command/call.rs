//! What a handler is given.

use super::{Arguments, row::Rules};
use crate::{error::Error, policy::Policy, wire::ReplyWriter};

/// A command under way.
#[derive(Debug)]
pub struct Call<'c, 'r, B> {
    /// The board.
    pub board: &'c mut B,
    /// What the agent itself knows.
    pub(crate) state: State<'c>,
    /// The arguments, of the types that the command's row says.
    pub arguments: Arguments<'c>,
    /// Takes what the command returns; a command that returns nothing writes nothing.
    pub reply: &'c mut ReplyWriter<'r>,
}

/// Runs a command.
pub type Handler<B> = fn(&mut Call<'_, '_, B>) -> Result<(), Error>;

/// What the agent itself knows, beside the board.
#[derive(Debug)]
pub(crate) struct State<'s> {
    pub(crate) policy: Policy<'s>,
    pub(crate) frozen: &'s mut bool,
}

impl State<'_> {
    /// Whether a command may be used now.
    pub(super) fn enables(&self, rules: &Rules) -> bool {
        self.policy.allows(rules.name) && (rules.while_frozen || !*self.frozen)
    }
}

/// A capability, which is there where its commands are: a board's capabilities stay.
pub(super) fn present<C>(capability: Option<C>) -> Result<C, Error> {
    capability.ok_or_else(Error::unsupported)
}

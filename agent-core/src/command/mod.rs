//! The commands: one table, a row per command, and the way from a request to its handler.
//!
//! Fourth stop of a request. `guest-info`, dispatch and policy read the same rows.

mod arguments;
mod file;
pub(crate) mod filesystem;
mod info;
mod power;
mod sync;
mod time;

use crate::{
    capability::{Board, Clock, Files, Filesystems, Power},
    error::Error,
    policy::Policy,
    wire::{ReplyWriter, Request},
};

pub(crate) use arguments::Arguments;
pub use arguments::{Field, Type};

/// A row of the table: what is known of a command without running it.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// Its name on the wire.
    pub name: &'static str,
    /// The QEMU release whose schema has it first.
    pub since: &'static str,
    /// Its arguments, in the order of the schema.
    pub arguments: &'static [Field],
    /// Whether it may be used while file systems are frozen.
    pub while_frozen: bool,
    /// What a board must be able to do for it to exist.
    pub needs: Needs,
    /// How success is answered.
    pub response: Response,
}

/// What a command needs of the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it is part of the agent.
    Nothing,
    /// [`Board::clock`]
    Clock,
    /// [`Board::files`]
    Files,
    /// [`Board::filesystems`]
    Filesystems,
    /// [`Board::power`]
    Power,
}

impl Needs {
    /// Whether the board has it. Inlined, so that for a board without the capability the whole row
    /// folds away.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "rows of absent capabilities must not be linked")]
    fn are_met_by<B: Board>(self, board: &mut B) -> bool {
        match self {
            Self::Nothing => true,
            Self::Clock => board.clock().is_some(),
            Self::Files => board.files().is_some(),
            Self::Filesystems => board.filesystems().is_some(),
            Self::Power => board.power().is_some(),
        }
    }
}

/// How the success of a command is answered. Errors are always answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// With a line.
    Line,
    /// With the byte 0xFF and a line.
    Delimited,
    /// Not at all (`success-response: false` in the schema).
    Silent,
}

/// What the agent itself knows, beside the board.
#[derive(Debug)]
pub(crate) struct State<'s> {
    pub(crate) policy: Policy<'s>,
    pub(crate) frozen: &'s mut bool,
}

impl State<'_> {
    /// Whether a command may be used now.
    fn enables(&self, command: &Command) -> bool {
        self.policy.allows(command.name) && (command.while_frozen || !*self.frozen)
    }
}

/// What a handler is given.
pub(crate) struct Call<'c, 'r, B> {
    pub(crate) board: &'c mut B,
    pub(crate) state: State<'c>,
    pub(crate) arguments: Arguments<'c>,
    /// Takes what the command returns; a command that returns nothing writes nothing.
    pub(crate) reply: &'c mut ReplyWriter<'r>,
}

impl<B: Board> Call<'_, '_, B> {
    fn clock(&mut self) -> Result<&mut dyn Clock, Error> {
        self.board.clock().ok_or(Error::Unsupported)
    }

    fn files(&mut self) -> Result<&mut dyn Files, Error> {
        self.board.files().ok_or(Error::Unsupported)
    }

    fn filesystems(&mut self) -> Result<&mut dyn Filesystems, Error> {
        self.board.filesystems().ok_or(Error::Unsupported)
    }

    fn power(&mut self) -> Result<&mut dyn Power, Error> {
        self.board.power().ok_or(Error::Unsupported)
    }
}

type Handler<B> = fn(&mut Call<'_, '_, B>) -> Result<(), Error>;

/// The rows that a board offers, in the order of the schema.
type Offered = heapless::Vec<&'static Command, { COMMANDS.len() }>;

macro_rules! table {
    ($($command:path => $handler:path,)+) => {
        /// Every command there is, in the order of the QGA schema.
        pub const COMMANDS: &[Command] = &[$($command),+];

        /// The command of this name, where the board offers it.
        fn find<B: Board>(board: &mut B, name: &[u8]) -> Option<(&'static Command, Handler<B>)> {
            $(
                if $command.needs.are_met_by(board) && $command.name.as_bytes() == name {
                    return Some((&$command, $handler));
                }
            )+
            None
        }

        fn offered<B: Board>(board: &mut B) -> Offered {
            let mut offered = Offered::new();
            $(
                if $command.needs.are_met_by(board) {
                    // There is a place for every row.
                    let _ = offered.push(&$command);
                }
            )+
            offered
        }
    };
}

table! {
    sync::SYNC_DELIMITED => sync::sync_delimited,
    sync::SYNC => sync::sync,
    sync::PING => sync::ping,
    time::GET_TIME => time::get_time,
    time::SET_TIME => time::set_time,
    info::INFO => info::info,
    power::SHUTDOWN => power::shutdown,
    file::OPEN => file::open,
    file::CLOSE => file::close,
    file::READ => file::read,
    file::WRITE => file::write,
    file::SEEK => file::seek,
    file::FLUSH => file::flush,
    filesystem::FREEZE_STATUS => filesystem::freeze_status,
    filesystem::FREEZE => filesystem::freeze,
    filesystem::FREEZE_LIST => filesystem::freeze,
    filesystem::THAW => filesystem::thaw,
    filesystem::TRIM => filesystem::trim,
    filesystem::INFO => filesystem::info,
}

/// The longest line that `guest-info` can be: every command, and the longest of every value.
pub(crate) const fn longest_info() -> usize {
    let mut length =
        r#"{"return": {"version": "65535.65535.65535", "supported_commands": []}"#.len();
    let mut rest = COMMANDS;
    while let [command, others @ ..] = rest {
        length = length.saturating_add(command.name.len());
        length = length
            .saturating_add(r#"{"enabled": false, "name": "", "success-response": false}, "#.len());
        rest = others;
    }
    length
}

/// Runs the command that a request names.
///
/// `Ok(true)` means that `reply` holds all of a reply but its end; `Ok(false)` that success is not
/// answered.
///
/// # Errors
///
/// What the client is to be told; nothing is left in `reply` then.
pub(crate) fn dispatch<B: Board>(
    board: &mut B,
    state: State<'_>,
    request: Request<'_>,
    reply: &mut ReplyWriter<'_>,
) -> Result<bool, Error> {
    let outcome = run(board, state, request, reply);
    if !matches!(outcome, Ok(true)) {
        reply.rollback();
    }
    outcome
}

fn run<B: Board>(
    board: &mut B,
    state: State<'_>,
    request: Request<'_>,
    reply: &mut ReplyWriter<'_>,
) -> Result<bool, Error> {
    let Some((command, handler)) = find(board, request.execute.bytes()) else {
        return Err(Error::NotFound(request.execute.span()));
    };
    if *state.frozen && !command.while_frozen {
        return Err(Error::Frozen(request.execute.span()));
    }
    if !state.policy.allows(command.name) {
        return Err(Error::Disabled(request.execute.span()));
    }
    let arguments = Arguments::check(request.arguments, command.arguments)?;

    if command.response == Response::Delimited {
        reply.raw(b"\xFF");
    }
    reply.raw(b"{\"return\": ");
    let before = reply.length();
    handler(&mut Call { board, state, arguments, reply })?;
    if reply.length() == before {
        reply.begin_object().end_object();
    }
    if !reply.fits() {
        return Err(Error::ReplyTooLong);
    }
    Ok(command.response != Response::Silent)
}

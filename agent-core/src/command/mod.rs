//! The commands: one table, a row per command, and the way from a request to its handler.
//!
//! Fourth stop of a request. `guest-info`, dispatch and policy read the same rows, those of the
//! application's own commands among them.

mod arguments;
mod call;
mod device;
mod disk;
mod exec;
mod file;
pub(crate) mod filesystem;
mod identity;
pub(crate) mod info;
mod memory;
mod needs;
mod network;
mod power;
mod processor;
mod row;
mod suspend;
mod sync;
mod time;
mod usage;
mod user;

use crate::{
    board::Board,
    error::Error,
    wire::{ReplyWriter, Request},
};

use row::Rules;

pub use arguments::{Arguments, Field, Type};
pub(crate) use call::State;
pub use call::{Call, Handler};
pub use needs::Needs;
pub use row::{Command, Response};

/// A command of the application's own.
///
/// The table's rows are of the same kind, so it is checked, answered, listed by `guest-info` and
/// subject to policy like one of the schema, and like them is there only where the board has what it
/// [needs](Command::needs). Its name should begin with the maker's, such as `acme-`; one that the
/// board has already is not reached.
///
/// ```
/// use agent_core::{Agent, Board, Buffers, Call, Command, Error, Field, Type, Vendor};
///
/// #[derive(Default)]
/// struct Lighthouse {
///     lit: bool,
///     broken: bool,
/// }
///
/// const SET_LAMP: Command = Command {
///     about: "Switches the lamp; returns what it was.",
///     arguments: &[Field::new("on", Type::BOOLEAN)],
///     returns: "bool",
///     ..Command::new("acme-set-lamp", "1.0")
/// };
///
/// fn set_lamp(call: &mut Call<'_, '_, Lighthouse>) -> Result<(), Error> {
///     if call.board.broken {
///         return Err(Error::refusal("the lamp is broken"));
///     }
///     call.reply.boolean(call.board.lit);
///     // It has been checked that it is there, and of this type.
///     call.board.lit = call.arguments.boolean("on").unwrap_or_default();
///     Ok(())
/// }
///
/// impl Board for Lighthouse {
///     fn vendor_commands(&self) -> &[Vendor<Self>] {
///         &[Vendor { command: SET_LAMP, handler: set_lamp }]
///     }
/// }
///
/// let mut buffers: Buffers = Buffers::new();
/// let mut agent = Agent::new(Lighthouse::default(), &mut buffers);
/// agent.receive(br#"{"execute": "acme-set-lamp", "arguments": {"on": true}}"#);
/// assert_eq!(agent.pending(), b"{\"return\": false}\n");
/// ```
#[derive(Debug)]
pub struct Vendor<B> {
    /// Its row.
    pub command: Command,
    /// What runs it.
    pub handler: Handler<B>,
}

macro_rules! table {
    ($($command:path => $handler:path,)+) => {
        /// Every command of the QGA schema that there is, in its order.
        pub const COMMANDS: &[Command] = &[$($command),+];

        /// Shows the commands that the board offers to `look`, in the order of the schema, its own
        /// after them.
        fn offered<B: Board>(board: &mut B, look: &mut dyn FnMut(&Rules, Handler<B>)) {
            $(
                if $command.needs.are_met_by(board) {
                    const RULES: Rules = $command.rules();
                    look(&RULES, $handler);
                }
            )+
            for index in 0_usize.. {
                let Some(&Vendor { command, handler }) = board.vendor_commands().get(index) else {
                    break;
                };
                if command.needs.are_met_by(board) {
                    look(&command.rules(), handler);
                }
            }
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
    suspend::DISK => suspend::disk,
    suspend::RAM => suspend::ram,
    suspend::HYBRID => suspend::hybrid,
    network::GET_INTERFACES => network::get_interfaces,
    processor::GET_VCPUS => processor::get_vcpus,
    processor::SET_VCPUS => processor::set_vcpus,
    disk::GET_DISKS => disk::get_disks,
    filesystem::INFO => filesystem::info,
    user::SET_PASSWORD => user::set_password,
    memory::GET_BLOCKS => memory::get_blocks,
    memory::SET_BLOCKS => memory::set_blocks,
    memory::GET_BLOCK_INFO => memory::get_block_info,
    exec::STATUS => exec::status,
    exec::EXEC => exec::exec,
    identity::GET_HOST_NAME => identity::get_host_name,
    identity::GET_USERS => identity::get_users,
    identity::GET_TIMEZONE => identity::get_timezone,
    identity::GET_OSINFO => identity::get_osinfo,
    device::GET_DEVICES => device::get_devices,
    user::GET_KEYS => user::get_keys,
    user::ADD_KEYS => user::add_keys,
    user::REMOVE_KEYS => user::remove_keys,
    disk::GET_DISKSTATS => disk::get_diskstats,
    usage::GET_CPUSTATS => usage::get_cpustats,
    usage::GET_LOAD => usage::get_load,
    network::GET_ROUTE => network::get_route,
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
    let name = request.execute.span();
    let mut found = None;
    offered(board, &mut |rules, handler| {
        if found.is_none() && rules.name.as_bytes() == request.execute.bytes() {
            found = Some((*rules, handler));
        }
    });
    let Some((rules, handler)) = found else { return Err(Error::not_found(name)) };
    if *state.frozen && !rules.while_frozen {
        return Err(Error::frozen(name));
    }
    if !state.policy.allows(rules.name) {
        return Err(Error::disabled(name));
    }
    let arguments = Arguments::check(request.arguments, rules.arguments)?;

    if rules.response == Response::Delimited {
        reply.raw(b"\xFF");
    }
    reply.raw(b"{\"return\": ");
    let before = reply.length();
    handler(&mut Call { board, state, arguments, reply })?;
    if reply.length() == before {
        reply.begin_object().end_object();
    }
    if !reply.fits() {
        return Err(Error::reply_too_long());
    }
    debug_assert!(reply.has_one_value(), "{} must return one value", rules.name);
    Ok(rules.response != Response::Silent)
}

//! The QEMU guest agent's protocol as a pure state machine: bytes in, bytes out.
//!
//! No I/O, no clock, no heap, no `unsafe`, and no panic on any input. An embedding gives the
//! [`Agent`] a [`Board`], the memory to work in, and the bytes that the host sends.
//!
//! # The way of a request
//!
//! ```text
//! Pump::run(channel, agent)                            bytes in: embedded-io's traits
//!   -> Agent::receive(&[u8]) -> taken
//!     -> wire::Lexer::push(byte)                       one byte, at most one token; recovery
//!       -> wire::Message::push(bytes)                  tokens to one canonical value; grammar, limits
//!         -> wire::Request::read(message)              execute, arguments, id
//!           -> command::dispatch(board, request)       one table, a row per command; policy
//!             -> command::time::get_time(call)         arguments checked, one handler per command
//!               -> board.clock()?.now()                capability::Clock, implemented by the board
//!             <- ReplyWriter                           the result: bounded, all or nothing
//!     <- wire::Reply                                   the rest of the line, piece by piece
//! <- Agent::pending() -> &[u8], Agent::sent(n)         bytes out
//! ```
//!
//! `wire` does not know commands, `command` does not know hardware, `capability` is traits and
//! plain values only.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(any(test, fuzzing)),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod agent;
mod board;
mod capability;
mod channel;
mod command;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod limits;
mod policy;
mod wire;

pub use agent::Agent;
pub use board::Board;
pub use capability::{
    AuthorizedKeys, Capture, Clock, ClockError, Device, Devices, Disk, DiskAddress, DiskStatistics,
    Disks, End, Errno, Extent, Files, Filesystem, Filesystems, FreezeError, Function, Functions,
    Handle, Handles, Identity, Input, Interface, InterfaceAddress, InterfaceStatistics, Invocation,
    Kept, KeysError, LoadAverage, Memory, MemoryBlock, MemoryBlockError, Network, OpenMode, OsInfo,
    Output, Password, Passwords, PciAddress, PciId, Pid, Power, PowerError, Processor,
    ProcessorError, ProcessorTimes, Processors, ProgramStatus, Programs, Route, RouteDetails,
    ShutdownMode, Stream, Suspend, SuspendError, SuspendMode, Timezone, Transfers, Trim, TrimError,
    Trimmed, UnixNanos, Usage, User,
};
pub use channel::Pump;
pub use command::{
    Arguments, COMMANDS, Call, Command, Field, Handler, Needs, Response, Type, Vendor,
};
pub use error::Error;
pub use limits::Buffers;
pub use policy::Policy;
pub use wire::ReplyWriter;

/// The README's example must compile.
#[cfg(doctest)]
#[doc = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"))]
struct Readme;

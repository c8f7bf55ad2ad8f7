//! A file system in a fixed piece of memory, for images without a disk.
//!
//! It serves the agent's capabilities [`Files`] and [`Filesystems`], and beside them the
//! application of the guest, which puts files there for the host to fetch and reads those that the
//! host puts there. Nothing in it outlives the guest.
//!
//! ```text
//! Files, Filesystems (the agent)      mkdir, write_file, read_file … (the application)
//!   -> RamFs                          handles, positions, freezing
//!     -> Tree                         nodes: names and directories; walks paths
//!     -> Chain, in Blocks             contents: chains of blocks of 512 bytes
//! ```
//!
//! # Semantics
//!
//! Those of Linux and of C's `FILE`, as qemu-ga shows them, but:
//!
//! * there are files and directories, with no owners, modes, times or links;
//! * a path that does not begin with `/` begins at the root, which is its own parent;
//! * a file has no holes: bytes that a write skips are zeros and take room like any others.
//!
//! # Bounds
//!
//! | what | bound | beyond it |
//! |---|---|---|
//! | contents | [`BLOCK_SIZE`] times `BLOCKS`; each file takes whole blocks | "No space left on device" |
//! | files and directories, the root too | `NODES` | "No space left on device" |
//! | a name | [`NAME_MAX`] bytes | "File name too long" |
//! | a path | [`PATH_MAX`] bytes | "File name too long" |
//! | a position | [`POSITION_MAX`] | "Invalid argument" |
//! | open files of the agent | `HANDLES` | "Too many open files" |
//!
//! The memory for it is `BLOCKS` times 516 bytes and `NODES` times 288 bytes. What does not fit
//! changes nothing, except that [`Files::write`] writes as much as there is room for.
//!
//! Opening a file looks at every node for every name in the path. Reading and writing go on from
//! the block that the handle used last; a jump backwards walks the file's chain from its start.
//! Emptying a file takes the same time whatever its length.
//!
//! # Example
//!
//! ```
//! use agent_core::{Errno, Files, OpenMode};
//! use ramfs::{Arena, RamFs};
//!
//! // On a board: static ARENA: ConstStaticCell<Arena<2048, 64>> = …, in .bss.
//! let mut arena: Arena<16, 8> = Arena::new();
//! let mut fs: RamFs<'_, 4> = RamFs::new(&mut arena);
//!
//! // The application:
//! fs.mkdir(b"/etc")?;
//! fs.write_file(b"/etc/motd", b"Welcome\n")?;
//!
//! // The agent:
//! let mode = OpenMode::parse(b"a+").unwrap();
//! let motd = fs.open(b"/etc/motd", mode)?;
//! assert_eq!(fs.write(motd, b"to the guest\n")?, 13);
//!
//! // The application again:
//! let mut text = [0; 64];
//! let count = fs.read_file(b"/etc/motd", 0, &mut text)?;
//! assert_eq!(&text[..count], b"Welcome\nto the guest\n");
//! # Ok::<(), Errno>(())
//! ```
//!
//! [`Files`]: agent_core::Files
//! [`Files::write`]: agent_core::Files::write
//! [`Filesystems`]: agent_core::Filesystems
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

mod blocks;
mod chain;
mod files;
mod filesystems;
mod fs;
mod tree;

pub use blocks::{BLOCK_SIZE, Block};
pub use files::POSITION_MAX;
pub use fs::{Arena, Entry, RamFs};
pub use tree::{NAME_MAX, Node, PATH_MAX};

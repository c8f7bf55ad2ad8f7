//! Files on FAT16 and FAT32, in fixed memory, of which a cut of power leaves nothing half done.
//!
//! A [`Volume`] serves the agent's capabilities [`Files`](agent_core::Files) and
//! [`Filesystems`](agent_core::Filesystems) over a [`Disk`]: the whole of it, or the first FAT
//! partition of its MBR. No heap, no `unsafe`, no recursion; every loop is bounded by the size of
//! the volume, whatever it holds.
//!
//! # What is on the disk at any moment
//!
//! FAT has no journal. A file's chain of clusters is in one place and its length in another, and
//! there is no order of writing the two in which a guest that is killed in between leaves a file
//! that checkers find right. What *can* be written at once is a directory entry: it lies in one
//! sector and holds both the first cluster and the length. So:
//!
//! 1. The chain that an entry leads to is not changed. New content goes to clusters that nothing
//!    leads to, data and table alike, in any order.
//! 2. It is flushed. Then one write of the directory entry makes all of it visible, in the place of
//!    all that was. That is flushed too.
//! 3. Only then the clusters of the old content are freed.
//!
//! Whatever the moment, each file is what it was at one of its flushes or closes, the last one or
//! the one that was under way; and besides there may be clusters that no file uses, which the next
//! mount takes back. That holds for overwriting and for emptying a file, too: what it was stays
//! until the next flush. Bytes beyond the end in the last cluster are written in place, since
//! nothing can be seen of them until the entry has the new length.
//!
//! New names become visible in one write as well, long ones together with their short ones, see
//! `create.rs`.
//!
//! The price is room: to change a file takes as much again. Where there is not so much,
//! overwriting happens in place (the volume stays sound, but a cut of power finds some of the bytes
//! old and some new), an emptied file is emptied on the disk at once, and appending ends with
//! [`Errno::NO_SPACE`](agent_core::Errno::NO_SPACE).
//!
//! Two things remain. The two copies of the table are in two places; both are written by one
//! request where [`Scratch`] is large enough, and otherwise a checker that looks between two
//! requests finds them different, in entries of clusters that no file uses (or that a growing
//! directory is to have next). The next mount makes them one. And the count of free clusters in
//! FAT32's information sector says "not known" around the moment in which it changes.
//!
//! # Why not embedded-sdmmc
//!
//! It is the crate that this project prefers where files are on a disk, and version 0.10 was read
//! for this. It links a new cluster to a file's chain as soon as it is needed, with the length in
//! the entry following at the flush, it frees a truncated chain while the entry still has the old
//! length, its block device has no flush, it writes no long names (`open_long_name_file_in_dir`
//! opens what exists), and it looks for no lost clusters. None of that can be had from outside: the
//! order of its writes is what it is.
//!
//! # What is left out
//!
//! FAT12, sectors of other than 512 bytes, logical partitions and GPT. Names of short entries in
//! characters of a DOS code page are not found unless they have long names, as everything written
//! since 1995 does. In the root directory of FAT16, which cannot grow, a name of more than 195
//! characters does not fit.
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

mod bytes;
mod chain;
mod create;
mod directory;
mod disk;
mod entry;
mod file;
mod files;
mod filesystem;
mod geometry;
mod info;
mod medium;
mod mount;
mod name;
mod partition;
mod path;
mod short;
mod survey;
mod table;
mod time;
mod volume;
mod write;

pub use disk::{Disk, DiskError, SECTOR_SIZE};
pub use filesystem::Label;
pub use mount::Scratch;
pub use partition::MountError;
pub use volume::{Condition, Volume};

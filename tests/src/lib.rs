//! Boots the images under QEMU and talks to them as their clients do.
//!
//! A host crate that shares no code with agent-core: it is a second reading of the protocol. It
//! knows the images only as files.
//!
//! ```text
//! image     which images there are, and how cargo builds them
//! elf       what is in one: sizes, symbols, segments
//! machine   QEMU's machines and the agent's channels, as arguments
//! disk      disks with FAT volumes, as mkfs.fat, fsck.fat and mtools make, check and read them
//! qemu      a QEMU process with one guest in it
//! qmp         its machine protocol: events, commands
//! guest_log   the guest's defmt log, decoded
//! client    the agent's client: libvirt's and Proxmox's handshakes, raw bytes, deadlines
//! files       files through the agent: opened, written, read, whole
//! transcript  what went over the channel
//! network   network devices, and the page of a guest over a forwarded port
//! power_cuts  rounds of writing, killing, and looking at what is left
//! conformance  the same bytes at the real qemu-ga and at ours
//! readme    the README's snippets
//! report    how a failed test is told
//! ```

#![allow(
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    reason = "asked of private functions and tests too, where an error or a panic is a failed test"
)]

pub mod client;
pub mod conformance;
pub mod deadline;
pub mod disk;
pub mod elf;
pub mod files;
pub mod guest_log;
pub mod image;
pub mod machine;
pub mod network;
pub mod power_cuts;
pub mod qemu;
pub mod qmp;
pub mod readme;
pub mod report;
pub mod transcript;

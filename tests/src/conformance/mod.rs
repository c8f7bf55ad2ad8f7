//! Plays the same bytes at the real qemu-ga and at ours, and compares what they answer.
//!
//! ```text
//! corpus       recorded exchanges with the real agent
//! generate     inputs made at random from a seed
//! agent        the agents: qemu-ga, boards/linux as a process, the pc image under QEMU
//! masks        what of an answer can be compared
//! comparison   plays, compares, tells known differences (docs/differences.md) from others
//! ```
//!
//! The real agent never gets a chance to do harm: what could change this machine is blocked.

mod agent;
mod comparison;
mod corpus;
mod generate;
mod masks;

pub use agent::{Process, Real, Subject};
pub use comparison::{Comparison, Tally};
pub use corpus::{Entry, queries, read_corpus, recorded};
pub use generate::Generator;

/// Commands that the corpus was recorded without, as they would change this machine.
pub const BLOCKED: [&str; 13] = [
    "guest-shutdown",
    "guest-fsfreeze-freeze",
    "guest-fsfreeze-freeze-list",
    "guest-fsfreeze-thaw",
    "guest-suspend-disk",
    "guest-suspend-ram",
    "guest-suspend-hybrid",
    "guest-set-time",
    "guest-set-user-password",
    "guest-set-memory-blocks",
    "guest-fstrim",
    "guest-ssh-add-authorized-keys",
    "guest-ssh-remove-authorized-keys",
];

/// Commands that generated inputs must not reach either.
pub const BLOCKED_AT_RANDOM: [&str; 5] = [
    "guest-exec",
    "guest-exec-status",
    "guest-file-open",
    "guest-set-vcpus",
    "guest-ssh-get-authorized-keys",
];

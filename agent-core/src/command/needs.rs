//! What a command needs of the board.

use crate::{board::Board, capability::SuspendMode};

/// What a board must be able to do for a command to exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it is part of the agent.
    Nothing,
    /// [`Board::authorized_keys`]
    AuthorizedKeys,
    /// [`Board::clock`]
    Clock,
    /// [`Board::devices`]
    Devices,
    /// [`Board::disks`]
    Disks,
    /// [`Board::files`]
    Files,
    /// [`Board::filesystems`]
    Filesystems,
    /// [`Board::filesystems`] or [`Board::identity`]: a guest that tells what it is also tells that
    /// it has none.
    FilesystemsOrIdentity,
    /// [`Board::identity`]
    Identity,
    /// [`Board::memory`]
    Memory,
    /// [`Board::network`]
    Network,
    /// [`Board::passwords`]
    Passwords,
    /// [`Board::power`]
    Power,
    /// [`Board::processors`]
    Processors,
    /// [`Board::programs`]
    Programs,
    /// [`Board::suspend`], in this way.
    Suspend(SuspendMode),
    /// [`Board::usage`]
    Usage,
}

impl Needs {
    /// Whether the board has it. Inlined, so that for a board without the capability the whole row
    /// folds away.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "rows of absent capabilities must not be linked")]
    pub(super) fn are_met_by<B: Board>(self, board: &mut B) -> bool {
        match self {
            Self::Nothing => true,
            Self::AuthorizedKeys => board.authorized_keys().is_some(),
            Self::Clock => board.clock().is_some(),
            Self::Devices => board.devices().is_some(),
            Self::Disks => board.disks().is_some(),
            Self::Files => board.files().is_some(),
            Self::Filesystems => board.filesystems().is_some(),
            Self::FilesystemsOrIdentity => {
                board.filesystems().is_some() || board.identity().is_some()
            }
            Self::Identity => board.identity().is_some(),
            Self::Memory => board.memory().is_some(),
            Self::Network => board.network().is_some(),
            Self::Passwords => board.passwords().is_some(),
            Self::Power => board.power().is_some(),
            Self::Processors => board.processors().is_some(),
            Self::Programs => board.programs().is_some(),
            Self::Suspend(mode) => board.suspend().is_some_and(|suspend| suspend.supports(mode)),
            Self::Usage => board.usage().is_some(),
        }
    }
}

//! What the commands for files and file systems can fail with.

use crate::{
    capability::{Errno, FreezeError},
    wire::{Piece, Span},
};

/// Why a command for files failed. Spans are offsets into the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileError {
    BadBase64,
    /// The file system answered so, to what these words say.
    Failed(&'static str, Errno),
    Freeze(FreezeError),
    InvalidCount(i64),
    InvalidMode(Span),
    InvalidWhence(i64),
    NoHandle(i64),
    Open {
        path: Span,
        /// The mode as it was given; `r` where it was not.
        mode: Option<Span>,
        errno: Errno,
    },
    Thaw(FreezeError),
}

impl FileError {
    /// The description: a text in which each `%` stands for a piece.
    pub(crate) fn description(self) -> (&'static str, [Piece; 3]) {
        use Piece::{Integer, Quoted, Text};

        const NONE: Piece = Text("");
        match self {
            Self::BadBase64 => ("Base64 data contains invalid characters", [NONE; 3]),
            Self::Failed(what, Errno(why)) => ("%: %", [Text(what), Text(why), NONE]),
            Self::Freeze(error) => freeze("failed to freeze", error),
            Self::InvalidCount(count) => {
                ("value '%' is invalid for argument count", [Integer(count), NONE, NONE])
            }
            Self::InvalidMode(mode) => ("invalid file open mode '%'", [Quoted(mode), NONE, NONE]),
            Self::InvalidWhence(code) => ("invalid whence code %", [Integer(code), NONE, NONE]),
            Self::NoHandle(handle) => {
                ("handle '%' has not been found", [Integer(handle), NONE, NONE])
            }
            Self::Open { path, mode, errno: Errno(why) } => {
                let mode = mode.map_or(Text("r"), Quoted);
                ("failed to open file '%' (mode: '%'): %", [Quoted(path), mode, Text(why)])
            }
            Self::Thaw(error) => freeze("failed to thaw", error),
        }
    }
}

fn freeze(what: &'static str, error: FreezeError) -> (&'static str, [Piece; 3]) {
    use Piece::Text;

    match error {
        FreezeError::Disk { mountpoint, errno: Errno(why) } => {
            ("% %: %", [Text(what), Text(mountpoint), Text(why)])
        }
        FreezeError::Hook => ("fsfreeze hook has terminated abnormally", [Text(""); 3]),
    }
}

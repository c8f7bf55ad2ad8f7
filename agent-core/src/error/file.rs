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
    pub(crate) fn describe(self, add: &mut impl FnMut(&[Piece])) {
        use Piece::{Integer, Quoted, Text};

        match self {
            Self::BadBase64 => add(&[Text("Base64 data contains invalid characters")]),
            Self::Failed(what, Errno(why)) => add(&[Text(what), Text(": "), Text(why)]),
            Self::Freeze(error) => describe_freeze("failed to freeze ", error, add),
            Self::InvalidCount(count) => {
                add(&[Text("value '"), Integer(count), Text("' is invalid for argument count")]);
            }
            Self::InvalidMode(mode) => {
                add(&[Text("invalid file open mode '"), Quoted(mode), Text("'")]);
            }
            Self::InvalidWhence(code) => add(&[Text("invalid whence code "), Integer(code)]),
            Self::NoHandle(handle) => {
                add(&[Text("handle '"), Integer(handle), Text("' has not been found")]);
            }
            Self::Open { path, mode, errno: Errno(why) } => {
                let mode = mode.map_or(Text("r"), Quoted);
                add(&[Text("failed to open file '"), Quoted(path), Text("' (mode: '"), mode]);
                add(&[Text("'): "), Text(why)]);
            }
            Self::Thaw(error) => describe_freeze("failed to thaw ", error, add),
        }
    }
}

fn describe_freeze(what: &'static str, error: FreezeError, add: &mut impl FnMut(&[Piece])) {
    use Piece::Text;

    match error {
        FreezeError::Disk { mountpoint, errno: Errno(why) } => {
            add(&[Text(what), Text(mountpoint), Text(": "), Text(why)]);
        }
        FreezeError::Hook => add(&[Text("fsfreeze hook has terminated abnormally")]),
    }
}

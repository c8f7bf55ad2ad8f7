//! Why a processor does not do what it should.

use crate::interrupts::NotSent;

/// Why a processor does not do what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ProcessorError {
    /// There is none of this index.
    Absent,
    /// It is the boot processor.
    Boot,
    /// It did not answer in time. It is off line now.
    NoAnswer,
    /// There is no memory to start it in.
    NoStartPage,
    /// It cannot be sent an interrupt.
    NotSent,
    /// It is off line.
    Offline,
}

impl core::fmt::Display for ProcessorError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Absent => "no such processor",
            Self::Boot => "it is the boot processor",
            Self::NoAnswer => "the processor does not answer",
            Self::NoStartPage => "no memory to start a processor in",
            Self::NotSent => "the processor cannot be reached",
            Self::Offline => "the processor is off line",
        })
    }
}

impl core::error::Error for ProcessorError {}

impl From<NotSent> for ProcessorError {
    fn from(NotSent: NotSent) -> Self {
        Self::NotSent
    }
}

//! The capability to list memory blocks, and to take them off and on line.

use super::Errno;

/// The memory of a guest, in blocks of one size.
pub trait Memory {
    /// The size of a block in bytes.
    ///
    /// # Errors
    ///
    /// Why that cannot be told.
    fn block_bytes(&mut self) -> Result<u64, Errno>;

    /// Shows every block that there is to `visit`.
    ///
    /// # Errors
    ///
    /// Why they cannot be listed.
    fn blocks(&mut self, visit: &mut dyn FnMut(&MemoryBlock)) -> Result<(), Errno>;

    /// Has a block be used, or not be used any more. One that already is so is a success.
    ///
    /// # Errors
    ///
    /// The block does not exist, or it cannot be done.
    fn set_online(&mut self, index: u64, online: bool) -> Result<(), MemoryBlockError>;
}

/// A block of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryBlock {
    /// Its number: its physical address divided by the size of a block.
    pub index: u64,
    /// Whether it is used.
    pub online: bool,
    /// Whether it can be taken off line.
    pub can_offline: bool,
}

/// Why a block was not taken off or on line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryBlockError {
    /// There is no block of this number.
    NotFound,
    /// This guest, or this block, cannot do it.
    Unsupported,
    /// It was tried and failed, with this number of Linux's `errno`.
    Failed(i64),
}

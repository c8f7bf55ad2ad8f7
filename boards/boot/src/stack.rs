//! The program's stack, as memory
//!
//! Only the processor uses it: the entry code sets the stack pointer to its end, and a guard page
//! lies below its beginning.

use core::cell::UnsafeCell;
use core::fmt;

/// Memory for a stack of `BYTES` bytes, in whole pages; [`entry!`](macro@crate::entry) makes the
/// one that there is.
#[repr(C, align(4096))]
pub struct Stack<const BYTES: usize>(UnsafeCell<[u8; BYTES]>);

// SAFETY: Rust code has no access to it.
unsafe impl<const BYTES: usize> Sync for Stack<BYTES> {}

impl<const BYTES: usize> Stack<BYTES> {
    /// An unused stack.
    pub const fn new() -> Self {
        Self(UnsafeCell::new([0; BYTES]))
    }
}

impl<const BYTES: usize> Default for Stack<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const BYTES: usize> fmt::Debug for Stack<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stack({BYTES} bytes)")
    }
}

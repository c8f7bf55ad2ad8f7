//! From a hypervisor's entry point to a Rust `main`
//!
//! What every image needs before it can be a program, in the order in which it happens:
//!
//! ```text
//! entry      PVH start in 32-bit protected mode -> long mode, SSE, stack      (assembly)
//!   paging   rights for each part of the image, guard page, 512 GiB if the CPU can
//!     start_info   what the hypervisor says: ACPI root pointer, command line, memory map
//!       main       the board's, given by entry!
//! ```
//!
//! `memory` has the five functions that the compiler calls by name, `logger` (feature `defmt`) is
//! the log's way out, and [`entry!`] puts into the board's program what only a program may have:
//! the entry's target and the panic handler.

#![cfg_attr(not(test), no_std)]

#[cfg(not(test))]
mod entry;
#[cfg(all(feature = "defmt", not(test)))]
mod logger;
#[cfg(not(test))]
mod memory;
mod outside;
#[cfg(not(test))]
mod paging;
#[cfg(not(test))]
mod panic;
mod rights;
mod stack;
mod start_info;

pub use outside::Outside;
pub use stack::Stack;
pub use start_info::{MemoryKind, MemoryRegion, StartInfo, StartInfoError};

#[cfg(not(test))]
pub use crate::{entry::start, panic::report};

/// Makes `main` the image's entry point, `reset` what ends it after a panic, and a stack of
/// `stack_bytes`.
///
/// `main` is a `fn(&boot::StartInfo<'_>, &boot::Outside) -> !` and runs once, with interrupts
/// disabled, on a stack with a guard page; it gets what the hypervisor says and the memory to
/// follow such words in. `reset` is a `fn() -> !`; it runs after the panic has been logged and must
/// not panic itself.
#[macro_export]
macro_rules! entry {
    ($main:path, reset = $reset:path, stack_bytes = $stack_bytes:expr) => {
        /// The linker script knows where this belongs, and keeps it.
        #[used]
        #[unsafe(link_section = ".bss.boot_stack")]
        static STACK: $crate::Stack<{ $stack_bytes }> = $crate::Stack::new();

        /// Where the entry's assembly goes once Rust can run.
        #[unsafe(no_mangle)]
        extern "C" fn boot_main(start_info: u64) -> ! {
            // SAFETY: only the entry code knows this symbol; it comes here once, with what `start`
            // asks for.
            unsafe { $crate::start(start_info, $main) }
        }

        // Clippy and rustdoc look at the workspace as a whole, for which `log` is built with std:
        // then std has the panic handler.
        #[cfg(any(clippy, doc))]
        extern crate std;

        #[cfg_attr(not(any(clippy, doc)), panic_handler)]
        #[cfg_attr(any(clippy, doc), expect(dead_code, reason = "std has its own"))]
        fn panic(info: &::core::panic::PanicInfo<'_>) -> ! {
            $crate::report(info);
            $reset()
        }

        /// Named by the unwinding tables of the precompiled `core`; unoptimised builds keep the
        /// reference. Nothing unwinds.
        #[unsafe(no_mangle)]
        extern "C" fn rust_eh_personality() {}
    };
}

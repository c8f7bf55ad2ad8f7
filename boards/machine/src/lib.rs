//! What the x86 images have in common
//!
//! ```text
//! machine        the devices that every image needs: ACPI, clocks, power, interrupts, faults
//!   guest        agent_core's capabilities over them
//!   activity     how the boot processor has spent its time
//! processors     the machine's processors
//!   usage        how busy they are
//!   load         averages of that
//! memory_blocks  the machine's memory
//!   suspend      the machine asleep, and its capability
//! identity       what the guest is called and what it runs
//! serve          the main loop between a channel and the agent
//!   farewell     its end, by a shutdown or a suspend
//!   line         the channel over a UART
//!   watchdog     ends a freeze that the host has forgotten
//! freezer        file systems with an application's hooks, and the watchdog over them
//! command_line   what the kernel command line says to the agent
//! log            log lines, by defmt or not at all
//! ```
//!
//! An image adds its entry point, its channel, and the sizes of its buffers.

#![cfg_attr(not(test), no_std)]

pub mod command_line;
pub mod log;

mod activity;
mod farewell;
mod freezer;
mod guest;
mod identity;
mod line;
mod load;
mod machine;
mod memory_blocks;
mod processors;
mod serve;
mod suspend;
mod usage;
mod watchdog;

#[cfg(test)]
mod fake;

pub use freezer::{FreezeHooks, Freezer, Unready};
pub use guest::Guest;
pub use identity::Nameplate;
pub use line::Line;
pub use machine::{Machine, reset};
pub use memory_blocks::MemoryBlocks;
pub use processors::ProcessorSet;
pub use serve::{Channel, Platform, Served, serve};
pub use suspend::SuspendToRam;
pub use watchdog::{FREEZE_TIMEOUT_MS, Look, Watchdog};

//! What the x86 images have in common
//!
//! ```text
//! machine        the devices that every image needs: ACPI, clocks, power, interrupts, faults
//!   guest        agent_core's capabilities over them
//! serve          the main loop between a channel and the agent
//!   line         the channel over a UART
//! command_line   the choice of a channel by the kernel command line
//! log            log lines, by defmt or not at all
//! ```
//!
//! An image adds its entry point, its channel, and the sizes of its buffers.

#![cfg_attr(not(test), no_std)]

pub mod command_line;
pub mod log;

mod guest;
mod line;
mod machine;
mod serve;

pub use guest::Guest;
pub use line::Line;
pub use machine::{Machine, fault, reset};
pub use serve::{Channel, Platform, serve};

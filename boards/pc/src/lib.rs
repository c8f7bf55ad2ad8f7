//! What the pc image is made of, for images that are it and something more
//!
//! ```text
//! board      what the guest can do
//!   drivers  the devices that the image drives, as the host is told of them
//! sleeper    the machine, with a suspend
//! search     where the agent listens: a virtio port, else a UART
//!   port     the agent's port of a virtio console, as a channel
//!   devices  virtio devices on PCI and behind memory-mapped registers, and how they wake the CPU
//! ```
//!
//! The memory that devices read and write is the image's: it implements [`hal_virtio::dma::Memory`]
//! with a pool of [`DMA_PAGES`] for the channel and what else it needs.

#![no_std]

mod board;
mod devices;
mod drivers;
mod port;
mod search;
mod sleeper;

pub use board::Pc;
pub use devices::{Devices, Location};
pub use drivers::Drivers;
pub use port::{AgentPort, DMA_PAGES};
pub use search::{Place, search};
pub use sleeper::Sleeper;

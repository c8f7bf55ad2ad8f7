//! What the pc image is made of, for images that are it and something more
//!
//! ```text
//! search     where the agent listens: a virtio port, else a UART
//!   port     the agent's port of a virtio console, as a channel
//!   devices  virtio devices on PCI and behind memory-mapped registers, and how they wake the CPU
//! ```
//!
//! The memory that devices read and write is the image's: it implements [`hal_virtio::dma::Memory`]
//! with a pool of [`DMA_PAGES`] for the channel and what else it needs.

#![no_std]

mod devices;
mod port;
mod search;

pub use devices::{Devices, Location};
pub use port::{AgentPort, DMA_PAGES};
pub use search::{Place, search};

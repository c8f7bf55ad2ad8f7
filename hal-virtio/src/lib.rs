//! virtio devices for guests without an operating system or a heap
//!
//! ```text
//! console            multiport virtio console: named ports as embedded_io channels
//!   device           reset, feature negotiation, start
//!     pci, mmio      finding a device, its registers and interrupts; transport: either of them
//!   dma              static memory for rings and buffers
//! ```

#![cfg_attr(not(test), no_std)]

pub mod console;
pub mod device;
pub mod dma;
pub mod mmio;
pub mod pci;
pub mod transport;

#[cfg(test)]
mod fake;
mod region;
mod ring;
mod window;

pub use virtio_drivers::transport::DeviceType;

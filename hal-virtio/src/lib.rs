//! virtio devices for guests without an operating system or a heap
//!
//! A driver for the **multiport virtio console** (virtio 1.2 §5.3), QEMU's `virtio-serial`: named channels of bytes
//! between guest and host, several over one device, plugged and unplugged at run time. One for the **block device**
//! (§5.2), a disk. One for the **network device** (§5.1). And what it takes to get there:
//!
//! ```text
//! console            named ports as embedded_io channels that never wait
//! block              a disk's sectors: requests that never wait, and calls that wait as the program says
//! net                Ethernet frames, in and out, never waiting
//!   device           reset, feature negotiation, start
//!     pci            finding a device behind any bridge, its registers, MSI-X
//!     mmio           the look before a transport over memory-mapped registers, versions 1 and 2
//!     transport      either of the two, told apart at run time
//!   dma              static memory for rings and buffers
//! ```
//!
//! Queues and the traits [`Hal`] and [`Transport`] are those of the crate `virtio-drivers`, whose own console has one
//! port and needs a heap. Other drivers of that crate work over these transports and this memory, too.
//!
//! # What it needs from the program
//!
//! - Memory that devices can reach: a [`dma::Pool`] in a static, and the promise that its addresses are physical ones
//!   ([`dma::Memory`]). A program with an IOMMU or with other mappings implements [`Hal`] itself.
//! - A device: for PCI access to configuration space ([`pci::Configuration`]), for memory-mapped registers their
//!   address; and the ranges of addresses that are mapped for devices' registers.
//! - A loop that calls [`Console::poll`](console::Console::poll) after each interrupt, and otherwise may halt. The
//!   interrupt handler has nothing to do but to acknowledge at the interrupt controller. Calling `poll` from time to
//!   time, with no interrupts at all, works as well.
//!
//! # What it does not trust
//!
//! All that the host can write: capabilities and base address registers, queue sizes and notification offsets, used
//! rings, lengths, control messages, names. Nothing of it leads to a panic, to memory outside the buffers, or to a loop
//! without a bound; a device that breaks the rules of its queues is reported as
//! [`Misbehaved`](device::Failure::Misbehaved) and can be restarted. Bytes are copied out of shared memory once,
//! before anybody looks at them.
//!
//! # Example
//!
//! Answering on the port `org.qemu.guest_agent.0` of the first console on PCI:
//!
//! ```no_run
//! use core::ops::Range;
//! use embedded_io::{Read, ReadReady, Write, WriteReady};
//! use hal_virtio::console::{Console, Error, Event, PortId, dma_pages};
//! use hal_virtio::{DeviceType, dma, pci};
//!
//! // A console with 4 ports, 4 receive and 4 transmit buffers each, one of them open: 30 pages.
//! static POOL: dma::Pool<{ dma_pages(4, 4, 4, 1) }> = dma::Pool::new();
//! struct Memory;
//! // SAFETY: this program runs with all memory mapped one to one.
//! unsafe impl dma::Memory for Memory {
//!     fn pool() -> &'static dyn dma::Pages {
//!         &POOL
//!     }
//! }
//!
//! // Where this program has mapped nothing but devices.
//! const DEVICES: [Range<u64>; 1] = [0xC000_0000..0xFEC0_0000; 1];
//!
//! fn serve(
//!     bus: &mut impl pci::Configuration,
//!     wake: pci::Message,
//!     halt_until_interrupt: impl Fn(),
//! ) -> Result<(), Error> {
//!     let address = pci::Walk::new().next_virtio(bus, DeviceType::Console).expect("a console");
//!     // SAFETY: see `DEVICES`; this is the only driver.
//!     let device = unsafe { pci::Transport::open(bus, address, &DEVICES, Some(wake)) };
//!     let mut console = Console::<dma::IdentityHal<Memory>, _>::new(device.expect("a modern device"))?;
//!     let mut agent: Option<PortId> = None;
//!     loop {
//!         while let Some(event) = console.poll()? {
//!             match event {
//!                 Event::Named(port) if console.port_named("org.qemu.guest_agent.0") == Some(port) => {
//!                     console.open(port)?;
//!                     agent = Some(port);
//!                 }
//!                 Event::Removed(port) if agent == Some(port) => agent = None,
//!                 _ => {}
//!             }
//!         }
//!         let mut is_idle = true;
//!         if let Some(port) = agent {
//!             let mut port = console.port(port)?;
//!             while port.read_ready()? && port.write_ready()? {
//!                 is_idle = false;
//!                 let mut byte = [0];
//!                 port.read(&mut byte)?;
//!                 port.write(&byte)?;
//!             }
//!             port.flush()?;
//!         }
//!         if is_idle {
//!             halt_until_interrupt();
//!         }
//!     }
//! }
//! ```

#![cfg_attr(not(test), no_std)]

pub mod block;
pub mod console;
pub mod device;
pub mod dma;
pub mod mmio;
pub mod net;
pub mod pci;
pub mod transport;

#[cfg(test)]
mod fake;
mod region;
mod ring;
mod window;

pub use virtio_drivers::Hal;
pub use virtio_drivers::transport::mmio::MmioTransport;
pub use virtio_drivers::transport::{DeviceType, Transport};

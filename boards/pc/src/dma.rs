//! The memory that the console's device reads and writes

use hal_virtio::console::dma_pages;
use hal_virtio::dma::{Memory, Pages, Pool};

use crate::port::{PORTS, RECEIVE, TRANSMIT};

/// Enough for one console with one port open: consoles are looked at one after another.
static POOL: Pool<{ dma_pages(PORTS, RECEIVE, TRANSMIT, 1) }> = Pool::new();

/// The image's pool.
#[derive(Debug)]
pub(crate) enum Dma {}

// SAFETY: the image is mapped one to one, all of it lies in the machine's memory, and without an
// IOMMU (or with one that was left as the firmware had it) devices reach all of that by the same
// addresses.
unsafe impl Memory for Dma {
    fn pool() -> &'static dyn Pages {
        &POOL
    }
}

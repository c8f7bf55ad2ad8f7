//! The memory that devices read and write

use hal_virtio::block;
use hal_virtio::dma::{Memory, Pages, Pool};
use pc::DMA_PAGES;

use crate::network;

/// Sectors that are read or written at once. A request takes about as long for one as for all.
pub(crate) const SECTORS: usize = 64;

/// Pages for disks: the one with the volume, and one to look at, as they are looked at one after
/// another.
const DISK_PAGES: usize = 2 * block::dma_pages(SECTORS);

/// Enough for the channel, disks and the network.
static POOL: Pool<{ DMA_PAGES + DISK_PAGES + network::DMA_PAGES }> = Pool::new();

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

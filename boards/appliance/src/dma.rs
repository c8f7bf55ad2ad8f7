//! The memory that devices read and write

use hal_virtio::block;
use hal_virtio::dma::{Memory, Pages, Pool};
use pc::DMA_PAGES;

/// Sectors that are read or written at once. A request takes about as long for one as for all.
pub(crate) const SECTORS: usize = 64;

/// Enough for the channel, the disk with the volume, and one to look at: disks are looked at one
/// after another.
static POOL: Pool<{ DMA_PAGES + 2 * block::dma_pages(SECTORS) }> = Pool::new();

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

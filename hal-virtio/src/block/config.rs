//! What a block device says about itself (`struct virtio_blk_config`, virtio 1.2 §5.2.4)

use virtio_drivers::transport::Transport;

use super::{Error, SECTOR_BYTES};
use crate::device;

/// Feature bits, §5.2.3.
pub(super) const F_RO: u64 = 1 << 5;
pub(super) const F_BLK_SIZE: u64 = 1 << 6;
pub(super) const F_FLUSH: u64 = 1 << 9;
pub(super) const F_DISCARD: u64 = 1 << 13;

/// The configuration as far as it is used, and checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Config {
    /// The capacity.
    pub(super) sectors: u64,
    /// Sectors in the smallest block that can be read or written.
    pub(super) block_sectors: u32,
    pub(super) discard: Option<DiscardLimits>,
}

/// What one discard request may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DiscardLimits {
    /// The most sectors in one request, at least 1. [`Block::discard`](super::Block::discard) splits larger ranges.
    pub max_sectors: u32,
    /// The device discards in units of this many sectors, at least 1, and may do nothing about a part of one.
    pub alignment_sectors: u32,
}

impl Config {
    /// Reads the configuration of a device that has agreed to `features`.
    pub(super) fn read(transport: &impl Transport, features: u64) -> Result<Self, Error> {
        let read = || Self::read_once(transport, features);
        device::settled(transport, read)?.ok_or(Error::Configuration)
    }

    /// Fields whose feature was not agreed on need not be there.
    fn read_once(transport: &impl Transport, features: u64) -> Result<Self, Error> {
        let field = |offset| {
            let value = transport.read_config_space::<u32>(offset);
            value.map(u32::from_le).map_err(|_| Error::Configuration)
        };
        // No more than a byte's number can tell, so that sums of valid sectors do not overflow.
        let sectors = u64::from(field(0)?) | u64::from(field(4)?) << 32;
        let sectors = sectors.min(u64::MAX / SECTOR_BYTES as u64);
        let mut block_sectors = 1;
        if features & F_BLK_SIZE != 0 {
            let block_bytes = field(20)?;
            if block_bytes.is_power_of_two() {
                #[expect(clippy::cast_possible_truncation, reason = "a sector has 512 bytes")]
                let sector_bytes = SECTOR_BYTES as u32;
                block_sectors = (block_bytes / sector_bytes).max(1);
            }
        }
        let mut discard = None;
        if features & F_DISCARD != 0 {
            let (max_sectors, max_segments) = (field(36)?, field(40)?);
            // One segment is all that is sent.
            if max_sectors > 0 && max_segments > 0 {
                let alignment_sectors = field(44)?.max(block_sectors);
                discard = Some(DiscardLimits { max_sectors, alignment_sectors });
            }
        }
        Ok(Self { sectors, block_sectors, discard })
    }
}

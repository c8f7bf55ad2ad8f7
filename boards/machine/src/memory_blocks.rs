//! The memory of the machine, in blocks, as the boot memory map tells
//!
//! A block is there if any of it is memory. None can be given up: the map is all that the guest
//! knows of its memory, and the agent, its buffers and the firmware's tables lie in it.

use core::ops::Range;

use agent_core::{Errno, Memory, MemoryBlock, MemoryBlockError};

const MIB: u64 = 1 << 20;

/// The size of a block on Linux for x86-64, and here from so much memory on.
const USUAL_BYTES: u64 = 128 * MIB;
/// Smaller memories are told in so many blocks or a few less, of at least a MiB, so that they are
/// not all of one size.
const SMALL_BLOCKS: u64 = 8;
/// Larger memories are told in so many blocks at most, so that any reply can hold them.
const MAX_BLOCKS: u64 = 64;

/// The machine's memory blocks.
#[derive(Debug)]
pub struct MemoryBlocks {
    block_bytes: u64,
    /// A bit for each block that there is.
    present: u64,
}

impl MemoryBlocks {
    /// The blocks of what `ram` lists, in any order; `None` where that is nothing.
    pub fn new(ram: impl Iterator<Item = Range<u64>> + Clone) -> Option<Self> {
        let ram = ram.filter(|range| !range.is_empty());
        let end = ram.clone().map(|range| range.end).max()?;
        let block_bytes = block_bytes(end);
        let present = ram.fold(0, |present, range| {
            let first = range.start / block_bytes;
            let last = (range.end - 1) / block_bytes;
            present | (u64::MAX >> (MAX_BLOCKS - 1 - (last - first))) << first
        });
        Some(Self { block_bytes, present })
    }

    fn is_present(&self, index: u64) -> bool {
        index < MAX_BLOCKS && self.present >> index & 1 != 0
    }
}

/// How large the blocks of a memory that ends at `end` are: a power of two.
fn block_bytes(end: u64) -> u64 {
    if end < USUAL_BYTES {
        (end.next_power_of_two() / SMALL_BLOCKS).max(MIB)
    } else {
        end.div_ceil(MAX_BLOCKS).next_power_of_two().max(USUAL_BYTES)
    }
}

impl Memory for MemoryBlocks {
    fn block_bytes(&mut self) -> Result<u64, Errno> {
        Ok(self.block_bytes)
    }

    fn blocks(&mut self, visit: &mut dyn FnMut(&MemoryBlock)) -> Result<(), Errno> {
        for index in (0..MAX_BLOCKS).filter(|&index| self.is_present(index)) {
            visit(&MemoryBlock { index, online: true, can_offline: false });
        }
        Ok(())
    }

    fn set_online(&mut self, index: u64, online: bool) -> Result<(), MemoryBlockError> {
        match (self.is_present(index), online) {
            (false, _) => Err(MemoryBlockError::NotFound),
            (true, true) => Ok(()),
            (true, false) => Err(MemoryBlockError::Unsupported),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn blocks(ram: &[Range<u64>]) -> Option<(u64, Vec<u64>)> {
        let mut memory = MemoryBlocks::new(ram.iter().cloned())?;
        let mut found = Vec::new();
        memory
            .blocks(&mut |block| {
                assert!(block.online && !block.can_offline);
                found.push(block.index);
            })
            .unwrap();
        Some((memory.block_bytes().unwrap(), found))
    }

    #[test]
    fn blocks_cover_the_memory_and_nothing_else() {
        let low = 0..0x9_fc00;
        for (ram, block_bytes, expected) in [
            (&[low.clone(), MIB..2 * MIB - 0x2_0000][..], MIB, (0..2).collect::<Vec<_>>()),
            (&[low.clone(), MIB..8 * MIB - 0x2_0000], MIB, (0..8).collect()),
            (&[low.clone(), MIB..64 * MIB - 0x2_0000], 8 * MIB, (0..8).collect()),
            (&[low.clone(), MIB..100 * MIB], 16 * MIB, (0..7).collect()),
            (&[low.clone(), MIB..512 * MIB], 128 * MIB, (0..4).collect()),
            // 5 GiB on pc: a hole below 4 GiB.
            (&[low, MIB..3 * GIB, 4 * GIB..6 * GIB], 128 * MIB, (0..24).chain(32..48).collect()),
            (&[4 * GIB..6 * GIB, MIB..3 * GIB], 128 * MIB, (0..24).chain(32..48).collect()),
            (&[0..MIB, MIB..16 * GIB], 256 * MIB, (0..64).collect()),
            (&[0..MIB, 7..1 << 40], 16 * GIB, (0..64).collect()),
            // One byte is memory, too.
            (&[9 * MIB..9 * MIB, 5 * MIB..5 * MIB + 1], MIB, vec![5]),
            (&[0..u64::MAX, 0..u64::MAX], 1 << 58, (0..64).collect()),
            (&[u64::MAX - 1..u64::MAX, 0..1], 1 << 58, vec![0, 63]),
        ] {
            assert_eq!(blocks(ram), Some((block_bytes, expected)), "{ram:x?}");
        }
        assert_eq!(blocks(&[]), None);
        assert_eq!(blocks(&[0..0, 7..7]), None);
    }

    #[test]
    fn no_block_is_given_up() {
        let mut memory = MemoryBlocks::new([0..MIB, 3 * MIB..4 * MIB].into_iter()).unwrap();
        for (index, online, expected) in [
            (0, true, Ok(())),
            (0, false, Err(MemoryBlockError::Unsupported)),
            (1, true, Err(MemoryBlockError::NotFound)),
            (3, false, Err(MemoryBlockError::Unsupported)),
            (64, false, Err(MemoryBlockError::NotFound)),
            (u64::MAX, true, Err(MemoryBlockError::NotFound)),
        ] {
            assert_eq!(memory.set_online(index, online), expected, "{index} {online}");
        }
    }
}

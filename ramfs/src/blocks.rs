//! The blocks that contents are kept in, used and free.
//!
//! A free block is either one that was never used, or in the chain of released ones; both are
//! found without a search, and memory that is all zeros is an arena with every block free.

use core::num::NonZeroU32;

/// Bytes of contents in a block.
pub const BLOCK_SIZE: usize = 512;

/// A block of contents and its link to the next.
#[derive(Clone, Debug)]
pub struct Block {
    next: Option<Index>,
    bytes: [u8; BLOCK_SIZE],
}

impl Block {
    /// A block that was never used.
    pub const EMPTY: Self = Self { next: None, bytes: [0; BLOCK_SIZE] };
}

/// Which block: its number, counted from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Index(NonZeroU32);

/// All blocks.
pub(crate) struct Blocks<'a> {
    all: &'a mut [Block],
    /// How many blocks were ever used; they are the first ones.
    used: u32,
    /// The first of the chain of released blocks.
    released: Option<Index>,
    free: u32,
}

impl<'a> Blocks<'a> {
    /// All of these blocks, free, whatever they hold. Those that no [`Index`] reaches are not used.
    pub(crate) fn new(all: &'a mut [Block]) -> Self {
        let free = u32::try_from(all.len()).unwrap_or(u32::MAX);
        Self { all, used: 0, released: None, free }
    }

    /// How many blocks are free.
    pub(crate) fn free(&self) -> u32 {
        self.free
    }

    /// How many blocks there are.
    pub(crate) fn total(&self) -> u32 {
        u32::try_from(self.all.len()).unwrap_or(u32::MAX)
    }

    /// Takes a free block, zeroed and linked to nothing.
    pub(crate) fn take(&mut self) -> Option<Index> {
        let free = self.free.checked_sub(1)?;
        let index = if let Some(index) = self.released {
            self.released = self.next(index);
            index
        } else {
            self.used = self.used.checked_add(1)?;
            Index(NonZeroU32::new(self.used)?)
        };
        self.get_mut(index)?.clone_from(&Block::EMPTY);
        self.free = free;
        Some(index)
    }

    /// Frees a chain of `count` blocks, however long, in one step.
    pub(crate) fn release(&mut self, first: Index, last: Index, count: u32) {
        self.link(last, self.released);
        self.released = Some(first);
        self.free = self.free.saturating_add(count);
    }

    /// Links a block to the next.
    pub(crate) fn link(&mut self, index: Index, next: Option<Index>) {
        if let Some(block) = self.get_mut(index) {
            block.next = next;
        }
    }

    /// The block that this one is linked to.
    pub(crate) fn next(&self, index: Index) -> Option<Index> {
        self.all.get(position(index))?.next
    }

    /// What a block holds.
    pub(crate) fn bytes(&self, index: Index) -> &[u8] {
        self.all.get(position(index)).map_or(&[], |block| &block.bytes)
    }

    /// What a block holds, to be changed.
    pub(crate) fn bytes_mut(&mut self, index: Index) -> &mut [u8] {
        self.get_mut(index).map_or(&mut [], |block| &mut block.bytes)
    }

    fn get_mut(&mut self, index: Index) -> Option<&mut Block> {
        self.all.get_mut(position(index))
    }
}

/// Where in the slice of blocks a block is: beyond its end where a `usize` is too small to say.
fn position(index: Index) -> usize {
    usize::try_from(index.0.get()).map_or(usize::MAX, |number| number.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_free_block_is_taken_once_and_zeroed() {
        // What an earlier file system left in the memory is neither kept nor followed.
        let mut memory =
            [const { Block { next: Some(Index(NonZeroU32::MIN)), bytes: [7; 512] } }; 3];
        let mut blocks = Blocks::new(&mut memory);
        for round in 0..3 {
            assert_eq!((blocks.free(), blocks.total()), (3, 3));
            let taken: Vec<Index> = core::iter::from_fn(|| blocks.take()).collect();
            assert_eq!(taken.len(), 3, "round {round}");
            assert!(taken[0] != taken[1] && taken[0] != taken[2] && taken[1] != taken[2]);
            assert_eq!(blocks.free(), 0);
            for index in &taken {
                assert_eq!(blocks.next(*index), None);
                assert!(blocks.bytes(*index).iter().all(|byte| *byte == 0));
                blocks.bytes_mut(*index).fill(9);
            }
            blocks.link(taken[0], Some(taken[2]));
            blocks.release(taken[0], taken[2], 2);
            assert_eq!(blocks.free(), 2);
            blocks.release(taken[1], taken[1], 1);
        }
    }

    #[test]
    fn the_memory_it_takes() {
        assert_eq!(size_of::<Block>(), BLOCK_SIZE + 4);
    }

    #[test]
    fn no_blocks_at_all() {
        let mut blocks = Blocks::new(&mut []);
        assert_eq!((blocks.free(), blocks.total(), blocks.take()), (0, 0, None));
    }
}

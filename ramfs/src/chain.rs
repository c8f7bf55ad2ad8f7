//! The contents of a file: a chain of blocks and how many bytes of it count.
//!
//! What keeps it whole: a chain has exactly the blocks that its length needs, and the bytes of its
//! last block beyond the length are zeros. So a write beyond the end need not clear what it skips.

use agent_core::Errno;

use crate::blocks::{BLOCK_SIZE, Blocks, Index};

const BLOCK: u64 = BLOCK_SIZE as u64;

/// The contents of a file.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    length: u64,
    /// The first and the last block; `None` while there is none.
    first: Option<Index>,
    last: Option<Index>,
}

/// Where in a chain a reader or writer was: a block, and its number counted from zero.
///
/// It holds until the chain is emptied, since chains otherwise only grow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    number: u64,
    index: Index,
}

impl Chain {
    /// An empty file.
    pub(crate) const EMPTY: Self = Self { length: 0, first: None, last: None };

    /// Bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The length that the file could grow to.
    pub(crate) fn room(&self, blocks: &Blocks<'_>) -> u64 {
        self.blocks().saturating_add(blocks.free().into()).saturating_mul(BLOCK)
    }

    /// Gives every block back. Cursors are void from then on.
    pub(crate) fn clear(&mut self, blocks: &mut Blocks<'_>) {
        if let (Some(first), Some(last)) = (self.first, self.last) {
            blocks.release(first, last, u32::try_from(self.blocks()).unwrap_or(u32::MAX));
        }
        *self = Self::EMPTY;
    }

    /// Reads from `position`; nothing at the end and beyond it.
    pub(crate) fn read(
        &self,
        blocks: &Blocks<'_>,
        cursor: &mut Option<Cursor>,
        position: u64,
        buffer: &mut [u8],
    ) -> usize {
        let left = self.length.saturating_sub(position);
        let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let mut rest = buffer.get_mut(..wanted).unwrap_or_default();
        let mut at = position;
        while !rest.is_empty() {
            let Some(index) = self.find(blocks, cursor, at / BLOCK) else { break };
            let from = blocks.bytes(index).get(offset(at)..).unwrap_or_default();
            let count = copy(rest, from);
            rest = rest.get_mut(count..).unwrap_or_default();
            at = at.saturating_add(count as u64);
        }
        wanted.saturating_sub(rest.len())
    }

    /// Writes at `position` as much as there is room for; what was skipped reads as zeros.
    ///
    /// # Errors
    ///
    /// [`Errno::NO_SPACE`] where there is no room for a single byte there; nothing has changed then.
    pub(crate) fn write(
        &mut self,
        blocks: &mut Blocks<'_>,
        cursor: &mut Option<Cursor>,
        position: u64,
        bytes: &[u8],
    ) -> Result<usize, Errno> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let room = self.room(blocks).saturating_sub(position);
        let wanted = usize::try_from(room).map_or(bytes.len(), |room| room.min(bytes.len()));
        if wanted == 0 {
            return Err(Errno::NO_SPACE);
        }
        self.grow(blocks, position.saturating_add(wanted as u64));
        let mut rest = bytes.get(..wanted).unwrap_or_default();
        let mut at = position;
        while !rest.is_empty() {
            let Some(index) = self.find(blocks, cursor, at / BLOCK) else { break };
            let to = blocks.bytes_mut(index).get_mut(offset(at)..).unwrap_or_default();
            let count = copy(to, rest);
            rest = rest.get(count..).unwrap_or_default();
            at = at.saturating_add(count as u64);
        }
        Ok(wanted.saturating_sub(rest.len()))
    }

    /// Lengthens the file with zeros; there must be [room](Self::room).
    fn grow(&mut self, blocks: &mut Blocks<'_>, length: u64) {
        for number in self.blocks()..length.div_ceil(BLOCK) {
            let Some(index) = blocks.take() else { return };
            match self.last {
                None => self.first = Some(index),
                Some(last) => blocks.link(last, Some(index)),
            }
            self.last = Some(index);
            self.length = number.saturating_add(1).saturating_mul(BLOCK).min(length);
        }
        self.length = self.length.max(length);
    }

    /// The block of a number, and moves the cursor there.
    ///
    /// The walk begins at the cursor where that is not beyond it, and no walk leads to the last
    /// block, so that reading, writing and appending piece by piece go from block to block.
    fn find(&self, blocks: &Blocks<'_>, cursor: &mut Option<Cursor>, number: u64) -> Option<Index> {
        let mut at = match *cursor {
            _ if Some(number) == self.blocks().checked_sub(1) => {
                Cursor { number, index: self.last? }
            }
            Some(cursor) if cursor.number <= number => cursor,
            _ => Cursor { number: 0, index: self.first? },
        };
        while at.number < number {
            at = Cursor { number: at.number.saturating_add(1), index: blocks.next(at.index)? };
        }
        *cursor = Some(at);
        Some(at.index)
    }

    fn blocks(&self) -> u64 {
        self.length.div_ceil(BLOCK)
    }
}

/// Where in its block a position is.
fn offset(position: u64) -> usize {
    usize::try_from(position % BLOCK).unwrap_or(0)
}

/// Copies as much as both hold.
fn copy(to: &mut [u8], from: &[u8]) -> usize {
    let count = to.len().min(from.len());
    if let (Some(to), Some(from)) = (to.get_mut(..count), from.get(..count)) {
        to.copy_from_slice(from);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::Block;

    /// Plays writes of `(position, length)`, each with its own letter, at a file of four blocks.
    fn check(writes: &[(u64, usize)], expected: &[Result<usize, Errno>], length: usize) {
        let mut memory = [Block::EMPTY; 4];
        let mut blocks = Blocks::new(&mut memory);
        let mut chain = Chain::EMPTY;
        let mut cursor = None;
        let mut model = Vec::new();
        for (letter, ((position, length), expected)) in (b'a'..).zip(writes.iter().zip(expected)) {
            let bytes = vec![letter; *length];
            let outcome = chain.write(&mut blocks, &mut cursor, *position, &bytes);
            assert_eq!(outcome, *expected, "{letter} of {writes:?}");
            if let Ok(count @ 1..) = outcome {
                let start = usize::try_from(*position).unwrap();
                model.resize(model.len().max(start + count), 0);
                model[start..start + count].fill(letter);
            }
        }
        assert_eq!((chain.length(), model.len()), (length as u64, length), "{writes:?}");
        assert_eq!(u64::from(blocks.free()), 4 - chain.blocks(), "{writes:?}");

        // Forwards in odd pieces, then each byte backwards, with the cursor of the writer.
        let mut read = Vec::new();
        let mut piece = [0; 77];
        while let count @ 1.. = chain.read(&blocks, &mut cursor, read.len() as u64, &mut piece) {
            read.extend_from_slice(&piece[..count]);
        }
        assert!(read == model, "{writes:?}");
        for (position, byte) in model.iter().enumerate().rev() {
            let mut piece = [!byte];
            assert_eq!(chain.read(&blocks, &mut cursor, position as u64, &mut piece), 1);
            assert_eq!(piece, [*byte], "{position} of {writes:?}");
        }

        chain.clear(&mut blocks);
        assert_eq!((chain.length(), blocks.free()), (0, 4));
        assert_eq!(chain.read(&blocks, &mut None, 0, &mut piece), 0);
    }

    #[test]
    fn writes() {
        check(&[], &[], 0);
        check(&[(0, 0), (9, 0)], &[Ok(0), Ok(0)], 0);
        check(&[(0, 1)], &[Ok(1)], 1);
        check(&[(0, 512), (512, 1)], &[Ok(512), Ok(1)], 513);
        check(&[(0, 1300), (500, 600), (1299, 2)], &[Ok(1300), Ok(600), Ok(2)], 1301);
        // Skipped bytes are zeros, within a block, to its end and over whole blocks.
        check(&[(3, 1), (510, 1), (512, 1), (2000, 1)], &[Ok(1), Ok(1), Ok(1), Ok(1)], 2001);
        check(&[(2047, 1), (5, 5)], &[Ok(1), Ok(5)], 2048);
    }

    #[test]
    fn writes_to_a_full_arena() {
        let full = Err(Errno::NO_SPACE);
        check(&[(0, 2048), (2048, 1), (0, 1)], &[Ok(2048), full, Ok(1)], 2048);
        check(&[(0, 5000)], &[Ok(2048)], 2048);
        check(&[(2000, 49)], &[Ok(48)], 2048);
        check(&[(7, 1), (2048, 1), (u64::MAX, 1)], &[Ok(1), full, full], 8);
    }

    #[test]
    fn released_blocks_hold_nothing_for_the_next_file() {
        let mut memory = [Block::EMPTY; 4];
        let mut blocks = Blocks::new(&mut memory);
        let (mut old, mut new) = (Chain::EMPTY, Chain::EMPTY);
        assert_eq!(old.write(&mut blocks, &mut None, 0, &[b'x'; 2048]), Ok(2048));
        assert_eq!(new.room(&blocks), 0);
        old.clear(&mut blocks);
        assert_eq!((old.room(&blocks), new.room(&blocks)), (2048, 2048));
        assert_eq!(new.write(&mut blocks, &mut None, 1500, b"y"), Ok(1));
        let mut read = [1; 1501];
        assert_eq!(new.read(&blocks, &mut None, 0, &mut read), 1501);
        assert!(read[..1500].iter().all(|byte| *byte == 0) && read[1500] == b'y');
    }
}

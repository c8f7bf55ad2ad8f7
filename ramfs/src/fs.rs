//! The file system, and what the guest's application does with it.

use core::fmt;

use agent_core::{Errno, Handles};

use crate::{
    blocks::{Block, Blocks},
    chain::Chain,
    files::Open,
    tree::{Kind, Node, NodeId, Place, Tree},
};

/// `EEXIST`
const EXISTS: Errno = Errno("File exists");

/// The memory of a [`RamFs`], usually a `static`; all zeros, so that it takes no room in an image.
///
/// * `BLOCKS`: how many blocks of [`BLOCK_SIZE`](crate::BLOCK_SIZE) bytes there are for contents.
/// * `NODES`: how many files and directories there can be, the root among them.
pub struct Arena<const BLOCKS: usize, const NODES: usize> {
    blocks: [Block; BLOCKS],
    nodes: [Node; NODES],
}

impl<const BLOCKS: usize, const NODES: usize> Arena<BLOCKS, NODES> {
    /// An empty arena.
    pub const fn new() -> Self {
        const { assert!(NODES > 0, "NODES must count the root") };
        Self { blocks: [Block::EMPTY; BLOCKS], nodes: [const { Node::EMPTY }; NODES] }
    }
}

impl<const BLOCKS: usize, const NODES: usize> Default for Arena<BLOCKS, NODES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const BLOCKS: usize, const NODES: usize> fmt::Debug for Arena<BLOCKS, NODES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").finish_non_exhaustive()
    }
}

/// What is in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'f> {
    /// Its name; that of a file which the agent made is in modified UTF-8.
    pub name: &'f [u8],
    /// Bytes, where it is a file; `None` where it is a directory.
    pub length: Option<u64>,
}

/// A file system in memory; the agent can have `HANDLES` files open at once.
///
/// The application's methods take paths as the agent does: from the root, with or without a `/`
/// before them. What they write is there in whole or not at all.
pub struct RamFs<'a, const HANDLES: usize = 16> {
    pub(crate) blocks: Blocks<'a>,
    pub(crate) tree: Tree<'a>,
    pub(crate) handles: Handles<Open, HANDLES>,
    pub(crate) frozen: bool,
}

impl<'a, const HANDLES: usize> RamFs<'a, HANDLES> {
    /// An empty file system, whatever the arena was used for before.
    pub fn new<const BLOCKS: usize, const NODES: usize>(
        arena: &'a mut Arena<BLOCKS, NODES>,
    ) -> Self {
        Self::over(&mut arena.blocks, &mut arena.nodes)
    }

    /// An empty file system in memory whose size is known only at run time.
    ///
    /// More than 2³² blocks or nodes are not used. Without any node there is not even the root.
    pub fn over(blocks: &'a mut [Block], nodes: &'a mut [Node]) -> Self {
        Self {
            blocks: Blocks::new(blocks),
            tree: Tree::new(nodes),
            handles: Handles::new(),
            frozen: false,
        }
    }

    /// Makes a directory.
    ///
    /// # Errors
    ///
    /// As `mkdir(2)`; [`Errno::READ_ONLY`] while the file system is frozen.
    pub fn mkdir(&mut self, path: &[u8]) -> Result<(), Errno> {
        match self.tree.walk(path)? {
            Place::Node(_) => Err(EXISTS),
            Place::Vacant { .. } if self.frozen => Err(Errno::READ_ONLY),
            Place::Vacant { parent, name } => {
                self.tree.insert(parent, name, Kind::Directory).map(|_| ())
            }
        }
    }

    /// Makes a file hold these bytes and nothing else; makes the file where there is none.
    ///
    /// # Errors
    ///
    /// As `open(2)` and `write(2)`: [`Errno::NO_SPACE`] where not all of the bytes have room;
    /// [`Errno::READ_ONLY`] while the file system is frozen. Nothing has changed then.
    pub fn write_file(&mut self, path: &[u8], bytes: &[u8]) -> Result<(), Errno> {
        let place = self.place_to_write(path)?;
        let (_, room) = self.extent(place)?;
        if bytes.len() as u64 > room {
            return Err(Errno::NO_SPACE);
        }
        let id = self.make(place)?;
        self.empty(id)?;
        self.write_at_end(id, bytes)
    }

    /// Adds bytes to the end of a file; makes the file where there is none.
    ///
    /// # Errors
    ///
    /// As [`write_file`](Self::write_file).
    pub fn append_file(&mut self, path: &[u8], bytes: &[u8]) -> Result<(), Errno> {
        let place = self.place_to_write(path)?;
        let (length, room) = self.extent(place)?;
        if bytes.len() as u64 > room.saturating_sub(length) {
            return Err(Errno::NO_SPACE);
        }
        let id = self.make(place)?;
        self.write_at_end(id, bytes)
    }

    /// Reads from a file, beginning at `position`; less than the buffer's length only at the end.
    ///
    /// Each call walks the file from its start. To read a long one in small pieces,
    /// [open](agent_core::Files::open) it.
    ///
    /// # Errors
    ///
    /// As `open(2)` and `read(2)`.
    pub fn read_file(&self, path: &[u8], position: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        let contents = self.tree.contents(self.existing(path)?)?;
        Ok(contents.read(&self.blocks, &mut None, position, buffer))
    }

    /// The length of a file, in bytes.
    ///
    /// # Errors
    ///
    /// As `open(2)`; [`Errno::IS_DIRECTORY`]
    pub fn length(&self, path: &[u8]) -> Result<u64, Errno> {
        self.tree.contents(self.existing(path)?).map(Chain::length)
    }

    /// What a directory holds, in the order in which it was made.
    ///
    /// # Errors
    ///
    /// As `opendir(3)`.
    pub fn read_dir<'s>(
        &'s self,
        path: &[u8],
    ) -> Result<impl Iterator<Item = Entry<'s>> + use<'s, 'a, HANDLES>, Errno> {
        let id = self.existing(path)?;
        if self.tree.contents(id).is_ok() {
            return Err(Errno::NOT_DIRECTORY);
        }
        Ok(self.tree.children(id).map(|(_, node)| Entry {
            name: node.name(),
            length: node.contents().map(Chain::length),
        }))
    }

    /// Whether the agent has frozen the file system, so that nothing can be written.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// The node of what must exist.
    pub(crate) fn existing(&self, path: &[u8]) -> Result<NodeId, Errno> {
        match self.tree.walk(path)? {
            Place::Vacant { .. } => Err(Errno::NOT_FOUND),
            Place::Node(id) if path.ends_with(b"/") && self.tree.contents(id).is_ok() => {
                Err(Errno::NOT_DIRECTORY)
            }
            Place::Node(id) => Ok(id),
        }
    }

    /// Where there is a file to be written, or can be one.
    ///
    /// Linux makes no file of a name with a slash behind it, nor opens one to write by that.
    pub(crate) fn place_to_write<'p>(&self, path: &'p [u8]) -> Result<Place<'p>, Errno> {
        match self.tree.walk(path)? {
            Place::Node(id) if self.tree.contents(id).is_err() => Err(Errno::IS_DIRECTORY),
            _ if path.ends_with(b"/") => Err(Errno::IS_DIRECTORY),
            place => Ok(place),
        }
    }

    /// The file at a place; an empty one is made where there is none.
    pub(crate) fn make(&mut self, place: Place<'_>) -> Result<NodeId, Errno> {
        match place {
            Place::Node(id) => Ok(id),
            Place::Vacant { .. } if self.frozen => Err(Errno::READ_ONLY),
            Place::Vacant { parent, name } => {
                self.tree.insert(parent, name, Kind::File(Chain::EMPTY))
            }
        }
    }

    /// Takes everything out of a file.
    pub(crate) fn empty(&mut self, id: NodeId) -> Result<(), Errno> {
        if self.frozen {
            return Err(Errno::READ_ONLY);
        }
        self.tree.contents_mut(id)?.clear(&mut self.blocks);
        for open in self.handles.iter_mut() {
            open.forget_block_of(id);
        }
        Ok(())
    }

    /// The length of the file at a place, and the length that it can grow to.
    fn extent(&self, place: Place<'_>) -> Result<(u64, u64), Errno> {
        let contents = match place {
            Place::Node(id) => self.tree.contents(id)?,
            Place::Vacant { .. } => &Chain::EMPTY,
        };
        Ok((contents.length(), contents.room(&self.blocks)))
    }

    fn write_at_end(&mut self, id: NodeId, bytes: &[u8]) -> Result<(), Errno> {
        if self.frozen {
            return Err(Errno::READ_ONLY);
        }
        let contents = self.tree.contents_mut(id)?;
        contents.write(&mut self.blocks, &mut None, contents.length(), bytes).map(|_| ())
    }
}

impl<const HANDLES: usize> fmt::Debug for RamFs<'_, HANDLES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RamFs")
            .field("blocks", &self.blocks.total())
            .field("free", &self.blocks.free())
            .field("frozen", &self.frozen)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use agent_core::Filesystems;

    use super::*;

    type Small = Arena<3, 4>;

    #[test]
    fn an_application_keeps_files() {
        let mut arena = Small::new();
        let mut fs: RamFs<'_> = RamFs::new(&mut arena);
        assert_eq!(fs.mkdir(b"/etc/"), Ok(()));
        assert_eq!(fs.write_file(b"/etc/motd", b"Welcome"), Ok(()));
        assert_eq!(fs.append_file(b"etc/motd", b"!\n"), Ok(()));
        assert_eq!(fs.append_file(b"/log", &[b'.'; 600]), Ok(()));
        assert_eq!(fs.write_file(b"/log", b""), Ok(()));

        let mut text = [0; 9];
        assert_eq!(fs.read_file(b"etc/motd", 0, &mut text), Ok(9));
        assert_eq!(&text, b"Welcome!\n");
        assert_eq!(fs.read_file(b"etc/motd", 7, &mut text), Ok(2));
        assert_eq!(fs.read_file(b"etc/motd", 9, &mut text), Ok(0));
        assert_eq!(fs.length(b"etc/motd"), Ok(9));
        let entries = |path| fs.read_dir(path).map(Iterator::collect::<Vec<Entry<'_>>>);
        let log = Entry { name: b"log", length: Some(0) };
        assert_eq!(entries(b"/"), Ok(vec![Entry { name: b"etc", length: None }, log]));
        assert_eq!(entries(b"etc/."), Ok(vec![Entry { name: b"motd", length: Some(9) }]));
        assert_eq!(entries(b"log").err(), Some(Errno::NOT_DIRECTORY));
        assert_eq!(entries(b"lag").err(), Some(Errno::NOT_FOUND));
    }

    #[test]
    fn errors_change_nothing() {
        let mut arena = Small::new();
        let mut fs: RamFs<'_> = RamFs::new(&mut arena);
        fs.mkdir(b"d").unwrap();
        fs.write_file(b"f", &[1; 1025]).unwrap();
        assert_eq!(fs.write_file(b"f", &[2; 1537]), Err(Errno::NO_SPACE));
        assert_eq!(fs.append_file(b"f", &[2; 512]), Err(Errno::NO_SPACE));
        assert_eq!(fs.write_file(b"g", &[2; 1]), Err(Errno::NO_SPACE));
        assert_eq!(fs.write_file(b"d", b""), Err(Errno::IS_DIRECTORY));
        assert_eq!(fs.write_file(b"g/", b""), Err(Errno::IS_DIRECTORY));
        assert_eq!(fs.append_file(b"f/g", b""), Err(Errno::NOT_DIRECTORY));
        assert_eq!(fs.append_file(b"g/g", b""), Err(Errno::NOT_FOUND));
        assert_eq!(fs.mkdir(b"f"), Err(EXISTS));
        assert_eq!(fs.mkdir(b"/"), Err(EXISTS));
        assert_eq!(fs.mkdir(b"g/g"), Err(Errno::NOT_FOUND));
        assert_eq!(fs.length(b"d"), Err(Errno::IS_DIRECTORY));
        assert_eq!(fs.length(b"f/"), Err(Errno::NOT_DIRECTORY));
        assert_eq!(fs.length(b"g"), Err(Errno::NOT_FOUND));

        fs.freeze(&mut |_| true).unwrap();
        assert_eq!(fs.write_file(b"f", b""), Err(Errno::READ_ONLY));
        assert_eq!(fs.append_file(b"f", b"x"), Err(Errno::READ_ONLY));
        assert_eq!(fs.write_file(b"g", b""), Err(Errno::READ_ONLY));
        assert_eq!(fs.mkdir(b"g"), Err(Errno::READ_ONLY));
        fs.thaw().unwrap();

        let mut read = [0; 2000];
        assert_eq!(fs.read_file(b"f", 0, &mut read), Ok(1025));
        assert_eq!(fs.read_dir(b"").map(Iterator::count), Err(Errno::NOT_FOUND));
        assert_eq!(fs.read_dir(b".").map(Iterator::count), Ok(2));
        // The last node; the file's own blocks are room for what replaces it.
        assert_eq!(fs.write_file(b"g", b""), Ok(()));
        assert_eq!(fs.write_file(b"h", b""), Err(Errno::NO_SPACE));
        assert_eq!(fs.write_file(b"f", &[2; 1536]), Ok(()));
        assert_eq!(fs.append_file(b"g", b""), Ok(()));
    }
}

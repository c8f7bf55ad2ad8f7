//! The names of files and directories, and the walk along a path.
//!
//! Each node knows the directory that it is in, and a name is found by looking at every node:
//! there are few. Nodes are never freed, since nothing removes files. Memory that is all zeros is
//! a tree of the root alone.

use agent_core::Errno;

use crate::chain::Chain;

/// Bytes of the longest name, as in Linux (`NAME_MAX`).
pub const NAME_MAX: usize = 255;

/// Bytes of the longest path, as in Linux (its `PATH_MAX` counts a NUL at the end).
pub const PATH_MAX: usize = 4095;

/// A file or a directory.
#[derive(Clone, Debug)]
pub struct Node {
    kind: Kind,
    parent: NodeId,
    name_length: u8,
    name: [u8; NAME_MAX],
}

impl Node {
    /// A node that was never used.
    pub const EMPTY: Self =
        Self { kind: Kind::Directory, parent: NodeId::ROOT, name_length: 0, name: [0; NAME_MAX] };

    /// Its name in its directory.
    pub(crate) fn name(&self) -> &[u8] {
        self.name.get(..usize::from(self.name_length)).unwrap_or_default()
    }

    /// What it holds, where it is a file.
    pub(crate) fn contents(&self) -> Option<&Chain> {
        match &self.kind {
            Kind::Directory => None,
            Kind::File(chain) => Some(chain),
        }
    }
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Directory,
    File(Chain),
}

/// Which node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeId(u32);

impl NodeId {
    const ROOT: Self = Self(0);
}

/// Where a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<'p> {
    /// To what exists.
    Node(NodeId),
    /// To a name that a directory does not hold.
    Vacant { parent: NodeId, name: &'p [u8] },
}

/// All nodes.
pub(crate) struct Tree<'a> {
    nodes: &'a mut [Node],
    /// How many are in use: the first ones, the very first being the root.
    used: usize,
}

impl<'a> Tree<'a> {
    /// A tree of the root alone, in `nodes`, whatever they hold.
    pub(crate) fn new(nodes: &'a mut [Node]) -> Self {
        let nodes = match usize::try_from(u32::MAX) {
            Ok(most) if nodes.len() > most => nodes.get_mut(..most).unwrap_or_default(),
            _ => nodes,
        };
        if let Some(root) = nodes.first_mut() {
            root.clone_from(&Node::EMPTY);
        }
        Self { used: nodes.len().min(1), nodes }
    }

    /// What a file holds.
    ///
    /// # Errors
    ///
    /// [`Errno::IS_DIRECTORY`]
    pub(crate) fn contents(&self, id: NodeId) -> Result<&Chain, Errno> {
        self.get(id).and_then(Node::contents).ok_or(Errno::IS_DIRECTORY)
    }

    /// What a file holds, to be changed.
    ///
    /// # Errors
    ///
    /// [`Errno::IS_DIRECTORY`]
    pub(crate) fn contents_mut(&mut self, id: NodeId) -> Result<&mut Chain, Errno> {
        match position(id).and_then(|at| self.nodes.get_mut(at)).map(|node| &mut node.kind) {
            Some(Kind::File(chain)) => Ok(chain),
            Some(Kind::Directory) | None => Err(Errno::IS_DIRECTORY),
        }
    }

    /// What is in a directory, in the order in which it was made.
    pub(crate) fn children(&self, of: NodeId) -> impl Iterator<Item = (NodeId, &Node)> {
        // The root is its own parent, but not in itself.
        (0..)
            .map(NodeId)
            .zip(self.nodes.iter().take(self.used))
            .skip(1)
            .filter(move |(_, node)| node.parent == of)
    }

    /// Makes a node; the name must be [vacant](Place::Vacant).
    ///
    /// # Errors
    ///
    /// [`Errno::NO_SPACE`] where every node is in use.
    pub(crate) fn insert(
        &mut self,
        parent: NodeId,
        name: &[u8],
        kind: Kind,
    ) -> Result<NodeId, Errno> {
        let id = u32::try_from(self.used).map(NodeId).map_err(|_| Errno::NO_SPACE)?;
        let node = self.nodes.get_mut(self.used).ok_or(Errno::NO_SPACE)?;
        let place = node.name.get_mut(..name.len()).ok_or(Errno::NAME_TOO_LONG)?;
        place.copy_from_slice(name);
        node.name_length = u8::try_from(name.len()).map_err(|_| Errno::NAME_TOO_LONG)?;
        node.parent = parent;
        node.kind = kind;
        self.used = self.used.saturating_add(1);
        Ok(id)
    }

    /// Walks a path from the root; slashes at its end do not count.
    ///
    /// # Errors
    ///
    /// As `path_resolution(7)`.
    pub(crate) fn walk<'p>(&self, path: &'p [u8]) -> Result<Place<'p>, Errno> {
        match path.len() {
            0 => return Err(Errno::NOT_FOUND),
            1..=PATH_MAX => {}
            _ => return Err(Errno::NAME_TOO_LONG),
        }
        let mut names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        let mut at = NodeId::ROOT;
        while let Some(name) = names.next() {
            let node = self.get(at).ok_or(Errno::NOT_FOUND)?;
            if node.contents().is_some() {
                return Err(Errno::NOT_DIRECTORY);
            }
            at = match name {
                b"." => at,
                b".." => node.parent,
                _ if name.len() > NAME_MAX => return Err(Errno::NAME_TOO_LONG),
                _ => match self.children(at).find(|(_, node)| node.name() == name) {
                    Some((id, _)) => id,
                    None if names.next().is_none() => {
                        return Ok(Place::Vacant { parent: at, name });
                    }
                    None => return Err(Errno::NOT_FOUND),
                },
            };
        }
        Ok(Place::Node(at))
    }

    fn get(&self, id: NodeId) -> Option<&Node> {
        position(id).and_then(|at| self.nodes.get(at))
    }
}

fn position(id: NodeId) -> Option<usize> {
    usize::try_from(id.0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks() {
        let mut nodes = [const { Node::EMPTY }; 4];
        let mut tree = Tree::new(&mut nodes);
        let root = NodeId::ROOT;
        let etc = tree.insert(root, b"etc", Kind::Directory).unwrap();
        let motd = tree.insert(etc, b"motd", Kind::File(Chain::EMPTY)).unwrap();
        let deep = tree.insert(etc, b"etc", Kind::Directory).unwrap();
        assert_eq!(tree.insert(deep, b"x", Kind::Directory), Err(Errno::NO_SPACE));

        let (name, longer) = (vec![b'n'; NAME_MAX], vec![b'n'; NAME_MAX + 1]);
        let (slashes, more) = (vec![b'/'; PATH_MAX], vec![b'/'; PATH_MAX + 1]);
        let check = |path: &[u8], expected: Result<Place<'_>, Errno>| {
            assert_eq!(tree.walk(path), expected, "{}", path.escape_ascii());
        };
        let vacant = |parent, name| Ok(Place::Vacant { parent, name });
        for path in ["/", "//", ".", "..", "/../..", "etc/..", "/etc/./etc/../.."] {
            check(path.as_bytes(), Ok(Place::Node(root)));
        }
        check(&slashes, Ok(Place::Node(root)));
        check(&more, Err(Errno::NAME_TOO_LONG));
        for path in ["etc", "/etc", "etc/", "//etc//", "etc/.", "etc/etc/..", "../etc"] {
            check(path.as_bytes(), Ok(Place::Node(etc)));
        }
        check(b"etc/etc", Ok(Place::Node(deep)));
        check(b"etc/motd", Ok(Place::Node(motd)));
        check(b"/etc//motd/", Ok(Place::Node(motd)));
        for path in ["etc/motd/.", "etc/motd/..", "etc/motd/x", "/etc/motd/x/y"] {
            check(path.as_bytes(), Err(Errno::NOT_DIRECTORY));
        }
        for path in ["", "x/y", "x/..", "x/.", "etc/x/y", "ETC/motd", "et/motd", "etcc/motd"] {
            check(path.as_bytes(), Err(Errno::NOT_FOUND));
        }
        check(b"motd", vacant(root, b"motd"));
        check(b"x//", vacant(root, b"x"));
        check(b"etc/etc/\xC0\x80", vacant(deep, b"\xC0\x80"));
        check(&name, vacant(root, &name));
        check(&longer, Err(Errno::NAME_TOO_LONG));
    }

    #[test]
    fn old_nodes_do_not_come_back() {
        let mut nodes = [const { Node::EMPTY }; 3];
        for _ in 0..2 {
            let mut tree = Tree::new(&mut nodes);
            let (name, file) = (&[b'n'; NAME_MAX], Kind::File(Chain::EMPTY));
            let vacant = Place::Vacant { parent: NodeId::ROOT, name };
            assert_eq!(tree.walk(name), Ok(vacant));
            let long = tree.insert(NodeId::ROOT, name, file.clone()).unwrap();
            let short = tree.insert(NodeId::ROOT, b"n", file).unwrap();
            assert_eq!(tree.walk(name), Ok(Place::Node(long)));
            assert_eq!(tree.walk(b"n"), Ok(Place::Node(short)));
            let names: Vec<&[u8]> =
                tree.children(NodeId::ROOT).map(|(_, node)| node.name()).collect();
            assert_eq!(names, [&name[..], b"n"]);
        }
    }

    #[test]
    fn the_memory_it_takes() {
        assert_eq!(size_of::<Node>(), 288);
    }

    #[test]
    fn no_nodes_at_all() {
        let mut tree = Tree::new(&mut []);
        assert_eq!(tree.walk(b"x"), Err(Errno::NOT_FOUND));
        assert_eq!(tree.insert(NodeId::ROOT, b"x", Kind::Directory), Err(Errno::NO_SPACE));
    }
}

//! Random operations of agent and application, against a model of `std`'s collections.
//!
//! The arena is so small that blocks, nodes and handles all run out. The model is told nothing of
//! blocks but their size, by which it knows what must fit.

use std::collections::HashMap;

use agent_core::{Errno, Extent, Files, Filesystems, Handle, OpenMode};
use embedded_io::SeekFrom;
use proptest::{collection::vec, prelude::*, sample::select};
use ramfs::{Arena, BLOCK_SIZE, POSITION_MAX, RamFs};

const BLOCKS: usize = 6;
const NODES: usize = 5;
const HANDLES: usize = 3;
const PATHS: [&str; 7] = ["a", "b", "d", "d/a", "d/b", "a/x", "no/x"];
const EXISTS: Errno = Errno("File exists");

#[derive(Clone, Debug)]
enum Operation {
    Open(&'static str, &'static str),
    Close(Handle),
    Read(Handle, usize),
    Write(Handle, usize),
    Seek(Handle, SeekFrom),
    Mkdir(&'static str),
    WriteFile(&'static str, usize),
    AppendFile(&'static str, usize),
    Freeze,
    Thaw,
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let path = || select(&PATHS[..]);
    let mode = select(&["r", "r+", "w", "w+", "a", "a+"][..]);
    // Open ones, closed ones, and some that never were.
    let handle = || (1000..1006_i64).prop_map(Handle);
    let length = || prop_oneof![0..9_usize, 500..530_usize, 0..1800_usize];
    let to = prop_oneof![
        (0..3200_u64).prop_map(SeekFrom::Start),
        (-900..900_i64).prop_map(SeekFrom::Current),
        (-900..900_i64).prop_map(SeekFrom::End),
        any::<i64>().prop_map(SeekFrom::End),
        any::<u64>().prop_map(SeekFrom::Start),
    ];
    prop_oneof![
        4 => (path(), mode).prop_map(|(path, mode)| Open(path, mode)),
        2 => handle().prop_map(Close),
        9 => (handle(), length()).prop_map(|(handle, length)| Read(handle, length)),
        9 => (handle(), length()).prop_map(|(handle, length)| Write(handle, length)),
        6 => (handle(), to).prop_map(|(handle, to)| Seek(handle, to)),
        1 => path().prop_map(Mkdir),
        1 => (path(), length()).prop_map(|(path, length)| WriteFile(path, length)),
        1 => (path(), length()).prop_map(|(path, length)| AppendFile(path, length)),
        1 => Just(Freeze),
        4 => Just(Thaw),
    ]
}

struct Open {
    path: &'static str,
    mode: OpenMode,
    position: u64,
}

/// What is at a path, with the length of a file.
enum Found {
    Nothing,
    Directory,
    File(usize),
}

/// What the file system must be like.
#[derive(Default)]
struct Model {
    /// By path, what a file holds; `None` for a directory.
    nodes: HashMap<&'static str, Option<Vec<u8>>>,
    open: HashMap<i64, Open>,
    opened: i64,
    frozen: bool,
}

impl Model {
    fn free(&self) -> usize {
        BLOCKS - self.nodes.values().flatten().map(|file| blocks(file.len())).sum::<usize>()
    }

    /// The length that a file of this length could grow to.
    fn room(&self, length: usize) -> usize {
        (self.free() + blocks(length)) * BLOCK_SIZE
    }

    fn find(&self, path: &str) -> Result<Found, Errno> {
        if let Some((parent, _)) = path.split_once('/') {
            match self.nodes.get(parent) {
                None => return Err(Errno::NOT_FOUND),
                Some(Some(_)) => return Err(Errno::NOT_DIRECTORY),
                Some(None) => {}
            }
        }
        Ok(match self.nodes.get(path) {
            None => Found::Nothing,
            Some(None) => Found::Directory,
            Some(Some(file)) => Found::File(file.len()),
        })
    }

    fn insert(&mut self, path: &'static str, node: Option<Vec<u8>>) -> Result<(), Errno> {
        match () {
            () if self.frozen => Err(Errno::READ_ONLY),
            // The root is a node, too.
            () if self.nodes.len() + 1 == NODES => Err(Errno::NO_SPACE),
            () => {
                self.nodes.insert(path, node);
                Ok(())
            }
        }
    }

    fn open(&mut self, path: &'static str, mode: OpenMode) -> Result<Handle, Errno> {
        if self.open.len() == HANDLES {
            return Err(Errno::TOO_MANY_OPEN_FILES);
        }
        match self.find(path)? {
            Found::Directory if mode.write => return Err(Errno::IS_DIRECTORY),
            Found::File(_) if mode.truncate && self.frozen => return Err(Errno::READ_ONLY),
            Found::File(_) if mode.truncate => {
                self.nodes.insert(path, Some(Vec::new()));
            }
            Found::Directory | Found::File(_) => {}
            Found::Nothing if mode.create => self.insert(path, Some(Vec::new()))?,
            Found::Nothing => return Err(Errno::NOT_FOUND),
        }
        let handle = 1000 + self.opened;
        self.opened += 1;
        self.open.insert(handle, Open { path, mode, position: 0 });
        Ok(Handle(handle))
    }

    fn read(&mut self, handle: Handle, longest: usize) -> Result<(Vec<u8>, Extent), Errno> {
        let open = self.open.get_mut(&handle.0).ok_or(Errno::BAD_DESCRIPTOR)?;
        if longest == 0 {
            return Ok((Vec::new(), Extent { count: 0, end: false }));
        }
        if !open.mode.read {
            return Err(Errno::BAD_DESCRIPTOR);
        }
        let file = self.nodes[open.path].as_ref().ok_or(Errno::IS_DIRECTORY)?;
        let start = usize::try_from(open.position).unwrap().min(file.len());
        let bytes = file[start..].iter().take(longest).copied().collect::<Vec<u8>>();
        open.position += bytes.len() as u64;
        let extent = Extent { count: bytes.len() as u64, end: bytes.len() < longest };
        Ok((bytes, extent))
    }

    fn write(&mut self, handle: Handle, bytes: &[u8]) -> Result<usize, Errno> {
        let open = self.open.get(&handle.0).ok_or(Errno::BAD_DESCRIPTOR)?;
        if bytes.is_empty() {
            return Ok(0);
        }
        if !open.mode.write {
            return Err(Errno::BAD_DESCRIPTOR);
        }
        if self.frozen {
            return Err(Errno::READ_ONLY);
        }
        let length = self.nodes[open.path].as_ref().unwrap().len();
        let at = if open.mode.append { length } else { usize::try_from(open.position).unwrap() };
        let count = self.room(length).saturating_sub(at).min(bytes.len());
        if count == 0 {
            return Err(Errno::NO_SPACE);
        }
        let open = self.open.get_mut(&handle.0).unwrap();
        open.position = (at + count) as u64;
        let file = self.nodes.get_mut(open.path).unwrap().as_mut().unwrap();
        file.resize(length.max(at + count), 0);
        file[at..at + count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn seek(&mut self, handle: Handle, to: SeekFrom) -> Result<u64, Errno> {
        let open = self.open.get_mut(&handle.0).ok_or(Errno::BAD_DESCRIPTOR)?;
        let position = match (to, &self.nodes[open.path]) {
            (SeekFrom::Start(position), _) => i128::from(position),
            (SeekFrom::Current(offset), _) => i128::from(open.position) + i128::from(offset),
            (SeekFrom::End(offset), Some(file)) => file.len() as i128 + i128::from(offset),
            (SeekFrom::End(_), None) => return Err(Errno::INVALID_ARGUMENT),
        };
        let position = u64::try_from(position).ok().filter(|at| *at <= POSITION_MAX);
        open.position = position.ok_or(Errno::INVALID_ARGUMENT)?;
        Ok(open.position)
    }

    fn mkdir(&mut self, path: &'static str) -> Result<(), Errno> {
        match self.find(path)? {
            Found::Nothing => self.insert(path, None),
            Found::Directory | Found::File(_) => Err(EXISTS),
        }
    }

    /// Puts bytes where a file ends, or in the place of all that it holds.
    fn put(&mut self, path: &'static str, append: bool, bytes: &[u8]) -> Result<(), Errno> {
        let length = match self.find(path)? {
            Found::Directory => return Err(Errno::IS_DIRECTORY),
            Found::File(length) => length,
            Found::Nothing => 0,
        };
        if if append { length } else { 0 } + bytes.len() > self.room(length) {
            return Err(Errno::NO_SPACE);
        }
        if self.frozen {
            return Err(Errno::READ_ONLY);
        }
        if !self.nodes.contains_key(path) {
            self.insert(path, Some(Vec::new()))?;
        }
        let file = self.nodes.get_mut(path).unwrap().as_mut().unwrap();
        if !append {
            file.clear();
        }
        file.extend_from_slice(bytes);
        Ok(())
    }
}

fn blocks(length: usize) -> usize {
    length.div_ceil(BLOCK_SIZE)
}

/// What the agent does to read: first the extent, then piece by piece.
fn read(
    fs: &mut RamFs<'_, HANDLES>,
    handle: Handle,
    longest: usize,
) -> Result<(Vec<u8>, Extent), Errno> {
    let extent = fs.measure(handle, longest as u64)?;
    let mut bytes = vec![0; usize::try_from(extent.count).unwrap()];
    for piece in bytes.chunks_mut(301) {
        assert_eq!(fs.read(handle, piece), Ok(piece.len()));
    }
    Ok((bytes, extent))
}

/// The whole state, as the application and the agent see it.
fn compare(fs: &mut RamFs<'_, HANDLES>, model: &Model) {
    let mut buffer = vec![0; (BLOCKS + 1) * BLOCK_SIZE];
    for path in PATHS {
        let shown = fs.length(path.as_bytes());
        match model.find(path) {
            Err(error) => assert_eq!(shown, Err(error), "{path}"),
            Ok(Found::Nothing) => assert_eq!(shown, Err(Errno::NOT_FOUND), "{path}"),
            Ok(Found::Directory) => assert_eq!(shown, Err(Errno::IS_DIRECTORY), "{path}"),
            Ok(Found::File(length)) => {
                assert_eq!(shown, Ok(length as u64), "{path}");
                assert_eq!(fs.read_file(path.as_bytes(), 0, &mut buffer), Ok(length));
                assert!(Some(&buffer[..length]) == model.nodes[path].as_deref(), "{path}");
            }
        }
    }
    let used = ((BLOCKS - model.free()) * BLOCK_SIZE) as u64;
    fs.list(&mut |shown| assert_eq!(shown.used_bytes, Some(used)));
    assert_eq!(fs.is_frozen(), model.frozen);
}

fn play(operations: &[Operation]) {
    let mut arena: Arena<BLOCKS, NODES> = Arena::new();
    let mut fs: RamFs<'_, HANDLES> = RamFs::new(&mut arena);
    let mut model = Model::default();
    // Bytes that tell which operation wrote them.
    for (letter, operation) in (b'A'..=b'z').cycle().zip(operations) {
        let bytes = |length: &usize| vec![letter; *length];
        match operation {
            Operation::Open(path, mode) => {
                let mode = OpenMode::parse(mode.as_bytes()).unwrap();
                assert_eq!(fs.open(path.as_bytes(), mode), model.open(path, mode));
            }
            Operation::Close(handle) => {
                let expected = model.open.remove(&handle.0).map(drop);
                assert_eq!(fs.close(*handle), expected.ok_or(Errno::BAD_DESCRIPTOR));
            }
            Operation::Read(handle, longest) => {
                assert_eq!(read(&mut fs, *handle, *longest), model.read(*handle, *longest));
            }
            Operation::Write(handle, length) => {
                let bytes = bytes(length);
                assert_eq!(fs.write(*handle, &bytes), model.write(*handle, &bytes));
            }
            Operation::Seek(handle, to) => {
                assert_eq!(fs.seek(*handle, *to), model.seek(*handle, *to));
            }
            Operation::Mkdir(path) => assert_eq!(fs.mkdir(path.as_bytes()), model.mkdir(path)),
            Operation::WriteFile(path, length) => {
                let bytes = bytes(length);
                let expected = model.put(path, false, &bytes);
                assert_eq!(fs.write_file(path.as_bytes(), &bytes), expected);
            }
            Operation::AppendFile(path, length) => {
                let bytes = bytes(length);
                let expected = model.put(path, true, &bytes);
                assert_eq!(fs.append_file(path.as_bytes(), &bytes), expected);
            }
            Operation::Freeze => {
                assert_eq!(fs.freeze(&mut |_| true), Ok((!model.frozen).into()));
                model.frozen = true;
            }
            Operation::Thaw => {
                assert_eq!(fs.thaw(), Ok(model.frozen.into()));
                model.frozen = false;
            }
        }
        compare(&mut fs, &model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn behaves_as_the_model(operations in vec(operation(), 0..150)) {
        play(&operations);
    }
}

//! Tests of the buffer of an open file.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;

/// A file in a directory of its own, with two blocks and a half in it.
fn file() -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, (0..BLOCK * 5 / 2).map(byte_at).collect::<Vec<_>>()).unwrap();
    (directory, path)
}

#[expect(clippy::cast_possible_truncation, reason = "a pattern that differs from block to block")]
fn byte_at(offset: usize) -> u8 {
    (offset % 251) as u8
}

fn opened(path: &Path, mode: &[u8]) -> Stream {
    Stream::open(path.as_os_str().as_bytes(), OpenMode::parse(mode).unwrap()).unwrap()
}

fn read_some(stream: &mut Stream, count: usize) -> Vec<u8> {
    let bytes = stream.fill().unwrap()[..count].to_vec();
    stream.consume(count);
    bytes
}

fn write_all(stream: &mut Stream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        bytes = &bytes[stream.write(bytes).unwrap()..];
    }
}

#[test]
fn seeks_and_reads_agree() {
    let (_directory, path) = file();
    let mut stream = opened(&path, b"r");
    for (to, expected) in [
        (SeekFrom::Start(5), 5),
        (SeekFrom::Current(-2), 4),
        (SeekFrom::Start(4095), 4095),
        (SeekFrom::Start(4096), 4096),
        (SeekFrom::Current(4000), 8097),
        (SeekFrom::End(-1), 10239),
        (SeekFrom::Start(0), 0),
        (SeekFrom::Current(9000), 9001),
        (SeekFrom::Current(-9002), 0),
    ] {
        assert_eq!(stream.seek(to), Ok(expected as u64), "{to:?}");
        assert_eq!(read_some(&mut stream, 1), [byte_at(expected)], "{to:?}");
    }
    assert_eq!(stream.seek(SeekFrom::End(100)), Ok(10340));
    assert_eq!(stream.fill(), Ok(&[][..]));
    for to in [SeekFrom::End(-10241), SeekFrom::Current(-10341), SeekFrom::Start(u64::MAX)] {
        assert_eq!(stream.seek(to), Err(Errno::INVAL), "{to:?}");
    }
}

#[test]
fn reading_and_writing_take_turns() {
    let (_directory, path) = file();
    let mut stream = opened(&path, b"r+");
    read_some(&mut stream, 3);
    write_all(&mut stream, b"XYZ");
    assert_eq!(read_some(&mut stream, 1), [byte_at(6)]);
    assert_eq!(stream.seek(SeekFrom::Current(0)), Ok(7));
    write_all(&mut stream, b"!");
    assert_eq!(stream.seek(SeekFrom::Current(0)), Ok(8));
    let contents = fs::read(&path).unwrap();
    assert_eq!(contents[..8], [0, 1, 2, b'X', b'Y', b'Z', 6, b'!']);
}

#[test]
fn writes_are_kept_up_to_a_block() {
    let (_directory, path) = file();
    let mut stream = opened(&path, b"w");
    write_all(&mut stream, &[1; BLOCK - 1]);
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    write_all(&mut stream, &[2; 2]);
    assert_eq!(fs::metadata(&path).unwrap().len(), BLOCK as u64);
    assert_eq!(stream.flush(), Ok(()));
    assert_eq!(fs::metadata(&path).unwrap().len(), BLOCK as u64 + 1);
}

#[test]
fn appending_begins_at_the_start_and_goes_to_the_end() {
    let (_directory, path) = file();
    let mut stream = opened(&path, b"a+");
    assert_eq!(stream.seek(SeekFrom::Current(0)), Ok(0));
    assert_eq!(read_some(&mut stream, 2), [0, 1]);
    write_all(&mut stream, b"end");
    assert_eq!(stream.seek(SeekFrom::Current(0)), Ok(10243));
    assert!(fs::read(&path).unwrap().ends_with(b"end"));
}

#[test]
fn what_was_read_ahead_stays_until_a_flush() {
    let (_directory, path) = file();
    let mut stream = opened(&path, b"r");
    stream.seek(SeekFrom::Start(0)).unwrap();
    read_some(&mut stream, 1);
    fs::write(&path, [9; 100]).unwrap();
    assert_eq!(read_some(&mut stream, 1), [1]);
    stream.seek(SeekFrom::Start(0)).unwrap();
    assert_eq!(read_some(&mut stream, 2), [0, 1]);
    stream.flush().unwrap();
    assert_eq!(read_some(&mut stream, 1), [9]);
}

#[test]
fn an_error_of_the_disk_comes_once_and_late() {
    let mut stream = opened(Path::new("/dev/full"), b"w");
    write_all(&mut stream, b"x");
    assert_eq!(stream.flush(), Err(Errno::NOSPC));
    assert_eq!(stream.flush(), Ok(()));
    assert_eq!(stream.write_back(), Ok(()));
    let mut outcome = Ok(0);
    for _ in 0..BLOCK {
        outcome = outcome.and_then(|_| stream.write(b"x"));
    }
    assert_eq!(outcome, Err(Errno::NOSPC));
}

#[test]
fn what_the_mode_does_not_allow() {
    let (_directory, path) = file();
    assert_eq!(opened(&path, b"r").write(b"x"), Err(Errno::BADF));
    let mut stream = opened(&path, b"w");
    write_all(&mut stream, b"x");
    assert_eq!(stream.fill(), Err(Errno::BADF));
    assert_eq!(fs::read(&path).unwrap(), b"x");
}

#[test]
fn the_size_tells_what_is_left() {
    let (_directory, path) = file();
    let mut stream = opened(&path, b"r");
    assert_eq!(stream.known_left(), Ok(Some(10240)));
    read_some(&mut stream, 1);
    assert_eq!(stream.known_left(), Ok(Some(10239)));
    File::options().write(true).open(&path).unwrap().set_len(10).unwrap();
    // What the buffer has is not lost.
    assert_eq!(stream.known_left(), Ok(Some(4095)));
    stream.seek(SeekFrom::Start(20_000)).unwrap();
    assert_eq!(stream.known_left(), Ok(Some(0)));
    assert_eq!(opened(Path::new("/dev/zero"), b"r").known_left(), Ok(None));
}

#[test]
fn what_failed_unasked_is_told_once() {
    let mut stream = opened(Path::new("/dev/full"), b"w");
    write_all(&mut stream, b"text");
    stream.write_back_unasked();
    stream.write_back_unasked();
    assert_eq!(stream.flush(), Err(Errno::NOSPC));
    assert_eq!(stream.flush(), Ok(()));
    // Nor does what comes after it get lost.
    let (_directory, path) = file();
    let mut stream = opened(&path, b"w");
    stream.failure = Some(Errno::NOSPC);
    write_all(&mut stream, b"text");
    assert_eq!(stream.flush(), Err(Errno::NOSPC));
    assert_eq!(fs::read(&path).unwrap(), b"text");
}

//! What a client sees: opening, reading, writing, seeking, and the words of the errors.

use agent_core::{Errno, Extent, Files, Handle};
use embedded_io::SeekFrom;

use crate::disk::Memory;
use crate::image::{self, FAT16, FAT32_FULL};
use crate::{TestVolume, mount, open, pattern, read, read_file, write, write_file};

/// A volume with a few files.
fn filled() -> TestVolume<'static> {
    let mut bytes = image::new(FAT16);
    image::make_sub(&mut bytes);
    let mut volume = mount(Memory::new(bytes));
    write_file(&mut volume, "/hello.txt", b"Hello World!\n").unwrap();
    write_file(&mut volume, "/empty", b"").unwrap();
    write_file(&mut volume, "/sub/deep", &pattern(1, 70_000)).unwrap();
    volume
}

fn check_clean(volume: TestVolume<'_>) {
    let report = image::check(&volume.into_disk().bytes);
    assert!(report.is_clean(), "{report:?}");
}

#[test]
fn paths() {
    let mut volume = filled();
    let mut check = |path: &str, expected: Result<&[u8], Errno>| {
        let found = read_file(&mut volume, path);
        assert_eq!(found.as_deref().map_err(|errno| *errno), expected, "{path}");
    };
    check("hello.txt", Ok(b"Hello World!\n"));
    check("/HELLO.TXT", Ok(b"Hello World!\n"));
    check("//sub/../hello.txt", Ok(b"Hello World!\n"));
    check("./sub/./../hello.txt", Ok(b"Hello World!\n"));
    check("/../hello.txt", Ok(b"Hello World!\n"));
    check("hello.txt..", Ok(b"Hello World!\n"));
    check("sub/deep", Ok(&pattern(1, 70_000)));
    check("", Err(Errno::NOT_FOUND));
    check("nope", Err(Errno::NOT_FOUND));
    check("nope/", Err(Errno::NOT_FOUND));
    check("nope/hello.txt", Err(Errno::NOT_FOUND));
    check("a\0b", Err(Errno::NOT_FOUND));
    check("a*b", Err(Errno::NOT_FOUND));
    check("hello.txt/x", Err(Errno::NOT_DIRECTORY));
    check("hello.txt/", Err(Errno::NOT_DIRECTORY));
    check("hello.txt/..", Err(Errno::NOT_DIRECTORY));
    check(&"x".repeat(256), Err(Errno::NAME_TOO_LONG));
    check(&"x/".repeat(2048), Err(Errno::NAME_TOO_LONG));
    check("/", Err(Errno::IS_DIRECTORY));
    check("sub", Err(Errno::IS_DIRECTORY));
    check("sub/", Err(Errno::IS_DIRECTORY));
}

#[test]
fn opening_to_write() {
    let mut volume = filled();
    let mut check = |path: &str, mode: &str, expected: Result<(), Errno>| {
        let opened = open(&mut volume, path, mode);
        assert_eq!(opened.map(|_| ()), expected, "{path} {mode}");
        if let Ok(handle) = opened {
            volume.close(handle).unwrap();
        }
    };
    for mode in ["w", "a", "w+", "a+", "r+"] {
        check("/", mode, Err(Errno::IS_DIRECTORY));
        check("sub", mode, Err(Errno::IS_DIRECTORY));
        check("nope/new", mode, Err(Errno::NOT_FOUND));
        check("hello.txt/new", mode, Err(Errno::NOT_DIRECTORY));
        check("hello.txt/", mode, Err(Errno::NOT_DIRECTORY));
        check("hello.txt", mode, Ok(()));
        check(&"x".repeat(256), mode, Err(Errno::NAME_TOO_LONG));
    }
    check("new", "r+", Err(Errno::NOT_FOUND));
    check("new/", "r+", Err(Errno::NOT_FOUND));
    for mode in ["w", "a+"] {
        check("new/", mode, Err(Errno::IS_DIRECTORY));
        check("a*b", mode, Err(Errno::INVALID_ARGUMENT));
        check("a\0b", mode, Err(Errno::INVALID_ARGUMENT));
        check("end ", mode, Err(Errno::INVALID_ARGUMENT));
    }
    check_clean(volume);
}

#[test]
fn positions() {
    let mut volume = filled();
    write_file(&mut volume, "abc", b"abcdefghijklmnopqrstuvwxyz").unwrap();
    let handle = open(&mut volume, "abc", "r+").unwrap();
    let mut check = |to, expected| assert_eq!(volume.seek(handle, to), expected, "{to:?}");
    check(SeekFrom::End(-3), Ok(23));
    check(SeekFrom::Current(-24), Err(Errno::INVALID_ARGUMENT));
    check(SeekFrom::Current(-23), Ok(0));
    check(SeekFrom::End(-27), Err(Errno::INVALID_ARGUMENT));
    check(SeekFrom::End(1000), Ok(1026));
    check(SeekFrom::Start(0xFFFF_FFFF), Ok(0xFFFF_FFFF));
    check(SeekFrom::Start(0x1_0000_0000), Err(Errno::INVALID_ARGUMENT));
    check(SeekFrom::Current(i64::MAX), Err(Errno::INVALID_ARGUMENT));
    check(SeekFrom::Start(u64::MAX), Err(Errno::INVALID_ARGUMENT));
    assert_eq!(volume.write(handle, b"x"), Err(Errno::FILE_TOO_LARGE));
    assert_eq!(read(&mut volume, handle), Ok(vec![]));
    assert_eq!(volume.seek(handle, SeekFrom::Start(20)), Ok(20));
    let measured = |count, end| Ok(Extent { count, end });
    assert_eq!(volume.measure(handle, 6), measured(6, false));
    assert_eq!(volume.measure(handle, 7), measured(6, true));
    assert_eq!(volume.measure(handle, 0), measured(0, false));
    assert_eq!(read(&mut volume, handle), Ok(b"uvwxyz".to_vec()));
    assert_eq!(volume.measure(handle, 1), measured(0, true));
    volume.close(handle).unwrap();

    // As in the exchange file_append_position that was recorded with qemu-ga.
    let handle = open(&mut volume, "abc", "a").unwrap();
    assert_eq!(volume.seek(handle, SeekFrom::Current(0)), Ok(0));
    assert_eq!(volume.seek(handle, SeekFrom::Start(2)), Ok(2));
    write(&mut volume, handle, b"+++").unwrap();
    assert_eq!(volume.seek(handle, SeekFrom::Current(0)), Ok(29));
    volume.close(handle).unwrap();
    assert_eq!(read_file(&mut volume, "abc").unwrap(), b"abcdefghijklmnopqrstuvwxyz+++");
}

#[test]
fn handles_know_what_they_are_for() {
    let mut volume = filled();
    let nobody = Handle(7);
    assert!(!volume.is_open(nobody));
    assert_eq!(volume.close(nobody), Err(Errno::BAD_DESCRIPTOR));
    assert_eq!(volume.read(nobody, &mut [0]), Err(Errno::BAD_DESCRIPTOR));
    let handle = open(&mut volume, "hello.txt", "r").unwrap();
    assert_eq!(volume.write(handle, b"x"), Err(Errno::BAD_DESCRIPTOR));
    assert_eq!(volume.flush(handle), Ok(()));
    let handle = open(&mut volume, "hello.txt", "a").unwrap();
    assert_eq!(volume.read(handle, &mut [0]), Err(Errno::BAD_DESCRIPTOR));
    assert_eq!(volume.measure(handle, 1), Err(Errno::BAD_DESCRIPTOR));
    let handle = open(&mut volume, "sub", "r").unwrap();
    assert_eq!(volume.read(handle, &mut [0]), Err(Errno::IS_DIRECTORY));
    assert_eq!(volume.measure(handle, 1), Err(Errno::IS_DIRECTORY));
    assert_eq!(volume.seek(handle, SeekFrom::Start(3)), Ok(3));
    assert_eq!(volume.flush(handle), Ok(()));
    assert_eq!(volume.close(handle), Ok(()));
    assert_eq!(volume.close(handle), Err(Errno::BAD_DESCRIPTOR));
    for _ in 0..6 {
        open(&mut volume, "hello.txt", "r").unwrap();
    }
    assert_eq!(open(&mut volume, "empty", "r"), Err(Errno::TOO_MANY_OPEN_FILES));
    assert_eq!(open(&mut volume, "nope", "r"), Err(Errno::TOO_MANY_OPEN_FILES));
}

#[test]
fn handles_of_one_file_agree() {
    let mut volume = filled();
    let one = open(&mut volume, "hello.txt", "r+").unwrap();
    let two = open(&mut volume, "HELLO.TXT", "r").unwrap();
    write(&mut volume, one, b"Jello").unwrap();
    assert_eq!(read(&mut volume, two).unwrap(), b"Jello World!\n");
    let three = open(&mut volume, "hello.txt", "w").unwrap();
    volume.seek(two, SeekFrom::Start(0)).unwrap();
    assert_eq!(read(&mut volume, two).unwrap(), b"");
    write(&mut volume, three, &pattern(1, 3000)).unwrap();
    volume.close(one).unwrap();
    volume.close(three).unwrap();
    assert_eq!(read(&mut volume, two).unwrap(), pattern(1, 3000));
    volume.close(two).unwrap();
    assert_eq!(read_file(&mut volume, "/hello.txt").unwrap(), pattern(1, 3000));
    check_clean(volume);
}

#[test]
fn a_gap_is_zeros() {
    let mut volume = mount(Memory::new(image::new(FAT16)));
    // What the clusters held before is there to be found.
    write_file(&mut volume, "/secret", &vec![b'!'; 1_000_000]).unwrap();
    write_file(&mut volume, "/secret", b"").unwrap();
    let handle = open(&mut volume, "gap", "w+").unwrap();
    let mut expected = vec![];
    for (position, length) in [(3, 10), (700, 1), (20_000, 600), (20_700, 40)] {
        volume.seek(handle, SeekFrom::Start(position)).unwrap();
        write(&mut volume, handle, &pattern(position, length)).unwrap();
        expected.resize(usize::try_from(position).unwrap(), 0);
        expected.extend(pattern(position, length));
        volume.flush(handle).unwrap();
    }
    volume.close(handle).unwrap();
    assert!(read_file(&mut volume, "/gap").unwrap() == expected);
    check_clean(volume);
}

#[test]
fn many_files_with_names_alike() {
    let mut volume = filled();
    let name = |number: u64| format!("/sub/configuration number {number}.json");
    for number in 0..150 {
        write_file(&mut volume, &name(number), &pattern(number, 10)).unwrap();
    }
    let mut volume = mount(Memory::new(volume.into_disk().bytes));
    for number in 0..150 {
        assert_eq!(read_file(&mut volume, &name(number)).unwrap(), pattern(number, 10));
    }
    check_clean(volume);
}

#[test]
fn names_that_do_not_fit_into_the_rest_of_a_sector() {
    let mut bytes = image::new(FAT16);
    // Slots of long names beyond the end of the root directory, to which nothing should come.
    let [_, _, directories] = image::areas(&bytes);
    for slot in bytes[directories.start + 512..][..1024].chunks_exact_mut(32) {
        slot[0] = 0x41;
        slot[11] = 0x0F;
    }
    let mut volume = mount(Memory::new(bytes));
    let name = |number: u64| format!("/a name of {number:2} two slots");
    for number in 0..30 {
        write_file(&mut volume, &name(number), &pattern(number, 10)).unwrap();
    }
    for number in 0..30 {
        assert_eq!(read_file(&mut volume, &name(number)).unwrap(), pattern(number, 10));
    }
    check_clean(volume);
}

#[test]
fn a_root_directory_fills_up() {
    let mut volume = mount(Memory::new(image::new(FAT16)));
    let made = (0..).take_while(|number| match open(&mut volume, &format!("FILE{number}"), "w") {
        Ok(handle) => volume.close(handle).is_ok(),
        Err(errno) => {
            assert_eq!(errno, Errno::NO_SPACE);
            false
        }
    });
    assert_eq!(made.count(), 512);
    check_clean(volume);
}

#[test]
fn a_disk_fills_up() {
    let mut volume = filled();
    let free = usize::try_from(volume.free_bytes().unwrap()).unwrap();
    let kept = open(&mut volume, "hello.txt", "r+").unwrap();
    let handle = open(&mut volume, "ballast", "w").unwrap();
    let content = pattern(1, free + 100);
    assert_eq!(volume.write(handle, &content), Ok(free));
    assert_eq!(volume.write(handle, b"x"), Err(Errno::NO_SPACE));
    volume.close(handle).unwrap();
    assert_eq!(volume.free_bytes(), Some(0));
    // There is room for nothing, but what is there can be overwritten.
    write(&mut volume, kept, b"Jello").unwrap();
    volume.seek(kept, SeekFrom::Start(510)).unwrap();
    assert_eq!(volume.write(kept, b"four"), Ok(2));
    assert_eq!(volume.write(kept, b"ur"), Err(Errno::NO_SPACE));
    volume.close(kept).unwrap();
    // A name needs no clusters where the directory has room.
    let handle = open(&mut volume, "nothing in it", "w").unwrap();
    assert_eq!(volume.write(handle, b"x"), Err(Errno::NO_SPACE));
    volume.close(handle).unwrap();
    // Emptying a file makes room for its new content.
    write_file(&mut volume, "ballast", &content[100..free + 50]).unwrap();
    assert!(read_file(&mut volume, "/ballast").unwrap() == content[100..free + 50]);
    let hello = read_file(&mut volume, "/hello.txt").unwrap();
    assert_eq!((&hello[..12], &hello[508..]), (&b"Jello World!"[..], &b"\0\0fo"[..]));
    check_clean(volume);
}

#[test]
fn a_volume_that_cannot_be_written() {
    let mut disk = filled().into_disk();
    disk.read_only = true;
    let mut volume = mount(disk);
    assert!(volume.is_read_only());
    assert_eq!(read_file(&mut volume, "hello.txt").unwrap(), b"Hello World!\n");
    for mode in ["w", "a", "r+", "w+", "a+"] {
        assert_eq!(open(&mut volume, "hello.txt", mode), Err(Errno::READ_ONLY));
    }
    assert_eq!(open(&mut volume, "new", "w"), Err(Errno::READ_ONLY));
    assert_eq!(open(&mut volume, "sub", "w"), Err(Errno::IS_DIRECTORY));
}

#[test]
fn a_large_file_takes_few_requests() {
    let mut volume = mount(Memory::new(image::new(FAT32_FULL)));
    let content = pattern(1, 9 << 20);
    let before = volume.disk_mut().requests;
    let handle = open(&mut volume, "large", "w+").unwrap();
    for chunk in content.chunks(64 << 10) {
        assert_eq!(volume.write(handle, chunk), Ok(chunk.len()));
    }
    volume.flush(handle).unwrap();
    let writing = volume.disk_mut().requests - before;
    volume.seek(handle, SeekFrom::Start(0)).unwrap();
    let extent = volume.measure(handle, 8 << 20).unwrap();
    assert_eq!(extent, Extent { count: 8 << 20, end: false });
    assert!(read(&mut volume, handle).unwrap() == content);
    // 144 writes of data, and 144 sectors of each table to read and write.
    assert!(writing < 700, "{writing}");
    // A log that is flushed after each line does not copy what is in it already.
    write(&mut volume, handle, &pattern(2, 3000)).unwrap();
    volume.flush(handle).unwrap();
    let before = volume.disk_mut().requests;
    for line in 0..50 {
        write(&mut volume, handle, &pattern(line, 700)).unwrap();
        volume.flush(handle).unwrap();
    }
    let appending = volume.disk_mut().requests - before;
    assert!(appending < 50 * 30, "{appending}");
    volume.close(handle).unwrap();
    check_clean(volume);
}

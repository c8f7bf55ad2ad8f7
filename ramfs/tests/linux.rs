//! What opening a path comes to, against the kernel that the test runs on.
#![cfg(target_os = "linux")]

use std::{
    ffi::OsStr,
    fs::{self, OpenOptions},
    io,
    os::unix::ffi::OsStrExt,
    path::Path,
};

use agent_core::{Errno, Files, OpenMode};
use proptest::{collection::vec, prelude::*, sample::select};
use ramfs::{Arena, NAME_MAX, RamFs};

/// Opens as qemu-ga 7.2 does: a mode that creates first insists on doing so (`O_EXCL`).
fn open_on_linux(path: &Path, mode: OpenMode) -> io::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.read(mode.read).write(mode.write && !mode.append).append(mode.append);
    if mode.create {
        match options.clone().create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            outcome => return outcome,
        }
    }
    options.truncate(mode.truncate).open(path)
}

/// Whether a path stays beneath where it begins, counting names that do not exist as well.
fn stays_inside(path: &[u8]) -> bool {
    let mut depth = 0_u32;
    path.split(|byte| *byte == b'/').all(|name| match name {
        b"" | b"." => true,
        b".." => depth.checked_sub(1).map(|less| depth = less).is_some(),
        _ => {
            depth += 1;
            true
        }
    })
}

fn compare(path: &[u8], mode: &str) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("d/d")).unwrap();
    fs::write(root.path().join("f"), "text").unwrap();
    fs::write(root.path().join("d/f"), "text").unwrap();

    let mut arena: Arena<8, 8> = Arena::new();
    let mut ram: RamFs<'_> = RamFs::new(&mut arena);
    ram.mkdir(b"d").unwrap();
    ram.mkdir(b"d/d").unwrap();
    ram.write_file(b"f", b"text").unwrap();
    ram.write_file(b"d/f", b"text").unwrap();

    let open_mode = OpenMode::parse(mode.as_bytes()).unwrap();
    // By hand: what joins paths in `std` drops dots and slashes.
    let full = [root.path().as_os_str().as_bytes(), b"/", path].concat();
    let expected = open_on_linux(Path::new(OsStr::from_bytes(&full)), open_mode);
    let shown = ram.open(path, open_mode);
    match (&shown, &expected) {
        (Ok(_), Ok(_)) => {}
        // `std` ends the text of an error with its number.
        (Err(Errno(text)), Err(error)) if error.to_string().starts_with(text) => {}
        _ => panic!("{} {mode}: {shown:?}, not {expected:?}", path.escape_ascii()),
    }

    // The same files are there afterwards, with the same lengths.
    for name in ["f", "d/f", "n", "d/n", "d/d/n"] {
        let expected = fs::metadata(root.path().join(name)).map(|file| file.len()).ok();
        assert_eq!(ram.length(name.as_bytes()).ok(), expected, "{name}");
    }
}

#[test]
fn long_names() {
    for length in [NAME_MAX, NAME_MAX + 1] {
        let name = "n".repeat(length);
        for mode in ["r", "r+", "w", "a+"] {
            for before in ["", "d/", "f/", "n/", "./"] {
                compare(format!("{before}{name}").as_bytes(), mode);
                compare(format!("{before}{name}/x").as_bytes(), mode);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn opens_what_linux_opens(
        path in vec(select(&["d", "f", "n", ".", "..", ""][..]), 1..6)
            .prop_map(|names| names.join("/").into_bytes())
            // The unit tests have the empty path, which is not empty beneath a directory.
            .prop_filter("not beneath the directory", |path| {
                !path.is_empty() && stays_inside(path)
            }),
        mode in select(&["r", "r+", "w", "w+", "a", "a+"][..]),
    ) {
        compare(&path, mode);
    }
}

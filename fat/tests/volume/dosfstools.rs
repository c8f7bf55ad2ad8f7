//! Images made by mkfs.fat, checked by fsck.fat, and read and written by mtools.
//!
//! These are in Debian's packages `dosfstools` and `mtools`; where they are missing the tests fail
//! and say so.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use agent_core::Errno;
use tempfile::TempDir;

use crate::disk::Memory;
use crate::image::{self, FAT16, FAT32_FULL, Format, Report};
use crate::{mount, pattern, read_file, try_mount, write_file};

/// A directory for images: in memory where that can be had, for thousands are written.
pub(crate) fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::tempdir_in(place).unwrap()
}

fn run(program: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).env("MTOOLS_SKIP_CHECK", "1").env("LC_ALL", "C.UTF-8");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| {
        panic!("{program}: {error}; these tests need it: apt-get install dosfstools mtools")
    });
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input).unwrap();
    child.wait_with_output().unwrap()
}

/// A new volume.
pub(crate) fn mkfs(kib: usize, arguments: &[&str]) -> Vec<u8> {
    let directory = directory();
    let path = directory.path().join("disk");
    std::fs::File::create(&path).unwrap().set_len(kib as u64 * 1024).unwrap();
    let arguments = [arguments, &[path.to_str().unwrap()]].concat();
    let output = run("mkfs.fat", &arguments, b"");
    assert!(output.status.success(), "mkfs.fat: {output:?}");
    std::fs::read(&path).unwrap()
}

/// Checks an image without changing it.
pub(crate) fn fsck(path: &Path) -> Report {
    let output = run("fsck.fat", &["-n", path.to_str().unwrap()], b"");
    let mut report = Report::default();
    let text = String::from_utf8_lossy(&output.stdout);
    for line in text.lines().map(str::trim) {
        match line {
            line if line.starts_with("fsck.fat 4") || line.ends_with(" clusters") => {}
            "" | "Leaving filesystem unchanged." | "Using first FAT." | "Auto-correcting." => {}
            "FATs differ but appear to be intact." => report.tables_differ = true,
            line if line.starts_with("Reclaimed ") => report.unused = true,
            line if line.starts_with("Free cluster summary uninit") => report.count_unknown = true,
            line => report.damage.push(line.to_owned()),
        }
    }
    if !output.status.success() && report.is_clean() {
        report.damage.push(format!("fsck.fat failed: {output:?}"));
    }
    report
}

/// An image that mtools work on.
struct Tools {
    _directory: TempDir,
    path: String,
}

impl Tools {
    fn new(bytes: &[u8]) -> Self {
        let directory = directory();
        let path = directory.path().join("disk");
        std::fs::write(&path, bytes).unwrap();
        Self { path: path.to_str().unwrap().to_owned(), _directory: directory }
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.path).unwrap()
    }

    fn put(&self, path: &str, content: &[u8]) {
        let output = run("mcopy", &["-i", &self.path, "-", &format!("::{path}")], content);
        assert!(output.status.success(), "mcopy to {path}: {output:?}");
    }

    fn mkdir(&self, path: &str) {
        let output = run("mmd", &["-i", &self.path, &format!("::{path}")], b"");
        assert!(output.status.success(), "mmd {path}: {output:?}");
    }

    fn get(&self, path: &str) -> Vec<u8> {
        let output = run("mcopy", &["-i", &self.path, &format!("::{path}"), "-"], b"");
        assert!(output.status.success(), "mcopy from {path}: {output:?}");
        output.stdout
    }

    fn list(&self, path: &str) -> String {
        let output = run("mdir", &["-i", &self.path, &format!("::{path}")], b"");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn filled(format: Format) -> Tools {
    let tools = Tools::new(&image::new(format));
    tools.put("/hello.txt", b"Hello World!\n");
    tools.put("/empty", b"");
    tools.mkdir("/sub");
    tools.mkdir("/sub/A directory with a long name");
    tools.put("/sub/A directory with a long name/deep", &pattern(1, 70_000));
    tools.put("/Größe und Maß.txt", "ä".as_bytes());
    tools
}

#[test]
fn what_mtools_wrote_is_read() {
    for format in [FAT16, FAT32_FULL] {
        let mut volume = mount(Memory::new(filled(format).bytes()));
        let mut check = |path: &str, expected: Result<&[u8], Errno>| {
            let found = read_file(&mut volume, path);
            assert_eq!(found.as_deref().map_err(|errno| *errno), expected, "{path}");
        };
        check("hello.txt", Ok(b"Hello World!\n"));
        check("/HELLO.TXT", Ok(b"Hello World!\n"));
        check("//sub/../hello.txt", Ok(b"Hello World!\n"));
        check("./sub/./A directory with a long name/../../hello.txt", Ok(b"Hello World!\n"));
        check("/sub/a DIRECTORY with a LONG name/DEEP", Ok(&pattern(1, 70_000)));
        check("/sub/ADIREC~1/deep", Ok(&pattern(1, 70_000)));
        check("/GRÖßE UND MAß.TXT", Ok("ä".as_bytes()));
        check("empty", Ok(b""));
        check("nope", Err(Errno::NOT_FOUND));
        check("sub", Err(Errno::IS_DIRECTORY));
    }
}

#[test]
fn what_is_written_is_read_by_mtools() {
    for format in [FAT16, FAT32_FULL] {
        let mut volume = mount(Memory::new(filled(format).bytes()));
        volume.set_time(1_795_355_013);
        let longest = format!("/sub/{}", "n".repeat(255));
        let big = pattern(2, 100_001);
        let files: &[(&str, &[u8])] = &[
            ("/NEW.TXT", b"new"),
            ("/new lower case.txt", b"lower"),
            ("/hello.txt", b"shorter"),
            ("/empty", b"no longer"),
            ("/sub/A directory with a long name/deep", &big),
            ("/sub/Ünïcödé €.txt", b"unicode"),
            (&longest, b"longest"),
            ("/.hidden", b""),
        ];
        for (path, content) in files {
            write_file(&mut volume, path, content).unwrap();
        }
        let bytes = volume.into_disk().bytes;
        assert!(image::check(&bytes).is_clean(), "{:?}", image::check(&bytes));
        let tools = Tools::new(&bytes);
        for (path, content) in files {
            assert_eq!(tools.get(path), *content, "{path}");
        }
        let list = tools.list("/");
        assert!(list.contains("NEW      TXT         3 2026-11-22  13:43"), "{list}");
        assert!(list.contains("new lower case.txt"), "{list}");
    }
}

#[test]
fn volumes_of_other_kinds_are_not_mounted() {
    for arguments in [&["-F", "12"][..], &["-F", "16", "-S", "4096", "-s", "1"]] {
        let bytes = mkfs(if arguments.len() == 2 { 1440 } else { 65_536 }, arguments);
        let error = try_mount(Memory::new(bytes)).map(|_| ()).unwrap_err();
        assert_eq!(error, fat::MountError::Unsupported);
    }
}

//! Which file a program's name means.

use std::env;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;

/// Where to look if there is no PATH, nor one in the program's environment: what GLib, and so
/// qemu-ga, does then.
const DEFAULT: &str = "/bin:/usr/bin:.";

/// Finds a program: a path if it has a slash, otherwise a name to be searched along `path`, or where
/// that is not given, along the agent's PATH.
///
/// # Errors
///
/// As `execvp(3)`: [`Errno::ACCESS`] if there is one that must not be run, and no other.
pub(super) fn find(program: &[u8], path: Option<&OsStr>) -> Result<PathBuf, Errno> {
    match path {
        Some(path) => search(program, path),
        None => search(program, &env::var_os("PATH").unwrap_or_else(|| DEFAULT.into())),
    }
}

fn search(program: &[u8], path: &OsStr) -> Result<PathBuf, Errno> {
    if program.is_empty() {
        return Err(Errno::NOENT);
    }
    let name = OsStr::from_bytes(program);
    if program.contains(&b'/') {
        return Ok(name.into());
    }
    let mut outcome = Err(Errno::NOENT);
    for folder in env::split_paths(path) {
        // An empty entry is the folder that the agent runs in.
        let file = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder }.join(name);
        match access(&file, Access::EXEC_OK) {
            Ok(()) if file.is_file() => return Ok(file),
            Ok(()) | Err(Errno::ACCESS) => outcome = Err(Errno::ACCESS),
            Err(_) => {}
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn programs_are_searched_in_order() {
        let directory = TempDir::new().unwrap();
        let at = |path: &str| directory.path().join(path);
        for folder in ["a", "b", "b/folder"] {
            fs::create_dir(at(folder)).unwrap();
        }
        for (file, mode) in
            [("a/first", 0o755), ("b/first", 0o755), ("b/second", 0o755), ("b/plain", 0o644)]
        {
            fs::write(at(file), "").unwrap();
            fs::set_permissions(at(file), fs::Permissions::from_mode(mode)).unwrap();
        }
        let path = env::join_paths([at("none"), at("a"), at("b"), PathBuf::new()]).unwrap();
        let check = |name: &str, expected: Result<PathBuf, Errno>| {
            assert_eq!(search(name.as_bytes(), &path), expected, "{name:?}");
        };
        check("first", Ok(at("a/first")));
        check("second", Ok(at("b/second")));
        check("plain", Err(Errno::ACCESS));
        check("folder", Err(Errno::ACCESS));
        check("nothing", Err(Errno::NOENT));
        check("", Err(Errno::NOENT));
        check("/bin/nothing", Ok("/bin/nothing".into()));
        check("b/nothing", Ok("b/nothing".into()));
        // Where the tests run there is one.
        let here = search(b"Cargo.toml", OsStr::new(""));
        assert_eq!(here, Err(Errno::ACCESS));
    }
}

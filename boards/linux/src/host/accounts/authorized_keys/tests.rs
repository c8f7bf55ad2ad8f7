//! The keys of a user, in a folder that stands for a system.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;

use rustix::process::{getgid, getuid};
use tempfile::TempDir;

use super::*;
use crate::log::Log;

/// A system with a user `operator`, who is the one that runs the tests.
struct System {
    root: TempDir,
    accounts: Accounts,
}

impl System {
    fn new() -> Self {
        Self::with_dry_run(false)
    }

    fn with_dry_run(dry_run: bool) -> Self {
        let root = TempDir::new().unwrap();
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::create_dir_all(root.path().join("home/operator")).unwrap();
        let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
        let table = format!(
            "operator:x:{uid}:{gid}::/home/operator:/bin/sh\n\
             homeless:x:{uid}:{gid}::/home/homeless:/bin/sh\n"
        );
        fs::write(root.path().join("etc/passwd"), table).unwrap();
        let accounts = Accounts::new(root.path().to_owned(), Log::default(), dry_run);
        assert!(accounts.has_users && !accounts.has_passwords);
        Self { root, accounts }
    }

    /// A path in the home.
    fn home(&self, path: &str) -> PathBuf {
        self.root.path().join("home/operator").join(path)
    }

    fn write(&self, text: &str) {
        fs::create_dir_all(self.home(".ssh")).unwrap();
        fs::write(self.home(".ssh/authorized_keys"), text).unwrap();
    }

    fn text(&self) -> String {
        fs::read_to_string(self.home(".ssh/authorized_keys")).unwrap()
    }

    fn list(&mut self) -> Result<Vec<String>, KeysError> {
        let mut keys = Vec::new();
        let mut visit = |key: &[u8]| keys.push(String::from_utf8(key.to_vec()).unwrap());
        self.accounts.list(b"operator", &mut visit).map(|()| keys)
    }

    fn add(&mut self, keys: &[&str], reset: bool) -> Result<(), KeysError> {
        self.accounts.add(b"operator", &mut keys.iter().map(|key| key.as_bytes()), reset)
    }

    fn remove(&mut self, keys: &[&str]) -> Result<(), KeysError> {
        let mut selected = |key: &[u8]| keys.iter().any(|other| other.as_bytes() == key);
        self.accounts.remove(b"operator", &mut selected)
    }
}

/// What the file holds before and after.
fn check_add(before: &str, keys: &[&str], reset: bool, after: &str) {
    let mut system = System::new();
    system.write(before);
    assert_eq!(system.add(keys, reset), Ok(()));
    assert_eq!(system.text(), after, "{before:?}, {keys:?}");
}

fn check_remove(before: &str, keys: &[&str], after: &str) {
    let mut system = System::new();
    system.write(before);
    assert_eq!(system.remove(keys), Ok(()));
    assert_eq!(system.text(), after, "{before:?}, {keys:?}");
}

#[test]
fn comments_are_not_shown() {
    let mut system = System::new();
    system.write("# first\n\nssh-a A one\n  ssh-b B two \t\r\n \n  # last\nssh-c C");
    let keys = ["ssh-a A one", "ssh-b B two", "ssh-c C"].map(str::to_owned);
    assert_eq!(system.list(), Ok(keys.to_vec()));
    system.write("");
    assert_eq!(system.list(), Ok(vec![]));
}

#[test]
fn keys_are_added() {
    check_add("", &["a"], false, "a\n");
    check_add("a", &["b"], false, "a\nb\n");
    check_add("# all\n\na\n", &["b", "a", "b", "c"], false, "# all\n\na\nb\nc\n");
    check_add("# a\n", &["a"], false, "# a\na\n");
    check_add(" a \n", &["a"], false, " a \n");
    check_add("# all\na\n", &["b", "b"], true, "b\n");
    check_add("a\n", &[], false, "a\n");
    check_add("a\n", &[], true, "");
}

#[test]
fn keys_are_removed() {
    check_remove("# all\na\n\nb\nc", &["a", "d"], "# all\n\nb\nc");
    check_remove("a\n a\n# a\n", &["a", "# a"], "# a\n");
    check_remove("a\nb", &["b"], "a\n");
    check_remove("a\n", &[], "a\n");
}

#[test]
fn the_first_key_makes_the_file_and_its_folder() {
    let mut system = System::new();
    assert_eq!(system.list(), Err(KeysError::Read(Words::NOT_FOUND)));
    assert_eq!(system.remove(&["a"]), Ok(()));
    assert!(!system.home(".ssh").exists());
    assert_eq!(system.add(&["a"], false), Ok(()));
    let mode = |path| fs::metadata(system.home(path)).unwrap().mode() & 0o7777;
    assert_eq!((mode(".ssh"), mode(".ssh/authorized_keys")), (0o700, 0o600));
    assert_eq!(fs::read_dir(system.home(".ssh")).unwrap().count(), 1);
    assert_eq!(system.text(), "a\n");
}

#[test]
fn what_is_there_keeps_its_folder_and_gets_its_permissions() {
    let mut system = System::new();
    system.write("a\n");
    let set = |path, mode| {
        fs::set_permissions(system.home(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    set(".ssh", 0o750);
    set(".ssh/authorized_keys", 0o666);
    assert_eq!(system.add(&["b"], false), Ok(()));
    let mode = |path| fs::metadata(system.home(path)).unwrap().mode() & 0o7777;
    assert_eq!((mode(".ssh"), mode(".ssh/authorized_keys")), (0o750, 0o600));
}

/// Who owns a home may let `.ssh` or the file be anything; the agent must not be led away by it.
#[test]
fn links_are_not_followed() {
    let mut system = System::new();
    let elsewhere = system.root.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("authorized_keys"), "secret\n").unwrap();
    symlink(&elsewhere, system.home(".ssh")).unwrap();
    let not_a_folder = Words::NOT_DIRECTORY;
    assert_eq!(system.list(), Err(KeysError::Read(not_a_folder)));
    assert_eq!(system.add(&["a"], false), Err(KeysError::Read(not_a_folder)));
    assert_eq!(system.add(&["a"], true), Err(KeysError::Write(not_a_folder)));
    assert_eq!(system.remove(&["secret"]), Err(KeysError::Read(not_a_folder)));

    fs::remove_file(system.home(".ssh")).unwrap();
    fs::create_dir(system.home(".ssh")).unwrap();
    symlink(elsewhere.join("authorized_keys"), system.home(".ssh/authorized_keys")).unwrap();
    let a_link = words(Errno::LOOP);
    assert_eq!(system.list(), Err(KeysError::Read(a_link)));
    assert_eq!(system.add(&["a"], false), Err(KeysError::Read(a_link)));
    assert_eq!(system.remove(&["secret"]), Err(KeysError::Read(a_link)));
    // The link itself is what is replaced.
    assert_eq!(system.add(&["a"], true), Ok(()));
    assert_eq!(system.text(), "a\n");
    assert_eq!(fs::read_to_string(elsewhere.join("authorized_keys")).unwrap(), "secret\n");
}

/// Nor by another name of a file that is not the user's to read.
#[test]
fn only_what_the_user_may_read_is_read() {
    let mut system = System::new();
    system.write("a\n");
    let other = getuid().as_raw() + 1;
    let table = format!("operator:x:{other}:{other}::/home/operator:/bin/sh\n");
    fs::write(system.root.path().join("etc/passwd"), table).unwrap();
    let file = system.home(".ssh/authorized_keys");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let denied = Err(KeysError::Read(words(Errno::ACCESS)));
    assert_eq!(system.list(), Err(KeysError::Read(words(Errno::ACCESS))));
    assert_eq!(system.add(&["b"], false), denied);
    assert_eq!(system.remove(&["a"]), denied);
    assert_eq!(system.text(), "a\n");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(system.list(), Ok(vec!["a".to_owned()]));
}

#[test]
fn users_that_do_not_exist() {
    let mut system = System::new();
    let nobody = Err(KeysError::NoSuchUser(Words("Success")));
    for name in ["", "nobody", "operator:x"] {
        assert_eq!(system.accounts.list(name.as_bytes(), &mut |_| {}), nobody, "{name:?}");
        let mut keys = [&b"a"[..]].into_iter();
        assert_eq!(system.accounts.add(name.as_bytes(), &mut keys, false), nobody, "{name:?}");
        assert_eq!(system.accounts.remove(name.as_bytes(), &mut |_| true), nobody, "{name:?}");
    }
    let mut keys = [&b"a"[..]].into_iter();
    let homeless = Err(KeysError::Write(Words::NOT_FOUND));
    assert_eq!(system.accounts.add(b"homeless", &mut keys, false), homeless);
    fs::remove_file(system.root.path().join("etc/passwd")).unwrap();
    assert_eq!(system.list(), Err(KeysError::NoSuchUser(Words::NOT_FOUND)));
}

#[test]
fn a_dry_run_changes_nothing() {
    let mut system = System::with_dry_run(true);
    assert_eq!(system.add(&["a"], false), Ok(()));
    assert!(!system.home(".ssh").exists());
    system.write("a\n");
    assert_eq!(system.add(&["b"], true), Ok(()));
    assert_eq!(system.remove(&["a"]), Ok(()));
    assert_eq!(system.text(), "a\n");
}

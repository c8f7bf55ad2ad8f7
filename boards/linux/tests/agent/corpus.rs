//! The recorded exchanges with qemu-ga about files, programs and users, each at a fresh agent.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::listener::Agent;

const CORPUS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/corpus/qemu-ga-7.2.22.jsonl");

/// What was blocked when the exchanges were recorded.
const BLOCKED: &str = "guest-shutdown,guest-fsfreeze-freeze,guest-fsfreeze-freeze-list,\
    guest-fsfreeze-thaw,guest-suspend-disk,guest-suspend-ram,guest-suspend-hybrid,guest-set-time,\
    guest-set-user-password,guest-set-memory-blocks,guest-fstrim,guest-ssh-add-authorized-keys,\
    guest-ssh-remove-authorized-keys";

/// A directory with the files that the corpus was recorded beside.
pub(crate) fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    let big: Vec<u8> = (0..=u8::MAX).cycle().take(10_000).collect();
    for (name, contents) in [
        ("hello.txt", &b"Hello World!\n"[..]),
        ("empty", b""),
        ("big.bin", &big),
        ("abc", b"abcdefghijklmnopqrstuvwxyz"),
    ] {
        fs::write(directory.path().join(name), contents).unwrap();
    }
    directory
}

fn text(entry: &Value, field: &str) -> String {
    let bytes = hex::decode(entry[field].as_str().unwrap()).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn every_recorded_exchange_about_files_programs_and_users() {
    const ABOUT: [&str; 6] = [
        "guest-file-",
        "guest-fsfreeze-",
        "guest-fstrim",
        "guest-exec",
        "guest-ssh-",
        "guest-set-user-password",
    ];
    let mut played = 0;
    for line in fs::read_to_string(CORPUS).unwrap().lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        if !matches!(entry["group"].as_str(), Some("args" | "blocked" | "file" | "query")) {
            continue;
        }
        let sent = text(&entry, "send_hex");
        let differs = entry["note"].as_str().is_some_and(|note| note.contains("machine-dependent"));
        if differs || !ABOUT.iter().any(|name| sent.contains(name)) {
            continue;
        }
        assert!(entry["extra_block"].is_null() && entry["chunks_hex"].is_null(), "{line}");
        let directory = directory();
        let path = directory.path().join("agent.sock");
        let agent = Agent::start_at(directory, path, &["--exec", "--block-rpcs", BLOCKED]);
        assert_eq!(agent.play(&sent), text(&entry, "recv_hex"), "{}", entry["name"]);
        played += 1;
    }
    assert!(played >= 99, "only {played}");
}

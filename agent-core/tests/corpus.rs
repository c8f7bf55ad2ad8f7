//! The recorded exchanges with the real qemu-ga 7.2.22, byte for byte.
//!
//! They are played with a guest that can do everything. Of those that depend on the machine they were
//! recorded on, the members are compared: all that qemu-ga has are there, in its order.

mod guest;
mod play;
mod whole;

use core::iter::repeat;
use std::{fs, path::Path};

use agent_core::{Agent, Buffers, Policy};
use play::play;
use serde_json::Value;
use whole::with_whole;

fn replies(input: &[u8], policy: Policy<'_>) -> Vec<u8> {
    // The longest request of the corpus has 64 KiB.
    let mut buffers: Box<Buffers<131_072, 8192>> = Box::new(Buffers::new());
    with_whole(|guest| {
        let mut agent = Agent::new(guest, &mut buffers).with_policy(policy);
        play(&mut agent, input, repeat(usize::MAX))
    })
}

fn bytes(hex: &Value) -> Vec<u8> {
    let digits: Vec<u32> = hex.as_str().unwrap().chars().map(|c| c.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
}

/// What qemu-ga was not allowed to do when the exchanges were recorded.
const BLOCKED: &str = "guest-shutdown,guest-set-time,guest-fsfreeze-freeze,\
    guest-fsfreeze-freeze-list,guest-fsfreeze-thaw,guest-suspend-disk,guest-suspend-ram,\
    guest-suspend-hybrid,guest-set-user-password,guest-set-memory-blocks,guest-fstrim,\
    guest-ssh-add-authorized-keys,guest-ssh-remove-authorized-keys";

/// Exchanges with an answer that depends on the machine.
const OF_THE_MACHINE: &[&str] = &[
    "exec_true",
    "get_time",
    "get_time_id",
    "query_get_cpustats",
    "query_get_host_name",
    "query_get_memory_block_info",
    "query_get_memory_blocks",
    "query_get_osinfo",
    "query_get_timezone",
    "query_get_users",
    "query_get_vcpus",
    "query_network_get_interfaces",
    "query_osinfo_fixture",
    "query_timezone_utc",
];

/// Exchanges whose difference is meant: docs/differences.md says why of the first three, and files in
/// memory have neither devices nor a disk.
const DIFFERENT: &[&str] = &[
    "arg_get_devices",
    "blocked_info",
    "info",
    "file_dev_full_write",
    "file_dev_null_read",
    "file_dev_zero_read",
    "query_get_fsinfo",
];

/// The members of a reply, each once, in the order in which they come.
fn members(reply: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(reply);
    let mut members: Vec<String> = Vec::new();
    for (end, _) in text.match_indices("\": ") {
        let name = text[..end].rsplit('"').next().unwrap();
        if !members.iter().any(|member| member == name) {
            members.push(name.to_owned());
        }
    }
    members
}

/// Whether all of `part` is in `whole`, in its order.
fn is_within(part: &[String], whole: &[String]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|member| whole.any(|other| other == member))
}

#[test]
fn every_exchange() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/qemu-ga-7.2.22.jsonl");
    let mut names = Vec::new();
    let mut failures = Vec::new();
    for line in fs::read_to_string(path).unwrap().lines() {
        let exchange: Value = serde_json::from_str(line).unwrap();
        let name = exchange["name"].as_str().unwrap();
        let (sent, recorded) = (bytes(&exchange["send_hex"]), bytes(&exchange["recv_hex"]));
        let more = exchange["extra_block"].as_str().unwrap_or_default();
        let answered = replies(&sent, Policy::Block(format!("{BLOCKED},{more}").as_bytes()));
        names.push(name.to_owned());
        let same = if DIFFERENT.contains(&name) {
            answered != recorded
        } else if OF_THE_MACHINE.contains(&name) {
            is_within(&members(&recorded), &members(&answered))
        } else {
            answered == recorded
        };
        if !same {
            let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            failures.push(format!("{name}\n  {}\n  {}", show(&recorded), show(&answered)));
        }
    }
    let played = names.len();
    println!("{played} exchanges played");
    for listed in OF_THE_MACHINE.iter().chain(DIFFERENT) {
        assert!(names.iter().any(|name| name == listed), "there is no {listed}");
    }
    assert!(failures.is_empty(), "{} of {played}:\n{}", failures.len(), failures.join("\n"));
}

//! The recorded exchanges with the real qemu-ga 7.2.22, byte for byte.
//!
//! Exchanges that depend on the machine they were recorded on are compared by what does not, and
//! those with commands that this guest does not offer are listed.

mod guest;
mod play;

use core::iter::repeat;
use std::{collections::BTreeMap, fs, path::Path};

use agent_core::{Agent, Buffers, Policy};
use guest::Guest;
use play::play;
use serde_json::Value;

fn replies(input: &[u8], policy: Policy<'_>) -> Vec<u8> {
    // The longest request of the corpus has 64 KiB.
    let mut buffers: Box<Buffers<131_072, 8192>> = Box::new(Buffers::new());
    let mut agent = Agent::new(Guest::default(), &mut buffers).with_policy(policy);
    play(&mut agent, input, repeat(usize::MAX))
}

fn bytes(hex: &Value) -> Vec<u8> {
    let digits: Vec<u32> = hex.as_str().unwrap().chars().map(|c| c.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
}

/// The commands that the agent offers in this guest.
fn offered() -> Vec<String> {
    let info = replies(br#"{"execute":"guest-info"}"#, Policy::AllowAll);
    let info: Value = serde_json::from_slice(&info).unwrap();
    let commands = info["return"]["supported_commands"].as_array().unwrap().clone();
    commands.iter().map(|command| command["name"].as_str().unwrap().to_owned()).collect()
}

/// A qemu-ga command that an exchange names and this agent does not offer.
fn missing_command(sent: &[u8], offered: &[String]) -> Option<String> {
    let text = String::from_utf8_lossy(sent);
    let names = text.match_indices("\"guest-").map(|(at, _)| &text[at + 1..]);
    names
        .map(|name| name.split('"').next().unwrap_or_default().to_owned())
        .filter(|name| !name.contains(|c: char| !c.is_ascii_lowercase() && c != '-'))
        .filter(|name| name != "guest-nope" && name != "guest")
        .find(|name| !offered.contains(name))
}

/// The time of day, which is all digits.
fn without_time(reply: &[u8]) -> String {
    String::from_utf8_lossy(reply).chars().filter(|c| !c.is_ascii_digit()).collect()
}

#[test]
fn every_exchange() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/qemu-ga-7.2.22.jsonl");
    let offered = offered();
    let mut played = 0;
    let mut not_offered: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut failures = Vec::new();
    for line in fs::read_to_string(path).unwrap().lines() {
        let exchange: Value = serde_json::from_str(line).unwrap();
        let name = exchange["name"].as_str().unwrap();
        let (sent, recorded) = (bytes(&exchange["send_hex"]), bytes(&exchange["recv_hex"]));
        if missing_command(&sent, &offered).is_some() {
            let group = exchange["group"].as_str().unwrap().to_owned();
            not_offered.entry(group).or_default().push(name.to_owned());
            continue;
        }
        let more = exchange["extra_block"].as_str().unwrap_or_default();
        let block = format!("guest-shutdown,guest-set-time,{more}");
        let answered = replies(&sent, Policy::Block(&block));
        played += 1;
        let same = match name {
            "get_time" | "get_time_id" => without_time(&answered) == without_time(&recorded),
            // Version and commands are the agent's own; the shape is not.
            "info" | "blocked_info" => answered.starts_with(b"{\"return\": {\"version\": \""),
            _ => answered == recorded,
        };
        if !same {
            let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            failures.push(format!("{name}\n  {}\n  {}", show(&recorded), show(&answered)));
        }
    }
    println!("{played} exchanges played");
    for (group, names) in &not_offered {
        println!("not offered, {group}: {}", names.join(" "));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(played > 290, "only {played} exchanges were played");
}

//! `guest-get-fsinfo`, `guest-fsfreeze-*` and `guest-fstrim`: in a dry run, always.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::listener::Agent;

const FREEZE: &str = r#"{"execute": "guest-fsfreeze-freeze"}"#;
const STATUS: &str = r#"{"execute": "guest-fsfreeze-status"}"#;
const THAW: &str = r#"{"execute": "guest-fsfreeze-thaw"}"#;
const FROZEN: &str = "{\"return\": \"frozen\"}\n";
const THAWED: &str = "{\"return\": \"thawed\"}\n";

fn listed(agent: &Agent) -> Vec<Value> {
    let answer: Value =
        serde_json::from_str(&agent.play(r#"{"execute": "guest-get-fsinfo"}"#)).unwrap();
    answer["return"].as_array().unwrap().clone()
}

fn returned(number: usize) -> String {
    format!("{{\"return\": {number}}}\n")
}

#[test]
fn what_is_listed() {
    let agent = Agent::start(&[]);
    for filesystem in listed(&agent) {
        assert!(filesystem["mountpoint"].as_str().unwrap().starts_with('/'), "{filesystem}");
        assert!(!filesystem["name"].as_str().unwrap().is_empty(), "{filesystem}");
        assert!(!filesystem["type"].as_str().unwrap().is_empty(), "{filesystem}");
        assert!(filesystem["used-bytes"].as_u64() <= filesystem["total-bytes"].as_u64());
        for disk in filesystem["disk"].as_array().unwrap() {
            assert!(disk["pci-controller"]["slot"].as_i64().unwrap() >= -1, "{filesystem}");
        }
    }
}

#[test]
fn a_freeze_and_its_thaw() {
    let mut agent = Agent::start(&[]);
    let points = listed(&agent);
    let Some(point) = points.first().map(|filesystem| &filesystem["mountpoint"]) else {
        // A container without a disk of its own.
        assert_eq!(agent.play(FREEZE), returned(0));
        return;
    };
    assert_eq!(agent.play(FREEZE), returned(points.len()));
    agent.process.log_until("is not frozen");
    assert_eq!(agent.play(STATUS), FROZEN);
    for command in ["guest-file-open", "guest-fsfreeze-freeze", "guest-fstrim", "guest-get-fsinfo"]
    {
        let expected = format!(
            "{{\"error\": {{\"class\": \"CommandNotFound\", \"desc\": \
             \"Command {command} has been disabled: the agent is in frozen state\"}}}}\n"
        );
        assert_eq!(agent.play(&json!({"execute": command}).to_string()), expected);
    }
    assert_eq!(agent.play(THAW), returned(points.len()));
    assert_eq!(agent.play(STATUS), THAWED);
    assert_eq!(agent.play(THAW), returned(0));

    let list = |points: Value| {
        let arguments = json!({"mountpoints": points});
        json!({"execute": "guest-fsfreeze-freeze-list", "arguments": arguments}).to_string()
    };
    assert_eq!(agent.play(&list(json!([]))), returned(0));
    assert_eq!(agent.play(&list(json!(["/nowhere/at/all"]))), returned(0));
    assert_eq!(agent.play(STATUS), THAWED);
    assert_eq!(agent.play(&list(json!(["/nowhere/at/all", point]))), returned(1));
    assert_eq!(agent.play(THAW), returned(1));
}

#[test]
fn a_forgotten_freeze_ends_by_itself() {
    let mut agent = Agent::start(&["--freeze-timeout", "1"]);
    if listed(&agent).is_empty() {
        return;
    }
    for _ in 0..2 {
        agent.play(FREEZE);
        assert_eq!(agent.play(STATUS), FROZEN);
        agent.process.log_until("no thaw came");
        assert_eq!(agent.play(STATUS), THAWED);
    }
    // Nor does a thaw that does come leave a watchdog behind.
    agent.play(FREEZE);
    agent.play(THAW);
    assert_eq!(agent.play(STATUS), THAWED);
}

#[test]
fn an_agent_that_is_ended_leaves_nothing_frozen() {
    let mut agent = Agent::start(&[]);
    if listed(&agent).is_empty() {
        return;
    }
    agent.play(FREEZE);
    assert_eq!(agent.process.end(Signal::TERM), Some(0));
    agent.process.log_until("at the end");
}

#[test]
fn a_trim_tells_of_each_file_system() {
    let agent = Agent::start(&[]);
    let request = r#"{"execute": "guest-fstrim", "arguments": {"minimum": 65536}}"#;
    let answer: Value = serde_json::from_str(&agent.play(request)).unwrap();
    let expected: Vec<_> = listed(&agent)
        .iter()
        .map(|filesystem| json!({"minimum": 65536, "path": filesystem["mountpoint"], "trimmed": 0}))
        .collect();
    assert_eq!(answer["return"]["paths"], json!(expected));
}

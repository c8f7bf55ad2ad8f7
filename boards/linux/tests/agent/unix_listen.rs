//! `--method unix-listen`: clients come and go, the agent stays.
//!
//! What qemu-ga does is played at the real one too, by `cargo xtask conformance`; here is what
//! takes more than one client.

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::os::unix::net::UnixListener;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;

use crate::listener::Agent;
use crate::process::{command, outcome};

const INFO: &str = r#"{"execute": "guest-info"}"#;
/// So many requests fit in the socket when written at once, and their answers do not.
const FLOOD: usize = 2_000;

fn sync(id: u32) -> String {
    format!(r#"{{"execute": "guest-sync", "arguments": {{"id": {id}}}}}"#)
}

fn synced(id: u32) -> String {
    format!("{{\"return\": {id}}}\n")
}

#[test]
fn the_parser_outlives_a_client() {
    let agent = Agent::start(&[]);
    let check = |first: &str, answer: &str, second: &str, expected: &str| {
        assert_eq!(agent.play(first), answer, "{first}");
        assert_eq!(agent.play(second), expected, "{first} then {second}");
    };
    // Half an object, half a string, half an escape, half a number.
    check(r#"{"execute":"#, "", r#" "guest-ping"}"#, "{\"return\": {}}\n");
    check(r#"{"execute": "guest-"#, "", r#"ping"}"#, "{\"return\": {}}\n");
    check(r#"{"execute": "guest\u002"#, "", r#"dping"}"#, "{\"return\": {}}\n");
    let half = r#"{"execute": "guest-sync", "arguments": {"id": 12"#;
    check(half, "", "34}}", &synced(1234));
    // A number is complete when another byte comes, whoever sends it.
    let object =
        r#"{"error": {"class": "GenericError", "desc": "QMP input must be a JSON object"}}"#;
    check("17", "", "\n", &format!("{object}\n"));
    // Recovery goes on: the string is skipped, up to the brace.
    let stray = r#"{"error": {"class": "GenericError", "desc": "JSON parse error, stray '@'"}}"#;
    check("@", &format!("{stray}\n"), r#""x" {"execute": "guest-ping"}"#, "{\"return\": {}}\n");
    // After a half message an ordinary request is lost in it.
    check(r#"{"execute": [["#, "", &sync(1), "");
}

#[test]
fn a_client_that_sends_nothing_more_gets_every_answer() {
    let agent = Agent::start(&[]);
    let mut client = agent.connect();
    client.say(&INFO.repeat(FLOOD));
    let answers = client.finish();
    assert_eq!(answers.lines().count(), FLOOD);
    let first = answers.lines().next().unwrap();
    assert!(answers.lines().all(|answer| answer == first), "answers differ");
}

#[test]
fn a_client_that_does_not_read_costs_only_its_own_answers() {
    let mut agent = Agent::start(&[]);
    for read in [0, 1, 1_000] {
        let mut client = agent.connect();
        client.say(&INFO.repeat(FLOOD));
        client.0.read_exact(&mut vec![0; read]).unwrap();
        drop(client);
        assert_eq!(agent.play(&sync(7)), synced(7), "after {read} bytes");
    }
    // With all answers in the socket already, too.
    let mut client = agent.connect();
    client.say(&sync(1));
    client.say(&sync(2));
    assert_eq!(client.hear(), synced(1));
    drop(client);
    assert_eq!(agent.play(&sync(3)), synced(3));
    assert!(agent.process.is_running());
}

#[test]
fn a_second_client_waits_for_the_first() {
    let agent = Agent::start(&[]);
    let mut first = agent.connect();
    first.say(&sync(1));
    assert_eq!(first.hear(), synced(1));

    let mut second = agent.connect();
    second.say(&sync(2));
    first.say(&sync(3));
    assert_eq!(first.hear(), synced(3));
    second.0.set_nonblocking(true).unwrap();
    assert_eq!(second.0.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    second.0.set_nonblocking(false).unwrap();

    drop(first);
    assert_eq!(second.hear(), synced(2));
}

#[test]
fn long_requests() {
    let agent = Agent::start(&[]);
    let ping = |length| format!(r#"{{"execute": "guest-ping", "id": "{}"}}"#, "x".repeat(length));
    let id = "x".repeat(200_000);
    assert_eq!(agent.play(&ping(200_000)), format!("{{\"return\": {{}}, \"id\": \"{id}\"}}\n"));
    let too_long =
        r#"{"error": {"class": "GenericError", "desc": "JSON token size limit exceeded"}}"#;
    let request = ping(300_000) + &sync(5);
    assert_eq!(agent.play(&request), format!("{too_long}\n{}", synced(5)));
}

#[test]
fn lists_of_commands() {
    let disabled = "{\"error\": {\"class\": \"CommandNotFound\", \
                    \"desc\": \"Command guest-ping has been disabled\"}}\n";
    for (list, answer) in [
        ("--block-rpcs=guest-ping,guest-get-time", disabled),
        ("--allow-rpcs=guest-info,guest-shutdown", disabled),
        ("--block-rpcs=guest-get-time", "{\"return\": {}}\n"),
        ("--allow-rpcs=guest-ping,guest-info", "{\"return\": {}}\n"),
    ] {
        let agent = Agent::start(&[list]);
        assert_eq!(agent.play(r#"{"execute": "guest-ping"}"#), answer, "{list}");
        let info = agent.info();
        let commands = info["return"]["supported_commands"].as_array().unwrap();
        let ping = commands.iter().find(|command| command["name"] == "guest-ping").unwrap();
        assert_eq!(ping["enabled"], answer != disabled, "{list}");
    }
}

#[test]
fn a_dry_run_only_logs() {
    let mut agent = Agent::start(&[]);
    for (request, answer, log) in [
        (r#"{"execute": "guest-shutdown"}"#, "", "no shutdown (Powerdown)"),
        (
            r#"{"execute": "guest-shutdown", "arguments": {"mode": "reboot"}}"#,
            "",
            "no shutdown (Reboot)",
        ),
        (
            r#"{"execute": "guest-set-time", "arguments": {"time": 1000}}"#,
            "{\"return\": {}}\n",
            "the time is not set to 1000 ns",
        ),
        (r#"{"execute": "guest-set-time"}"#, "{\"return\": {}}\n", "real-time clock"),
    ] {
        assert_eq!(agent.play(request), answer, "{request}");
        agent.process.log_until(log);
    }
    assert!(agent.process.is_running());
}

#[test]
fn the_time_is_the_machines() {
    let agent = Agent::start(&[]);
    let now = || i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros());
    let before = now().unwrap();
    let answer: Value =
        serde_json::from_str(&agent.play(r#"{"execute": "guest-get-time"}"#)).unwrap();
    let time = answer["return"].as_i64().unwrap();
    assert_eq!(time % 1000, 0);
    assert!((before..=now().unwrap()).contains(&(time / 1000)), "{before} {time}");
}

#[test]
fn a_socket_that_nobody_listens_to_is_replaced() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("agent.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "the standard library cleans up now");
    let agent = Agent::start_at(directory, path, &[]);
    assert_eq!(agent.play(&sync(1)), synced(1));
}

#[test]
fn what_is_not_a_stale_socket_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "kept").unwrap();
    let listened = directory.path().join("listened.sock");
    let _listener = UnixListener::bind(&listened).unwrap();
    for (path, reason) in [
        (file.clone(), "exists and is not a socket"),
        (directory.path().to_owned(), "exists and is not a socket"),
        (listened, "another process listens here"),
        (directory.path().join("missing/agent.sock"), "No such file or directory (os error 2)"),
    ] {
        let found = outcome(command().args(["-m", "unix-listen", "-p"]).arg(&path));
        let expected = format!("tinyqga: {}: {reason}\n", path.display());
        assert_eq!(found, (Some(1), String::new(), expected));
    }
    assert_eq!(fs::read_to_string(file).unwrap(), "kept");
}

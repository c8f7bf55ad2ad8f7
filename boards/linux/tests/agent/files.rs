//! `guest-file-*` with what a corpus cannot hold: long files, pipes, devices, many handles.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::listener::{Agent, Client, error, returned};

fn open(client: &mut Client, path: &str, mode: &str) -> Value {
    returned(client, "guest-file-open", &json!({"path": path, "mode": mode}))
}

fn read(client: &mut Client, handle: &Value, count: u64) -> Value {
    returned(client, "guest-file-read", &json!({"handle": handle, "count": count}))
}

/// What the agent's memory was at most, in bytes.
fn peak(agent: &Agent) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_long_read_takes_little_memory() {
    const LONGEST: u64 = 48 << 20;
    let agent = Agent::start(&[]);
    let file = File::create(agent.directory().join("long")).unwrap();
    file.set_len(LONGEST + 1).unwrap();
    file.write_all_at(b"first", 0).unwrap();
    file.write_all_at(b"last", LONGEST - 4).unwrap();

    let mut client = agent.connect();
    let before = peak(&agent);
    let handle = open(&mut client, "long", "r");
    // 64 MiB of Base64: taken apart without a parser, which is slow without optimization.
    let arguments = json!({"handle": handle, "count": LONGEST});
    client.say(&json!({"execute": "guest-file-read", "arguments": arguments}).to_string());
    let answer = client.hear_line();
    let text = answer
        .strip_prefix(r#"{"return": {"count": 50331648, "buf-b64": "Zmlyc3QA"#)
        .and_then(|text| text.strip_suffix("AABsYXN0\", \"eof\": false}}\n"))
        .unwrap();
    assert_eq!(text.len(), (64 << 20) - 16);
    assert!(text == "A".repeat(text.len()), "a hole is not zero");

    let answer = read(&mut client, &handle, LONGEST);
    assert_eq!(answer, json!({"count": 1, "buf-b64": "AA==", "eof": true}));
    let grown = peak(&agent) - before;
    assert!(grown < 4 << 20, "{grown} bytes more");
}

#[test]
fn a_long_write_is_one_request() {
    let agent = Agent::start(&[]);
    let mut client = agent.connect();
    let handle = open(&mut client, "long", "w");
    let text = "QUJD".repeat(150 * 1024 / 4);
    let arguments = json!({"handle": handle, "buf-b64": text});
    let count = 150 * 1024 / 4 * 3;
    let answer = returned(&mut client, "guest-file-write", &arguments);
    assert_eq!(answer, json!({"count": count, "eof": false}));
    returned(&mut client, "guest-file-close", &json!({"handle": handle}));
    assert_eq!(fs::read(agent.directory().join("long")).unwrap(), b"ABC".repeat(count / 3));

    // What is longer than the buffer for requests writes nothing.
    let handle = open(&mut client, "none", "w");
    let arguments = json!({"handle": handle, "buf-b64": "QUJD".repeat(100_000)});
    assert_eq!(
        error(&mut client, "guest-file-write", &arguments),
        "JSON token size limit exceeded"
    );
    returned(&mut client, "guest-file-close", &json!({"handle": handle}));
    assert_eq!(fs::read(agent.directory().join("none")).unwrap(), b"");
}

#[test]
fn files_that_do_not_tell_their_size() {
    let agent = Agent::start(&[]);
    let mut client = agent.connect();
    for (path, count) in [("/proc/version", 4096), ("/proc/version", 48 << 20)] {
        let handle = open(&mut client, path, "r");
        let answer = read(&mut client, &handle, count);
        let length = fs::read(path).unwrap().len();
        assert_eq!(answer["count"], json!(length), "{path}");
        assert_eq!(answer["eof"], json!(true), "{path}");
    }
    let handle = open(&mut client, "/dev/zero", "r");
    let answer = read(&mut client, &handle, 100_000);
    assert_eq!((answer["count"].as_u64(), answer["eof"].as_bool()), (Some(100_000), Some(false)));
}

#[test]
fn a_pipe_does_not_block() {
    const EMPTY: &str = "failed to read file: Resource temporarily unavailable";
    let agent = Agent::start(&[]);
    let path = agent.directory().join("pipe");
    mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let mut client = agent.connect();

    let arguments = json!({"path": "pipe", "mode": "w"});
    let reason = "failed to open file 'pipe' (mode: 'w'): No such device or address";
    assert_eq!(error(&mut client, "guest-file-open", &arguments), reason);
    // Nobody writes.
    let handle = open(&mut client, "pipe", "r");
    let end = json!({"count": 0, "buf-b64": "", "eof": true});
    assert_eq!(read(&mut client, &handle, 10), end);
    let mut writer = File::options().write(true).open(&path).unwrap();
    let arguments = json!({"handle": handle, "count": 10});
    assert_eq!(error(&mut client, "guest-file-read", &arguments), EMPTY);
    writer.write_all(b"abcdef").unwrap();
    let abc = json!({"count": 3, "buf-b64": "YWJj", "eof": false});
    assert_eq!(read(&mut client, &handle, 3), abc);
    drop(writer);
    let def = json!({"count": 3, "buf-b64": "ZGVm", "eof": true});
    assert_eq!(read(&mut client, &handle, 10), def);
}

#[test]
fn a_new_file_is_for_everybody() {
    let agent = Agent::start(&[]);
    let mut client = agent.connect();
    let old = agent.directory().join("old");
    fs::write(&old, "").unwrap();
    fs::set_permissions(&old, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    for (path, mode, permissions) in
        [("new", "w", 0o666), ("more", "a+", 0o666), ("old", "w", 0o640)]
    {
        open(&mut client, path, mode);
        let metadata = fs::metadata(agent.directory().join(path)).unwrap();
        assert_eq!(metadata.mode() & 0o777, permissions, "{path}");
    }
}

#[test]
fn handles_run_out_and_outlive_clients() {
    let agent = Agent::start(&[]);
    let mut client = agent.connect();
    fs::write(agent.directory().join("file"), "text").unwrap();
    for number in 1000..1064 {
        assert_eq!(open(&mut client, "file", "r"), json!(number));
    }
    // Nothing is emptied for a handle that is not to be had.
    let arguments = json!({"path": "file", "mode": "w"});
    let reason = "failed to open file 'file' (mode: 'w'): Too many open files";
    assert_eq!(error(&mut client, "guest-file-open", &arguments), reason);
    drop(client);

    let mut client = agent.connect();
    let all = json!({"count": 4, "buf-b64": "dGV4dA==", "eof": true});
    assert_eq!(read(&mut client, &json!(1063), 5), all);
    returned(&mut client, "guest-file-close", &json!({"handle": 1000}));
    assert_eq!(open(&mut client, "file", "r"), json!(1064));
}

/// What a client was told is written is in the file when the agent is ended.
#[test]
fn nothing_is_lost_when_the_agent_is_ended() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut agent = Agent::start(&[]);
        let mut client = agent.connect();
        let handle = open(&mut client, "file", "w");
        let arguments = json!({"handle": handle, "buf-b64": "dGV4dA=="});
        returned(&mut client, "guest-file-write", &arguments);
        assert_eq!(agent.process.end(signal), Some(0));
        assert_eq!(fs::read(agent.directory().join("file")).unwrap(), b"text");
    }
}

/// A freeze writes what clients have left in buffers, and cannot tell them that this has failed.
#[test]
fn what_fails_before_a_freeze_is_told_after_it() {
    let agent = Agent::start(&[]);
    let mut client = agent.connect();
    let handle = open(&mut client, "/dev/full", "w");
    let of_file = json!({"handle": handle});
    let text = json!({"handle": handle, "buf-b64": "dGV4dA=="});
    for (command, what) in
        [("guest-file-flush", "flush file"), ("guest-file-close", "close handle")]
    {
        returned(&mut client, "guest-file-write", &text);
        returned(&mut client, "guest-fsfreeze-freeze", &json!({}));
        returned(&mut client, "guest-fsfreeze-thaw", &json!({}));
        let expected = format!("failed to {what}: No space left on device");
        assert_eq!(error(&mut client, command, &of_file), expected);
    }
    returned(&mut client, "guest-file-close", &of_file);
}

#[test]
fn a_file_that_shrinks_while_it_is_sent() {
    let agent = Agent::start(&[]);
    let mut file = File::create(agent.directory().join("long")).unwrap();
    file.set_len(48 << 20).unwrap();
    let mut client = agent.connect();
    let handle = open(&mut client, "long", "r");
    client.say(
        &json!({"execute": "guest-file-read", "arguments": {"handle": handle, "count": 48 << 20}})
            .to_string(),
    );
    // The agent has begun to answer, and the socket holds far less than the answer.
    let begin = client.hear_bytes(1000);
    assert!(begin.starts_with(b"{\"return\": {\"count\": 50331648, \"buf-b64\": \"AAAA"));
    file.set_len(0).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    client.say(r#"{"execute": "guest-ping"}"#);
    let rest = client.finish();
    // The line breaks off, and so is no JSON; it is the only answer to that request.
    let (broken, next) = rest.split_once('\n').unwrap();
    assert!(!broken.contains('"'));
    assert_eq!(next, "{\"return\": {}}\n");
}

//! `guest-exec` and `guest-exec-status`.
//!
//! The cases that start with `qga` are QEMU's own (`tests/unit/test-qga.c`), named as there.

use core::time::Duration;
use std::fs;
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use crate::listener::{Agent, Client, error, returned};
use crate::process::DEADLINE;

/// Between two questions for the same program, as clients do it.
const PAUSE: Duration = Duration::from_millis(10);

fn agent() -> Agent {
    Agent::start(&["--exec"])
}

fn start(client: &mut Client, arguments: &Value) -> Value {
    let answer = returned(client, "guest-exec", arguments);
    assert!(answer["pid"].as_i64().unwrap() > 0, "{answer}");
    answer
}

fn status(client: &mut Client, pid: &Value) -> Value {
    returned(client, "guest-exec-status", pid)
}

/// What is said of the end of a program.
fn end(client: &mut Client, pid: &Value) -> Value {
    let start = Instant::now();
    loop {
        let status = status(client, pid);
        if status["exited"] == json!(true) {
            return status;
        }
        assert_eq!(status, json!({"exited": false}));
        assert!(start.elapsed() < DEADLINE);
        thread::sleep(PAUSE);
    }
}

fn check(arguments: &Value, expected: &Value) {
    let agent = agent();
    let mut client = agent.connect();
    let pid = start(&mut client, arguments);
    assert_eq!(end(&mut client, &pid), *expected, "{arguments}");
    assert_eq!(error(&mut client, "guest-exec-status", &pid), "Invalid parameter 'pid'");
}

const LOOP: &str = "for i in $(seq 2); do echo stdout; echo stderr >&2; done";

#[test]
fn qga_guest_exec() {
    for path in ["/bin/echo", "echo"] {
        check(
            &json!({"path": path, "arg": ["-n", "\" test_str \""], "capture-output": true}),
            &json!({"exited": true, "exitcode": 0, "out-data": "IiB0ZXN0X3N0ciAi", "out-truncated": false}),
        );
    }
}

#[test]
fn qga_guest_exec_separated() {
    let out = "c3Rkb3V0CnN0ZG91dAo=";
    let err = "c3RkZXJyCnN0ZGVycgo=";
    let both = json!({
        "out-data": out,
        "err-data": err,
        "out-truncated": false,
        "err-truncated": false,
    });
    for (capture, expected) in [
        (json!("separated"), both.clone()),
        (json!(true), both.clone()),
        (json!("stdout"), json!({"out-data": out, "out-truncated": false})),
        (json!("stderr"), json!({"err-data": err, "err-truncated": false})),
        (json!("none"), json!({})),
        (json!(false), json!({})),
    ] {
        let mut expected = expected;
        expected["exited"] = json!(true);
        expected["exitcode"] = json!(0);
        check(
            &json!({"path": "/bin/bash", "arg": ["-c", LOOP], "capture-output": capture}),
            &expected,
        );
    }
}

#[test]
fn qga_guest_exec_merged() {
    check(
        &json!({"path": "/bin/bash", "arg": ["-c", LOOP], "capture-output": "merged"}),
        &json!({
            "exited": true,
            "exitcode": 0,
            "out-data": "c3Rkb3V0CnN0ZGVycgpzdGRvdXQKc3RkZXJyCg==",
            "out-truncated": false,
        }),
    );
}

#[test]
fn qga_guest_exec_invalid() {
    let agent = agent();
    let mut client = agent.connect();
    assert_eq!(
        error(&mut client, "guest-exec", &json!({"path": "/bin/invalid-cmd42"})),
        "Guest agent command failed, error was 'Failed to execute child process \
         \u{201C}/bin/invalid-cmd42\u{201D} (No such file or directory)'"
    );
    assert_eq!(
        error(&mut client, "guest-exec-status", &json!({"pid": 0})),
        "Invalid parameter 'pid'"
    );
}

#[test]
fn what_it_is_given_and_how_it_ends() {
    check(
        &json!({"path": "cat", "input-data": "aW5wdXQ=", "capture-output": true}),
        &json!({"exited": true, "exitcode": 0, "out-data": "aW5wdXQ=", "out-truncated": false}),
    );
    check(
        &json!({"path": "env", "env": ["A=1"], "capture-output": true}),
        &json!({"exited": true, "exitcode": 0, "out-data": "QT0xCg==", "out-truncated": false}),
    );
    check(
        &json!({"path": "sh", "arg": ["-c", "kill -TERM $$"]}),
        &json!({"exited": true, "signal": 15}),
    );
    check(&json!({"path": "false"}), &json!({"exited": true, "exitcode": 1}));
}

#[test]
fn long_output_is_kept_up_to_its_limit() {
    const LIMIT: usize = 16 << 20;
    let agent = agent();
    let mut client = agent.connect();
    let text = format!("head -c {} /dev/zero", LIMIT + 1);
    let pid =
        start(&mut client, &json!({"path": "sh", "arg": ["-c", text], "capture-output": "stdout"}));
    let status = end(&mut client, &pid);
    assert_eq!(status["out-truncated"], json!(true));
    let data = status["out-data"].as_str().unwrap();
    assert!(data.len() == LIMIT.div_ceil(3) * 4 && data.starts_with("AAAA"), "{}", data.len());
}

#[test]
fn others_are_served_while_it_runs() {
    let agent = agent();
    let mut client = agent.connect();
    let waits = start(&mut client, &json!({"path": "sleep", "arg": ["60"]}));
    // A program that writes all the time, and one that does not read.
    let writes = start(&mut client, &json!({"path": "yes", "capture-output": true}));
    let input = "AAAA".repeat(30_000);
    let deaf = start(&mut client, &json!({"path": "sleep", "arg": ["60"], "input-data": input}));
    for _ in 0..20 {
        assert_eq!(returned(&mut client, "guest-ping", &json!({})), json!({}));
        for pid in [&waits, &writes, &deaf] {
            assert_eq!(status(&mut client, pid), json!({"exited": false}));
        }
    }
    // It runs while no client is there.
    drop(client);
    let mut client = agent.connect();
    for pid in [&waits, &writes, &deaf] {
        let arguments = json!({"path": "kill", "arg": [pid["pid"].to_string()]});
        let kill = start(&mut client, &arguments);
        assert_eq!(end(&mut client, &kill)["exitcode"], json!(0));
        assert_eq!(end(&mut client, pid)["signal"], json!(15));
    }
}

#[test]
fn a_program_ends_while_nobody_asks() {
    let agent = agent();
    let mut client = agent.connect();
    let path = agent.directory().join("done");
    let arguments = json!({"path": "touch", "arg": [path.to_str().unwrap()]});
    let pid = start(&mut client, &arguments);
    drop(client);
    let start = Instant::now();
    let shown = format!("/proc/{}", pid["pid"]);
    while fs::exists(&shown).unwrap() {
        assert!(start.elapsed() < DEADLINE, "it is not reaped");
        thread::sleep(PAUSE);
    }
    assert!(path.exists());
    let mut client = agent.connect();
    assert_eq!(status(&mut client, &pid), json!({"exited": true, "exitcode": 0}));
}

/// Whoever starts the agent may have the kernel forget how children end.
#[test]
fn a_program_ends_where_ends_were_ignored() {
    let agent = Agent::start_ignoring("CHLD", &["--exec"]);
    let mut client = agent.connect();
    let pid = start(&mut client, &json!({"path": "sh", "arg": ["-c", "exit 3"]}));
    assert_eq!(end(&mut client, &pid), json!({"exited": true, "exitcode": 3}));
}

/// As process 1 has it: a program's own children are the agent's when the program has ended.
#[test]
fn orphans_are_waited_for() {
    const ORPHANS: usize = 100;
    let agent = Agent::start_as_subreaper(&["--exec"]);
    let mut client = agent.connect();
    let script = "for i in $(seq $1); do sleep 0.1 & echo $! >> orphans; done; exit 3";
    let arguments = json!({"path": "sh", "arg": ["-c", script, "sh", ORPHANS.to_string()]});
    let pid = start(&mut client, &arguments);
    assert_eq!(end(&mut client, &pid), json!({"exited": true, "exitcode": 3}));
    let orphans = fs::read_to_string(agent.directory().join("orphans")).unwrap();
    assert_eq!(orphans.lines().count(), ORPHANS);
    let start = Instant::now();
    for orphan in orphans.lines() {
        while fs::exists(format!("/proc/{orphan}")).unwrap() {
            assert!(start.elapsed() < DEADLINE, "{orphan} is not waited for");
            thread::sleep(PAUSE);
        }
    }
}

#[test]
fn an_idle_agent_sleeps_beside_a_program_that_does_nothing() {
    let ticks = |agent: &Agent| -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", agent.process.id())).unwrap();
        let fields: Vec<_> = stat.split(' ').collect();
        fields[13].parse::<u64>().unwrap() + fields[14].parse::<u64>().unwrap()
    };
    let agent = agent();
    let mut client = agent.connect();
    let pid = start(
        &mut client,
        &json!({"path": "sleep", "arg": ["60"], "capture-output": true, "input-data": ""}),
    );
    let before = ticks(&agent);
    thread::sleep(Duration::from_millis(500));
    let busy = ticks(&agent) - before;
    assert!(busy < 10, "{busy} of 50 ticks");
    let arguments = json!({"path": "kill", "arg": [pid["pid"].to_string()]});
    start(&mut client, &arguments);
    assert_eq!(end(&mut client, &pid)["signal"], json!(15));
}

#[test]
fn programs_are_offered_only_when_asked_for() {
    let agent = Agent::start(&[]);
    let mut client = agent.connect();
    for (command, arguments) in
        [("guest-exec", json!({"path": "true"})), ("guest-exec-status", json!({"pid": 1}))]
    {
        let reason = format!("The command {command} has not been found");
        assert_eq!(error(&mut client, command, &arguments), reason);
    }
    drop(client);
    assert!(!agent.info().to_string().contains("guest-exec"));
}

//! The image with an application in it: passwords, keys, programs and a command of its own.
//!
//! The cases that start with `qga-` are QEMU's own (`tests/unit/test-qga.c`), named as there.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::client::Client;
use tests::files::Verdict as _;
use tests::image;
use tests::machine::{Channel, Machine};
use tests::qemu::Launch;

use crate::{Case, launch, with_guest};

pub(crate) const CASES: &[Case] = &[
    Case::new("demonstration/qga-guest-exec", || check(guest_exec)),
    Case::new("demonstration/qga-guest-exec-separated", || check(guest_exec_separated)),
    Case::new("demonstration/qga-guest-exec-invalid", || check(guest_exec_invalid)),
    Case::new("demonstration/outcomes-are-kept", || check(outcomes_are_kept)),
    Case::new("demonstration/identity", || check(identity)),
    Case::new("demonstration/passwords", || check(passwords)),
    Case::new("demonstration/authorized-keys", || check(authorized_keys)),
    Case::new("demonstration/keys-have-room", || check(keys_have_room)),
    Case::new("demonstration/users-that-do-not-exist", || check(nobody)),
    Case::new("demonstration/vendor-command", || check(vendor_command)),
    Case::new("demonstration/offers-more-than-the-appliance", offers_more),
];

/// What only the demonstration offers.
const OFFERED: [&str; 7] = [
    "demonstration-check-password",
    "guest-exec",
    "guest-exec-status",
    "guest-set-user-password",
    "guest-ssh-add-authorized-keys",
    "guest-ssh-get-authorized-keys",
    "guest-ssh-remove-authorized-keys",
];

fn demonstrates() -> Result<Launch> {
    Ok(Launch::new(&image::demonstration()?, Machine::Microvm, Channel::VirtioMmioLegacy))
}

fn check(play: fn(&mut Client) -> Result<()>) -> Result<()> {
    with_guest(demonstrates()?, |_, client| play(client))
}

/// Calls a command that must fail with this text.
fn refused(client: &mut Client, command: &str, arguments: &Value, expected: &str) -> Result<()> {
    let outcome = client.call(command, arguments)?;
    let error = outcome.err().with_context(|| format!("{command} {arguments} is no error"))?;
    ensure!(error.0 == expected, "{command} {arguments}: `{}`, not `{expected}`", error.0);
    Ok(())
}

/// What the application says that the guest is, instead of what the image would.
fn identity(client: &mut Client) -> Result<()> {
    client.expect(
        r#"{"execute":"guest-get-host-name"}"#,
        r#"{"return": {"host-name": "demonstration"}}"#,
    )?;
    let os = client.call("guest-get-osinfo", &json!({})).granted()?;
    ensure!(os["variant-id"] == "demonstration" && os["id"] == "tinyqga", "{os}");
    ensure!(os["pretty-name"] == "a demonstration of tinyqga", "{os}");
    Ok(())
}

fn exec(client: &mut Client, arguments: &Value) -> Result<Value> {
    client.call("guest-exec", arguments).granted()
}

/// What is said of the end of a program, and that it is said once.
fn expect_end(client: &mut Client, arguments: &Value, expected: &Value) -> Result<()> {
    let pid = exec(client, arguments)?;
    ensure!(pid["pid"].as_i64().is_some_and(|pid| pid > 0), "{pid}");
    let status = client.call("guest-exec-status", &pid).granted()?;
    ensure!(status == *expected, "{arguments}: {status}, not {expected}");
    refused(client, "guest-exec-status", &pid, "Invalid parameter 'pid'")
}

fn guest_exec(client: &mut Client) -> Result<()> {
    for (arguments, text) in [
        (json!(["-n", "\" test_str \""]), "IiB0ZXN0X3N0ciAi"),
        (json!(["a", "b"]), "YSBiCg=="),
        (json!([]), "Cg=="),
    ] {
        expect_end(
            client,
            &json!({"path": "/bin/echo", "arg": arguments, "capture-output": true}),
            &json!({"exited": true, "exitcode": 0, "out-data": text, "out-truncated": false}),
        )?;
    }
    let nothing = json!({"exited": true, "exitcode": 0});
    expect_end(client, &json!({"path": "/bin/echo"}), &nothing)
}

/// The script of QEMU's case is a function here.
fn guest_exec_separated(client: &mut Client) -> Result<()> {
    let out = "c3Rkb3V0CnN0ZG91dAo=";
    let err = "c3RkZXJyCnN0ZGVycgo=";
    let both = json!({
        "out-data": out,
        "err-data": err,
        "out-truncated": false,
        "err-truncated": false,
    });
    let merged = "c3Rkb3V0CnN0ZGVycgpzdGRvdXQKc3RkZXJyCg==";
    for (capture, expected) in [
        ("separated", both),
        ("merged", json!({"out-data": merged, "out-truncated": false})),
        ("stdout", json!({"out-data": out, "out-truncated": false})),
        ("stderr", json!({"err-data": err, "err-truncated": false})),
        ("none", json!({})),
    ] {
        let mut expected = expected;
        expected["exited"] = json!(true);
        expected["exitcode"] = json!(0);
        expect_end(client, &json!({"path": "streams", "capture-output": capture}), &expected)?;
    }
    Ok(())
}

fn guest_exec_invalid(client: &mut Client) -> Result<()> {
    for path in ["/bin/invalid-cmd42", "/bin/echo ", "echo", ""] {
        let text = format!(
            "Guest agent command failed, error was 'Failed to execute child process \
             \u{201c}{path}\u{201d} (No such file or directory)'"
        );
        refused(client, "guest-exec", &json!({"path": path}), &text)?;
    }
    refused(client, "guest-exec-status", &json!({"pid": 0}), "Invalid parameter 'pid'")
}

/// What is longer than its buffer is cut, and said to be; what nobody asks for is forgotten.
fn outcomes_are_kept(client: &mut Client) -> Result<()> {
    const KEPT: usize = 1024;
    let text = "A".repeat(KEPT + 1);
    let pid = exec(
        client,
        &json!({"path": "/bin/echo", "arg": ["-n", text], "capture-output": "stdout"}),
    )?;
    let status = client.call("guest-exec-status", &pid).granted()?;
    let data = status["out-data"].as_str().context("no output")?;
    ensure!(data.len() == KEPT.div_ceil(3) * 4 && data.starts_with("QUFB"), "{status}");
    ensure!(status["out-truncated"] == json!(true), "{status}");

    let oldest = exec(client, &json!({"path": "streams"}))?;
    let mut newest = oldest.clone();
    for _ in 0..100 {
        newest = exec(client, &json!({"path": "streams"}))?;
    }
    refused(client, "guest-exec-status", &oldest, "Invalid parameter 'pid'")?;
    let status = client.call("guest-exec-status", &newest).granted()?;
    ensure!(status == json!({"exited": true, "exitcode": 0}), "{status}");
    Ok(())
}

/// "secret"
const SECRET: &str = "c2VjcmV0";

fn password(user: &str, base64: &str, crypted: bool) -> Value {
    json!({"username": user, "password": base64, "crypted": crypted})
}

fn has_password(client: &mut Client, password: &str) -> Result<bool> {
    let arguments = json!({"username": "operator", "password": password});
    let answer = client.call("demonstration-check-password", &arguments).granted()?;
    answer.as_bool().with_context(|| answer.to_string())
}

fn passwords(client: &mut Client) -> Result<()> {
    const SET: &str = "guest-set-user-password";
    const FAILED: &str = "child process has failed to set user password";
    ensure!(!has_password(client, "")?, "there is a password from the start");
    for (arguments, text) in [
        (password("operator", "!", false), "Base64 data contains invalid characters".to_owned()),
        // "two\nlines"
        (
            password("operator", "dHdvCmxpbmVz", false),
            "forbidden characters in raw password".to_owned(),
        ),
        (password("oper:ator", SECRET, false), "forbidden characters in username".to_owned()),
        // "$6$salt$hash": nothing here could compare with it.
        (
            password("operator", "JDYkc2FsdCRoYXNo", true),
            format!("{FAILED}: Operation not supported"),
        ),
        (password("root", SECRET, false), format!("{FAILED}: No such file or directory")),
        (password("operator", &"QUFB".repeat(22), false), format!("{FAILED}: Invalid argument")),
    ] {
        refused(client, SET, &arguments, &text)?;
    }
    ensure!(!has_password(client, "secret")?, "an error has set a password");

    ensure!(client.call(SET, &password("operator", SECRET, false)).granted()? == json!({}));
    ensure!(has_password(client, "secret")? && !has_password(client, "secre")?);
    // "other", as Proxmox VE sends it: with a line feed in the text.
    client.call(SET, &password("operator", "b3RoZXI=\n", false)).granted()?;
    ensure!(has_password(client, "other")? && !has_password(client, "secret")?);
    Ok(())
}

fn change(client: &mut Client, what: &str, keys: &[&str], reset: Option<bool>) -> Result<()> {
    let mut arguments = json!({"username": "operator", "keys": keys});
    if let Some(reset) = reset {
        arguments["reset"] = json!(reset);
    }
    let answer = client.call(&format!("guest-ssh-{what}-authorized-keys"), &arguments).granted()?;
    ensure!(answer == json!({}), "{answer}");
    Ok(())
}

fn expect_keys(client: &mut Client, expected: &[&str]) -> Result<()> {
    let arguments = json!({"username": "operator"});
    let found = client.call("guest-ssh-get-authorized-keys", &arguments).granted()?;
    ensure!(found == json!({"keys": expected}), "{found}, not {expected:?}");
    Ok(())
}

fn authorized_keys(client: &mut Client) -> Result<()> {
    expect_keys(client, &[])?;
    change(client, "remove", &["algo key1"], None)?;
    change(client, "add", &["algo key2"], None)?;
    // Those that are there already, or twice in the request, are not added again.
    change(client, "add", &["algo key1", "algo key2", "algo key1"], Some(false))?;
    expect_keys(client, &["algo key2", "algo key1"])?;
    change(client, "remove", &["algo key2", "algo key3"], None)?;
    expect_keys(client, &["algo key1"])?;
    change(client, "add", &["algo key3"], Some(true))?;
    expect_keys(client, &["algo key3"])?;
    for key in ["# a comment", "two\nlines"] {
        for what in ["add", "remove"] {
            let arguments = json!({"username": "operator", "keys": ["algo key4", key]});
            let text = format!("invalid OpenSSH public key: '{key}'");
            refused(client, &format!("guest-ssh-{what}-authorized-keys"), &arguments, &text)?;
        }
    }
    expect_keys(client, &["algo key3"])
}

/// Keys that do not all fit are not added at all.
fn keys_have_room(client: &mut Client) -> Result<()> {
    const LONGEST: usize = 1024;
    const COUNT: usize = 8;
    let longest = "k".repeat(LONGEST);
    let some: Vec<String> = (1..COUNT).map(|index| format!("algo key{index}")).collect();
    let mut keys: Vec<&str> = some.iter().map(String::as_str).collect();
    change(client, "add", &keys, None)?;
    let too_long = "k".repeat(LONGEST + 1);
    for more in [[too_long.as_str()].as_slice(), &["algo a", "algo b"]] {
        let arguments = json!({"username": "operator", "keys": more});
        let text = "failed to write to '~operator/.ssh/authorized_keys': No space left on device";
        refused(client, "guest-ssh-add-authorized-keys", &arguments, text)?;
        expect_keys(client, &keys)?;
    }
    keys.push(&longest);
    change(client, "add", &[&longest], None)?;
    expect_keys(client, &keys)
}

fn nobody(client: &mut Client) -> Result<()> {
    for (what, keys) in [("get", None), ("add", Some(["key"])), ("remove", Some(["key"]))] {
        let mut arguments = json!({"username": "no-such-user-42"});
        if let Some(keys) = keys {
            arguments["keys"] = json!(keys);
        }
        let text = "failed to lookup user 'no-such-user-42': Success";
        refused(client, &format!("guest-ssh-{what}-authorized-keys"), &arguments, text)?;
    }
    Ok(())
}

/// It is checked and answered as the others are; that a password is right, passwords show.
fn vendor_command(client: &mut Client) -> Result<()> {
    const COMMAND: &str = "demonstration-check-password";
    for (arguments, text) in [
        (json!({"password": "x"}), "Parameter 'username' is missing"),
        (
            json!({"username": 1, "password": "x"}),
            "Invalid parameter type for 'username', expected: string",
        ),
        (
            json!({"username": "operator", "password": "x", "more": 1}),
            "Parameter 'more' is unexpected",
        ),
        (json!({"username": "root", "password": "x"}), "there is no such user"),
    ] {
        refused(client, COMMAND, &arguments, text)?;
    }
    client.expect(
        &format!(
            r#"{{"execute":"{COMMAND}","arguments":{{"username":"operator","password":"x"}},"id":1}}"#
        ),
        r#"{"return": false, "id": 1}"#,
    )
}

/// The commands that are offered.
fn offered(launch: Launch) -> Result<Vec<String>> {
    let mut names = Vec::new();
    with_guest(launch, |_, client| {
        let info = client.call("guest-info", &json!({})).granted()?;
        for entry in info["supported_commands"].as_array().context("no list")? {
            names.push(entry["name"].as_str().context("no name")?.to_owned());
        }
        Ok(())
    })?;
    names.sort();
    Ok(names)
}

fn offers_more() -> Result<()> {
    let usual = offered(launch()?)?;
    let mut expected = usual.clone();
    expected.extend(OFFERED.map(str::to_owned));
    expected.sort();
    let found = offered(demonstrates()?)?;
    ensure!(found == expected, "{found:?}, not {expected:?}");
    with_guest(launch()?, |_, client| {
        for command in OFFERED {
            ensure!(!usual.iter().any(|name| name == command), "{command} is offered");
            let text = format!("The command {command} has not been found");
            refused(client, command, &json!({}), &text)?;
        }
        Ok(())
    })
}

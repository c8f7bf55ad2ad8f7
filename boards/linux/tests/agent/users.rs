//! `guest-set-user-password` and `guest-ssh-*`, for the users of a folder that stands for a system.

use std::fs;
use std::path::Path;

use rustix::process::{getgid, getuid};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::listener::{Agent, Client, error, returned};

const COMMANDS: [&str; 4] = [
    "guest-set-user-password",
    "guest-ssh-get-authorized-keys",
    "guest-ssh-add-authorized-keys",
    "guest-ssh-remove-authorized-keys",
];

const SHADOW: &str = "root:*:19000:0:99999:7:::\noperator:!:19000:0:99999:7:::\n";

/// A system whose user `operator` is the one that runs the tests.
fn system() -> TempDir {
    let root = TempDir::new().unwrap();
    fs::create_dir_all(root.path().join("home/operator")).unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    let passwd = format!("operator:x:{uid}:{gid}::/home/operator:/bin/sh\n");
    fs::write(root.path().join("etc/passwd"), passwd).unwrap();
    fs::write(root.path().join("etc/shadow"), SHADOW).unwrap();
    root
}

/// An agent that changes the users of the system at `root`, and can change nothing else.
fn agent(root: &Path) -> Agent {
    Agent::start_in_earnest(&["-a", &COMMANDS.join(","), "--root", root.to_str().unwrap()])
}

fn password(user: &str, base64: &str, crypted: bool) -> Value {
    json!({"username": user, "password": base64, "crypted": crypted})
}

fn keys(client: &mut Client) -> Value {
    returned(client, "guest-ssh-get-authorized-keys", &json!({"username": "operator"}))
}

#[test]
fn passwords() {
    const SET: &str = "guest-set-user-password";
    let root = system();
    let agent = agent(root.path());
    let mut client = agent.connect();
    let shadow = || fs::read_to_string(root.path().join("etc/shadow")).unwrap();
    for (arguments, reason) in [
        (password("operator", "!", false), "Base64 data contains invalid characters"),
        // "two\nlines", and a newline in a crypted one.
        (password("operator", "dHdvCmxpbmVz", false), "forbidden characters in raw password"),
        (password("operator", "JDYkCg==", true), "forbidden characters in raw password"),
        (password("oper:ator", "c2VjcmV0", false), "forbidden characters in username"),
        (password("oper\nator", "c2VjcmV0", false), "forbidden characters in username"),
    ] {
        assert_eq!(error(&mut client, SET, &arguments), reason, "{arguments}");
    }
    for arguments in [
        password("nobody", "c2VjcmV0", false),
        // "a:b"
        password("operator", "YTpi", true),
    ] {
        let reason = error(&mut client, SET, &arguments);
        assert!(reason.starts_with("child process has failed to set user password"), "{reason}");
    }
    assert_eq!(shadow(), SHADOW);

    // "$6$salt$hash"
    returned(&mut client, SET, &password("operator", "JDYkc2FsdCRoYXNo", true));
    assert!(shadow().contains("\noperator:$6$salt$hash:"), "{}", shadow());
    // As Proxmox VE sends it, with a line feed in the text.
    returned(&mut client, SET, &password("operator", "c2VjcmV0\n", false));
    assert!(shadow().contains("\noperator:$6$rounds=5000$"), "{}", shadow());
    assert!(shadow().starts_with("root:*:19000:0:99999:7:::\n"), "{}", shadow());
}

#[test]
fn authorized_keys() {
    let root = system();
    let agent = agent(root.path());
    let mut client = agent.connect();
    let change = |client: &mut Client, what: &str, keys: &[&str], reset: Option<bool>| {
        let mut arguments = json!({"username": "operator", "keys": keys});
        if let Some(reset) = reset {
            arguments["reset"] = json!(reset);
        }
        let command = format!("guest-ssh-{what}-authorized-keys");
        assert_eq!(returned(client, &command, &arguments), json!({}), "{arguments}");
    };
    let get = json!({"username": "operator"});
    let reason = error(&mut client, "guest-ssh-get-authorized-keys", &get);
    assert!(reason.ends_with("No such file or directory"), "{reason}");

    change(&mut client, "remove", &["algo key"], None);
    change(&mut client, "add", &["algo key2"], None);
    assert_eq!(keys(&mut client), json!({"keys": ["algo key2"]}));
    change(&mut client, "add", &["algo key1", "algo key2", "algo key1"], Some(false));
    assert_eq!(keys(&mut client), json!({"keys": ["algo key2", "algo key1"]}));
    change(&mut client, "remove", &["algo key2", "algo key3"], None);
    assert_eq!(keys(&mut client), json!({"keys": ["algo key1"]}));
    change(&mut client, "add", &["algo key3"], Some(true));
    assert_eq!(keys(&mut client), json!({"keys": ["algo key3"]}));
    change(&mut client, "add", &[], Some(true));
    assert_eq!(keys(&mut client), json!({"keys": []}));

    for key in ["# comment", "two\nlines"] {
        for what in ["add", "remove"] {
            let arguments = json!({"username": "operator", "keys": ["good", key]});
            let command = format!("guest-ssh-{what}-authorized-keys");
            let reason = format!("invalid OpenSSH public key: '{key}'");
            assert_eq!(error(&mut client, &command, &arguments), reason);
        }
    }
    assert_eq!(keys(&mut client), json!({"keys": []}));
}

#[test]
fn users_that_do_not_exist() {
    let root = system();
    let agent = agent(root.path());
    let mut client = agent.connect();
    for (what, keys) in [("get", None), ("add", Some(["key"])), ("remove", Some(["key"]))] {
        let mut arguments = json!({"username": "no-such-user-42"});
        if let Some(keys) = keys {
            arguments["keys"] = json!(keys);
        }
        let command = format!("guest-ssh-{what}-authorized-keys");
        let reason = "failed to lookup user 'no-such-user-42': Success";
        assert_eq!(error(&mut client, &command, &arguments), reason);
    }
}

#[test]
fn where_there_are_no_users_nothing_is_offered() {
    let root = TempDir::new().unwrap();
    let agent = Agent::start(&["--root", root.path().to_str().unwrap()]);
    let info = agent.info().to_string();
    assert!(info.contains("guest-ping"));
    for command in COMMANDS {
        assert!(!info.contains(command), "{command}");
    }
}

//! What the appliance is called, and which commands its host leaves it: the kernel command line.
//!
//! The cases that start with `qga-` are QEMU's own (`tests/unit/test-qga.c`), named as there.

use anyhow::{Result, ensure};
use serde_json::json;
use tests::files::Verdict as _;

use crate::{Appliance, Case, EverywhereCase, launch, with_guest};

pub(crate) const EVERYWHERE: &[EverywhereCase] = &[
    EverywhereCase::new("identity", identity),
    EverywhereCase::new("qga-blockedrpcs", blocked)
        .prepared(|launch| launch.more_command_line("agent.block=guest-ping,guest-get-time")),
    EverywhereCase::new("qga-allowedrpcs", allowed).prepared(|launch| {
        // The harness shakes hands before it asks.
        launch.more_command_line("agent.allow=guest-ping,guest-get-time,guest-sync-delimited")
    }),
];

pub(crate) const CASES: &[Case] = &[Case::new("identity-told", told)];

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn identity(appliance: &mut Appliance) -> Result<()> {
    let mut client = appliance.guest.connect_when_up()?;
    let info = client.call("guest-get-osinfo", &json!({})).granted()?;
    let expected = json!({
        "id": "tinyqga", "name": "tinyqga", "pretty-name": format!("tinyqga {VERSION}"),
        "version": VERSION, "version-id": VERSION, "variant-id": "appliance",
        "kernel-release": VERSION, "machine": "x86_64",
    });
    ensure!(info == expected, "{info}\n  not\n{expected}");
    for (command, expected) in [
        ("guest-get-host-name", json!({"host-name": "tinyqga"})),
        ("guest-get-timezone", json!({"zone": "UTC", "offset": 0})),
        ("guest-get-users", json!([])),
    ] {
        let answer = client.call(command, &json!({})).granted()?;
        ensure!(answer == expected, "{command}: {answer}");
    }
    Ok(())
}

fn told() -> Result<()> {
    let words =
        "agent.host_name=files agent.os.pretty_name=\"Files OS 3\" agent.timezone=CET+01:00";
    with_guest(launch()?.more_command_line(words), |_, client| {
        let info = client.call("guest-get-osinfo", &json!({})).granted()?;
        ensure!(info["pretty-name"] == "Files OS 3" && info["id"] == "tinyqga", "{info}");
        client.expect(
            r#"{"execute":"guest-get-host-name"}"#,
            r#"{"return": {"host-name": "files"}}"#,
        )?;
        client.expect(
            r#"{"execute":"guest-get-timezone"}"#,
            r#"{"return": {"zone": "CET", "offset": 3600}}"#,
        )
    })
}

fn blocked(appliance: &mut Appliance) -> Result<()> {
    let mut client = appliance.guest.connect_when_up()?;
    for command in ["guest-ping", "guest-get-time"] {
        client.expect(&format!(r#"{{"execute":"{command}"}}"#), &disabled(command))?;
    }
    client.call("guest-get-fsinfo", &json!({})).granted()?;
    Ok(())
}

fn allowed(appliance: &mut Appliance) -> Result<()> {
    let mut client = appliance.guest.connect_when_up()?;
    for command in ["guest-ping", "guest-get-time"] {
        client.call(command, &json!({})).granted()?;
    }
    for command in ["guest-get-fsinfo", "guest-file-open", "guest-info"] {
        client.expect(&format!(r#"{{"execute":"{command}"}}"#), &disabled(command))?;
    }
    Ok(())
}

fn disabled(command: &str) -> String {
    format!(
        "{{\"error\": {{\"class\": \"CommandNotFound\", \"desc\": \"Command {command} has been \
         disabled\"}}}}"
    )
}

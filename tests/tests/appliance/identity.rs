//! What the appliance is called: by itself, and by the kernel command line.

use anyhow::{Result, ensure};
use serde_json::json;
use tests::files::Verdict as _;

use crate::{Appliance, Case, EverywhereCase, launch, with_guest};

pub(crate) const EVERYWHERE: &[EverywhereCase] = &[EverywhereCase::new("identity", identity)];

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

//! The machine in `cargo xtask run`: what the guest tells of it, a processor off and on line, and a
//! sleep.

use std::time::Instant;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tests::client::{ANSWER, Client};
use tests::qemu::Guest;

use crate::run::{show, time};

/// Shown by themselves, where they belong.
const ELSEWHERE: [&str; 2] = ["guest-get-time", "guest-get-fsinfo"];

/// Processors of the machine.
pub(crate) const PROCESSORS: u32 = 2;

/// Asks all that the guest offers to tell, and has it do what can be seen from outside.
pub(crate) fn play(client: &mut Client, guest: &mut Guest) -> Result<()> {
    let info: Value = serde_json::from_str(&client.ask(r#"{"execute":"guest-info"}"#)?)?;
    let offered = info["return"]["supported_commands"].as_array().context("a list")?;
    let offered: Vec<&str> =
        offered.iter().rev().filter_map(|command| command["name"].as_str()).collect();
    println!("\nthe machine, as the guest tells it");
    for command in &offered {
        if command.starts_with("guest-get-") && !ELSEWHERE.contains(command) {
            ask(client, &format!("{{\"execute\":\"{command}\"}}"))?;
        }
    }
    if offered.contains(&"guest-set-vcpus") {
        for online in [false, true] {
            let vcpus = json!([{"logical-id": 1, "online": online}]);
            let arguments = json!({"vcpus": vcpus});
            ask(
                client,
                &json!({"execute": "guest-set-vcpus", "arguments": arguments}).to_string(),
            )?;
        }
    }
    if offered.contains(&"guest-suspend-ram") {
        sleep(client, guest)?;
    }
    Ok(())
}

fn ask(client: &mut Client, request: &str) -> Result<()> {
    let (reply, took) = client.ask_timed(request)?;
    show(
        request.split('"').find(|word| word.starts_with("guest-")).unwrap_or_default(),
        took,
        request,
        &reply,
    );
    Ok(())
}

/// Suspends the guest and wakes it up.
fn sleep(client: &mut Client, guest: &mut Guest) -> Result<()> {
    let request = "{\"execute\":\"guest-suspend-ram\"}";
    client.send(format!("{request}\n"))?;
    let started = Instant::now();
    guest.qmp().event("SUSPEND", ANSWER)?;
    show("guest-suspend-ram", started.elapsed(), request, "(no reply, as qemu-ga)\n");
    let started = Instant::now();
    guest.qmp().execute("system_wakeup", &json!({}))?;
    client.sync_delimited(ANSWER)?;
    println!(
        "\nQEMU has suspended the guest; {} from system_wakeup to a reply",
        time(started.elapsed())
    );
    Ok(())
}

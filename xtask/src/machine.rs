//! The machine in `cargo xtask run`: what the guest tells of it, a processor off and on line, and a
//! sleep.

use std::time::Instant;

use anyhow::Result;
use serde_json::json;
use tests::client::ANSWER;
use tests::qemu::Guest;

use crate::stage::{Stage, time};

/// Shown by itself, where it belongs.
const ELSEWHERE: &str = "guest-get-time";

/// Processors of the machine.
pub(crate) const PROCESSORS: u32 = 2;

/// Asks all that the guest offers to tell, and has it do what can be seen from outside.
pub(crate) fn play(stage: &mut Stage, guest: &mut Guest) -> Result<()> {
    let offered = stage.offered()?;
    let offers = |command: &str| offered.iter().any(|name| name == command);
    println!("\nthe machine, as the guest tells it");
    for command in &offered {
        if command.starts_with("guest-get-") && command != ELSEWHERE {
            stage.ask_for(command)?;
        }
    }
    if offers("guest-set-vcpus") {
        for online in [false, true] {
            let vcpus = json!([{"logical-id": 1, "online": online}]);
            stage.ask_with("guest-set-vcpus", &json!({"vcpus": vcpus}))?;
        }
    }
    if offers("guest-set-memory-blocks") {
        let blocks = json!([{"phys-index": 0, "online": true}, {"phys-index": 0, "online": false}]);
        stage.ask_with("guest-set-memory-blocks", &json!({"mem-blks": blocks}))?;
    }
    if offers("guest-suspend-ram") {
        sleep(stage, guest)?;
    }
    Ok(())
}

/// Suspends the guest and wakes it up.
fn sleep(stage: &mut Stage, guest: &mut Guest) -> Result<()> {
    let request = "{\"execute\":\"guest-suspend-ram\"}";
    stage.client.send(format!("{request}\n"))?;
    let started = Instant::now();
    guest.qmp().event("SUSPEND", ANSWER)?;
    stage.show(started.elapsed(), request, "(no reply, as qemu-ga)\n");
    let started = Instant::now();
    guest.qmp().execute("system_wakeup", &json!({}))?;
    stage.client.sync_delimited(ANSWER)?;
    println!(
        "\nQEMU has suspended the guest; {} from system_wakeup to a reply",
        time(started.elapsed())
    );
    Ok(())
}

//! agent.block and agent.allow on the kernel command line: qemu-ga's block and allow lists.
//!
//! The cases that start with `qga/` are QEMU's own (`tests/unit/test-qga.c`), named as there; they
//! ask for guest-get-fsinfo where this asks for guest-sync, which every image has.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tests::client::Client;
use tests::files::Verdict as _;
use tests::image::Image;
use tests::machine::{Channel, Machine};
use tests::qemu::{Guest, Launch};

use crate::{Case, Setup};

pub(crate) const CASES: &[Case] = &[
    Case::new("qga/blockedrpcs", blocked)
        .only_where(once_an_image)
        .prepared(|launch| with(launch, "agent.block=guest-ping,guest-get-time")),
    Case::new("qga/allowedrpcs", allowed)
        .only_where(once_an_image)
        .prepared(|launch| with(launch, &format!("agent.allow={ALLOWED}"))),
    Case::new("policy/in-quotes", blocked)
        .only_where(once_an_image)
        .prepared(|launch| with(launch, r#""agent.block=guest-ping,guest-get-time" quiet"#)),
    Case::new("policy/empty-block-list", everything)
        .only_where(once_an_image)
        .prepared(|launch| with(launch, "agent.block=")),
    Case::new("policy/last-one-counts", blocked).only_where(once_an_image).prepared(|launch| {
        with(launch, "agent.block=guest-info agent.block=guest-ping,guest-get-time")
    }),
    Case::new("policy/empty-allow-list", nothing)
        .only_where(once_an_image)
        .prepared(|launch| with(launch, "agent.allow=")),
    Case::new("policy/both-lists", nothing)
        .only_where(once_an_image)
        .prepared(|launch| with(launch, "agent.allow=guest-ping agent.block=guest-info")),
    Case::new("policy/after-a-long-line", blocked).only_where(once_an_image).prepared(|launch| {
        // The longest that QEMU passes, with the list at its end.
        let list = "agent.block=guest-ping,guest-get-time";
        let rest = LONGEST_LINE - list.len() - "agent.channel=virtio  ".len();
        with(launch, &format!("{} {list}", "x".repeat(rest)))
    }),
    // What is no command's name is of no effect.
    Case::new("policy/not-ascii", blocked).only_where(once_an_image).prepared(|launch| {
        with(launch, "agent.block=guest-ping,gu\u{eb}st-info,,guest-get-time,nope")
    }),
];

/// Bytes of the longest kernel command line that QEMU's start-up code passes to a PVH kernel.
const LONGEST_LINE: usize = 4095;

const BLOCKED: [&str; 2] = ["guest-ping", "guest-get-time"];

/// A client's handshake has to be on an allow list, too; and guest-info, to look at it.
const ALLOWED: &str = "guest-ping,guest-get-time,guest-sync-delimited,guest-info";

/// Policy does not depend on the machine or the channel.
fn once_an_image(setup: Setup) -> bool {
    match setup.image {
        Image::Uart => setup.machine == Machine::Microvm,
        _ => (setup.machine, setup.channel) == (Machine::Microvm, Channel::VirtioMmioLegacy),
    }
}

fn with(launch: Launch, words: &str) -> Launch {
    launch.more_command_line(words)
}

/// Every command, with whether it is enabled.
fn commands(client: &mut Client) -> Result<Vec<(String, bool)>> {
    let info = client.call("guest-info", &json!({})).granted()?;
    let list = info["supported_commands"].as_array().context("no list")?;
    let command = |entry: &serde_json::Value| {
        let name = entry["name"].as_str().context("no name")?.to_owned();
        Ok((name, entry["enabled"].as_bool().context("no enabled")?))
    };
    list.iter().map(command).collect()
}

fn expect_disabled(client: &mut Client, command: &str) -> Result<()> {
    client.expect(
        &format!(r#"{{"execute":"{command}"}}"#),
        &format!(
            "{{\"error\": {{\"class\": \"CommandNotFound\", \"desc\": \"Command {command} has \
             been disabled\"}}}}"
        ),
    )
}

fn blocked(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    for (name, enabled) in commands(&mut client)? {
        ensure!(enabled != BLOCKED.contains(&name.as_str()), "{name}: {enabled}");
    }
    for command in BLOCKED {
        expect_disabled(&mut client, command)?;
    }
    client.expect(r#"{"execute":"guest-sync","arguments":{"id":1}}"#, r#"{"return": 1}"#)
}

fn allowed(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    let is_allowed = |command: &str| ALLOWED.split(',').any(|name| name == command);
    for (name, enabled) in commands(&mut client)? {
        ensure!(enabled == is_allowed(&name), "{name}: {enabled}");
    }
    client.expect(r#"{"execute":"guest-ping"}"#, r#"{"return": {}}"#)?;
    client.call("guest-get-time", &json!({})).granted()?;
    expect_disabled(&mut client, "guest-sync")?;
    expect_disabled(&mut client, "guest-shutdown")
}

fn everything(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    let commands = commands(&mut client)?;
    ensure!(commands.iter().all(|(_, enabled)| *enabled), "{commands:?}");
    Ok(())
}

/// Not even the handshake; but there is an agent that says so.
fn nothing(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect()?;
    let refused = b"Command guest-sync-delimited has been disabled\"}}\n";
    tests::deadline::Deadline::within(tests::client::BOOT).await_some("a refusal", || {
        client.send("\n{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":1}}\n")?;
        Ok(client.through(refused, core::time::Duration::from_secs(2)).ok())
    })?;
    // On a UART some of the tries may still be under way.
    client.send("{\"execute\":\"guest-info\"}\n")?;
    let refused = b"Command guest-info has been disabled\"}}\n";
    client.through(refused, tests::client::ANSWER).map(|_| ())
}

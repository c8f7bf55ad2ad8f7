//! Freeze, a backup of the disk while it is in use, thaw; and the watchdog.

use core::time::Duration;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::client::Client;
use tests::deadline::Deadline;
use tests::disk::{Disk, Drive, Format};
use tests::files::Verdict as _;

use crate::{Appliance, Case, EverywhereCase, launch, with_guest};

pub(crate) const EVERYWHERE: &[EverywhereCase] = &[
    EverywhereCase::new("freeze", freeze),
    EverywhereCase::new("freeze-list", freeze_list),
    EverywhereCase::new("watchdog", watchdog)
        .prepared(|launch| launch.more_command_line("agent.freeze_timeout=1")),
];

pub(crate) const CASES: &[Case] = &[Case::new("backup-of-live-disk", backup)];

/// What may be called while frozen (qemu-ga's `ga_freeze_whitelist`).
const ALLOWED: [&str; 6] = [
    "guest-ping",
    "guest-info",
    "guest-sync",
    "guest-sync-delimited",
    "guest-fsfreeze-status",
    "guest-fsfreeze-thaw",
];

/// guest-info's commands, with whether each is enabled.
fn commands(client: &mut Client) -> Result<Vec<(String, bool)>> {
    let info = client.call("guest-info", &json!({})).granted()?;
    let list = info["supported_commands"].as_array().context("no list")?;
    let command = |entry: &Value| {
        let name = entry["name"].as_str().context("no name")?.to_owned();
        Ok((name, entry["enabled"].as_bool().context("no enabled")?))
    };
    list.iter().map(command).collect()
}

fn expect_status(client: &mut Client, status: &str) -> Result<()> {
    client.expect(r#"{"execute":"guest-fsfreeze-status"}"#, &format!(r#"{{"return": "{status}"}}"#))
}

fn freeze(appliance: &mut Appliance) -> Result<()> {
    let mut client = appliance.guest.connect_when_up()?;
    let handle = client.open("log", "w").granted()?;
    client.write(handle, b"before").granted()?;
    expect_status(&mut client, "thawed")?;
    let thawed = commands(&mut client)?;
    ensure!(thawed.iter().all(|(_, enabled)| *enabled), "not all enabled: {thawed:?}");
    for needed in ["guest-file-open", "guest-fstrim", "guest-set-time", "guest-shutdown"] {
        ensure!(thawed.iter().any(|(name, _)| name == needed), "{needed} is missing: {thawed:?}");
    }

    client.expect(r#"{"execute":"guest-fsfreeze-freeze"}"#, r#"{"return": 1}"#)?;
    expect_status(&mut client, "frozen")?;
    for (name, enabled) in commands(&mut client)? {
        let is_allowed = ALLOWED.contains(&name.as_str());
        ensure!(enabled == is_allowed, "guest-info says of {name}: {enabled}");
        if !is_allowed {
            client.expect(
                &format!(r#"{{"execute":"{name}","arguments":{{"x":1}}}}"#),
                &format!(
                    "{{\"error\": {{\"class\": \"CommandNotFound\", \"desc\": \"Command {name} \
                     has been disabled: the agent is in frozen state\"}}}}"
                ),
            )?;
        }
    }
    client.expect(r#"{"execute":"guest-ping"}"#, r#"{"return": {}}"#)?;
    client.expect(r#"{"execute":"guest-sync","arguments":{"id":5}}"#, r#"{"return": 5}"#)?;
    client.sync_delimited(tests::client::ANSWER)?;

    client.expect(r#"{"execute":"guest-fsfreeze-thaw"}"#, r#"{"return": 1}"#)?;
    client.expect(r#"{"execute":"guest-fsfreeze-thaw"}"#, r#"{"return": 0}"#)?;
    expect_status(&mut client, "thawed")?;
    ensure!(commands(&mut client)? == thawed, "not all commands are back");
    // The file is still open, where it was.
    client.write(handle, b" and after").granted()?;
    client.close(handle).granted()?;
    let contents = appliance.contents(&mut client, "log")?;
    ensure!(contents == b"before and after", "`{}`", contents.escape_ascii());
    Ok(())
}

fn freeze_list(appliance: &mut Appliance) -> Result<()> {
    let mut client = appliance.guest.connect_when_up()?;
    for (mountpoints, frozen) in
        [(r"[]", 0), (r#"["/srv"]"#, 0), (r#"["/srv","/"]"#, 1), (r#"["/","/"]"#, 1)]
    {
        client.expect(
            &format!(
                r#"{{"execute":"guest-fsfreeze-freeze-list","arguments":{{"mountpoints":{mountpoints}}}}}"#
            ),
            &format!(r#"{{"return": {frozen}}}"#),
        )?;
        expect_status(&mut client, if frozen == 0 { "thawed" } else { "frozen" })?;
        client.expect(
            r#"{"execute":"guest-fsfreeze-thaw"}"#,
            &format!(r#"{{"return": {frozen}}}"#),
        )?;
    }
    Ok(())
}

/// Nobody thaws: the guest does, after the second that it was given.
fn watchdog(appliance: &mut Appliance) -> Result<()> {
    const GIVEN: Duration = Duration::from_secs(1);
    const LATE: Duration = Duration::from_secs(3);
    let mut client = appliance.guest.connect_when_up()?;
    let started = Instant::now();
    client.expect(r#"{"execute":"guest-fsfreeze-freeze"}"#, r#"{"return": 1}"#)?;
    // The client goes away, as a host's does that has crashed. Nothing wakes the guest.
    drop(client);
    std::thread::sleep(GIVEN / 2);
    let mut client = appliance.guest.connect()?;
    if started.elapsed() < GIVEN * 8 / 10 {
        expect_status(&mut client, "frozen")?;
    }
    Deadline::within(LATE).await_some("the watchdog to thaw", || {
        let status = client.ask(r#"{"execute":"guest-fsfreeze-status"}"#)?;
        Ok(status.contains("thawed").then_some(()))
    })?;
    let took = started.elapsed();
    ensure!(took >= GIVEN * 9 / 10, "thawed after {took:?}");
    let log = appliance.guest.log();
    ensure!(log.contains("forgotten a freeze"), "it is not in the log:\n{log}");
    client.put_file("f", b"thawed")?;
    client.expect(r#"{"execute":"guest-fsfreeze-thaw"}"#, r#"{"return": 0}"#)
}

/// A copy of the disk, taken from under the running guest, is clean and complete.
fn backup() -> Result<()> {
    for format in [Format::FAT16, Format::FAT32, Format::PARTITIONED] {
        let disk = Disk::formatted(format)?;
        with_guest(launch()?.drive(Drive::of(&disk)), |_, client| {
            let closed: Vec<u8> = (0..=u8::MAX).cycle().take(300_000).collect();
            client.put_file("A closed file.bin", &closed)?;
            // One with bytes that were neither flushed nor closed, one that is being overwritten.
            let open = client.open("open.log", "w").granted()?;
            client.write(open, b"one line\n").granted()?;
            client.put_file("old", b"old contents")?;
            let old = client.open("old", "r+").granted()?;
            client.write(old, b"new").granted()?;

            client.expect(r#"{"execute":"guest-fsfreeze-freeze"}"#, r#"{"return": 1}"#)?;
            let copy = disk.copy()?;
            client.expect(r#"{"execute":"guest-fsfreeze-thaw"}"#, r#"{"return": 1}"#)?;

            copy.expect_clean()?;
            ensure!(copy.get("A closed file.bin")? == closed, "the closed file is another");
            ensure!(copy.get("open.log")? == b"one line\n", "the open file is not complete");
            ensure!(copy.get("old")? == b"new contents", "the changed file is not complete");

            // Life goes on after it.
            client.write(open, b"another\n").granted()?;
            client.close(open).granted()?;
            client.close(old).granted()?;
            ensure!(disk.get("open.log")? == b"one line\nanother\n", "it cannot be written");
            disk.expect_clean()
        })?;
    }
    Ok(())
}

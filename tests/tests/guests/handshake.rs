//! The handshakes of real clients, and the commands that every guest answers.

use core::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tests::client::{ANSWER, BOOT, STRAY_SENTINEL};
use tests::image::Image;
use tests::machine::Machine;
use tests::qemu::{Guest, Launch};

use crate::Case;
use crate::suspend::can_suspend;

pub(crate) const CASES: &[Case] = &[
    Case::new("libvirt", libvirt),
    Case::new("proxmox", proxmox),
    Case::new("sync-delimited", sync_delimited),
    Case::new("commands", commands_of_uart).only_where(|setup| setup.image == Image::Uart),
    Case::new("commands", commands_of_pc).only_where(can_suspend),
    Case::new("commands", commands_of_microvm)
        .only_where(|setup| setup.image == Image::Pc && setup.machine == Machine::Microvm),
    Case::new("split", split),
    Case::new("reconnect", reconnect),
    Case::new("before-boot", before_boot)
        .only_where(|setup| setup.channel.is_virtio())
        .prepared(Launch::paused),
    Case::new("two-mebibytes", commands_of_uart)
        .only_where(|setup| setup.image == Image::Uart)
        .prepared(|launch| launch.memory_mib(2)),
    Case::new("two-mebibytes", commands_of_pc)
        .only_where(can_suspend)
        .prepared(|launch| launch.memory_mib(2)),
    Case::new("two-mebibytes", commands_of_microvm)
        .only_where(|setup| setup.image == Image::Pc && setup.machine == Machine::Microvm)
        .prepared(|launch| launch.memory_mib(2)),
];

/// libvirt waits for the port to be opened by the guest, then syncs without a sentinel.
fn libvirt(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    client.sync_as_libvirt(ANSWER)?;
    client.expect(r#"{"execute":"guest-ping"}"#, r#"{"return": {}}"#)
}

/// Proxmox connects anew for every command.
fn proxmox(guest: &mut Guest) -> Result<()> {
    drop(guest.connect_when_up()?);
    for command in ["guest-ping", "guest-info", "guest-get-time", "guest-ping"] {
        let mut client = guest.connect()?;
        let reply = client.ask_as_proxmox(command)?;
        ensure!(reply.starts_with("{\"return\": "), "{command} was answered `{reply}`");
    }
    Ok(())
}

fn sync_delimited(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    // The sentinel is an error of its own between two messages, as in qemu-ga.
    let skipped = client.sync_delimited(ANSWER)?;
    ensure!(skipped == STRAY_SENTINEL.as_bytes(), "skipped `{}`", skipped.escape_ascii());
    // It throws half a message away.
    client.send(r#"{"execute":"guest-ping","arguments":{"#)?;
    let skipped = client.sync_delimited(ANSWER)?;
    ensure!(skipped == STRAY_SENTINEL.as_bytes(), "skipped `{}`", skipped.escape_ascii());
    // Without a sentinel from the client the reply still carries one, and only that reply.
    client
        .send("{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":-7},\"id\":\"r\"}\n")?;
    let reply = client.line(ANSWER)?;
    ensure!(reply == b"\xff{\"return\": -7, \"id\": \"r\"}\n", "got `{}`", reply.escape_ascii());
    client.expect(r#"{"execute":"guest-ping"}"#, r#"{"return": {}}"#)
}

/// What guest-info must list in every image, in qemu-ga's order: name and success-response.
const COMMANDS: [(&str, bool); 7] = [
    ("guest-shutdown", false),
    ("guest-info", true),
    ("guest-set-time", true),
    ("guest-get-time", true),
    ("guest-ping", true),
    ("guest-sync", true),
    ("guest-sync-delimited", true),
];

/// What the pc image lists before these.
const COMMANDS_OF_PC: [(&str, bool); 13] = [
    ("guest-get-load", true),
    ("guest-get-cpustats", true),
    ("guest-get-devices", true),
    ("guest-get-osinfo", true),
    ("guest-get-timezone", true),
    ("guest-get-users", true),
    ("guest-get-host-name", true),
    ("guest-get-memory-block-info", true),
    ("guest-set-memory-blocks", true),
    ("guest-get-memory-blocks", true),
    ("guest-get-fsinfo", true),
    ("guest-set-vcpus", true),
    ("guest-get-vcpus", true),
];

fn commands_of_uart(guest: &mut Guest) -> Result<()> {
    commands(guest, &COMMANDS)
}

fn commands_of_pc(guest: &mut Guest) -> Result<()> {
    let suspend = [("guest-suspend-ram", false)];
    commands(guest, &[&COMMANDS_OF_PC[..], &suspend, &COMMANDS].concat())
}

/// The machine has no S3.
fn commands_of_microvm(guest: &mut Guest) -> Result<()> {
    commands(guest, &[&COMMANDS_OF_PC[..], &COMMANDS].concat())
}

/// The commands that every image has and the list of all, compared byte by byte.
fn commands(guest: &mut Guest, listed: &[(&str, bool)]) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    for (request, reply) in [
        (r#"{"execute":"guest-sync","arguments":{"id":123456}}"#, r#"{"return": 123456}"#),
        (
            r#"{"execute":"guest-sync","arguments":{"id":-9223372036854775808}}"#,
            r#"{"return": -9223372036854775808}"#,
        ),
        (r#"{"execute":"guest-ping"}"#, r#"{"return": {}}"#),
        (r#"{"execute":"guest-ping","arguments":{}}"#, r#"{"return": {}}"#),
        (r#"{"execute":"guest-ping","id":[1,"a"]}"#, r#"{"return": {}, "id": [1, "a"]}"#),
        (r#"{"execute":"guest-set-time"}"#, r#"{"return": {}}"#),
        (
            r#"{"execute":"guest-set-time","arguments":{"time":1893456000123456789}}"#,
            r#"{"return": {}}"#,
        ),
    ] {
        client.expect(request, reply)?;
    }

    let time = client.ask(r#"{"execute":"guest-get-time"}"#)?;
    let digits = time.strip_prefix("{\"return\": ").and_then(|rest| rest.strip_suffix("}\n"));
    let nanoseconds: i64 = digits.with_context(|| time.clone())?.parse()?;
    // qemu-ga's clock has microseconds.
    ensure!(nanoseconds % 1000 == 0, "{nanoseconds} ns is not a whole number of microseconds");

    let info = client.ask(r#"{"execute":"guest-info"}"#)?;
    let version = info
        .strip_prefix("{\"return\": {\"version\": \"")
        .and_then(|rest| rest.split('"').next())
        .with_context(|| info.clone())?;
    let parts: Vec<&str> = version.split('.').collect();
    ensure!(
        parts.len() == 3 && parts.iter().all(|part| part.parse::<u32>().is_ok()),
        "the version `{version}` is not of the form 1.2.3"
    );
    let listed: Vec<String> = listed
        .iter()
        .map(|(name, responds)| {
            format!("{{\"enabled\": true, \"name\": \"{name}\", \"success-response\": {responds}}}")
        })
        .collect();
    let expected = format!(
        "{{\"return\": {{\"version\": \"{version}\", \"supported_commands\": [{}]}}}}\n",
        listed.join(", ")
    );
    ensure!(info == expected, "guest-info says\n  {info}not\n  {expected}");
    Ok(())
}

/// Messages do not end where writes end.
fn split(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    client.send(concat!(
        r#"{"execute":"guest-sync","arguments":{"id":1}}"#,
        r#"{"execute":"guest-ping"}"#,
        "\r\n\t ",
        r#"{"execute":"guest-sync","arguments":{"id":2}}"#
    ))?;
    for expected in ["{\"return\": 1}\n", "{\"return\": {}}\n", "{\"return\": 2}\n"] {
        let line = client.line(ANSWER)?;
        ensure!(line == expected.as_bytes(), "got `{}`, not `{expected}`", line.escape_ascii());
    }
    for byte in br#"{"execute":"guest-sync","arguments":{"id":3},"id":"\u00e9\n"}"# {
        client.send([*byte])?;
    }
    let line = client.line(ANSWER)?;
    let expected = "{\"return\": 3, \"id\": \"\\u00E9\\n\"}\n";
    ensure!(line == expected.as_bytes(), "got `{}`", line.escape_ascii());
    Ok(())
}

/// A client that goes away in the middle of a message does not harm the next one.
fn reconnect(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    for half in ["{\"execute\":\"guest-pi", "{\"execute\":\"guest-info\"}\n{", "\"", "[1,"] {
        client.send(half)?;
        drop(client);
        client = guest.connect()?;
        client.sync_delimited(ANSWER).with_context(|| format!("after `{half}`"))?;
        client.expect(r#"{"execute":"guest-ping"}"#, r#"{"return": {}}"#)?;
    }
    Ok(())
}

/// A request that waits in the channel before the guest has started is answered.
fn before_boot(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect()?;
    client.send("{\"execute\":\"guest-sync\",\"arguments\":{\"id\":77}}\n")?;
    client.silence(Duration::from_millis(200))?;
    guest.resume()?;
    let reply = client.line(BOOT)?;
    ensure!(reply == b"{\"return\": 77}\n", "got `{}`", reply.escape_ascii());
    Ok(())
}

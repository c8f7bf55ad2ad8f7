//! QEMU's own cases (`tests/unit/test-qga.c`), for the commands that the pc image has, named as there.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::client::ANSWER;
use tests::qemu::Guest;

use crate::{Case, Setup};

pub(crate) const CASES: &[Case] = &[
    Case::new("qga/sync-delimited", sync_delimited).only_where(over_virtio),
    Case::new("qga/sync", sync).only_where(over_virtio),
    Case::new("qga/ping", ping).only_where(over_virtio),
    Case::new("qga/info", info).only_where(over_virtio),
    Case::new("qga/get-fsinfo", get_fsinfo).only_where(over_virtio),
    Case::new("qga/get-time", get_time).only_where(over_virtio),
    Case::new("qga/id", id).only_where(over_virtio),
    Case::new("qga/invalid-oob", invalid_oob).only_where(over_virtio),
    Case::new("qga/invalid-cmd", invalid_cmd).only_where(over_virtio),
    Case::new("qga/invalid-args", invalid_args).only_where(over_virtio),
    Case::new("qga/guest-get-osinfo", get_osinfo)
        .only_where(over_virtio)
        .prepared(|launch| launch.more_command_line(OS_RELEASE)),
    Case::new("qga/guest-get-host-name", get_host_name).only_where(over_virtio),
    Case::new("qga/guest-get-timezone", get_timezone).only_where(over_virtio),
    Case::new("qga/guest-get-users", get_users).only_where(over_virtio),
];

/// QEMU's `test-qga-os-release`, but for a double quote amid a value: the command line has no way to
/// say that.
const OS_RELEASE: &str = "agent.os.id=qemu-ga-test agent.os.name=QEMU-GA \
    agent.os.pretty_name=\"QEMU Guest Agent test\" agent.os.version=\"Test 1\" \
    agent.os.version_id=1 agent.os.variant=\"Unit test '$`\\ and \\\\ etc.\" \
    agent.os.variant_id=unit-test";

/// Every machine once: what the cases ask does not depend on the channel.
fn over_virtio(setup: Setup) -> bool {
    setup.channel == setup.machine.usual_virtio()
}

/// The reply to a request, as a client in step reads it.
fn ask(guest: &mut Guest, request: &str) -> Result<Value> {
    let mut client = guest.connect_when_up()?;
    let reply = client.ask(request)?;
    serde_json::from_str(&reply).with_context(|| reply.clone())
}

/// The error in the reply to a request.
fn error(guest: &mut Guest, request: &str) -> Result<(String, String)> {
    let reply = ask(guest, request)?;
    ensure!(reply.get("return").is_none(), "{reply}");
    let text = |key: &str| reply["error"][key].as_str().unwrap_or_default().to_owned();
    Ok((text("class"), text("desc")))
}

fn sync_delimited(guest: &mut Guest) -> Result<()> {
    // 0xFF first; everything up to 0xFF in the answer is skipped, and the id compared.
    guest.connect_when_up()?.sync_delimited(ANSWER)?;
    Ok(())
}

fn sync(guest: &mut Guest) -> Result<()> {
    let reply = ask(guest, r#"{"execute":"guest-sync","arguments":{"id":4042322160}}"#)?;
    ensure!(reply["return"] == 4_042_322_160_u32, "{reply}");
    Ok(())
}

fn ping(guest: &mut Guest) -> Result<()> {
    let reply = ask(guest, r#"{"execute":"guest-ping"}"#)?;
    ensure!(reply.get("error").is_none(), "{reply}");
    Ok(())
}

fn info(guest: &mut Guest) -> Result<()> {
    let reply = ask(guest, r#"{"execute":"guest-info"}"#)?;
    let version = reply["return"]["version"].as_str().unwrap_or_default();
    ensure!(version == env!("CARGO_PKG_VERSION"), "{reply}");
    Ok(())
}

fn get_fsinfo(guest: &mut Guest) -> Result<()> {
    let reply = ask(guest, r#"{"execute":"guest-get-fsinfo"}"#)?;
    ensure!(reply["return"] == serde_json::json!([]), "{reply}");
    Ok(())
}

fn get_time(guest: &mut Guest) -> Result<()> {
    let reply = ask(guest, r#"{"execute":"guest-get-time"}"#)?;
    ensure!(reply["return"].as_i64().is_some_and(|time| time > 0), "{reply}");
    Ok(())
}

fn id(guest: &mut Guest) -> Result<()> {
    let reply = ask(guest, r#"{"execute":"guest-ping","id":1}"#)?;
    ensure!(reply.get("error").is_none() && reply["id"] == 1, "{reply}");
    Ok(())
}

fn invalid_oob(guest: &mut Guest) -> Result<()> {
    let (class, description) = error(guest, r#"{"exec-oob":"guest-ping"}"#)?;
    ensure!(class == "GenericError" && !description.is_empty(), "{class}: {description}");
    Ok(())
}

fn invalid_cmd(guest: &mut Guest) -> Result<()> {
    let (class, description) = error(guest, r#"{"execute":"guest-invalid-cmd"}"#)?;
    ensure!(class == "CommandNotFound" && !description.is_empty(), "{class}: {description}");
    Ok(())
}

fn invalid_args(guest: &mut Guest) -> Result<()> {
    let request = r#"{"execute":"guest-ping","arguments":{"foo":42}}"#;
    let (class, description) = error(guest, request)?;
    let expected = "Parameter 'foo' is unexpected";
    ensure!(class == "GenericError" && description == expected, "{class}: {description}");
    Ok(())
}

fn get_osinfo(guest: &mut Guest) -> Result<()> {
    let reply = ask(guest, r#"{"execute":"guest-get-osinfo"}"#)?;
    for (member, expected) in [
        ("id", "qemu-ga-test"),
        ("name", "QEMU-GA"),
        ("pretty-name", "QEMU Guest Agent test"),
        ("version", "Test 1"),
        ("version-id", "1"),
        ("variant", r"Unit test '$`\ and \\ etc."),
        ("variant-id", "unit-test"),
    ] {
        ensure!(reply["return"][member] == expected, "{member}: {reply}");
    }
    Ok(())
}

fn get_host_name(guest: &mut Guest) -> Result<()> {
    let reply = ask(guest, r#"{"execute":"guest-get-host-name"}"#)?;
    ensure!(reply["return"]["host-name"].is_string(), "{reply}");
    Ok(())
}

fn get_timezone(guest: &mut Guest) -> Result<()> {
    let reply = ask(guest, r#"{"execute":"guest-get-timezone"}"#)?;
    ensure!(reply["return"]["offset"].is_i64(), "{reply}");
    Ok(())
}

fn get_users(guest: &mut Guest) -> Result<()> {
    let reply = ask(guest, r#"{"execute":"guest-get-users"}"#)?;
    ensure!(reply["return"].is_array(), "{reply}");
    Ok(())
}

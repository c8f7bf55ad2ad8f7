//! guest-shutdown: powerdown, reboot and halt, as QEMU sees them.

use core::time::Duration;
use std::time::Instant;

use anyhow::{Result, ensure};
use tests::client::ANSWER;
use tests::qemu::Guest;

use crate::Case;

pub(crate) const CASES: &[Case] = &[
    Case::new("powerdown", |guest| powerdown(guest, r#","arguments":{"mode":"powerdown"}"#)),
    Case::new("powerdown-by-default", |guest| powerdown(guest, "")),
    Case::new("reboot", reboot),
    Case::new("halt", halt),
    Case::new("shutdown-errors", errors),
];

/// How long QEMU may take to end after guest-shutdown.
const POWERDOWN: Duration = Duration::from_secs(1);

pub(crate) fn powerdown(guest: &mut Guest, arguments: &str) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    // What was asked before is answered; the shutdown itself is not.
    client.send(format!(
        "{{\"execute\":\"guest-sync\",\"arguments\":{{\"id\":5}}}}\n\
         {{\"execute\":\"guest-shutdown\"{arguments}}}\n"
    ))?;
    let asked = Instant::now();
    let status = guest.wait_for_exit(ANSWER)?;
    let took = asked.elapsed();
    ensure!(status.success(), "QEMU ended with {status}");
    ensure!(took <= POWERDOWN, "QEMU took {took:?} to end");
    let rest = client.rest(ANSWER)?;
    ensure!(rest == b"{\"return\": 5}\n", "got `{}`", rest.escape_ascii());
    let event = guest.qmp().event("SHUTDOWN", ANSWER)?;
    ensure!(event["data"]["guest"] == true, "not the guest's doing: {event}");
    Ok(())
}

fn reboot(guest: &mut Guest) -> Result<()> {
    for _ in 0..2 {
        let mut client = guest.connect_when_up()?;
        client.send("{\"execute\":\"guest-shutdown\",\"arguments\":{\"mode\":\"reboot\"}}\n")?;
        let event = guest.qmp().event("RESET", ANSWER)?;
        ensure!(event["data"]["guest"] == true, "not the guest's doing: {event}");
    }
    let mut client = guest.connect_when_up()?;
    client.sync_as_libvirt(ANSWER)?;
    Ok(())
}

fn halt(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    client.send("{\"execute\":\"guest-shutdown\",\"arguments\":{\"mode\":\"halt\"}}\n")?;
    guest.await_halt()?;
    client.send("{\"execute\":\"guest-ping\"}\n")?;
    client.silence(Duration::from_millis(500))?;
    guest.await_halt()
}

fn errors(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    for (arguments, desc) in [
        (r#"{"mode":"hibernate"}"#, "mode is invalid (valid values are: halt|powerdown|reboot"),
        (r#"{"mode":""}"#, "mode is invalid (valid values are: halt|powerdown|reboot"),
        (r#"{"mode":1}"#, "Invalid parameter type for 'mode', expected: string"),
        (r#"{"mode":null}"#, "Invalid parameter type for 'mode', expected: string"),
        (r#"{"mode":"halt","force":true}"#, "Parameter 'force' is unexpected"),
    ] {
        client.expect(
            &format!(r#"{{"execute":"guest-shutdown","arguments":{arguments}}}"#),
            &format!(r#"{{"error": {{"class": "GenericError", "desc": "{desc}"}}}}"#),
        )?;
        client.expect(r#"{"execute":"guest-ping"}"#, r#"{"return": {}}"#)?;
    }
    ensure!(guest.is_running()?, "QEMU ended");
    Ok(())
}

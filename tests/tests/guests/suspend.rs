//! guest-suspend-ram: the machine sleeps, and the same agent goes on when it has been woken.

use core::time::Duration;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use tests::client::{ANSWER, Client};
use tests::image::Image;
use tests::machine::{Channel, Machine};
use tests::qemu::Guest;

use crate::{Case, Setup};

pub(crate) const CASES: &[Case] = &[
    Case::new("suspend", suspend).only_where(can_suspend),
    Case::new("suspend-fifty-times", fifty_times).only_where(|setup| {
        can_suspend(setup)
            && matches!(setup.channel, Channel::VirtioPci | Channel::VirtioRootPort | Channel::Com1)
    }),
    Case::new("suspend-request-while-asleep", request_while_asleep).only_where(can_suspend),
    Case::new("suspend-half-a-request", half_a_request).only_where(can_suspend),
    Case::new("suspend-more-requests", more_requests).only_where(can_suspend),
    Case::new("suspend-woken-at-once", woken_at_once).only_where(can_suspend),
    Case::new("suspend-reset-while-asleep", reset_while_asleep).only_where(can_suspend),
    Case::new("suspend-then-powerdown", powerdown_afterwards).only_where(can_suspend),
    Case::new("suspend-time", time)
        .only_where(|setup| can_suspend(setup) && setup.channel == setup.machine.usual_virtio()),
    Case::new("suspend-processors", processors)
        .only_where(|setup| can_suspend(setup) && setup.channel == setup.machine.usual_virtio())
        .prepared(|launch| launch.extra(["-smp", "4"])),
    Case::new("suspend-line-interrupt", suspend)
        .only_where(|setup| can_suspend(setup) && setup.channel == setup.machine.usual_virtio())
        .prepared(|launch| launch.extra(["-global", "virtio-serial-pci.vectors=0"])),
    Case::new("suspend-two-mebibytes", suspend)
        .only_where(can_suspend)
        .prepared(|launch| launch.memory_mib(2)),
    Case::new("suspend-not-offered", not_offered)
        .only_where(|setup| setup.image == Image::Uart || setup.machine == Machine::Microvm),
    Case::new("suspend-too-many-functions", not_offered)
        .only_where(|setup| can_suspend(setup) && setup.channel == Channel::Com1)
        .prepared(|launch| launch.extra(many_functions())),
    Case::new("suspend-many-functions", suspend)
        .only_where(|setup| can_suspend(setup) && setup.channel == setup.machine.usual_virtio())
        .prepared(|launch| launch.extra(many_functions().take(2 * 40))),
    Case::new("suspend-disabled-pc", not_offered)
        .only_where(|setup| can_suspend(setup) && setup.machine == Machine::Pc)
        .prepared(|launch| launch.extra(["-global", "PIIX4_PM.disable_s3=1"])),
    Case::new("suspend-disabled-q35", not_offered)
        .only_where(|setup| can_suspend(setup) && setup.machine == Machine::Q35)
        .prepared(|launch| launch.extra(["-global", "ICH9-LPC.disable_s3=1"])),
];

const SUSPEND: &str = "{\"execute\":\"guest-suspend-ram\"}\n";
const SECOND: i64 = 1_000_000_000;

/// Whether the image offers guest-suspend-ram there.
pub(crate) fn can_suspend(setup: Setup) -> bool {
    setup.image == Image::Pc && setup.machine != Machine::Microvm
}

/// More PCI functions than the image keeps the configuration of.
fn many_functions() -> impl Iterator<Item = String> {
    (0..72).flat_map(|number| {
        let (slot, function) = (0x10 + number / 8, number % 8);
        let device = format!("pci-testdev,addr={slot:#x}.{function},multifunction=on");
        ["-device".to_owned(), device]
    })
}

/// Suspends the guest, and waits until it sleeps.
fn fall_asleep(guest: &mut Guest, client: &mut Client) -> Result<()> {
    client.send(SUSPEND)?;
    guest.qmp().event("SUSPEND", ANSWER)?;
    let status = guest.qmp().execute("query-status", &json!({}))?;
    ensure!(status["status"] == "suspended", "QEMU is {status}");
    Ok(())
}

fn wake(guest: &mut Guest) -> Result<()> {
    guest.qmp().execute("system_wakeup", &json!({}))?;
    guest.qmp().event("WAKEUP", ANSWER)?;
    Ok(())
}

fn expect_pong(client: &mut Client) -> Result<()> {
    client.expect(r#"{"execute":"guest-ping"}"#, r#"{"return": {}}"#)
}

fn suspend(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    for _ in 0..3 {
        // What was asked before is answered; the suspend itself is not.
        client.send("{\"execute\":\"guest-sync\",\"arguments\":{\"id\":5}}\n")?;
        fall_asleep(guest, &mut client)?;
        let line = client.line(ANSWER)?;
        ensure!(line == b"{\"return\": 5}\n", "got `{}`", line.escape_ascii());
        wake(guest)?;
        expect_pong(&mut client)?;
    }
    // Nothing came of the suspends, and the agent knows where it is in its input.
    client.sync_as_libvirt(ANSWER)?;
    Ok(())
}

fn fifty_times(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    for cycle in 0..50 {
        let pong = |client: &mut Client| expect_pong(client).context(format!("cycle {cycle}"));
        pong(&mut client)?;
        fall_asleep(guest, &mut client).context(format!("cycle {cycle}"))?;
        wake(guest)?;
        pong(&mut client)?;
    }
    Ok(())
}

fn request_while_asleep(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    for id in 0..5 {
        fall_asleep(guest, &mut client)?;
        client.send(format!("{{\"execute\":\"guest-sync\",\"arguments\":{{\"id\":{id}}}}}\n"))?;
        client.silence(Duration::from_millis(100))?;
        wake(guest)?;
        let line = client.line(ANSWER)?;
        let expected = format!("{{\"return\": {id}}}\n");
        ensure!(line == expected.as_bytes(), "got `{}`", line.escape_ascii());
    }
    Ok(())
}

/// The agent holds the beginning of a request in its memory, and the rest comes after the sleep.
fn half_a_request(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    client.send(format!("{SUSPEND}{{\"execute\":\"guest-sync\",\"argum"))?;
    guest.qmp().event("SUSPEND", ANSWER)?;
    wake(guest)?;
    client.expect("ents\":{\"id\":77}}", r#"{"return": 77}"#)
}

fn expect_sync(client: &mut Client, id: u32) -> Result<()> {
    let line = client.line(ANSWER)?;
    let expected = format!("{{\"return\": {id}}}\n");
    ensure!(line == expected.as_bytes(), "got `{}`, not {expected}", line.escape_ascii());
    Ok(())
}

/// In one write with the request to sleep, or a moment after it: whether they are answered before
/// the sleep or after it, none is lost.
fn more_requests(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    let request = |id| format!("{{\"execute\":\"guest-sync\",\"arguments\":{{\"id\":{id}}}}}\n");
    for (count, later) in [(1, 0), (2, 0), (20, 0), (500, 0), (1, 1), (3, 2), (1, 5), (20, 10)] {
        let requests: String = (0..count).map(request).collect();
        if later == 0 {
            client.send(format!("{SUSPEND}{requests}"))?;
        } else {
            client.send(SUSPEND)?;
            thread::sleep(Duration::from_millis(later));
            client.send(requests)?;
        }
        // Replies that the host does not take would be lost with what else is in the line.
        thread::scope(|scope| {
            let replies =
                scope.spawn(|| (0..count).try_for_each(|id| expect_sync(&mut client, id)));
            guest.qmp().event("SUSPEND", ANSWER)?;
            wake(guest)?;
            let replies = replies.join().unwrap_or_else(|_| bail!("the reader has panicked"));
            replies.with_context(|| format!("{count} requests, {later} ms later"))
        })?;
    }
    Ok(())
}

/// Nobody waits until the guest sleeps; a wake-up that comes before is none.
fn woken_at_once(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    for _ in 0..5 {
        client.send(SUSPEND)?;
        for attempt in 0.. {
            guest.qmp().execute("system_wakeup", &json!({})).ok();
            match guest.qmp().event("WAKEUP", Duration::from_millis(10)) {
                Ok(_) => break,
                Err(error) if attempt > 1000 => return Err(error),
                Err(_) => {}
            }
        }
        expect_pong(&mut client)?;
    }
    Ok(())
}

fn reset_while_asleep(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    fall_asleep(guest, &mut client)?;
    guest.qmp().execute("system_reset", &json!({}))?;
    // QEMU does not let it run by itself.
    guest.qmp().execute("cont", &json!({}))?;
    drop(client);
    let mut client = guest.connect_when_up()?;
    client.sync_as_libvirt(ANSWER)?;
    fall_asleep(guest, &mut client)?;
    wake(guest)?;
    expect_pong(&mut client)
}

/// ACPI's fixed hardware works after a sleep, too.
fn powerdown_afterwards(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    fall_asleep(guest, &mut client)?;
    wake(guest)?;
    expect_pong(&mut client)?;
    client.send("{\"execute\":\"guest-shutdown\"}\n")?;
    let status = guest.wait_for_exit(ANSWER)?;
    ensure!(status.success(), "QEMU ended with {status}");
    Ok(())
}

fn guest_time(client: &mut Client) -> Result<i64> {
    let reply = client.ask(r#"{"execute":"guest-get-time"}"#)?;
    let digits = reply.strip_prefix("{\"return\": ").and_then(|rest| rest.strip_suffix("}\n"));
    Ok(digits.with_context(|| reply.clone())?.parse()?)
}

/// The machine's CMOS clock, as seconds since 1970; QEMU tells it as a date.
fn rtc_seconds(guest: &mut Guest) -> Result<i64> {
    let time =
        guest.qmp().execute("qom-get", &json!({"path": "/machine", "property": "rtc-time"}))?;
    let field = |name: &str| time[name].as_i64().with_context(|| time.to_string());
    // Only the part of a day: whole days are told by the host's clock.
    let seconds = field("tm_hour")? * 3600 + field("tm_min")? * 60 + field("tm_sec")?;
    let host = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    Ok((-1..=1)
        .map(|day| (host.div_euclid(86400) + day) * 86400 + seconds)
        .min_by_key(|candidate| candidate.abs_diff(host))
        .unwrap_or_default())
}

/// The time goes on while the guest sleeps, and never goes back.
fn time(guest: &mut Guest) -> Result<()> {
    const ASLEEP: Duration = Duration::from_secs(3);
    let mut client = guest.connect_when_up()?;
    for asleep in [ASLEEP].into_iter().chain([Duration::ZERO; 10]) {
        let before = guest_time(&mut client)?;
        fall_asleep(guest, &mut client)?;
        thread::sleep(asleep);
        wake(guest)?;
        // The clock shows whole seconds, so it is anywhere in this one.
        let earliest = rtc_seconds(guest)? * SECOND;
        let after = guest_time(&mut client)?;
        let latest = (rtc_seconds(guest)? + 1) * SECOND;
        let tolerance = SECOND * 11 / 10;
        ensure!(
            (earliest - tolerance..=latest + tolerance).contains(&after),
            "{after} is not the CMOS clock's {earliest} to {latest}"
        );
        let passed = after - before;
        ensure!(passed > 0, "it went back by {} ns", -passed);
        let least = i64::try_from(asleep.as_nanos())? - tolerance;
        ensure!(passed > least, "only {passed} ns passed while it slept for {asleep:?}");
    }
    Ok(())
}

/// The processors that were on line are so again, and those that were not are not.
fn processors(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    client.expect(
        r#"{"execute":"guest-set-vcpus","arguments":{"vcpus":[{"logical-id":2,"online":false}]}}"#,
        r#"{"return": 1}"#,
    )?;
    let list = r#"{"execute":"guest-get-vcpus"}"#;
    let before = client.ask(list)?;
    ensure!(before.matches("\"online\": true").count() == 3, "{before}");
    for _ in 0..3 {
        fall_asleep(guest, &mut client)?;
        wake(guest)?;
        let after = client.ask(list)?;
        ensure!(after == before, "before: {before}after: {after}");
        // Each that is on line answers for itself.
        let busy = client.ask(r#"{"execute":"guest-get-cpustats"}"#)?;
        ensure!(busy.matches("\"cpu\"").count() == 3, "{busy}");
    }
    Ok(())
}

fn not_offered(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    let info = client.ask(r#"{"execute":"guest-info"}"#)?;
    ensure!(!info.contains("guest-suspend"), "{info}");
    for mode in ["ram", "disk", "hybrid"] {
        client.expect(
            &format!(r#"{{"execute":"guest-suspend-{mode}"}}"#),
            &format!(
                "{{\"error\": {{\"class\": \"CommandNotFound\", \"desc\": \"The command \
                 guest-suspend-{mode} has not been found\"}}}}"
            ),
        )?;
    }
    if !guest.is_running()? {
        bail!("QEMU ended");
    }
    Ok(())
}

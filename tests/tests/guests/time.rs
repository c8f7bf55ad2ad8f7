//! guest-get-time and guest-set-time, against the host's clock.
//!
//! A reading is bracketed by the host's time before and after it, so that a slow test machine
//! widens the bracket and not the claim.

use core::time::Duration;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tests::client::{ANSWER, Client};
use tests::qemu::Guest;

use crate::Case;

pub(crate) const CASES: &[Case] = &[
    Case::new("time-at-boot", at_boot),
    Case::new("time-is-monotonic", is_monotonic),
    Case::new("set-time", set).only_where(|setup| {
        // The clock does not depend on the channel: the usual one of each machine will do.
        setup.channel == setup.machine.usual_virtio()
    }),
    Case::new("set-time-from-rtc", set_from_rtc)
        .only_where(|setup| setup.channel == setup.machine.usual_virtio()),
    Case::new("set-time-survives-reboot", survives_reboot)
        .prepared(|launch| launch.extra(["-rtc", "base=2031-05-06T07:08:09"])),
    Case::new("set-time-at-limits", at_limits),
    Case::new("set-time-errors", errors),
];

const SECOND: i64 = 1_000_000_000;

/// What one reading of the CMOS clock, which counts whole seconds, may be off.
const RTC_ERROR: i64 = SECOND * 11 / 10;

/// A reading of the guest's clock; all in nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Reading {
    before: i64,
    guest: i64,
    after: i64,
}

impl Reading {
    fn take(client: &mut Client) -> Result<Self> {
        let before = host_time()?;
        let reply = client.ask(r#"{"execute":"guest-get-time"}"#)?;
        let after = host_time()?;
        let digits = reply.strip_prefix("{\"return\": ").and_then(|rest| rest.strip_suffix("}\n"));
        let guest = digits.with_context(|| reply.clone())?.parse()?;
        Ok(Self { before, guest, after })
    }

    /// The reading among a few that took least time.
    fn take_closely(client: &mut Client) -> Result<Self> {
        let mut best = Self::take(client)?;
        for _ in 0..20 {
            let next = Self::take(client)?;
            if next.after - next.before < best.after - best.before {
                best = next;
            }
        }
        Ok(best)
    }

    /// Demands that the guest's clock is `ahead` of the host's, but for `tolerance`.
    fn ensure_near(self, ahead: i64, tolerance: i64) -> Result<()> {
        let Self { before, guest, after } = self;
        ensure!(
            (before + ahead - tolerance..=after + ahead + tolerance).contains(&guest),
            "the guest's clock says {guest}, expected {} to {}, give or take {tolerance} ns",
            before + ahead,
            after + ahead
        );
        Ok(())
    }
}

fn host_time() -> Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?)
}

fn set_time(client: &mut Client, nanoseconds: i64) -> Result<()> {
    let request = format!(r#"{{"execute":"guest-set-time","arguments":{{"time":{nanoseconds}}}}}"#);
    client.expect(&request, r#"{"return": {}}"#)
}

fn at_boot(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    Reading::take(&mut client)?.ensure_near(0, RTC_ERROR)
}

fn is_monotonic(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    let mut last = Reading::take(&mut client)?;
    // Long enough for the CMOS clock to tick.
    let end = last.before + SECOND + SECOND / 5;
    while last.after < end {
        let next = Reading::take(&mut client)?;
        ensure!(next.guest >= last.guest, "{} came after {}", next.guest, last.guest);
        last = next;
    }
    Ok(())
}

pub(crate) fn set(guest: &mut Guest) -> Result<()> {
    const TOLERANCE: i64 = 20_000_000;
    let mut client = guest.connect_when_up()?;
    // First well off, so that the clock is seen to move.
    set_time(&mut client, host_time()? - 1000 * SECOND)?;
    Reading::take(&mut client)?.ensure_near(-1000 * SECOND, TOLERANCE)?;
    // The host's time is old by the time the guest reads it: repeat while that took long.
    for _ in 0..50 {
        let now = host_time()?;
        set_time(&mut client, now)?;
        if host_time()? - now < TOLERANCE / 10 {
            break;
        }
    }
    Reading::take_closely(&mut client)?.ensure_near(0, TOLERANCE)?;
    thread::sleep(Duration::from_secs(10));
    Reading::take_closely(&mut client)?.ensure_near(0, TOLERANCE).context("ten seconds later")
}

/// After a pause of the machine its CMOS clock is right, and guest-set-time without a time reads it.
fn set_from_rtc(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    guest.qmp().execute("stop", &json!({}))?;
    thread::sleep(Duration::from_secs(3));
    guest.resume()?;
    client.expect(r#"{"execute":"guest-set-time"}"#, r#"{"return": {}}"#)?;
    Reading::take(&mut client)?.ensure_near(0, RTC_ERROR)?;
    // The CMOS clock holds what was set before.
    let ahead = -20_000_000 * SECOND;
    set_time(&mut client, host_time()? + ahead)?;
    client.expect(r#"{"execute":"guest-set-time","arguments":{}}"#, r#"{"return": {}}"#)?;
    Reading::take(&mut client)?.ensure_near(ahead, RTC_ERROR)
}

/// The machine's clock starts in 2031, is set to the end of a February, and goes on over a reboot.
fn survives_reboot(guest: &mut Guest) -> Result<()> {
    /// 2031-05-06T07:08:09Z, as in the launch.
    const BASE: i64 = 1_935_817_689 * SECOND;
    /// 2044-02-28T23:59:58Z: the next day is the 29th.
    const SET: i64 = 2_340_316_798 * SECOND;
    let mut client = guest.connect_when_up()?;
    let running = i64::try_from(guest.started().elapsed().as_nanos())?;
    let start = host_time()? - running;
    // QEMU's own start lies between the launch and now. It counts `base` in whole seconds of the
    // host's, from when it reads the option; where one of them ends before the clock is made, the
    // clock begins a second later.
    let reading = Reading::take(&mut client)?;
    let latest = BASE + SECOND + (reading.after - start) + RTC_ERROR;
    ensure!(
        (BASE - RTC_ERROR..=latest).contains(&reading.guest),
        "the guest's clock says {}, expected {BASE} or a little more",
        reading.guest
    );
    let ahead = SET - host_time()?;
    set_time(&mut client, SET)?;
    client.send("{\"execute\":\"guest-shutdown\",\"arguments\":{\"mode\":\"reboot\"}}\n")?;
    guest.qmp().event("RESET", ANSWER)?;
    // Until the date has changed.
    thread::sleep(Duration::from_secs(3));
    client.wait_until_up()?;
    Reading::take(&mut client)?.ensure_near(ahead, RTC_ERROR)
}

/// The first and the last second that the CMOS clock can hold.
fn at_limits(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    for time in [0, 951_782_400 * SECOND, 3_155_759_990 * SECOND] {
        let ahead = time - host_time()?;
        set_time(&mut client, time)?;
        Reading::take(&mut client)?.ensure_near(ahead, SECOND / 10)?;
        client.expect(r#"{"execute":"guest-set-time"}"#, r#"{"return": {}}"#)?;
        Reading::take(&mut client)?.ensure_near(ahead, RTC_ERROR)?;
    }
    Ok(())
}

/// Times that cannot be set get qemu-ga's errors and change nothing.
fn errors(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    for (time, desc) in [
        ("-1", "Invalid time"),
        ("-1000000000", "Invalid time"),
        ("-9223372036854775808", "Invalid time"),
        ("3155760000000000000", "Invalid time"),
        ("9223372036854775807", "Invalid time"),
        ("9223372036854775808", "Invalid parameter type for 'time', expected: integer"),
        ("1e18", "Invalid parameter type for 'time', expected: integer"),
        ("\"0\"", "Invalid parameter type for 'time', expected: integer"),
        ("null", "Invalid parameter type for 'time', expected: integer"),
    ] {
        client.expect(
            &format!(r#"{{"execute":"guest-set-time","arguments":{{"time":{time}}}}}"#),
            &format!(r#"{{"error": {{"class": "GenericError", "desc": "{desc}"}}}}"#),
        )?;
        Reading::take(&mut client)?.ensure_near(0, RTC_ERROR)?;
    }
    client.expect(
        r#"{"execute":"guest-set-time","arguments":{"when":0}}"#,
        r#"{"error": {"class": "GenericError", "desc": "Parameter 'when' is unexpected"}}"#,
    )?;
    Reading::take(&mut client)?.ensure_near(0, RTC_ERROR)
}

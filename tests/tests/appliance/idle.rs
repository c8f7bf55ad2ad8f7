//! An idle appliance sleeps, also while it is frozen and the watchdog counts.

use core::time::Duration;

use anyhow::{Result, ensure};
use tests::qemu::processor_time_during;

use crate::{Appliance, Case, Setup};

pub(crate) const CASES: &[Case] = &[Case::new("idle", idle)];

const WINDOW: Duration = Duration::from_secs(10);

/// One percent of a core.
const ALLOWED: Duration = Duration::from_millis(100);

fn idle() -> Result<()> {
    let mut guests = Vec::new();
    for setup in Setup::ALL {
        for is_frozen in [false, true] {
            let appliance = Appliance::start(setup, |launch| launch)?;
            let mut client = appliance.guest.connect_when_up()?;
            client.put_file("f", b"contents")?;
            if is_frozen {
                client.expect(r#"{"execute":"guest-fsfreeze-freeze"}"#, r#"{"return": 1}"#)?;
            }
            guests.push((is_frozen, appliance, client));
        }
    }
    let used = processor_time_during(WINDOW, guests.iter().map(|(_, one, _)| &one.guest))?;
    let mut report = Vec::new();
    for ((is_frozen, mut appliance, mut client), used) in guests.into_iter().zip(used) {
        let name = appliance.setup.name;
        println!("{name}, frozen: {is_frozen}: {used:?}");
        if used >= ALLOWED {
            report.push(format!("{name}, frozen: {is_frozen}: {used:?}"));
        }
        // It slept, it did not die.
        client
            .expect(r#"{"execute":"guest-ping"}"#, r#"{"return": {}}"#)
            .map_err(|error| error.context(appliance.guest.evidence()))?;
    }
    ensure!(report.is_empty(), "of {WINDOW:?}:\n{}", report.join("\n"));
    Ok(())
}

//! An idle guest sleeps: its QEMU process uses next to no processor time.

use core::fmt::Write as _;
use core::time::Duration;

use anyhow::{Result, ensure};
use tests::client::Client;
use tests::qemu::{Guest, Launch, processor_time_during};

use crate::Setup;

const WINDOW: Duration = Duration::from_secs(10);

/// One percent of a core.
const ALLOWED: Duration = Duration::from_millis(100);

/// Lets all guests idle at once: first with a client connected, as libvirt, then with none, as
/// Proxmox between two commands.
pub(crate) fn check(setups: &[Setup]) -> Result<()> {
    let mut guests = Vec::new();
    for &setup in setups {
        let guest = Launch::image(setup.image, setup.machine, setup.channel)?.start()?;
        let client = guest.connect_when_up()?;
        guests.push((setup, guest, client));
    }
    let connected = processor_time_during(WINDOW, guests.iter().map(|(_, guest, _)| guest))?;
    let guests: Vec<(Setup, Guest)> =
        guests.into_iter().map(|(setup, guest, _client): (_, _, Client)| (setup, guest)).collect();
    let alone = processor_time_during(WINDOW, guests.iter().map(|(_, guest)| guest))?;

    let mut report = String::new();
    let mut too_much = 0;
    for ((setup, mut guest), (connected, alone)) in
        guests.into_iter().zip(connected.into_iter().zip(alone))
    {
        let name = setup.name();
        writeln!(report, "{name}: {connected:?} connected, {alone:?} alone")?;
        if connected.max(alone) >= ALLOWED {
            too_much += 1;
            report += &guest.evidence();
        }
        // It slept, it did not die.
        let mut client = guest.connect()?;
        if let Err(error) = client.expect(r#"{"execute":"guest-ping"}"#, r#"{"return": {}}"#) {
            return Err(error.context(guest.evidence()));
        }
    }
    ensure!(
        too_much == 0,
        "{too_much} guests used {ALLOWED:?} or more of processor time in {WINDOW:?}:\n{report}"
    );
    Ok(())
}

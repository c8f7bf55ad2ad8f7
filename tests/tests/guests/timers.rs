//! Machines that lack timers, which a microvm may: what is left tells the time, and soon.

use core::time::Duration;

use anyhow::{Result, ensure};
use tests::image::Image;
use tests::machine::Machine;
use tests::qemu::{Guest, Launch};

use crate::{Case, Setup, power, processors, time};

pub(crate) const CASES: &[Case] = &[
    Case::new("without-pit", |guest| soon(guest).and_then(|()| time::set(guest)))
        .only_where(is_microvm)
        .prepared(|launch| without(launch, &["pit"])),
    // The hypervisor does not tell its name, so the local APIC's timer may count anything.
    Case::new("by-cmos-clock", time::set)
        .only_where(is_microvm)
        .prepared(|launch| without(launch, &["pit"]).extra(["-cpu", "qemu64,tcg-cpuid=off"])),
    Case::new("without-clock", without_clock).only_where(is_microvm).prepared(without_devices),
    Case::new("without-clock/times", processors::times)
        .only_where(|setup| is_microvm(setup) && setup.image == Image::Pc)
        .prepared(|launch| without_devices(launch).extra(["-smp", "4"])),
];

/// From QEMU's start to the first answer.
const SOON: Duration = Duration::from_secs(2);

fn is_microvm(setup: Setup) -> bool {
    let is_usual = setup.image == Image::Uart || setup.channel == setup.machine.usual_virtio();
    setup.machine == Machine::Microvm && is_usual
}

fn without(launch: Launch, devices: &[&str]) -> Launch {
    let off: Vec<_> = devices.iter().map(|device| format!("{device}=off")).collect();
    launch.extra(["-M", &off.join(",")])
}

/// As little as QEMU's documentation leaves of a microvm.
fn without_devices(launch: Launch) -> Launch {
    without(launch, &["pit", "pic", "rtc"])
}

fn soon(guest: &mut Guest) -> Result<()> {
    guest.connect_when_up()?;
    let took = guest.started().elapsed();
    ensure!(took < SOON, "it was up after {took:?}");
    Ok(())
}

/// Nobody can tell the time of day, so nobody offers to; the rest goes on.
fn without_clock(guest: &mut Guest) -> Result<()> {
    soon(guest)?;
    let mut client = guest.connect()?;
    for command in ["guest-get-time", "guest-set-time"] {
        client.expect(
            &format!(r#"{{"execute":"{command}"}}"#),
            &format!(
                "{{\"error\": {{\"class\": \"CommandNotFound\", \
                 \"desc\": \"The command {command} has not been found\"}}}}"
            ),
        )?;
    }
    drop(client);
    power::powerdown(guest, "")
}

//! What the guest is called, what it runs and what drives its devices: by the image, and as told.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tests::client::Client;
use tests::files::Verdict as _;
use tests::image::Image;
use tests::machine::{Channel, Machine};
use tests::qemu::Guest;

use crate::{Case, Setup};

pub(crate) const CASES: &[Case] = &[
    Case::new("identity/by-image", by_image).only_where(is_pc_image),
    Case::new("identity/told", told)
        .only_where(once)
        .prepared(|launch| launch.more_command_line(&TOLD.replace('\n', " "))),
    Case::new("identity/nothing-to-tell", nothing_to_tell)
        .only_where(once)
        .prepared(|launch| launch.more_command_line(NOTHING)),
    Case::new("identity/told-nonsense", told_nonsense)
        .only_where(once)
        .prepared(|launch| launch.more_command_line(NONSENSE)),
    Case::new("identity/absent", absent).only_where(|setup| setup.image == Image::Uart),
    Case::new("devices", devices).only_where(is_pc_image),
];

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn is_pc_image(setup: Setup) -> bool {
    setup.image == Image::Pc
}

/// What is on the command line does not depend on the machine or the channel.
fn once(setup: Setup) -> bool {
    (setup.machine, setup.channel) == (Machine::Microvm, Channel::VirtioMmioLegacy)
}

fn expect(client: &mut Client, command: &str, expected: &str) -> Result<()> {
    client.expect(&format!(r#"{{"execute":"{command}"}}"#), &format!(r#"{{"return": {expected}}}"#))
}

fn os_info(client: &mut Client) -> Result<Value> {
    client.call("guest-get-osinfo", &json!({})).granted()
}

/// An image that has not been told anything.
fn expect_image(client: &mut Client) -> Result<()> {
    expect(client, "guest-get-host-name", r#"{"host-name": "tinyqga"}"#)?;
    expect(client, "guest-get-timezone", r#"{"zone": "UTC", "offset": 0}"#)?;
    expect(client, "guest-get-users", "[]")?;
    expect(client, "guest-get-fsinfo", "[]")?;
    let info = os_info(client)?;
    let expected = json!({
        "id": "tinyqga", "name": "tinyqga", "pretty-name": format!("tinyqga {VERSION}"),
        "version": VERSION, "version-id": VERSION, "variant-id": "pc",
        "kernel-release": VERSION, "machine": "x86_64",
    });
    ensure!(info == expected, "{info}\n  not\n{expected}");
    Ok(())
}

fn by_image(guest: &mut Guest) -> Result<()> {
    expect_image(&mut guest.connect_when_up()?)
}

const TOLD: &str = r#"agent.host_name=web-1.example.org
agent.os.id=reactor agent.os.name="Reactor OS" agent.os.pretty_name="Reactor OS 2 (Süd)"
agent.os.version="2 (Süd)" agent.os.version_id=2 agent.os.variant="Rack edition"
"agent.os.variant_id=rack" agent.os.kernel_release=2.0.1-rt agent.os.kernel_version="Build 7 \ of 8"
agent.os.machine=x86_64-rt agent.timezone=NST-03:30 quiet"#;

fn told(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    expect(&mut client, "guest-get-host-name", r#"{"host-name": "web-1.example.org"}"#)?;
    expect(&mut client, "guest-get-timezone", r#"{"zone": "NST", "offset": -12600}"#)?;
    let info = os_info(&mut client)?;
    let expected = json!({
        "id": "reactor", "name": "Reactor OS", "pretty-name": "Reactor OS 2 (Süd)",
        "version": "2 (Süd)", "version-id": "2", "variant": "Rack edition", "variant-id": "rack",
        "kernel-release": "2.0.1-rt", "kernel-version": r"Build 7 \ of 8", "machine": "x86_64-rt",
    });
    ensure!(info == expected, "{info}\n  not\n{expected}");
    Ok(())
}

const NOTHING: &str = "agent.os.kernel_release= agent.os.name= agent.os.pretty_name=\"\" \
    agent.timezone=+05:45";

/// Members may be left out; without a kernel release there is no id, which vdsm would stumble over.
fn nothing_to_tell(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    let info = os_info(&mut client)?;
    let expected = json!({
        "version": VERSION, "version-id": VERSION, "variant-id": "pc", "machine": "x86_64",
    });
    ensure!(info == expected, "{info}\n  not\n{expected}");
    expect(&mut client, "guest-get-timezone", r#"{"offset": 20700}"#)
}

const NONSENSE: &str = "agent.host_name=not/a/name agent.timezone=CET agent.os.id=\u{1b}[2J \
    agent.os.machine";

/// What is wrong is in the log, and changes nothing.
fn told_nonsense(guest: &mut Guest) -> Result<()> {
    expect_image(&mut guest.connect_when_up()?)?;
    let log = guest.log();
    for word in ["agent.host_name=", "agent.timezone=", "agent.os.id="] {
        ensure!(log.contains(word), "{word} is not in the log:\n{log}");
    }
    ensure!(!log.contains("agent.os.machine"), "{log}");
    Ok(())
}

/// The smallest image does without.
fn absent(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    for command in [
        "guest-get-host-name",
        "guest-get-osinfo",
        "guest-get-timezone",
        "guest-get-users",
        "guest-get-fsinfo",
        "guest-get-devices",
        "guest-get-disks",
    ] {
        client.expect(
            &format!(r#"{{"execute":"{command}"}}"#),
            &format!(
                "{{\"error\": {{\"class\": \"CommandNotFound\", \"desc\": \"The command {command} \
                 has not been found\"}}}}"
            ),
        )?;
    }
    Ok(())
}

/// The console is driven where the agent listens at it; on PCI, QEMU knows what it is.
fn devices(guest: &mut Guest) -> Result<()> {
    const VIRTIO_CONSOLE: [u64; 2] = [0x1003, 0x1043];
    let mut client = guest.connect_when_up()?;
    let listed = client.call("guest-get-devices", &json!({})).granted()?;
    let mut device = json!({"driver-name": "virtio_console", "driver-version": VERSION});
    let expected = match guest.channel() {
        Channel::Com1 | Channel::Com2 => json!([]),
        Channel::VirtioMmioLegacy | Channel::VirtioMmioModern => json!([device]),
        _ => {
            let consoles = guest.qmp().pci_functions(&VIRTIO_CONSOLE)?;
            ensure!(consoles.len() == 1, "{consoles:?}");
            let id = &consoles[0]["id"];
            device["id"] =
                json!({"type": "pci", "vendor-id": id["vendor"], "device-id": id["device"]});
            json!([device])
        }
    };
    ensure!(listed == expected, "{listed}\n  not\n{expected}");
    Ok(())
}

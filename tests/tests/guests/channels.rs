//! Which channel the pc image chooses, and ports beside the agent's.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tests::client::ANSWER;
use tests::deadline::Deadline;
use tests::image::Image;
use tests::machine::{Channel, Machine, PORT_NAME};
use tests::qemu::Guest;

use crate::Case;

pub(crate) const CASES: &[Case] = &[
    Case::new("named-on-command-line", answers)
        .only_where(|setup| setup.image == Image::Pc && setup.channel.is_virtio())
        .prepared(|launch| launch.command_line("console=none agent.channel=virtio quiet")),
    // The agent is on the UART; a virtio port with its name, which leads nowhere, tempts.
    Case::new("named-beside-virtio", answers)
        .only_where(|setup| {
            setup.image == Image::Pc
                && setup.channel == Channel::Com1
                && setup.machine != Machine::Microvm
        })
        .prepared(|launch| {
            let mut decoy = vec!["-chardev".to_owned(), "null,id=decoy".to_owned()];
            decoy.extend(Channel::VirtioPci.arguments(Machine::Pc, "decoy"));
            launch.command_line("agent.channel=com1").extra(decoy)
        }),
    Case::new("several-ports", several_ports)
        .only_where(|setup| setup.channel.is_virtio())
        .prepared(|launch| {
            launch.extra([
                "-chardev",
                "null,id=other",
                "-device",
                "virtserialport,chardev=other,name=com.example.other",
                "-device",
                "virtserialport,name=com.example.unconnected",
                "-chardev",
                "null,id=console",
                "-device",
                "virtconsole,chardev=console",
            ])
        }),
    Case::new("port-replugged", replugged).only_where(|setup| setup.channel.is_virtio()),
    Case::new("line-break", line_break).only_where(|setup| !setup.channel.is_virtio()),
];

fn answers(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    client.expect(r#"{"execute":"guest-ping"}"#, r#"{"return": {}}"#)
}

fn several_ports(guest: &mut Guest) -> Result<()> {
    answers(guest)?;
    // QEMU's own view: the guest has opened the agent's port.
    let ports = guest.qmp().execute("query-chardev", &json!({}))?;
    let agent = ports
        .as_array()
        .and_then(|ports| ports.iter().find(|port| port["label"] == "agent"))
        .context("no such chardev")?;
    ensure!(agent["frontend-open"] == true, "the port is not open: {agent}");
    Ok(())
}

/// A host may unplug the port and plug it in again (`virsh detach-device`).
fn replugged(guest: &mut Guest) -> Result<()> {
    answers(guest)?;
    let qmp = guest.qmp();
    qmp.execute("device_del", &json!({"id": "agent-port"}))?;
    qmp.event("DEVICE_DELETED", ANSWER)?;
    qmp.execute(
        "device_add",
        &json!({"driver": "virtserialport", "chardev": "agent", "name": PORT_NAME}),
    )?;
    answers(guest)
}

/// What goes wrong on a line is in the log, and the agent goes on.
fn line_break(guest: &mut Guest) -> Result<()> {
    const TOLD: &str = "bytes were lost or came damaged";
    answers(guest)?;
    let log = guest.log();
    ensure!(!log.contains(TOLD), "{log}");
    guest.qmp().execute("chardev-send-break", &json!({"id": "agent"}))?;
    Deadline::within(ANSWER)
        .await_some("the line in the log", || Ok(guest.log().contains(TOLD).then_some(())))?;
    answers(guest)
}

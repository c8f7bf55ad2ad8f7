//! Each host product's sequences, as it sends them, and the fields that it reads of the answers.
//!
//! On every machine, with and without a disk and a network device: what is not there is an empty
//! list, never an error, since some clients then drop everything else that they have asked for.

use core::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use tests::client::{ANSWER, Client};
use tests::deadline::Deadline;
use tests::disk::{Disk, Drive, Format};
use tests::files::Verdict as _;
use tests::image::Image;
use tests::machine::Machine;
use tests::qemu::{Guest, Launch};

use crate::{Case, with_guest};

pub(crate) const CASES: &[Case] = &[
    Case::new("clients/pc/disk-and-nic", || play(Machine::Pc, true, true)),
    Case::new("clients/pc/disk", || play(Machine::Pc, true, false)),
    Case::new("clients/pc/nic", || play(Machine::Pc, false, true)),
    Case::new("clients/pc/bare", || play(Machine::Pc, false, false)),
    Case::new("clients/q35/disk-and-nic", || play(Machine::Q35, true, true)),
    Case::new("clients/q35/disk", || play(Machine::Q35, true, false)),
    Case::new("clients/q35/nic", || play(Machine::Q35, false, true)),
    Case::new("clients/q35/bare", || play(Machine::Q35, false, false)),
    Case::new("clients/microvm/disk-and-nic", || play(Machine::Microvm, true, true)),
    Case::new("clients/microvm/disk", || play(Machine::Microvm, true, false)),
    Case::new("clients/microvm/nic", || play(Machine::Microvm, false, true)),
    Case::new("clients/microvm/bare", || play(Machine::Microvm, false, false)),
];

const MAC: &str = "52:54:00:c1:1e:75";

fn play(machine: Machine, has_disk: bool, has_nic: bool) -> Result<()> {
    let disk = Disk::formatted(Format::PARTITIONED)?;
    let mut launch = Launch::image(Image::Appliance, machine, machine.usual_virtio())?;
    if has_disk {
        launch = launch.drive(Drive::of(&disk));
    }
    if has_nic {
        let device = match machine {
            Machine::Microvm => "virtio-net-device",
            Machine::Pc | Machine::Q35 => "virtio-net-pci",
        };
        let device = format!("{device},netdev=net,mac={MAC}");
        launch = launch.extra(["-netdev", "user,id=net", "-device", &device]);
    }
    with_guest(launch, |guest, client| {
        kubevirt(client).context("KubeVirt")?;
        libvirt(client).context("libvirt")?;
        vdsm(client).context("vdsm")?;
        terraform(client, has_nic).context("Terraform")?;
        ensure!(list(client, "guest-get-disks")?.is_empty() != has_disk);
        let devices = list(client, "guest-get-devices")?;
        for (driver, is_there) in
            [("virtio_blk", has_disk), ("virtio_console", true), ("virtio_net", has_nic)]
        {
            let is_listed = devices.iter().any(|device| device["driver-name"] == driver);
            ensure!(is_listed == is_there, "{driver}: {devices:?}");
        }
        // It ends with a shutdown.
        proxmox(guest, client).context("Proxmox")
    })
}

fn get(client: &mut Client, command: &str) -> Result<Value> {
    client.call(command, &json!({})).granted().with_context(|| command.to_owned())
}

fn list(client: &mut Client, command: &str) -> Result<Vec<Value>> {
    items(&get(client, command)?).map(<[_]>::to_vec).with_context(|| command.to_owned())
}

fn items(value: &Value) -> Result<&[Value]> {
    value.as_array().map(Vec::as_slice).with_context(|| format!("no list: {value}"))
}

fn text<'v>(value: &'v Value, key: &str) -> Result<&'v str> {
    value[key].as_str().with_context(|| format!("no text {key}: {value}"))
}

fn integer(value: &Value, key: &str) -> Result<i64> {
    value[key].as_i64().with_context(|| format!("no integer {key}: {value}"))
}

/// A member that may be left out is text where it is there.
fn optional_text(value: &Value, key: &str) -> Result<()> {
    value.get(key).map_or(Ok(()), |_| text(value, key).map(|_| ()))
}

/// `pkg/virt-handler/guestagent.go`: the commands without which it takes an agent for unsupported.
const KUBEVIRT: [&str; 10] = [
    "guest-ping",
    "guest-get-time",
    "guest-info",
    "guest-shutdown",
    "guest-network-get-interfaces",
    "guest-get-fsinfo",
    "guest-get-host-name",
    "guest-get-users",
    "guest-get-timezone",
    "guest-get-osinfo",
];

/// Connects through libvirt, asks whether the agent will do, and then polls.
fn kubevirt(client: &mut Client) -> Result<()> {
    client.sync_as_libvirt(ANSWER)?;
    let info = get(client, "guest-info")?;
    let version: Vec<u32> =
        text(&info, "version")?.split('.').map(str::parse).collect::<Result<_, _>>()?;
    ensure!(version.len() == 3, "{version:?}");
    let commands = items(&info["supported_commands"])?;
    for required in KUBEVIRT {
        let command = commands.iter().find(|command| command["name"] == required);
        let command = command.with_context(|| format!("{required} is not supported"))?;
        ensure!(command["enabled"] == true, "{command}");
    }
    ensure!(get(client, "guest-fsfreeze-status")? == "thawed", "not thawed");
    interfaces(client)?;
    let os = get(client, "guest-get-osinfo")?;
    for key in ["id", "name", "pretty-name", "version", "version-id", "kernel-release", "machine"] {
        text(&os, key)?;
    }
    text(&get(client, "guest-get-host-name")?, "host-name")?;
    text(&get(client, "guest-get-timezone")?, "zone")?;
    load(client)?;
    for processor in list(client, "guest-get-cpustats")? {
        ensure!(processor["type"] == "linux", "{processor}");
        for key in ["cpu", "user", "system", "idle"] {
            integer(&processor, key)?;
        }
    }
    for disk in list(client, "guest-get-diskstats")? {
        text(&disk, "name")?;
        for key in ["major", "minor"] {
            integer(&disk, key)?;
        }
        for key in ["read-ios", "read-sectors", "write-ios", "write-sectors", "total-ticks"] {
            integer(&disk["stats"], key)?;
        }
    }
    list(client, "guest-network-get-route").map(|_| ())
}

/// `virsh guestinfo` with every type named: the first that is an error ends all of it. And what
/// else `qemu_agent.c` reads.
fn libvirt(client: &mut Client) -> Result<()> {
    client.sync_as_libvirt(ANSWER)?;
    for user in list(client, "guest-get-users")? {
        text(&user, "user")?;
        ensure!(user["login-time"].is_number(), "{user}");
    }
    let os = get(client, "guest-get-osinfo")?;
    for key in [
        "id",
        "name",
        "pretty-name",
        "version",
        "version-id",
        "machine",
        "variant",
        "variant-id",
        "kernel-release",
        "kernel-version",
    ] {
        optional_text(&os, key)?;
    }
    let timezone = get(client, "guest-get-timezone")?;
    integer(&timezone, "offset")?;
    optional_text(&timezone, "zone")?;
    text(&get(client, "guest-get-host-name")?, "host-name")?;
    for filesystem in list(client, "guest-get-fsinfo")? {
        for key in ["mountpoint", "name", "type"] {
            text(&filesystem, key)?;
        }
        for disk in items(&filesystem["disk"])? {
            address(disk)?;
        }
        ensure!(integer(&filesystem, "used-bytes")? <= integer(&filesystem, "total-bytes")?);
    }
    for disk in list(client, "guest-get-disks")? {
        text(&disk, "name")?;
        ensure!(disk["partition"].is_boolean(), "{disk}");
        for dependency in items(&disk["dependencies"])? {
            ensure!(dependency.is_string(), "{disk}");
        }
        disk.get("address").map_or(Ok(()), address)?;
        optional_text(&disk, "alias")?;
    }
    interfaces(client)?;
    load(client)?;
    // domtime, guestvcpus.
    let time = get(client, "guest-get-time")?;
    ensure!(time.as_i64().is_some_and(|time| time > 0), "{time}");
    let processors = list(client, "guest-get-vcpus")?;
    ensure!(!processors.is_empty(), "no processor");
    for processor in processors {
        integer(&processor, "logical-id")?;
        ensure!(processor["online"].is_boolean() && processor["can-offline"].is_boolean());
    }
    Ok(())
}

fn address(disk: &Value) -> Result<()> {
    for key in ["bus", "target", "unit"] {
        integer(disk, key)?;
    }
    text(disk, "bus-type")?;
    for key in ["domain", "bus", "slot", "function"] {
        integer(&disk["pci-controller"], key)?;
    }
    optional_text(disk, "serial")?;
    optional_text(disk, "dev")
}

fn interfaces(client: &mut Client) -> Result<Vec<Value>> {
    let interfaces = list(client, "guest-network-get-interfaces")?;
    for interface in &interfaces {
        text(interface, "name")?;
        text(interface, "hardware-address")?;
        let Some(addresses) = interface.get("ip-addresses") else { continue };
        for address in items(addresses)? {
            let bits = match text(address, "ip-address-type")? {
                "ipv4" => 32,
                "ipv6" => 128,
                other => bail!("an address of type {other}"),
            };
            text(address, "ip-address")?.parse::<core::net::IpAddr>()?;
            ensure!((0..=bits).contains(&integer(address, "prefix")?), "{address}");
        }
    }
    Ok(interfaces)
}

fn load(client: &mut Client) -> Result<()> {
    let load = get(client, "guest-get-load")?;
    for key in ["load1m", "load5m", "load15m"] {
        ensure!(load[key].as_f64().is_some_and(|load| load >= 0.0), "{load}");
    }
    Ok(())
}

/// `qemuguestagent.py`: what it asks for itself, beside libvirt's.
fn vdsm(client: &mut Client) -> Result<()> {
    client.sync_as_libvirt(ANSWER)?;
    let os = get(client, "guest-get-osinfo")?;
    if os.get("id").is_some() {
        text(&os, "kernel-release")?;
    }
    interfaces(client)?;
    list(client, "guest-get-vcpus")?;
    let devices = list(client, "guest-get-devices")?;
    ensure!(!devices.is_empty(), "nothing drives the channel");
    for device in devices {
        text(&device, "driver-name")?;
        optional_text(&device, "driver-version")?;
        if let Some(id) = device.get("id") {
            ensure!(id["type"] == "pci", "{id}");
            integer(id, "vendor-id")?;
            integer(id, "device-id")?;
        }
    }
    Ok(())
}

/// Waits for an address of a network device that is known by its hardware address.
fn terraform(client: &mut Client, has_nic: bool) -> Result<()> {
    if !has_nic {
        let interfaces = interfaces(client)?;
        ensure!(interfaces.is_empty(), "{interfaces:?}");
        return Ok(());
    }
    Deadline::within(Duration::from_secs(5)).await_some("an address", || {
        let interfaces = interfaces(client)?;
        let ours = interfaces.iter().find(|interface| interface["hardware-address"] == MAC);
        let ours = ours.with_context(|| format!("no interface {MAC}: {interfaces:?}"))?;
        ensure!(ours["name"] != "lo", "{ours}");
        let addresses = ours["ip-addresses"].as_array().into_iter().flatten();
        let mut addresses = addresses.filter(|address| address["ip-address-type"] == "ipv4");
        Ok(addresses.any(|address| address["ip-address"] == "10.0.2.15").then_some(()))
    })
}

/// `QMPClient.pm` and the menu of `qm agent`: each command with a handshake of its own. A backup
/// freezes and thaws; the button of the web page pings and shuts down.
fn proxmox(guest: &mut Guest, client: &mut Client) -> Result<()> {
    let mut ask = |command: &str| -> Result<Value> {
        let line = client.ask_as_proxmox(command)?;
        let reply: Value = serde_json::from_str(&line)?;
        reply.get("return").cloned().with_context(|| format!("{command}: {line}"))
    };
    for command in [
        "guest-ping",
        "guest-get-time",
        "guest-info",
        "guest-fstrim",
        "guest-network-get-interfaces",
        "guest-get-vcpus",
        "guest-get-fsinfo",
        "guest-get-memory-blocks",
        "guest-get-memory-block-info",
        "guest-get-host-name",
        "guest-get-osinfo",
        "guest-get-users",
        "guest-get-timezone",
    ] {
        ask(command)?;
    }
    for (command, expected) in [
        ("guest-fsfreeze-status", json!("thawed")),
        ("guest-fsfreeze-freeze", json!(1)),
        ("guest-fsfreeze-status", json!("frozen")),
        ("guest-fsfreeze-thaw", json!(1)),
        ("guest-fsfreeze-status", json!("thawed")),
    ] {
        let reply = ask(command)?;
        ensure!(reply == expected, "{command}: {reply}");
    }
    ask("guest-ping")?;
    client.send(
        "{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":7}}\n\
         {\"execute\":\"guest-shutdown\",\"arguments\":{}}\n",
    )?;
    guest.qmp().event("SHUTDOWN", ANSWER)?;
    guest.wait_for_exit(ANSWER)?;
    Ok(())
}

//! guest-get-disks, guest-get-diskstats and guest-get-devices, against what QEMU itself says.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::client::Client;
use tests::disk::{Disk, Drive, Format};
use tests::files::Verdict as _;
use tests::image::Image;
use tests::machine::Machine;
use tests::network::Card;
use tests::qemu::{Guest, Launch};

use crate::files::{VIRTIO_BLOCK, pci_controller};
use crate::network::await_user_addresses;
use crate::{Appliance, Case, EverywhereCase, launch, with_guest};

pub(crate) const EVERYWHERE: &[EverywhereCase] = &[
    EverywhereCase::new("disks", disks),
    EverywhereCase::new("diskstats", diskstats),
    EverywhereCase::new("devices", devices),
];

pub(crate) const CASES: &[Case] = &[
    Case::new("disks/several/pc", || several(Machine::Pc)),
    Case::new("disks/several/q35", || several(Machine::Q35)),
    Case::new("disks/several/microvm", || several(Machine::Microvm)),
    Case::new("disks/told-of-twice", told_of_twice),
    Case::new("disks/as-many-as-letters", as_many_as_letters),
    Case::new("disks/discards-are-counted", discards),
    Case::new("disks/failures-are-not-counted", failures),
];

/// What QEMU's and the agent's counters are called, and what QEMU counts in. It does not count
/// discards of virtio disks.
const COUNTERS: [(&str, &str, u64); 5] = [
    ("rd_operations", "read-ios", 1),
    ("wr_operations", "write-ios", 1),
    ("flush_operations", "flush-ios", 1),
    ("rd_bytes", "read-sectors", 512),
    ("wr_bytes", "write-sectors", 512),
];

fn list(client: &mut Client, command: &str) -> Result<Vec<Value>> {
    let reply = client.call(command, &json!({})).granted()?;
    reply.as_array().cloned().with_context(|| format!("{command}: no list: {reply}"))
}

/// The entry of guest-get-disks for a whole disk.
fn entry(name: &str, serial: &str, controller: &Value) -> Value {
    json!({
        "name": name, "partition": false, "dependencies": [],
        "address": {
            "bus-type": "virtio", "bus": 0, "target": 0, "unit": 0, "serial": serial,
            "dev": name, "pci-controller": controller,
        },
    })
}

/// And for a partition of one.
fn partition(name: &str, disk: &str) -> Value {
    json!({"name": name, "partition": true, "dependencies": [disk]})
}

fn no_controller() -> Value {
    json!({"domain": -1, "bus": -1, "slot": -1, "function": -1})
}

fn disks(appliance: &mut Appliance) -> Result<()> {
    let mut client = appliance.guest.connect_when_up()?;
    let listed = list(&mut client, "guest-get-disks")?;
    let Some(format) = appliance.setup.format else {
        ensure!(listed.is_empty(), "{listed:?}");
        return Ok(());
    };
    let functions = appliance.guest.qmp().pci_functions(&VIRTIO_BLOCK)?;
    let controller = functions.first().map_or_else(no_controller, pci_controller);
    let mut expected = vec![entry("/dev/vda", "tinyqga-0", &controller)];
    if format.first_sector != 0 {
        expected.push(partition("/dev/vda1", "/dev/vda"));
    }
    ensure!(listed == expected, "{listed:#?}\n  not\n{expected:#?}");
    Ok(())
}

/// Firecracker tells of every device in the DSDT and on the command line. Each is one device all
/// the same, and works.
fn told_of_twice() -> Result<()> {
    let disk = Disk::formatted(Format::FAT16)?;
    let card = Card::user(1);
    // Where QEMU's microvm has them.
    let places = (0..24).map(|slot| 0xfeb0_0000_u64 + slot * 0x200);
    let words: Vec<_> = places.map(|base| format!("virtio_mmio.device=512@{base:#x}:24")).collect();
    let launch = launch()?
        .drive(Drive::of(&disk))
        .extra(card.arguments(Machine::Microvm))
        .more_command_line(&words.join(" "));
    with_guest(launch, |_, client| {
        let listed = list(client, "guest-get-disks")?;
        let expected = [entry("/dev/vda", "tinyqga-0", &no_controller())];
        ensure!(listed == expected, "{listed:#?}");
        client.put_file("file", b"contents")?;
        ensure!(disk.get("file")? == b"contents");
        await_user_addresses(client, "eth0", &card)?;
        let interfaces = client.interfaces()?;
        ensure!(interfaces.len() == 1, "{interfaces:#?}");
        Ok(())
    })
}

/// QEMU's counters of the disk `id`.
fn counted_by_qemu(guest: &mut Guest, id: &str) -> Result<Value> {
    let all = guest.qmp().execute("query-blockstats", &json!({}))?;
    let is_it = |entry: &&Value| {
        entry["qdev"].as_str().is_some_and(|path| path.split('/').any(|part| part == id))
    };
    let entry = all.as_array().into_iter().flatten().find(is_it);
    Ok(entry.with_context(|| format!("QEMU does not count {id}: {all}"))?["stats"].clone())
}

/// The agent's counters of the disk `name`.
fn counted(client: &mut Client, name: &str) -> Result<Value> {
    let all = list(client, "guest-get-diskstats")?;
    let entry = all.iter().find(|entry| entry["name"] == name);
    Ok(entry.with_context(|| format!("{name} is not counted: {all:?}"))?["stats"].clone())
}

fn number(counters: &Value, key: &str) -> Result<u64> {
    counters[key].as_u64().with_context(|| format!("no {key}: {counters}"))
}

/// The agent's counters of a disk, at two moments.
struct Growth {
    before: Value,
    now: Value,
}

impl Growth {
    fn of(&self, key: &str) -> Result<u64> {
        Ok(number(&self.now, key)? - number(&self.before, key)?)
    }
}

/// Demands that QEMU and the agent have counted the same while `use_it` ran; returns what the agent
/// counted more.
fn expect_same(
    guest: &mut Guest,
    client: &mut Client,
    use_it: impl FnOnce(&mut Client) -> Result<()>,
) -> Result<Growth> {
    let qemus_before = counted_by_qemu(guest, "drive0")?;
    let before = counted(client, "vda")?;
    use_it(client)?;
    let qemus = counted_by_qemu(guest, "drive0")?;
    let more = Growth { before, now: counted(client, "vda")? };
    for (qemus_key, key, unit) in COUNTERS {
        let expected = number(&qemus, qemus_key)? - number(&qemus_before, qemus_key)?;
        let count = more.of(key)? * unit;
        ensure!(count == expected, "{key}: {count}, QEMU has counted {expected}");
    }
    Ok(more)
}

fn diskstats(appliance: &mut Appliance) -> Result<()> {
    let mut client = appliance.guest.connect_when_up()?;
    if appliance.disk.is_none() {
        let listed = list(&mut client, "guest-get-diskstats")?;
        ensure!(listed.is_empty(), "{listed:?}");
        return Ok(());
    }
    let contents = vec![7; 200_000];
    let more = expect_same(&mut appliance.guest, &mut client, |client| {
        client.put_file("a file", &contents)?;
        ensure!(client.take_file("a file", 65_536)? == contents, "other bytes");
        client.expect(r#"{"execute":"guest-fsfreeze-freeze"}"#, r#"{"return": 1}"#)?;
        client.expect(r#"{"execute":"guest-fsfreeze-thaw"}"#, r#"{"return": 1}"#)
    })?;
    ensure!(more.of("write-sectors")? >= 200_000 / 512, "less was written than is there");
    ensure!(more.of("read-sectors")? >= 200_000 / 512, "less was read than is there");
    ensure!(more.of("flush-ios")? > 0, "nothing was flushed");
    let parts = ["read-ticks", "write-ticks", "discard-ticks", "flush-ticks"];
    let sum = parts.iter().map(|key| more.of(key)).sum::<Result<u64>>()?;
    // Each is rounded down by itself, before and after.
    let total = more.of("total-ticks")?;
    ensure!(total.abs_diff(sum) <= 4, "{total} ms in all, {sum} ms in parts");
    ensure!(more.of("weight-ticks")? == total, "one request at a time");

    let listed = list(&mut client, "guest-get-diskstats")?;
    ensure!(
        listed.len() == 1 && listed[0]["major"] == 254 && listed[0]["minor"] == 0,
        "{listed:?}"
    );
    ensure!(listed[0]["stats"]["ios-pgr"] == 0, "{listed:?}");
    Ok(())
}

fn discards() -> Result<()> {
    let disk = Disk::formatted(Format::FAT16.mib(64))?;
    with_guest(launch()?.drive(Drive::of(&disk).discard()), |guest, client| {
        let mut trimmed = 0;
        let more = expect_same(guest, client, |client| {
            let reply = client.call("guest-fstrim", &json!({})).granted()?;
            trimmed = reply["paths"][0]["trimmed"].as_u64().context("nothing trimmed")?;
            Ok(())
        })?;
        let discarded = more.of("discard-sectors")? * 512;
        ensure!(discarded == trimmed, "{discarded} bytes are counted, {trimmed} were trimmed");
        ensure!(more.of("discard-ios")? > 0, "no discard is counted");
        Ok(())
    })
}

/// What the disk did not do is not counted as done.
fn failures() -> Result<()> {
    let disk = Disk::formatted(Format::FAT16)?;
    disk.put("a file", &vec![7; 100_000])?;
    let failing = tests::disk::Failing { requests: "write", sector: None };
    with_guest(launch()?.drive(Drive::of(&disk).failing(failing)), |_, client| {
        let before = counted(client, "vda")?;
        let handle = client.open("a file", "r+").granted()?;
        // It fails here, or when it is put on the disk.
        let _ = client.write(handle, b"lost")?;
        client.flush(handle).refused()?;
        let now = counted(client, "vda")?;
        for key in ["write-ios", "write-sectors"] {
            ensure!(number(&now, key)? == number(&before, key)?, "{key}: {before}, then {now}");
        }
        ensure!(number(&now, "read-ios")? > number(&before, "read-ios")?, "{before}, then {now}");
        Ok(())
    })
}

/// Three disks, the volume on one of them: all are listed, with serial number and place, in the
/// order in which they are found; the first with a volume is mounted.
fn several(machine: Machine) -> Result<()> {
    let blank = Disk::blank(8)?;
    let volume = Disk::formatted(Format::PARTITIONED)?;
    let other_volume = Disk::formatted(Format::FAT16)?;
    let launch = Launch::image(Image::Appliance, machine, machine.usual_virtio())?
        .drive(Drive::of(&blank))
        .drive(Drive::of(&volume))
        .drive(Drive::of(&other_volume).read_only());
    with_guest(launch, |guest, client| {
        let listed = list(client, "guest-get-disks")?;
        let functions = guest.qmp().pci_functions(&VIRTIO_BLOCK)?;
        let mut expected = Vec::new();
        for (index, name) in ["/dev/vda", "/dev/vdb", "/dev/vdc"].into_iter().enumerate() {
            let controller = functions.get(index).map_or_else(no_controller, pci_controller);
            expected.push(entry(name, &format!("tinyqga-{index}"), &controller));
            if index == 1 {
                expected.push(partition("/dev/vdb1", name));
            }
        }
        ensure!(listed == expected, "{listed:#?}\n  not\n{expected:#?}");
        let counted = list(client, "guest-get-diskstats")?;
        let numbers: Vec<_> =
            counted.iter().map(|entry| (entry["name"].clone(), entry["minor"].clone())).collect();
        let expected = [("vda", 0), ("vdb", 16), ("vdc", 32)];
        ensure!(
            numbers == expected.map(|(name, minor)| (json!(name), json!(minor))),
            "{counted:?}"
        );
        let mounts = list(client, "guest-get-fsinfo")?;
        ensure!(mounts.len() == 1 && mounts[0]["disk"][0]["dev"] == "/dev/vdb1", "{mounts:?}");
        Ok(())
    })
}

/// As many disks as have names, and one more.
fn as_many_as_letters() -> Result<()> {
    const DISKS: usize = 26;
    let disk = Disk::blank(1)?;
    let mut launch = Launch::image(Image::Appliance, Machine::Q35, Machine::Q35.usual_virtio())?;
    for _ in 0..=DISKS {
        launch = launch.drive(Drive::of(&disk).read_only());
    }
    with_guest(launch, |guest, client| {
        let listed = list(client, "guest-get-disks")?;
        ensure!(listed.len() == DISKS && listed[DISKS - 1]["name"] == "/dev/vdz", "{listed:?}");
        let counted = list(client, "guest-get-diskstats")?;
        ensure!(counted.len() == DISKS && counted[DISKS - 1]["name"] == "vdz", "{counted:?}");
        let log = guest.log();
        ensure!(log.contains("more disks than"), "the last one is not in the log:\n{log}");
        Ok(())
    })
}

fn devices(appliance: &mut Appliance) -> Result<()> {
    const VIRTIO_CONSOLE: [u64; 2] = [0x1003, 0x1043];
    let mut client = appliance.guest.connect_when_up()?;
    let listed = list(&mut client, "guest-get-devices")?;
    let mut expected = Vec::new();
    for (driver, ids, is_driven) in [
        ("virtio_blk", VIRTIO_BLOCK, appliance.disk.is_some()),
        ("virtio_console", VIRTIO_CONSOLE, appliance.setup.channel.is_virtio()),
    ] {
        if !is_driven {
            continue;
        }
        let mut device =
            json!({"driver-name": driver, "driver-version": env!("CARGO_PKG_VERSION")});
        if let Some(function) = appliance.guest.qmp().pci_functions(&ids)?.first() {
            let id = &function["id"];
            device["id"] =
                json!({"type": "pci", "vendor-id": id["vendor"], "device-id": id["device"]});
        }
        expected.push(device);
    }
    ensure!(listed == expected, "{listed:#?}\n  not\n{expected:#?}");
    Ok(())
}

//! guest-file-* and guest-get-fsinfo, wherever files are.
//!
//! The cases that start with `qga-` are QEMU's own (`tests/unit/test-qga.c`), named as there.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::client::Client;
use tests::files::Verdict as _;
use tests::machine::Machine;

use crate::{Appliance, EverywhereCase};

pub(crate) const EVERYWHERE: &[EverywhereCase] = &[
    EverywhereCase::new("qga-file-ops", file_ops),
    EverywhereCase::new("qga-file-write-read", file_write_read),
    EverywhereCase::new("qga-get-fsinfo", fsinfo),
    EverywhereCase::new("open-files", open_files),
    EverywhereCase::new("too-much-at-once", too_much_at_once),
];

/// The PCI device ids of virtio disks, transitional and modern.
pub(crate) const VIRTIO_BLOCK: [u64; 2] = [0x1001, 0x1042];

/// `Hello World!\n` and a NUL, in base64.
const HELLO_B64: &str = "SGVsbG8gV29ybGQhCgA=";
const HELLO: &[u8] = b"Hello World!\n\0";

/// Plays requests and demands these replies. `%` stands for the handle of the last guest-file-open.
fn play(client: &mut Client, steps: &[(&str, &str, &str)]) -> Result<()> {
    let mut handle = 999;
    for (command, arguments, expected) in steps {
        if *command == "open" {
            handle += 1;
        }
        let fill = |text: &str| text.replace('%', &handle.to_string());
        client.expect(
            &format!(r#"{{"execute":"guest-file-{command}","arguments":{{{}}}}}"#, fill(arguments)),
            &format!(r#"{{"return": {}}}"#, fill(expected)),
        )?;
    }
    Ok(())
}

fn file_ops(appliance: &mut Appliance) -> Result<()> {
    let mut client = appliance.guest.connect_when_up()?;
    let write = format!(r#""handle":%,"buf-b64":"{HELLO_B64}""#);
    let all = format!(r#"{{"count": 14, "buf-b64": "{HELLO_B64}", "eof": true}}"#);
    let none = r#"{"count": 0, "buf-b64": "", "eof": true}"#;
    play(
        &mut client,
        &[
            ("open", r#""path":"foo","mode":"w+""#, "%"),
            ("write", &write, r#"{"count": 14, "eof": false}"#),
            ("flush", r#""handle":%"#, "{}"),
            ("close", r#""handle":%"#, "{}"),
        ],
    )?;
    // The host reads the file.
    if let Some(disk) = &appliance.disk {
        ensure!(disk.get("foo")? == HELLO, "the host finds other bytes");
    }
    client.expect(
        r#"{"execute":"guest-file-open","arguments":{"path":"foo","mode":"r"}}"#,
        r#"{"return": 1001}"#,
    )?;
    for (command, arguments, expected) in [
        ("read", "", all.as_str()),
        ("read", "", none),
        ("seek", r#","offset":6,"whence":"set""#, r#"{"eof": false, "position": 6}"#),
        ("read", "", r#"{"count": 8, "buf-b64": "V29ybGQhCgA=", "eof": true}"#),
        ("close", "", "{}"),
    ] {
        client.expect(
            &format!(
                r#"{{"execute":"guest-file-{command}","arguments":{{"handle":1001{arguments}}}}}"#
            ),
            &format!(r#"{{"return": {expected}}}"#),
        )?;
    }
    Ok(())
}

fn file_write_read(appliance: &mut Appliance) -> Result<()> {
    let mut client = appliance.guest.connect_when_up()?;
    let write = format!(r#""handle":%,"buf-b64":"{HELLO_B64}""#);
    let all = format!(r#"{{"count": 14, "buf-b64": "{HELLO_B64}", "eof": true}}"#);
    play(
        &mut client,
        &[
            ("open", r#""path":"foo","mode":"w+""#, "%"),
            ("write", &write, r#"{"count": 14, "eof": false}"#),
            ("read", r#""handle":%"#, r#"{"count": 0, "buf-b64": "", "eof": true}"#),
            ("seek", r#""handle":%,"offset":0,"whence":"set""#, r#"{"eof": false, "position": 0}"#),
            ("read", r#""handle":%"#, &all),
            ("close", r#""handle":%"#, "{}"),
        ],
    )?;
    ensure!(appliance.contents(&mut client, "foo")? == HELLO, "other bytes are in the file");
    Ok(())
}

/// One file system at `/`, on the disk that QEMU has made, where it has made it.
fn fsinfo(appliance: &mut Appliance) -> Result<()> {
    let mut client = appliance.guest.connect_when_up()?;
    let list = client.call("guest-get-fsinfo", &json!({})).granted()?;
    let [volume] = list.as_array().context("no list")?.as_slice() else {
        anyhow::bail!("not one file system: {list}");
    };
    ensure!(volume["mountpoint"] == "/", "{volume}");
    let (used, total) = (volume["used-bytes"].as_u64(), volume["total-bytes"].as_u64());
    let (used, total) = (used.context("no used-bytes")?, total.context("no total-bytes")?);
    ensure!(used < total, "{used} bytes of {total}");
    let Some(format) = appliance.setup.format else {
        ensure!(volume["name"] == "ram" && volume["type"] == "ram", "{volume}");
        ensure!(volume["disk"] == json!([]), "{volume}");
        return Ok(());
    };
    let name = if format.first_sector == 0 { "vda" } else { "vda1" };
    ensure!(volume["name"] == name && volume["type"] == "vfat", "{volume}");
    let size = u64::from(format.mib) << 20;
    ensure!((size - size / 16..=size).contains(&total), "{total} bytes of a disk of {size}");
    // Where QEMU says that the disk is.
    let controller = match appliance.setup.machine {
        Machine::Microvm => json!({"domain": -1, "bus": -1, "slot": -1, "function": -1}),
        Machine::Pc | Machine::Q35 => pci_address(&mut appliance.guest)?,
    };
    let expected = json!([{
        "bus-type": "virtio", "bus": 0, "target": 0, "unit": 0, "serial": "tinyqga-0",
        "dev": format!("/dev/{name}"), "pci-controller": controller,
    }]);
    ensure!(volume["disk"] == expected, "{}\n  not\n{expected}", volume["disk"]);

    // What is written counts.
    client.put_file("a file", &vec![7; 100_000])?;
    let list = client.call("guest-get-fsinfo", &json!({})).granted()?;
    let now = list[0]["used-bytes"].as_u64().context("no used-bytes")?;
    ensure!((100_000..110_000).contains(&(now - used)), "{used}, then {now} bytes are used");
    Ok(())
}

/// Where the virtio disk is, by QEMU's own account.
fn pci_address(guest: &mut tests::qemu::Guest) -> Result<Value> {
    let disks = guest.qmp().pci_functions(&VIRTIO_BLOCK)?;
    let disk = disks.first().context("QEMU knows of no disk")?;
    Ok(pci_controller(disk))
}

/// The address of one of QEMU's PCI functions, as the agent tells it.
pub(crate) fn pci_controller(function: &Value) -> Value {
    json!({
        "domain": 0, "bus": function["bus"], "slot": function["slot"],
        "function": function["function"],
    })
}

/// Handles are counted up, whether or not others are free; the table has an end.
fn open_files(appliance: &mut Appliance) -> Result<()> {
    const TOO_MANY: &str = "failed to open file 'f' (mode: 'r'): Too many open files";
    let mut client = appliance.guest.connect_when_up()?;
    client.put_file("f", b"contents")?;
    let mut handles = vec![client.open("f", "r").granted()?];
    loop {
        match client.open("f", "r")? {
            Ok(handle) => {
                ensure!(handles.last() == Some(&(handle - 1)), "{handle} after {handles:?}");
                handles.push(handle);
            }
            Err(refused) => {
                ensure!(refused.0 == TOO_MANY, "{}", refused.0);
                break;
            }
        }
        ensure!(handles.len() <= 1000, "there is no end to open files");
    }
    ensure!(handles.len() >= 8, "only {} files can be open", handles.len());
    // One more is refused before anything happens to it.
    let text = client.open("f", "w").refused()?;
    ensure!(text == TOO_MANY.replace("'r'", "'w'"), "{text}");
    for &handle in &handles {
        let (bytes, eof) = client.read(handle, 100).granted()?;
        ensure!(bytes == b"contents" && eof, "`{}`", bytes.escape_ascii());
    }
    let last = *handles.last().context("no handles")?;
    client.close(handles[0]).granted()?;
    ensure!(client.open("f", "r").granted()? == last + 1, "a handle was used again");
    let text = client.close(handles[0]).refused()?;
    ensure!(text == format!("handle '{}' has not been found", handles[0]), "{text}");
    Ok(())
}

/// What does not fit into a request is answered with an error, and nothing of it is written.
fn too_much_at_once(appliance: &mut Appliance) -> Result<()> {
    let mut client = appliance.guest.connect_when_up()?;
    let handle = client.open("f", "w").granted()?;
    ensure!(client.write(handle, &vec![b'x'; 64 * 1024]).granted()? == 64 * 1024);
    let text = client.write(handle, &vec![b'y'; 256 * 1024]).refused()?;
    ensure!(text == "JSON token size limit exceeded", "{text}");
    ensure!(client.write(handle, b"z").granted()? == 1);
    client.close(handle).granted()?;
    let mut expected = vec![b'x'; 64 * 1024];
    expected.push(b'z');
    ensure!(appliance.contents(&mut client, "f")? == expected, "other bytes are in the file");
    Ok(())
}

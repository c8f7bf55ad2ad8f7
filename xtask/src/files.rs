//! The appliance's part of `cargo xtask run`: files go in and out, and the disk is backed up.

use anyhow::{Context as _, Result, ensure};
use tests::client::Client;
use tests::disk::{Disk, Format};

use crate::run::show;

/// A file that is on the disk when the guest starts.
const MESSAGE: (&str, &[u8]) = ("message of the day.txt", b"Hello World!\n");

/// Where the host puts a file through the agent, and `name = tinyqga` in base64.
const SETTINGS: (&str, &str, &[u8]) =
    ("/etc/appliance.conf", "bmFtZSA9IHRpbnlxZ2EK", b"name = tinyqga\n");

/// A disk with a FAT volume and a file.
pub(crate) fn make_disk() -> Result<Disk> {
    const FORMAT: Format = Format::PARTITIONED;
    let disk = Disk::formatted(FORMAT)?;
    disk.put(MESSAGE.0, MESSAGE.1)?;
    disk.make_directory("etc")?;
    println!(
        "disk     {}\n         {} MiB, one FAT{} partition, on it `{}` and the directory `etc`",
        disk.path().display(),
        FORMAT.mib,
        FORMAT.fat_bits,
        MESSAGE.0
    );
    Ok(disk)
}

/// A file in, a file out, what there is, and a backup.
pub(crate) fn play(client: &mut Client, disk: &Disk) -> Result<()> {
    println!("\na file goes in");
    let handle = open(client, SETTINGS.0, "w")?;
    ask(
        client,
        &format!(
            r#"{{"execute":"guest-file-write", "arguments":{{"handle":{handle}, "buf-b64":"{}"}}}}"#,
            SETTINGS.1
        ),
    )?;
    of_file(client, "guest-file-close", &handle)?;
    let found = disk.get(SETTINGS.0)?;
    println!("\nthe host finds it on the disk: `{}`", found.trim_ascii_end().escape_ascii());
    ensure!(found == SETTINGS.2, "that is not what was written");

    println!("\na file comes out");
    let handle = open(client, MESSAGE.0, "r")?;
    of_file(client, "guest-file-read", &handle)?;
    of_file(client, "guest-file-close", &handle)?;

    println!("\nwhat there is, and a backup");
    for command in ["guest-get-fsinfo", "guest-fstrim", "guest-fsfreeze-freeze"] {
        ask(client, &format!(r#"{{"execute":"{command}"}}"#))?;
    }
    let copy = disk.copy()?;
    ask(client, r#"{"execute":"guest-fsfreeze-status"}"#)?;
    ask(client, r#"{"execute":"guest-file-open", "arguments":{"path":"new", "mode":"w"}}"#)?;
    ask(client, r#"{"execute":"guest-fsfreeze-thaw"}"#)?;
    copy.expect_clean()?;
    println!("\nfsck.fat finds nothing in the copy of the disk that was made meanwhile");
    Ok(())
}

/// Opens a file, and gives its handle as text.
fn open(client: &mut Client, path: &str, mode: &str) -> Result<String> {
    let reply = ask(
        client,
        &format!(
            r#"{{"execute":"guest-file-open", "arguments":{{"path":"{path}", "mode":"{mode}"}}}}"#
        ),
    )?;
    let handle = reply.strip_prefix("{\"return\": ").and_then(|rest| rest.strip_suffix("}\n"));
    Ok(handle.context("the file cannot be opened")?.to_owned())
}

fn of_file(client: &mut Client, command: &str, handle: &str) -> Result<String> {
    ask(client, &format!(r#"{{"execute":"{command}", "arguments":{{"handle":{handle}}}}}"#))
}

fn ask(client: &mut Client, request: &str) -> Result<String> {
    let (reply, took) = client.ask_timed(request)?;
    show(request.split('"').nth(3).unwrap_or_default(), took, request, &reply);
    Ok(reply)
}

//! The appliance's part of `cargo xtask run`: files go in and out, and the disk is backed up.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::disk::{Disk, Format};

use crate::stage::Stage;

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

/// A file in, a file out, and a backup.
pub(crate) fn play(stage: &mut Stage, disk: &Disk) -> Result<()> {
    println!("\na file goes in");
    let handle = open(stage, SETTINGS.0, "w")?;
    stage.ask_with("guest-file-write", &json!({"handle": handle, "buf-b64": SETTINGS.1}))?;
    for command in ["guest-file-flush", "guest-file-close"] {
        stage.ask_with(command, &json!({"handle": handle}))?;
    }
    let found = disk.get(SETTINGS.0)?;
    println!("\nthe host finds it on the disk: `{}`", found.trim_ascii_end().escape_ascii());
    ensure!(found == SETTINGS.2, "that is not what was written");

    println!("\na file comes out, and its end once more");
    let handle = open(stage, MESSAGE.0, "r")?;
    let one = json!({"handle": handle});
    stage.ask_with("guest-file-read", &one)?;
    let seek = json!({"handle": handle, "offset": -7, "whence": "end"});
    stage.ask_with("guest-file-seek", &seek)?;
    stage.ask_with("guest-file-read", &one)?;
    stage.ask_with("guest-file-close", &one)?;

    println!("\na backup: of all file systems, then of those that are listed");
    stage.ask_for("guest-fstrim")?;
    stage.ask_for("guest-fsfreeze-freeze")?;
    let copy = disk.copy()?;
    stage.ask_for("guest-fsfreeze-status")?;
    stage.ask_with("guest-file-open", &json!({"path": "new", "mode": "w"}))?;
    stage.ask_for("guest-fsfreeze-thaw")?;
    copy.expect_clean()?;
    println!("\nfsck.fat finds nothing in the copy of the disk that was made meanwhile");
    stage.ask_with("guest-fsfreeze-freeze-list", &json!({"mountpoints": ["/"]}))?;
    stage.ask_for("guest-fsfreeze-thaw")?;
    Ok(())
}

/// Opens a file, and gives its handle.
fn open(stage: &mut Stage, path: &str, mode: &str) -> Result<i64> {
    let reply = stage.ask_with("guest-file-open", &json!({"path": path, "mode": mode}))?;
    let reply: Value = serde_json::from_str(&reply)?;
    reply["return"].as_i64().context("the file cannot be opened")
}

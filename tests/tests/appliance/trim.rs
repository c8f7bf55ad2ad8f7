//! guest-fstrim, as the host's file system sees it.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::client::Client;
use tests::disk::{Disk, Drive, Format};
use tests::files::Verdict as _;

use crate::{Case, launch, with_guest};

pub(crate) const CASES: &[Case] = &[
    Case::new("trim/blocks-are-freed", blocks_are_freed),
    Case::new("trim/minimum", minimum),
    Case::new("trim/not-supported", not_supported),
];

const MIB: u64 = 1024 * 1024;

/// The only path's entry.
fn trim(client: &mut Client, arguments: &Value) -> Result<Value> {
    let reply = client.call("guest-fstrim", arguments).granted()?;
    let paths = reply["paths"].as_array().context("no paths")?;
    ensure!(paths.len() == 1 && paths[0]["path"] == "/", "{reply}");
    Ok(paths[0].clone())
}

fn trimmed(entry: &Value) -> Result<u64> {
    entry["trimmed"].as_u64().with_context(|| entry.to_string())
}

fn blocks_are_freed() -> Result<()> {
    const DELETED: u64 = 8 * MIB;
    for format in [Format::FAT16, Format::PARTITIONED] {
        let disk = Disk::formatted(format.mib(64))?;
        with_guest(launch()?.drive(Drive::of(&disk).discard()), |_, client| {
            client.put_file("kept", &vec![1; 100_000])?;
            client.put_file("emptied", &vec![2; usize::try_from(DELETED)?])?;
            let full = disk.bytes_on_host()?;
            let handle = client.open("emptied", "w").granted()?;
            client.close(handle).granted()?;

            let entry = trim(client, &json!({}))?;
            let count = trimmed(&entry)?;
            ensure!((DELETED..=64 * MIB).contains(&count), "{entry}");
            ensure!(entry["minimum"].is_u64(), "{entry}");
            let now = disk.bytes_on_host()?;
            ensure!(full - now >= DELETED, "{full} bytes on the host, then {now}");
            ensure!(disk.get("kept")? == vec![1; 100_000], "it has taken what is in use");
            disk.expect_clean()
        })?;
    }
    Ok(())
}

/// Runs of free clusters that are shorter than `minimum` stay.
fn minimum() -> Result<()> {
    let disk = Disk::formatted(Format::FAT32)?;
    // Free runs of 64 KiB between files, and all the rest in one.
    for index in 0..8 {
        disk.put(&format!("f{index}"), &vec![3; 64 * 1024])?;
    }
    with_guest(launch()?.drive(Drive::of(&disk).discard()), |_, client| {
        for index in [1, 3, 5] {
            let handle = client.open(&format!("f{index}"), "w").granted()?;
            client.close(handle).granted()?;
        }
        let all = trimmed(&trim(client, &json!({}))?)?;
        let without = trim(client, &json!({"minimum": 65_537}))?;
        ensure!(all - trimmed(&without)? == 3 * 65_536, "{all}, then {without}");
        ensure!(without["minimum"] == 65_537, "{without}");
        let none = trim(client, &json!({"minimum": 1_u64 << 40}))?;
        ensure!(trimmed(&none)? == 0, "{none}");
        disk.expect_clean()
    })
}

fn not_supported() -> Result<()> {
    let disk = Disk::formatted(Format::FAT16)?;
    for launch in [launch()?, launch()?.drive(Drive::of(&disk))] {
        with_guest(launch, |_, client| {
            client.expect(
                r#"{"execute":"guest-fstrim"}"#,
                r#"{"return": {"paths": [{"path": "/", "error": "trim not supported"}]}}"#,
            )
        })?;
    }
    Ok(())
}

//! Every image offers what the README's table says, and all of QEMU 2.3's schema is offered by some.

#![allow(clippy::missing_errors_doc, reason = "an error is a failed test")]

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::client::Client;
use tests::deadline::Deadline;
use tests::image::{self, Image};
use tests::machine::{Channel, Machine};
use tests::qemu::Launch;
use tests::transcript::Transcript;

/// A column of the README's table, and the words in it for what the image offers.
struct Column {
    name: &'static str,
    words: &'static [&'static str],
    /// Asks an agent of that image what it offers.
    offered: fn() -> Result<BTreeSet<String>>,
}

const COLUMNS: [Column; 6] = [
    Column { name: "pc", words: &["yes"], offered: || in_guest(&Image::Pc.build()?) },
    Column { name: "uart", words: &["yes"], offered: || in_guest(&Image::Uart.build()?) },
    Column { name: "appliance", words: &["yes"], offered: || in_guest(&Image::Appliance.build()?) },
    Column {
        name: "appliance",
        words: &["yes", "demonstration"],
        offered: || in_guest(&image::demonstration()?),
    },
    Column { name: "linux", words: &["yes"], offered: || in_process(&[]) },
    Column { name: "linux", words: &["yes", "`--exec`"], offered: || in_process(&["--exec"]) },
];

/// On q35, which has all that an image can use. A UART is what every image can listen at.
fn in_guest(kernel: &Path) -> Result<BTreeSet<String>> {
    let guest = Launch::new(kernel, Machine::Q35, Channel::Com1).memory_mib(64).start()?;
    offered(&mut guest.connect_when_up()?)
}

fn in_process(options: &[&str]) -> Result<BTreeSet<String>> {
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("socket");
    let mut process = Command::new(image::linux()?)
        .args(["--method", "unix-listen", "--dry-run", "--path"])
        .arg(&socket)
        .args(options)
        .stdin(Stdio::null())
        .spawn()?;
    let deadline = Deadline::within(Duration::from_secs(20));
    let offered = Client::connect(&socket, Transcript::new(Instant::now()), deadline)
        .and_then(|mut client| offered(&mut client));
    process.kill()?;
    process.wait()?;
    offered
}

fn offered(client: &mut Client) -> Result<BTreeSet<String>> {
    let info: Value = serde_json::from_str(&client.ask(r#"{"execute": "guest-info"}"#)?)?;
    let commands = info["return"]["supported_commands"].as_array().context("a list")?;
    let names = commands.iter().filter_map(|command| command["name"].as_str());
    // What an application adds is its own.
    Ok(names.filter(|name| name.starts_with("guest-")).map(str::to_owned).collect())
}

/// The README's table: what it says of each command by the names of its columns.
fn table() -> Result<BTreeMap<String, BTreeMap<String, String>>> {
    let readme = fs::read_to_string(image::workspace().join("README.md"))?;
    let mut lines = readme.lines().skip_while(|line| !line.starts_with("| command |"));
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let header = cells(lines.next().context("the README has no table of commands")?);
    let rows = lines.skip(1).take_while(|line| line.starts_with('|')).map(cells);
    rows.map(|row| {
        let (name, _) = row[0].trim_start_matches('[').split_once(']').context("a link")?;
        Ok((name.to_owned(), header.iter().cloned().zip(row.iter().cloned()).collect()))
    })
    .collect()
}

/// The commands of QEMU 2.3.
fn of_2015() -> Result<BTreeSet<String>> {
    let facts = fs::read_to_string(image::workspace().join("tests/corpus/qga-schema.txt"))?;
    let rows = facts.lines().filter(|line| !line.starts_with('#'));
    let rows = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    Ok(rows.filter(|row| !row[5].is_empty()).map(|row| row[0].to_owned()).collect())
}

#[test]
fn images_offer_what_the_readme_says() -> Result<()> {
    let table = table()?;
    let mut by_any = BTreeSet::new();
    for Column { name, words, offered } in COLUMNS {
        let offered = offered().with_context(|| format!("{name}, {words:?}"))?;
        let says = |columns: &BTreeMap<String, String>| {
            columns.get(name).is_some_and(|cell| words.contains(&cell.as_str()))
        };
        let promised: BTreeSet<String> = table
            .iter()
            .filter(|(_, columns)| says(columns))
            .map(|(command, _)| command.clone())
            .collect();
        let missing: Vec<_> = promised.difference(&offered).collect();
        let untold: Vec<_> = offered.difference(&promised).collect();
        ensure!(missing.is_empty(), "{name}, {words:?}: not offered: {missing:?}");
        ensure!(untold.is_empty(), "{name}, {words:?}: not in the README: {untold:?}");
        by_any.extend(offered);
    }
    let of_2015 = of_2015()?;
    ensure!(of_2015.len() == 29, "QEMU 2.3 has 29 commands, not {}", of_2015.len());
    let nowhere: Vec<_> = of_2015.difference(&by_any).collect();
    ensure!(nowhere.is_empty(), "offered by no image: {nowhere:?}");
    Ok(())
}

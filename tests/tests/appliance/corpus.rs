//! The recorded exchanges of group `file`, byte by byte, on each kind of file system.
//!
//! Each is played at a fresh guest, as it was at a fresh qemu-ga.

use anyhow::{Result, ensure};
use tests::client::ANSWER;
use tests::conformance::{Entry, read_corpus, recorded};
use tests::disk::{Disk, Drive, Format};
use tests::transcript::readable;

use crate::{Case, launch, with_guest};

pub(crate) const CASES: &[Case] = &[
    Case::new("corpus/ram", || play(None)),
    Case::new("corpus/fat16", || play(Some(Format::FAT16))),
    Case::new("corpus/fat32", || play(Some(Format::PARTITIONED))),
];

/// Exchanges about files that only Linux has, which docs/differences.md tells of.
const OF_LINUX: [&str; 3] = ["file_dev_null_read", "file_dev_zero_read", "file_dev_full_write"];

/// How the answer to [`OF_LINUX`] begins.
const NO_FILE: &[u8] =
    b"{\"error\": {\"class\": \"GenericError\", \"desc\": \"failed to open file '/dev/";

/// The files that the corpus was recorded beside.
fn files() -> [(&'static str, Vec<u8>); 4] {
    [
        ("hello.txt", b"Hello World!\n".to_vec()),
        ("empty", Vec::new()),
        ("big.bin", (0..=u8::MAX).cycle().take(10_000).collect()),
        ("abc", b"abcdefghijklmnopqrstuvwxyz".to_vec()),
    ]
}

fn play(format: Option<Format>) -> Result<()> {
    let template = format.map(Disk::formatted).transpose()?;
    if let Some(disk) = &template {
        for (name, contents) in files() {
            disk.put(name, &contents)?;
        }
    }
    let mut entries = read_corpus(&recorded())?;
    entries.retain(|entry| entry.group == "file");
    ensure!(entries.len() >= 62, "only {} entries", entries.len());
    let mut equal = 0;
    let mut differences = Vec::new();
    for entry in &entries {
        let (expected, answered) = play_entry(entry, template.as_ref())?;
        let is_of_linux = OF_LINUX.contains(&entry.name.as_str());
        if expected == answered {
            equal += 1;
        } else if !is_of_linux || !answered.starts_with(NO_FILE) {
            differences.push(format!(
                "{}: `{}`\n  qemu-ga: {}\n  tinyqga: {}",
                entry.name,
                readable(&entry.sent()),
                readable(&expected),
                readable(&answered)
            ));
        }
    }
    ensure!(
        differences.is_empty(),
        "{} of {} exchanges differ:\n{}",
        differences.len(),
        entries.len(),
        differences.join("\n")
    );
    ensure!(equal == entries.len() - OF_LINUX.len(), "{equal} exchanges are the same");
    Ok(())
}

/// What the real agent answered, and what ours does.
fn play_entry(entry: &Entry, template: Option<&Disk>) -> Result<(Vec<u8>, Vec<u8>)> {
    let disk = template.map(Disk::copy).transpose()?;
    let mut launch = launch()?;
    if let Some(disk) = &disk {
        launch = launch.drive(Drive::of(disk));
    }
    let mut answers = (Vec::new(), Vec::new());
    with_guest(launch, |_, client| {
        let mut used = 0;
        if disk.is_none() {
            for (name, contents) in files() {
                client.put_file(name, &contents).map_err(|error| error.context(name))?;
                used += 1;
            }
        }
        for chunk in &entry.chunks {
            client.send(with_handles_from(chunk, used))?;
        }
        let mut answered = client.sync_delimited(ANSWER)?;
        // The sync's own complaint.
        let complaint = tests::client::STRAY_SENTINEL.as_bytes();
        ensure!(answered.ends_with(complaint), "got `{}`", readable(&answered));
        answered.truncate(answered.len() - complaint.len());
        answers = (with_handles_from(&entry.received, used), answered);
        Ok(())
    })
    .map_err(|error| error.context(entry.name.clone()))?;
    Ok(answers)
}

/// The bytes with handles that count from `1000 + used`: making the files has taken some.
fn with_handles_from(bytes: &[u8], used: u32) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let (word, after_word) = rest.split_at(digits);
        match word {
            [b'1', b'0', b'0', digit @ b'0'..=b'3'] => {
                text.extend((1000 + u32::from(digit - b'0') + used).to_string().into_bytes());
                rest = after_word;
            }
            [] => {
                text.push(first);
                rest = after;
            }
            _ => {
                text.extend_from_slice(word);
                rest = after_word;
            }
        }
    }
    text
}

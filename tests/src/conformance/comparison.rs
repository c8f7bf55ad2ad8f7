//! Plays inputs at both agents and tells known differences from others.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result, ensure};

use super::agent::play;
use super::masks::Masks;
use super::{Entry, Generator, Real, Subject};
use crate::image::workspace;
use crate::transcript::readable;

/// How many exchanges were compared, and how they went.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Exchanges with the same answers, byte for byte.
    pub equal: usize,
    /// Differences that docs/differences.md lists.
    pub listed: usize,
    /// Differences that it does not.
    pub unlisted: usize,
    /// Exchanges that were not played, by reason and group.
    pub skipped: BTreeMap<String, usize>,
}

/// The comparison of ours with the real agent.
#[derive(Debug)]
pub struct Comparison {
    subject: Subject,
    masks: Masks,
    not_offered: Vec<String>,
    listed: Listed,
    tally: Tally,
    report: Vec<String>,
}

impl Comparison {
    /// Prepares to compare `subject`, which is asked for its commands.
    ///
    /// # Errors
    ///
    /// An agent cannot be started or does not answer.
    pub fn new(mut subject: Subject) -> Result<Self> {
        let names = |info: &[u8]| -> Vec<String> {
            let info = String::from_utf8_lossy(info);
            let names = info.split("\"name\": \"").skip(1);
            names.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
        };
        let ask = Entry::query("guest-info", &[]);
        let ours = names(&subject.play(&ask).context("asking ours for its commands")?);
        let real = names(&Real::play(&ask).context("asking qemu-ga for its commands")?);
        Ok(Self {
            masks: Masks::new(&real, &ours),
            not_offered: real.into_iter().filter(|name| !ours.contains(name)).collect(),
            subject,
            listed: Listed::read()?,
            tally: Tally::default(),
            report: Vec::new(),
        })
    }

    /// Plays recorded exchanges; those whose commands ours does not offer are counted as such.
    ///
    /// # Errors
    ///
    /// An agent cannot be started.
    pub fn play_corpus(&mut self, entries: &[Entry]) -> Result<()> {
        for entry in entries {
            if let Some(reason) = self.reason_to_skip(entry) {
                *self.tally.skipped.entry(format!("{reason}, {}", entry.group)).or_default() += 1;
                continue;
            }
            let real = Real::play(entry).with_context(|| format!("qemu-ga, {}", entry.name))?;
            let ours = self.subject.play(entry);
            self.compare(&entry.name, &entry.sent(), &real, ours);
        }
        Ok(())
    }

    /// Plays `count` inputs generated from `seed`.
    ///
    /// # Errors
    ///
    /// An agent cannot be started, or the real one does not answer.
    pub fn play_random(&mut self, count: usize, seed: u64) -> Result<()> {
        /// So often ours may fail to answer at all before the rest is given up.
        const LOST_MAX: usize = 10;
        let mut lost = 0;
        let mut generator = Generator::new(seed);
        let (_real_process, mut real_client) = Real::at_random()?;
        let (mut _our_process, mut our_client) = self.subject.at_random()?;
        for index in 0..count {
            let chunks = generator.input();
            let name = format!("random {index} of seed {seed}");
            let real = play(&mut real_client, &chunks)
                .with_context(|| format!("qemu-ga, {name}: `{}`", readable(&chunks.concat())))?;
            let ours = play(&mut our_client, &chunks);
            if ours.is_err() {
                lost += 1;
                ensure!(
                    lost <= LOST_MAX,
                    "ours does not answer any more:\n{}",
                    self.report.join("\n")
                );
                // The rest is compared with a new one.
                drop(our_client);
                (_our_process, our_client) = self.subject.at_random()?;
            }
            self.compare(&name, &chunks.concat(), &real, ours);
        }
        Ok(())
    }

    /// What was found: each difference with its input, what qemu-ga says and what ours says.
    pub fn finish(self) -> (Tally, Vec<String>) {
        (self.tally, self.report)
    }

    /// Why an exchange cannot be compared.
    fn reason_to_skip(&self, entry: &Entry) -> Option<&'static str> {
        let sent = String::from_utf8_lossy(&entry.sent()).into_owned();
        let names = |command: &str| sent.contains(&format!("{command}\""));
        if self.not_offered.iter().any(|command| names(command)) {
            return Some("command not offered");
        }
        if entry.depends_on_machine && !self.subject.is_on_this_machine() {
            return Some("answer depends on the machine");
        }
        if self.subject.is_fresh_each_time() {
            return None;
        }
        if !entry.extra_block.is_empty() {
            return Some("needs a block list of its own");
        }
        if entry.group == "file" {
            return Some("needs files of its own");
        }
        None
    }

    fn compare(&mut self, name: &str, sent: &[u8], real: &[u8], ours: Result<Vec<u8>>) {
        let ours = match ours {
            Ok(ours) => ours,
            Err(error) => format!("(no answer: {error:#})").into_bytes(),
        };
        let real = self.masks.apply(real);
        let ours = self.masks.apply(&ours);
        if real.is_followed_by(&ours) {
            self.tally.equal += 1;
            return;
        }
        let (real, ours) = (real.text, ours.text);
        if self.listed.explains(name, &ours) {
            self.tally.listed += 1;
        } else {
            self.tally.unlisted += 1;
        }
        let lines = |text: &[u8]| -> Vec<Vec<u8>> {
            text.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect()
        };
        let (real, ours) = (lines(&real), lines(&ours));
        let first = real.iter().zip(&ours).take_while(|(real, ours)| real == ours).count();
        let show = |lines: &[Vec<u8>]| {
            lines.get(first).map_or_else(|| "(nothing)".to_owned(), |line| readable(line))
        };
        self.report.push(format!(
            "{name}: `{}`\n  qemu-ga: {}\n  tinyqga: {}",
            readable(sent),
            show(&real),
            show(&ours)
        ));
    }
}

/// The differences that docs/differences.md owns up to.
///
/// It says so in lines that start with `- corpus:`, naming entries, or with `- tinyqga:`, giving
/// the text that ours answers, each between backticks.
#[derive(Debug, Default)]
struct Listed {
    entries: Vec<String>,
    answers: Vec<String>,
}

impl Listed {
    fn read() -> Result<Self> {
        let path = workspace().join("docs/differences.md");
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(Self::of(&text))
    }

    fn of(markdown: &str) -> Self {
        let spans = |mark: &str| -> Vec<String> {
            let lines = markdown.lines().filter_map(|line| line.trim().strip_prefix(mark));
            lines.flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
        };
        Self { entries: spans("- corpus:"), answers: spans("- tinyqga:") }
    }

    fn explains(&self, name: &str, ours: &[u8]) -> bool {
        let ours = String::from_utf8_lossy(ours);
        self.entries.iter().any(|entry| entry == name)
            || self.answers.iter().any(|answer| ours.contains(answer))
    }
}

#[cfg(test)]
mod tests {
    use super::Listed;

    #[test]
    fn reads_what_is_listed() {
        let listed = Listed::of(
            "# Differences\n\n- corpus: `one`, `two`\n- tinyqga: `too long`\n- qemu-ga: `fine`\n",
        );
        for (name, ours, expected) in [
            ("one", "", true),
            ("two", "", true),
            ("three", "", false),
            ("three", "{\"error\": \"too long\"}", true),
            ("three", "fine", false),
        ] {
            assert_eq!(listed.explains(name, ours.as_bytes()), expected, "{name} {ours}");
        }
    }
}

//! Recorded exchanges with the real agent: one JSON object a line.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::image::workspace;

/// One exchange, played at a fresh agent.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub group: String,
    /// The writes, in order.
    pub chunks: Vec<Vec<u8>>,
    /// Everything the agent said until it closed the connection.
    pub received: Vec<u8>,
    /// Commands that were blocked beside the usual ones.
    pub extra_block: Vec<String>,
    /// Environment variables of the agent.
    pub environment: Vec<(String, String)>,
}

impl Entry {
    /// All that is sent, as one.
    pub fn sent(&self) -> Vec<u8> {
        self.chunks.concat()
    }
}

/// The corpus of this repository.
pub fn recorded() -> PathBuf {
    workspace().join("tests/corpus/qemu-ga-7.2.22.jsonl")
}

/// Reads the corpus at `path`.
///
/// # Errors
///
/// It is not there, or not in the format.
pub fn read_corpus(path: &Path) -> Result<Vec<Entry>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    text.lines()
        .enumerate()
        .map(|(index, line)| {
            entry(line).with_context(|| format!("{}:{}", path.display(), index + 1))
        })
        .collect()
}

fn entry(line: &str) -> Result<Entry> {
    let value: Value = serde_json::from_str(line)?;
    let bytes = |value: &Value| Ok(hex::decode(value.as_str().context("not hexadecimal")?)?);
    let text =
        |name: &str| value[name].as_str().map(str::to_owned).with_context(|| name.to_owned());
    Ok(Entry {
        name: text("name")?,
        group: text("group")?,
        chunks: match &value["chunks_hex"] {
            Value::Array(chunks) => chunks.iter().map(bytes).collect::<Result<_>>()?,
            _ => vec![bytes(&value["send_hex"])?],
        },
        received: bytes(&value["recv_hex"])?,
        extra_block: match &value["extra_block"] {
            Value::String(list) => list.split(',').map(str::to_owned).collect(),
            Value::Array(list) => {
                list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        },
        environment: value["env"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect(),
    })
}

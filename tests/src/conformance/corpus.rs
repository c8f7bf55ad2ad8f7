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
    /// Whether another machine answers something else.
    pub depends_on_machine: bool,
}

impl Entry {
    /// A request without arguments that asks for something of the machine, of an agent with this
    /// environment; it was not recorded.
    pub fn query(command: &str, environment: &[(&str, &str)]) -> Self {
        let variables: Vec<_> =
            environment.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        Self {
            name: format!("{command}{}", variables.concat()),
            group: "query".into(),
            chunks: vec![format!("{{\"execute\": \"{command}\"}}\n").into_bytes()],
            received: Vec::new(),
            extra_block: Vec::new(),
            environment: environment
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            depends_on_machine: true,
        }
    }

    /// A request that ends in an error, on every machine in the same; it was not recorded.
    fn mistake(command: &str, arguments: &str) -> Self {
        let request = format!("{{\"execute\": \"{command}\", \"arguments\": {arguments}}}\n");
        Self {
            name: format!("{command} {arguments}"),
            group: "args".into(),
            chunks: vec![request.into_bytes()],
            received: Vec::new(),
            extra_block: Vec::new(),
            environment: Vec::new(),
            depends_on_machine: false,
        }
    }

    /// All that is sent, as one.
    pub fn sent(&self) -> Vec<u8> {
        self.chunks.concat()
    }
}

/// The corpus of this repository.
pub fn recorded() -> PathBuf {
    workspace().join("tests/corpus/qemu-ga-7.2.22.jsonl")
}

/// Requests that were not recorded: what disks there are, times in zones of many kinds, and arguments
/// of every type that are wrong in every way.
pub fn queries() -> Vec<Entry> {
    let zones = [
        "",
        ":Europe/Berlin",
        "/usr/share/zoneinfo/Asia/Tokyo",
        "<+0545>-5:45",
        "Africa/Casablanca",
        "America/New_York",
        "CET-1CEST,M3.5.0,M10.5.0/3",
        "EST5EDT",
        "Etc/GMT+5",
        "Europe/Dublin",
        "nonsense",
    ];
    ["guest-get-disks", "guest-get-diskstats"]
        .map(|command| Entry::query(command, &[]))
        .into_iter()
        .chain(zones.map(|zone| Entry::query("guest-get-timezone", &[("TZ", zone)])))
        .chain(MISTAKES.iter().map(|(command, arguments)| Entry::mistake(command, arguments)))
        .collect()
}

/// None of these does anything.
const MISTAKES: &[(&str, &str)] = &[
    ("guest-set-vcpus", "{}"),
    ("guest-set-vcpus", r#"{"vcpus": null}"#),
    ("guest-set-vcpus", r#"{"vcpus": [], "x": 1}"#),
    ("guest-set-vcpus", r#"{"vcpus": [[]]}"#),
    ("guest-set-vcpus", r#"{"vcpus": [null]}"#),
    ("guest-set-vcpus", r#"{"vcpus": [{}]}"#),
    ("guest-set-vcpus", r#"{"vcpus": [{"online": true}]}"#),
    ("guest-set-vcpus", r#"{"vcpus": [{"logical-id": 1.0, "online": true}]}"#),
    ("guest-set-vcpus", r#"{"vcpus": [{"logical-id": 9223372036854775808, "online": true}]}"#),
    ("guest-set-vcpus", r#"{"vcpus": [{"logical-id": 0, "online": 1}]}"#),
    ("guest-set-vcpus", r#"{"vcpus": [{"logical-id": 0, "online": null}]}"#),
    ("guest-set-vcpus", r#"{"vcpus": [{"logical-id": 0, "online": true, "can-offline": 1}]}"#),
    (
        "guest-set-vcpus",
        r#"{"vcpus": [{"logical-id": 0, "online": true, "a": 1, "b": 2, "c": 3}]}"#,
    ),
    ("guest-set-vcpus", r#"{"vcpus": [{"logical-id": 0, "online": true}, {"logical-id": 0}]}"#),
    ("guest-set-vcpus", r#"{"vcpus": [{"logical-id": 0, "online": true, "x\"\u00e9": 1}]}"#),
    ("guest-set-vcpus", r#"{"vcpus": [{"logical-id": 99999, "online": false}]}"#),
    ("guest-set-vcpus", r#"{"vcpus": [{"logical-id": -1, "online": true}]}"#),
    ("guest-exec", r#"{"path": 1}"#),
    ("guest-exec", r#"{"arg": []}"#),
    ("guest-exec", r#"{"path": "/nonexistent/\u00e9\"", "arg": ["a"]}"#),
    ("guest-exec", r#"{"path": "/nonexistent", "arg": {}}"#),
    ("guest-exec", r#"{"path": "/nonexistent", "env": ["A=b", []]}"#),
    ("guest-exec", r#"{"path": "/nonexistent", "input-data": 1}"#),
    ("guest-exec", r#"{"path": "/nonexistent", "input-data": "A-B_"}"#),
    ("guest-exec-status", r#"{"pid": "1"}"#),
    ("guest-exec-status", r#"{"pid": -1}"#),
    ("guest-ssh-get-authorized-keys", r#"{"username": null}"#),
    ("guest-ssh-get-authorized-keys", r#"{"username": "no-such-user-42\n"}"#),
];

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
        depends_on_machine: value["note"]
            .as_str()
            .is_some_and(|note| note.starts_with("machine-dependent")),
    })
}

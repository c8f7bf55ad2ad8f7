//! The stage of `cargo xtask run`: one connection on which each request is shown with its reply.

use core::time::Duration;
use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::client::Client;

/// A connection, and which commands were played on it.
pub(crate) struct Stage {
    pub(crate) client: Client,
    played: BTreeSet<String>,
}

impl Stage {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, played: BTreeSet::new() }
    }

    /// Asks, shows, and gives the reply.
    pub(crate) fn ask(&mut self, request: &str) -> Result<String> {
        let (reply, took) = self.client.ask_timed(request)?;
        self.show(took, request, &reply);
        Ok(reply)
    }

    /// [`Stage::ask`], for a command without arguments.
    pub(crate) fn ask_for(&mut self, command: &str) -> Result<String> {
        self.ask(&format!("{{\"execute\":\"{command}\"}}"))
    }

    /// [`Stage::ask`], for a command with arguments.
    pub(crate) fn ask_with(&mut self, command: &str, arguments: &Value) -> Result<String> {
        self.ask(&format!("{{\"execute\":\"{command}\", \"arguments\":{arguments}}}"))
    }

    /// Shows a request that was sent in another way, and what came of it.
    pub(crate) fn show(&mut self, took: Duration, request: &str, reply: &str) {
        let command = request.split('"').nth(3).unwrap_or_default();
        show(command, took, request, reply);
        self.played.insert(command.to_owned());
    }

    /// The commands that the guest offers, in the order of the schema.
    pub(crate) fn offered(&mut self) -> Result<Vec<String>> {
        let info = self.client.ask(&json!({"execute": "guest-info"}).to_string())?;
        let info: Value = serde_json::from_str(&info)?;
        let offered = info["return"]["supported_commands"].as_array().context("a list")?;
        let names = offered.iter().rev().filter_map(|command| command["name"].as_str());
        Ok(names.map(str::to_owned).collect())
    }

    /// Ends the connection; every command that the guest offers has been played on it, but those
    /// that are played `later`.
    pub(crate) fn end(mut self, later: &[&str]) -> Result<()> {
        let mut left = self.offered()?;
        left.retain(|name| !self.played.contains(name) && !later.contains(&name.as_str()));
        ensure!(left.is_empty(), "the guest offers what was not played: {}", left.join(", "));
        Ok(())
    }
}

pub(crate) fn show(name: &str, took: Duration, request: &str, reply: &str) {
    println!("\n{name}: {}", time(took));
    println!("  > {request}");
    print!("  < {reply}");
}

/// A time with as many digits as are worth reading.
pub(crate) fn time(time: Duration) -> String {
    if time < Duration::from_millis(10) {
        format!("{} us", time.as_micros())
    } else {
        format!("{} ms", time.as_millis())
    }
}

//! A small QMP client: commands and events of one QEMU process.
//!
//! The harness listens and QEMU connects, so that no event is missed and nothing is polled for.

use core::time::Duration;
use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::net::UnixStream;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::deadline::Deadline;

/// How long QEMU may take to answer a command.
const ANSWER: Duration = Duration::from_secs(10);

/// A connection to QEMU's machine protocol.
#[derive(Debug)]
pub struct Qmp {
    stream: BufReader<UnixStream>,
    partial: Vec<u8>,
    events: VecDeque<Value>,
}

impl Qmp {
    /// Reads the greeting and negotiates. After it every chardev and device exists.
    ///
    /// # Errors
    ///
    /// QEMU does not greet in time, or refuses.
    pub fn negotiate(stream: UnixStream) -> Result<Self> {
        let mut qmp =
            Self { stream: BufReader::new(stream), partial: Vec::new(), events: VecDeque::new() };
        let greeting = qmp.message(Deadline::within(ANSWER)).context("QMP greeting")?;
        if greeting.get("QMP").is_none() {
            bail!("not a QMP greeting: {greeting}");
        }
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Runs a command and gives its return value.
    ///
    /// # Errors
    ///
    /// QEMU answers with an error, or not in time.
    pub fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let request = json!({"execute": command, "arguments": arguments});
        writeln!(self.stream.get_mut(), "{request}").with_context(|| command.to_owned())?;
        let deadline = Deadline::within(ANSWER);
        loop {
            let mut message = self.message(deadline).with_context(|| command.to_owned())?;
            if message.get("event").is_some() {
                self.events.push_back(message);
            } else if let Some(value) = message.get_mut("return") {
                return Ok(value.take());
            } else {
                bail!("QMP {command}: {message}");
            }
        }
    }

    /// Runs a command of the human monitor and gives its text.
    ///
    /// # Errors
    ///
    /// As [`Qmp::execute`].
    pub fn monitor(&mut self, line: &str) -> Result<String> {
        let text = self.execute("human-monitor-command", &json!({"command-line": line}))?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// What `query-pci` says of the functions with one of these device ids, in QEMU's order, behind
    /// bridges or not.
    ///
    /// # Errors
    ///
    /// As [`Qmp::execute`].
    pub fn pci_functions(&mut self, ids: &[u64]) -> Result<Vec<Value>> {
        let buses = self.execute("query-pci", &json!({}))?;
        let mut functions = Vec::new();
        let mut rest: VecDeque<&Value> = buses.as_array().into_iter().flatten().collect();
        while let Some(bus) = rest.pop_front() {
            for function in bus["devices"].as_array().into_iter().flatten() {
                if function["id"]["device"].as_u64().is_some_and(|id| ids.contains(&id)) {
                    functions.push(function.clone());
                }
                if function["pci_bridge"].is_object() {
                    rest.push_back(&function["pci_bridge"]);
                }
            }
        }
        Ok(functions)
    }

    /// Waits for the event `name`; earlier events are dropped.
    ///
    /// # Errors
    ///
    /// It does not come in time.
    pub fn event(&mut self, name: &str, within: Duration) -> Result<Value> {
        let deadline = Deadline::within(within);
        loop {
            while let Some(event) = self.events.pop_front() {
                if event["event"] == name {
                    return Ok(event);
                }
            }
            let message =
                self.message(deadline).with_context(|| format!("waiting for QMP event {name}"))?;
            self.events.push_back(message);
        }
    }

    fn message(&mut self, deadline: Deadline) -> Result<Value> {
        loop {
            let Some(left) = deadline.left() else {
                bail!("QEMU said nothing within {:?}", deadline.limit());
            };
            self.stream.get_ref().set_read_timeout(Some(left))?;
            match self.stream.read_until(b'\n', &mut self.partial) {
                Ok(0) => bail!("QEMU closed its QMP connection"),
                Ok(_) if self.partial.ends_with(b"\n") => {
                    let message = serde_json::from_slice(&self.partial)?;
                    self.partial.clear();
                    return Ok(message);
                }
                Ok(_) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
